//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// sendersRun are Socket.IO clients that send one message after the other, each
// to a channel of its own: the next goes out when the last is acknowledged.
type sendersRun struct {
	subscribers
	channels []string
	size     int
	until    int64
	begun    []int64 // when the message under way was sent, by connection; 0: none
	underWay int
	acks     acks
}

// acks is what senders say when they are done.
type acks struct {
	Event   string  `json:"event"` // "acked"
	Acked   int     `json:"acked"`
	Refused int     `json:"refused"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50ms"`
	P99     float64 `json:"p99ms"`
	CPU     float64 `json:"cpuSeconds"`

	latency histogram
}

// sending is an order: how long to send.
type sending struct {
	Seconds float64 `json:"seconds"`
}

func runSenders(ctx context.Context, args []string) error {
	s := &sendersRun{subscribers: subscribers{mode: "socketio", window: 16, perAddr: 8, table: map[int]*subscriber{}, buf: make([]byte, 1<<20)}}
	fs := flag.NewFlagSet("senders", flag.ExitOnError)
	fs.StringVar(&s.addr, "addr", "", "host:port of the server, an IPv4 address")
	fs.IntVar(&s.size, "size", messageSize, "bytes of a message")
	tokens := fs.String("tokens", "", "file with an access token per line, one for each channel")
	channels := fs.String("channels", "", "file with a channel id per line")
	_ = fs.Parse(args)
	var err error
	if s.channels, err = readLines(*channels); err != nil {
		return err
	}
	s.conns = len(s.channels)
	s.begun = make([]int64, s.conns)
	if err := s.prepare(*tokens); err != nil {
		return err
	}
	s.onFrame = s.frame
	if err := s.connect(ctx); err != nil {
		return err
	}
	for rounds := orders[sending](os.Stdin); ; {
		select {
		case o, ok := <-rounds:
			if !ok {
				return nil
			}
			if err := s.run(ctx, time.Duration(o.Seconds*float64(time.Second))); err != nil {
				return err
			}
		default:
			if err := s.poll(ctx); err != nil {
				return err
			}
		}
	}
}

func readLines(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []string
	in := bufio.NewScanner(f)
	for in.Scan() {
		if line := strings.TrimSpace(in.Text()); line != "" {
			list = append(list, line)
		}
	}
	return list, in.Err()
}

// run sends for a while. What is under way at the end is waited for and not
// counted.
func (s *sendersRun) run(ctx context.Context, d time.Duration) error {
	s.acks = acks{Event: "acked", Seconds: d.Seconds()}
	cpu := cpuSeconds()
	s.until = monotonic() + int64(d)
	for _, c := range s.table {
		s.next(c)
	}
	for s.underWay > 0 {
		if err := s.poll(ctx); err != nil {
			return err
		}
		if s.closed > 0 {
			return fmt.Errorf("the server closed %d connections", s.closed)
		}
		if monotonic() > s.until+int64(15*time.Second) {
			return fmt.Errorf("%d messages are never acknowledged", s.underWay)
		}
	}
	a := &s.acks
	a.CPU = cpuSeconds() - cpu
	a.P50, a.P99 = a.latency.quantile(0.5), a.latency.quantile(0.99)
	return say(a)
}

func (s *sendersRun) next(c *subscriber) {
	body, err := json.Marshal([]any{"sendMessage", map[string]any{
		"channelId": s.channels[c.index], "attachments": []string{}, "pendingAttachments": 0,
		"spans": []map[string]string{{"type": "PLAINTEXT", "text": string(message(c.got, s.size, 0))}},
	}})
	if err != nil {
		return
	}
	c.got++
	s.underWay++
	s.begun[c.index] = monotonic()
	s.send(c, ws.OpText, "42"+strconv.Itoa(c.got)+string(body))
}

// frame takes an ack, or the exception that comes instead of one.
func (s *sendersRun) frame(c *subscriber, p []byte, now int64) bool {
	began := s.begun[c.index]
	switch {
	case began == 0:
		return false
	case bytes.HasPrefix(p, []byte("43")):
		if now <= s.until {
			s.acks.Acked++
			s.acks.latency.add(now - began)
		}
	case bytes.HasPrefix(p, []byte(`42["exception"`)):
		if s.acks.Refused++; s.acks.Refused == 1 {
			fmt.Fprintf(os.Stderr, "refused: %.300s\n", p)
		}
	default:
		return false
	}
	s.begun[c.index] = 0
	s.underWay--
	if now < s.until {
		s.next(c)
	}
	return true
}
