package socket

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// patience bounds every wait of the tests.
const patience = 30 * time.Second

// recorder is a Handler that keeps what it gets.
type recorder struct {
	messages  chan string
	closed    chan error
	onMessage func(s *Socket, data []byte)

	mu     sync.Mutex
	closes int
}

func newRecorder() *recorder {
	return &recorder{messages: make(chan string, 4096), closed: make(chan error, 16)}
}

func (r *recorder) OnMessage(s *Socket, data []byte) {
	if r.onMessage != nil {
		r.onMessage(s, data)
	}
	r.messages <- string(data)
}

func (r *recorder) OnClose(_ *Socket, err error) {
	r.mu.Lock()
	r.closes++
	r.mu.Unlock()
	r.closed <- err
}

func (r *recorder) next(t testing.TB) string {
	t.Helper()
	var end error
	select {
	case m := <-r.messages:
		return m
	case end = <-r.closed:
		r.closed <- end
	case <-time.After(patience):
		t.Fatal("no message")
	}
	select {
	case m := <-r.messages: // both were ready
		return m
	default:
		t.Fatalf("closed instead of a message: %v", end)
	}
	return ""
}

func (r *recorder) end(t testing.TB) error {
	t.Helper()
	select {
	case err := <-r.closed:
		return err
	case <-time.After(patience):
		t.Fatal("no OnClose")
	}
	return nil
}

// client is the other side, a plain blocking connection.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func (c *client) write(b []byte) {
	c.t.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatalf("client write: %v", err)
	}
}

func (c *client) text(s string) { c.t.Helper(); c.write(masked(ws.OpText, true, []byte(s))) }

// frame reads one frame from the server.
func (c *client) frame() (ws.Header, []byte, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	h, err := ws.ReadHeader(c.r)
	if err != nil {
		return h, nil, err
	}
	b := make([]byte, h.Length)
	_, err = io.ReadFull(c.r, b)
	return h, b, err
}

func (c *client) expect(op ws.OpCode, payload string) {
	c.t.Helper()
	h, b, err := c.frame()
	if err != nil || h.OpCode != op || string(b) != payload || !h.Fin || h.Masked || h.Rsv != 0 {
		c.t.Fatalf("got %+v %.200q, %v; want %v %.200q", h, b, err, op, payload)
	}
}

func (c *client) expectText(payload string) { c.t.Helper(); c.expect(ws.OpText, payload) }

// expectClose reads up to the close frame and the end of the connection.
func (c *client) expectClose(code ws.StatusCode) (reason string) {
	c.t.Helper()
	for {
		h, b, err := c.frame()
		if err != nil {
			c.t.Fatalf("no close frame: %v", err)
		}
		if h.OpCode != ws.OpClose {
			continue
		}
		got, reason := ws.ParseCloseFrameData(b)
		if got != code {
			c.t.Fatalf("closed with %d %q, want %d", got, reason, code)
		}
		c.expectEnd()
		return reason
	}
}

func (c *client) expectEnd() {
	c.t.Helper()
	if _, _, err := c.frame(); !errors.Is(err, io.EOF) {
		c.t.Fatalf("not the end: %v", err)
	}
}

// masked builds a client frame.
func masked(op ws.OpCode, fin bool, payload []byte) []byte {
	f := ws.NewFrame(op, fin, payload)
	return ws.MustCompileFrame(ws.MaskFrameWith(f, [4]byte{0x12, 0x34, 0x56, 0x78}))
}

func newPoller(t testing.TB, cfg Config) *Poller {
	t.Helper()
	p, err := NewPoller(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// opaque hides the descriptor, as a TLS connection does.
type opaque struct{ net.Conn }

func (o opaque) CloseWrite() error { return o.Conn.(*net.TCPConn).CloseWrite() }

// pair connects over loopback.
func pair(t testing.TB) (server, peer net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	return server, peer
}

// transports runs a test over both transports.
func transports(t *testing.T, test func(t *testing.T, wrap func(net.Conn) net.Conn)) {
	t.Run("epoll", func(t *testing.T) { test(t, func(c net.Conn) net.Conn { return c }) })
	t.Run("stream", func(t *testing.T) { test(t, func(c net.Conn) net.Conn { return opaque{c} }) })
}

type fixture struct {
	p *Poller
	s *Socket
	c *client
	r *recorder
}

func open(t testing.TB, cfg Config, framing Framing, wrap func(net.Conn) net.Conn) fixture {
	t.Helper()
	return openOn(t, newPoller(t, cfg), framing, wrap, newRecorder())
}

func openOn(t testing.TB, p *Poller, framing Framing, wrap func(net.Conn) net.Conn, r *recorder) fixture {
	t.Helper()
	server, peer := pair(t)
	if wrap != nil {
		server = wrap(server)
	}
	s, err := p.Add(server, Options{Framing: framing, Handler: r})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{p, s, &client{t, peer, bufio.NewReader(peer)}, r}
}

// eventually waits for a state that nothing signals.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func eventN(i int) *Frame {
	return NewFrame(Event{Name: "e", Payload: fmt.Appendf(nil, `{"i":%d}`, i), Stream: "channel:a", Epoch: 3, Seq: int64(i)})
}
