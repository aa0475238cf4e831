//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// load is what a sender puts on its subscribers in one round.
type load struct {
	Conns   int     `json:"conns"`
	Rate    float64 `json:"rate"`  // events a second, each to every subscriber
	Size    int     `json:"size"`  // bytes of a message
	Frame   int     `json:"frame"` // bytes of an event, filled up to when it is smaller
	Seconds float64 `json:"seconds"`
	First   int     `json:"first"` // number of the first event: rounds count on
}

func (l *load) flags(fs *flag.FlagSet) {
	fs.IntVar(&l.Conns, "conns", 1000, "subscribers")
	fs.Float64Var(&l.Rate, "rate", 10, "events per second, each to every subscriber")
	fs.IntVar(&l.Size, "size", 400, "bytes of the message in an event")
	fs.IntVar(&l.Frame, "frame", 0, "bytes of an event, which is filled up when it is smaller (the server's has more fields)")
	fs.Float64Var(&l.Seconds, "seconds", 10, "duration")
}

// events is the number of events of the whole run.
func (l *load) events() int { return int(l.Rate * l.Seconds) }

// due is when event i is to be sent, after the start.
func (l *load) due(i int) time.Duration {
	return time.Duration(float64(i) / l.Rate * float64(time.Second))
}

// monotonic is a clock that all processes of the machine share, in nanoseconds.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// cpuSeconds is the processor time of this process, user and system.
func cpuSeconds() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// A marker stands in the text of a message, so that a subscriber finds number
// and time of sending in whatever the server makes of it: ~number:time~
const markEdge = '~'

// message is a text of size bytes with a marker in it. Sent is when it was due,
// so that a sender that falls behind shows as latency.
func message(n, size int, sent int64) []byte {
	b := append(make([]byte, 0, size+48), markEdge)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, ':')
	b = strconv.AppendInt(b, sent, 10)
	b = append(b, markEdge)
	for len(b) < size {
		b = append(b, 'x')
	}
	return b
}

// marker finds number and time in an event.
func marker(b []byte) (n int, sent int64, ok bool) {
	_, b, ok = bytes.Cut(b, []byte{markEdge})
	if !ok {
		return 0, 0, false
	}
	b, _, ok = bytes.Cut(b[:min(len(b), 48)], []byte{markEdge})
	if !ok {
		return 0, 0, false
	}
	first, second, ok := bytes.Cut(b, []byte{':'})
	if !ok {
		return 0, 0, false
	}
	n, err1 := strconv.Atoi(string(first))
	sent, err2 := strconv.ParseInt(string(second), 10, 64)
	return n, sent, err1 == nil && err2 == nil
}

// event is event i of a round as a Socket.IO packet's argument, shaped like a
// chat message.
func (l *load) event(i int, origin int64) []byte {
	return payload(l.First+i, l.Size, l.Frame-eventHead, origin+int64(l.due(i)))
}

// eventHead is what stands around the argument of an event, with an offset of
// the usual length: 42["newMessage",,"abcd.abcdefgh"]
const eventHead = 33

func payload(n, size, full int, sent int64) []byte {
	b := append(make([]byte, 0, max(size+96, full)), `{"message":{"id":"`...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, `","spans":[{"type":"PLAINTEXT","text":"`...)
	b = append(b, message(n, size, sent)...)
	for len(b) < full-len(payloadEnd) {
		b = append(b, 'y')
	}
	return append(b, payloadEnd...)
}

const payloadEnd = `"}]}}`

// report is what a sender says when it is done.
type report struct {
	Event      string  `json:"event"` // "sent"
	Events     int     `json:"events"`
	Deliveries int     `json:"deliveries"`
	Writes     uint64  `json:"writes"`
	Seconds    float64 `json:"seconds"`
	CPU        float64 `json:"cpuSeconds"`
	Postgres   float64 `json:"-"` // cpu seconds
	PerMillion float64 `json:"cpuSecondsPerMillion"`
	Late       float64 `json:"lateSeconds"` // how far behind its schedule it was at the end
}

func (r *report) finish() {
	if r.Deliveries > 0 {
		r.PerMillion = r.CPU / float64(r.Deliveries) * 1e6
	}
}

// listening and ready are the lines before that.
type listening struct {
	Event string `json:"event"`
	Addr  string `json:"addr"`
	PID   int    `json:"pid"`
}

type note struct {
	Event string `json:"event"`
}

// orders are what comes on standard input, one JSON object per line, until
// it ends.
func orders[T any](in io.Reader) <-chan T {
	ch := make(chan T)
	go func() {
		defer close(ch)
		for d := json.NewDecoder(in); ; {
			var v T
			if d.Decode(&v) != nil {
				return
			}
			ch <- v
		}
	}()
	return ch
}
