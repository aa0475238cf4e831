//go:build linux

package main

import (
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
	mode    string
	addr    string
	path    string
	tokens  []string
	conns   int
	window  int // handshakes under way at once
	perAddr int // connections of one source address
	epoll   int
	table   map[int]*subscriber
	buf     []byte
	ready   int
	closed  int // connections that the server has ended
	onReady func(c *subscriber)
	onFrame func(c *subscriber, payload []byte, now int64) bool // of ready ones; true: it was for the caller

	round    round
	complete int   // connections that have everything
	last     int64 // when the last event came
	tally    tally
}

// round is what subscribers are told to expect. It ends when everybody has got
// everything, or when nothing came for a while.
type round struct {
	First  int     `json:"first"`
	Expect int     `json:"expect"`
	Idle   float64 `json:"idle"` // seconds
}

type subscriber struct {
	stream
	fd    int
	token string
	index int
	up    bool // upgraded
	ready bool
	got   int      // events of the round
	seen  []uint64 // a bit for each
}

// tally is what subscribers say when they are done.
type tally struct {
	Event    string  `json:"event"` // "received"
	Frames   int     `json:"frames"`
	Lost     int     `json:"lost"`
	Repeated int     `json:"repeated"`
	Closed   int     `json:"closed"`
	P50      float64 `json:"p50ms"`
	P99      float64 `json:"p99ms"`
	Max      float64 `json:"maxms"`
	CPU      float64 `json:"cpuSeconds"`

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
	var err error
	if s.tokens, err = readLines(tokens); err == nil && len(s.tokens) == 0 {
		err = errors.New("no tokens in the file")
	}
	return err
}

// connected is the line that says that all subscribers are ready.
type connected struct {
	Event   string  `json:"event"` // "ready"
	Seconds float64 `json:"seconds"`
}

func (s *subscribers) run(ctx context.Context) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	for rounds := orders[round](os.Stdin); ; {
		select {
		case r, ok := <-rounds:
			if !ok {
				return nil
			}
			if err := s.listen(ctx, r); err != nil {
				return err
			}
		default:
			if err := s.poll(ctx); err != nil {
				return err
			}
		}
	}
}

// connect makes all connections, and says so.
func (s *subscribers) connect(ctx context.Context) (err error) {
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
		if s.closed > 0 {
			return fmt.Errorf("the server closed %d connections during the handshake", s.closed)
		}
	}
	return say(connected{"ready", time.Since(begin).Seconds()})
}

// listen goes through one round.
func (s *subscribers) listen(ctx context.Context, r round) error {
	s.round, s.tally, s.complete = r, tally{Event: "received"}, 0
	for _, c := range s.table {
		c.got, c.seen = 0, make([]uint64, (r.Expect+63)/64)
	}
	if err := say(note{"listening"}); err != nil {
		return err
	}
	s.last = monotonic()
	cpu := cpuSeconds()
	for s.complete < s.conns && s.closed < s.conns && monotonic()-s.last < int64(r.Idle*1e9) {
		if err := s.poll(ctx); err != nil {
			return err
		}
	}
	t := &s.tally
	for _, c := range s.table {
		t.Lost += r.Expect - c.got
		c.seen = nil
	}
	s.round = round{}
	t.CPU, t.Closed = cpuSeconds()-cpu, s.closed
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
	s.table[fd] = &subscriber{fd: fd, index: i, token: s.tokens[i%len(s.tokens)]}
	if _, err := unix.Write(fd, upgradeRequest(s.addr, s.path, protocol)); err != nil {
		return err
	}
	return errors.Join(unix.SetNonblock(fd, true),
		unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}))
}

func (s *subscribers) poll(ctx context.Context) error {
	var events [256]unix.EpollEvent
	n, err := unix.EpollWait(s.epoll, events[:], 20)
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
		s.closed++
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
	case c.ready && s.onFrame != nil && s.onFrame(c, p, now):
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
		s.closed++
	}
}

func (s *subscribers) isReady(c *subscriber) {
	if !c.ready {
		c.ready = true
		s.ready++
		if s.onReady != nil {
			s.onReady(c)
		}
	}
}

// count takes an event that carries a marker. Events of earlier rounds are late
// and were counted as lost.
func (s *subscribers) count(c *subscriber, p []byte, now int64) bool {
	n, sent, ok := marker(p)
	if !ok {
		return false
	}
	n -= s.round.First
	if n < 0 || n >= s.round.Expect {
		return true
	}
	t := &s.tally
	t.Frames++
	t.latency.add(now - sent)
	s.last = now
	if c.seen[n/64]&(1<<(n%64)) != 0 {
		t.Repeated++
		return true
	}
	c.seen[n/64] |= 1 << (n % 64)
	if c.got++; c.got == s.round.Expect {
		s.complete++
	}
	return true
}

func (s *subscribers) send(c *subscriber, op ws.OpCode, payload string) {
	if _, err := unix.Write(c.fd, clientFrame(op, payload)); err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
	}
}
