//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/rookery-chat/rookery/protocol/rookeryws"
)

// subscribers are many clients on one epoll loop.
type subscribers struct {
	mode     string
	addr     string
	path     string
	tokens   []string
	conns    int
	window   int // handshakes under way at once
	perAddr  int // connections of one source address
	expect   int // events per connection, after which the run is over
	idle     time.Duration
	epoll    int
	table    map[int]*subscriber
	buf      []byte
	ready    int
	complete int
	last     int64 // when the last event came
	tally    tally
}

type subscriber struct {
	stream
	fd    int
	token string
	up    bool // upgraded
	ready bool
	next  int // number of the event that comes next
}

// tally is what subscribers say when they are done.
type tally struct {
	Event          string  `json:"event"` // "received"
	Conns          int     `json:"conns"`
	ConnectSeconds float64 `json:"connectSeconds"`
	Frames         int     `json:"frames"`
	Lost           int     `json:"lost"`
	Repeated       int     `json:"repeated"`
	Closed         int     `json:"closed"`
	P50            float64 `json:"p50ms"`
	P99            float64 `json:"p99ms"`
	Max            float64 `json:"maxms"`
	CPU            float64 `json:"cpuSeconds"`

	latency histogram
}

func runSubscribers(ctx context.Context, args []string) error {
	s := &subscribers{table: make(map[int]*subscriber), buf: make([]byte, 1<<20)}
	fs := flag.NewFlagSet("subscribers", flag.ExitOnError)
	fs.StringVar(&s.addr, "addr", "", "host:port of the server, an IPv4 address")
	fs.StringVar(&s.mode, "mode", "socketio", "plain, socketio or native")
	fs.StringVar(&s.path, "path", "", "path of the upgrade, default by mode")
	fs.IntVar(&s.conns, "conns", 1000, "connections")
	fs.IntVar(&s.window, "window", 64, "handshakes under way at once")
	fs.IntVar(&s.perAddr, "per-address", 8, "connections of one source address in 127.0.0.0/8")
	fs.IntVar(&s.expect, "expect", 0, "events per connection, after which the run is over")
	fs.DurationVar(&s.idle, "idle", 3*time.Second, "the run is also over when nothing came for this long")
	tokens := fs.String("tokens", "", "file with an access token per line, used in turn")
	_ = fs.Parse(args)
	if err := s.prepare(*tokens); err != nil {
		return err
	}
	return s.run(ctx)
}

func (s *subscribers) prepare(tokens string) error {
	switch {
	case s.path != "":
	case s.mode == "socketio":
		s.path = "/socket.io/?EIO=4&transport=websocket"
	case s.mode == "native":
		s.path = "/ws"
	default:
		s.path = "/"
	}
	s.tokens = []string{"none"}
	if tokens == "" {
		return nil
	}
	f, err := os.Open(tokens)
	if err != nil {
		return err
	}
	defer f.Close()
	s.tokens = nil
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if t := strings.TrimSpace(lines.Text()); t != "" {
			s.tokens = append(s.tokens, t)
		}
	}
	if len(s.tokens) == 0 {
		return errors.New("no tokens in the file")
	}
	return nil
}

func (s *subscribers) run(ctx context.Context) (err error) {
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	begin := time.Now()
	for s.ready < s.conns {
		for len(s.table) < s.conns && len(s.table)-s.ready < s.window {
			if err := s.dial(len(s.table)); err != nil {
				return fmt.Errorf("connection %d: %w", len(s.table), err)
			}
		}
		if err := s.poll(ctx); err != nil {
			return err
		}
		if s.tally.Closed > 0 {
			return fmt.Errorf("the server closed %d connections during the handshake", s.tally.Closed)
		}
	}
	s.tally.ConnectSeconds = time.Since(begin).Seconds()
	if err := say(note{"ready"}); err != nil {
		return err
	}
	s.last = monotonic()
	cpu := cpuSeconds()
	for (s.expect == 0 || s.complete < s.conns) && s.tally.Closed < s.conns && monotonic()-s.last < int64(s.idle) {
		if err := s.poll(ctx); err != nil {
			return err
		}
	}
	s.tally.CPU = cpuSeconds() - cpu
	return s.report()
}

func (s *subscribers) report() error {
	t := &s.tally
	t.Event, t.Conns = "received", s.conns
	for _, c := range s.table {
		t.Lost += max(0, s.expect-c.next)
	}
	t.P50, t.P99, t.Max = t.latency.quantile(0.5), t.latency.quantile(0.99), t.latency.quantile(1)
	return say(t)
}

// dial connects from one of many source addresses, so that ports suffice and
// limits per address do not stand in the way.
func (s *subscribers) dial(i int) error {
	tcp, err := net.ResolveTCPAddr("tcp4", s.addr)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	host := i/s.perAddr + 2
	source := &unix.SockaddrInet4{Addr: [4]byte{127, byte(host >> 16), byte(host >> 8), byte(host)}}
	_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if tcp.IP.IsLoopback() {
		if err := unix.Bind(fd, source); err != nil {
			return fmt.Errorf("bind: %w", err)
		}
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	protocol := ""
	if s.mode == "native" {
		protocol = rookeryws.Subprotocol
	}
	s.table[fd] = &subscriber{fd: fd, token: s.tokens[i%len(s.tokens)]}
	if _, err := unix.Write(fd, upgradeRequest(s.addr, s.path, protocol)); err != nil {
		return err
	}
	return errors.Join(unix.SetNonblock(fd, true),
		unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}))
}

func (s *subscribers) poll(ctx context.Context) error {
	var events [256]unix.EpollEvent
	n, err := unix.EpollWait(s.epoll, events[:], 100)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	for _, ev := range events[:max(n, 0)] {
		if err := s.read(s.table[int(ev.Fd)]); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *subscribers) read(c *subscriber) error {
	n, err := unix.Read(c.fd, s.buf)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil || n == 0:
		s.tally.Closed++
		return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_DEL, c.fd, nil)
	}
	b := s.buf[:n]
	if !c.up {
		head, after := c.head(b)
		if head == nil {
			return nil
		}
		if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
			return fmt.Errorf("%w: %.200q", errHandshake, head)
		}
		c.up, b = true, after
		switch s.mode {
		case "plain":
			s.isReady(c)
		case "native":
			s.send(c, ws.OpText, `{"op":"hello","d":{"token":"`+c.token+`","client":{"name":"bench","version":"1"}}}`)
		}
	}
	now := monotonic()
	c.frames(b, func(op ws.OpCode, p []byte) { s.frame(c, op, p, now) })
	return nil
}

func (s *subscribers) frame(c *subscriber, op ws.OpCode, p []byte, now int64) {
	switch {
	case op == ws.OpPing:
		s.send(c, ws.OpPong, string(p))
	case op != ws.OpText || len(p) == 0:
	case c.ready && s.count(c, p, now):
	case s.mode == "native":
		if strings.HasPrefix(string(p), `{"ev":"ready"`) {
			s.isReady(c)
		}
	case s.mode == "socketio":
		s.socketIO(c, string(p))
	}
}

// socketIO goes through the handshake; the ack of the last step tells that the
// subscription before it is done.
func (s *subscribers) socketIO(c *subscriber, p string) {
	switch {
	case p == "2":
		s.send(c, ws.OpText, "3")
	case p[0] == '0':
		s.send(c, ws.OpText, `40{"token":"Bearer `+c.token+`"}`)
	case strings.HasPrefix(p, "40"):
		s.send(c, ws.OpText, `42["subscribeAll"]`)
		s.send(c, ws.OpText, `420["presenceOnline",{"idle":false}]`)
	case strings.HasPrefix(p, "430"):
		s.isReady(c)
	case strings.HasPrefix(p, "44"):
		fmt.Fprintln(os.Stderr, "refused:", p)
		s.tally.Closed++
	}
}

func (s *subscribers) isReady(c *subscriber) {
	if !c.ready {
		c.ready = true
		s.ready++
	}
}

// count takes an event that carries a marker.
func (s *subscribers) count(c *subscriber, p []byte, now int64) bool {
	n, sent, ok := marker(p)
	if !ok {
		return false
	}
	t := &s.tally
	t.Frames++
	t.latency.add(now - sent)
	s.last = now
	if n < c.next {
		t.Repeated++
		return true
	}
	t.Lost += n - c.next
	if c.next = n + 1; c.next == s.expect {
		s.complete++
	}
	return true
}

func (s *subscribers) send(c *subscriber, op ws.OpCode, payload string) {
	if _, err := unix.Write(c.fd, clientFrame(op, payload)); err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
	}
}
