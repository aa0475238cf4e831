package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/rookery-chat/rookery/protocol/rookeryws"
)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// Everything a well-behaved peer may send, cut in two at every byte.
func TestMessagesCutAnywhere(t *testing.T) {
	long := strings.Repeat("é", 200)
	seq := join(
		masked(ws.OpText, true, []byte("one")),
		masked(ws.OpText, true, nil),
		masked(ws.OpText, true, []byte(long)),
		masked(ws.OpText, false, []byte("fr\xc3")), // a character over two fragments
		masked(ws.OpPing, true, []byte("p1")),
		masked(ws.OpContinuation, false, nil),
		masked(ws.OpContinuation, false, []byte("\xa9")),
		masked(ws.OpPong, true, []byte("unasked")),
		masked(ws.OpContinuation, true, []byte("end")),
		masked(ws.OpPing, true, nil),
		masked(ws.OpText, true, []byte("last")),
	)
	want := []string{"one", "", long, "fréend", "last"}
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		x := open(t, Config{}, Native, wrap)
		var sent uint64
		for cut := range seq {
			x.c.write(seq[:cut])
			sent += uint64(cut)
			eventually(t, "first part read", func() bool { return x.s.Counts().BytesIn == sent })
			x.c.write(seq[cut:])
			sent += uint64(len(seq) - cut)
			for _, m := range want {
				if got := x.r.next(t); got != m {
					t.Fatalf("cut at %d: got %q, want %q", cut, got, m)
				}
			}
			x.c.expect(ws.OpPong, "p1")
			x.c.expect(ws.OpPong, "")
		}
		eventually(t, "nothing held", func() bool { return x.p.Stats().PartialBytes == 0 })
	})
}

func TestHugeMessages(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		for framing, limit := range map[Framing]int{SocketIO: DefaultMaxSocketIO, Native: DefaultMaxNative} {
			x := open(t, Config{}, framing, wrap)
			big := strings.Repeat("x", limit)
			x.c.text(big)
			if got := x.r.next(t); got != big {
				t.Fatalf("%v: %d bytes arrived", framing, len(got))
			}
			x.c.write(masked(ws.OpText, false, []byte(big)))
			x.c.write(masked(ws.OpContinuation, true, nil))
			if got := x.r.next(t); got != big {
				t.Fatalf("%v: %d bytes of fragments arrived", framing, len(got))
			}
		}
	})
}

func TestViolationsCloseTheSocket(t *testing.T) {
	header := func(b0, b1 byte, more ...byte) []byte { return append([]byte{b0, b1}, more...) }
	mask := []byte{1, 2, 3, 4}
	huge := func(n uint64) []byte {
		return join(header(0x81, 0xff), binary.BigEndian.AppendUint64(nil, n), mask)
	}
	cases := []struct {
		name        string
		bytes       []byte
		err         error
		sio, native ws.StatusCode
	}{
		{"unmasked", ws.MustCompileFrame(ws.NewTextFrame([]byte("x"))), ErrProtocol, 1002, 1002},
		{"rsv1", header(0xc1, 0x80, mask...), ErrProtocol, 1002, 1002},
		{"rsv3", header(0x91, 0x80, mask...), ErrProtocol, 1002, 1002},
		{"opcode 3", header(0x83, 0x80, mask...), ErrProtocol, 1002, 1002},
		{"opcode 11", header(0x8b, 0x80, mask...), ErrProtocol, 1002, 1002},
		{"binary", masked(ws.OpBinary, true, []byte("x")), ErrProtocol, 1003, 1003},
		{"binary fragment", masked(ws.OpBinary, false, []byte("x")), ErrProtocol, 1003, 1003},
		{"continuation of nothing", masked(ws.OpContinuation, true, []byte("x")), ErrProtocol, 1002, 1002},
		{"text inside a message", join(masked(ws.OpText, false, []byte("x")), masked(ws.OpText, true, []byte("y"))), ErrProtocol, 1002, 1002},
		{"long ping", header(0x89, 0xfe, 0, 126, 1, 2, 3, 4), ErrProtocol, 1002, 1002},
		{"fragmented ping", masked(ws.OpPing, false, nil), ErrProtocol, 1002, 1002},
		{"length over 63 bits", huge(1 << 63), ErrProtocol, 1002, 1002},
		{"length 2^62", huge(1 << 62), ErrTooLarge, 1009, rookeryws.CloseBadFrame},
		{"one byte too long", huge(DefaultMaxSocketIO + 1), ErrTooLarge, 1009, rookeryws.CloseBadFrame},
		{"fragments too long", join(masked(ws.OpText, false, make([]byte, 60000)),
			join(header(0x80, 0xff), binary.BigEndian.AppendUint64(nil, DefaultMaxSocketIO-59999), mask)), ErrTooLarge, 1009, rookeryws.CloseBadFrame},
		{"not UTF-8", masked(ws.OpText, true, []byte("a\xff")), ErrUTF8, 1007, 1007},
		{"half a character", masked(ws.OpText, true, []byte("\xc3")), ErrUTF8, 1007, 1007},
		{"surrogate", masked(ws.OpText, true, []byte("\xed\xa0\x80")), ErrUTF8, 1007, 1007},
		{"close with one byte", masked(ws.OpClose, true, []byte{3}), ErrProtocol, 1002, 1002},
		{"close with 1005", masked(ws.OpClose, true, []byte{0x03, 0xed}), ErrProtocol, 1002, 1002},
		{"close with 999", masked(ws.OpClose, true, []byte{0x03, 0xe7}), ErrProtocol, 1002, 1002},
		{"close with bad text", masked(ws.OpClose, true, []byte{0x03, 0xe8, 0xff}), ErrProtocol, 1002, 1002},
	}
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		for _, framing := range []Framing{SocketIO, Native} {
			p := newPoller(t, Config{})
			for _, c := range cases {
				t.Run(framing.String()+"/"+c.name, func(t *testing.T) {
					x := openOn(t, p, framing, wrap, newRecorder())
					x.c.text("fine")
					x.c.write(c.bytes)
					if got := x.r.next(t); got != "fine" {
						t.Errorf("got %q", got)
					}
					want := c.sio
					if framing == Native {
						want = c.native
					}
					x.c.expectClose(want)
					_ = x.c.conn.Close()
					if err := x.r.end(t); !errors.Is(err, c.err) {
						t.Errorf("closed with %v, want %v", err, c.err)
					}
				})
			}
			eventually(t, "all retired", func() bool { return p.Len() == 0 })
			if held := p.Stats().PartialBytes; held != 0 {
				t.Errorf("%d bytes held", held)
			}
		}
	})
}

func TestSlowSenderIsClosed(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		cfg := Config{PartialTimeout: 100 * time.Millisecond}
		for name, start := range map[string][]byte{
			"half a header":  {0x81},
			"half a payload": masked(ws.OpText, true, []byte("hello"))[:8],
			"one fragment":   masked(ws.OpText, false, []byte("hello")),
		} {
			t.Run(name, func(t *testing.T) {
				x := open(t, cfg, Native, wrap)
				idle := openOn(t, x.p, Native, wrap, newRecorder())
				x.c.write(start)
				x.c.expectClose(ws.StatusPolicyViolation)
				if err := x.r.end(t); !errors.Is(err, ErrSlowSender) {
					t.Errorf("closed with %v", err)
				}
				idle.c.text("still here")
				idle.r.next(t)
			})
		}
	})
}

func TestIncompleteMessagesAreBoundedInSum(t *testing.T) {
	x := open(t, Config{MaxPartialBytes: 100_000}, Native, nil)
	y := openOn(t, x.p, Native, nil, newRecorder())
	x.c.write(masked(ws.OpText, false, make([]byte, 60_000)))
	eventually(t, "held", func() bool { return x.p.Stats().PartialBytes >= 60_000 })
	y.c.write(masked(ws.OpText, false, make([]byte, 60_000)))
	y.c.expectClose(rookeryws.CloseUnavailable)
	if err := y.r.end(t); !errors.Is(err, ErrOverloaded) {
		t.Error(err)
	}
	x.c.write(masked(ws.OpContinuation, true, nil))
	x.r.next(t)
}

func TestBufferedBytesComeFirst(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		p := newPoller(t, Config{})
		server, peer := pair(t)
		all := join(masked(ws.OpText, true, []byte("one")), masked(ws.OpText, true, []byte("two")))
		c := &client{t: t, conn: peer}
		c.write(all[12:])
		r := newRecorder()
		s, err := p.Add(wrap(server), Options{Framing: Native, Handler: r, Owner: "me", Buffered: all[:12]})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := r.next(t), r.next(t); a != "one" || b != "two" {
			t.Errorf("%q %q", a, b)
		}
		if s.Owner() != "me" || s.RemoteAddr().String() != peer.LocalAddr().String() {
			t.Errorf("%v %v", s.Owner(), s.RemoteAddr())
		}
	})
}

func TestPauseHoldsMessagesBack(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		r := newRecorder()
		r.onMessage = func(s *Socket, _ []byte) { s.Pause() }
		x := openOn(t, newPoller(t, Config{}), Native, wrap, r)
		const n = 200
		big := strings.Repeat("x", 60_000) // more than the kernel keeps
		go func() {
			for i := range n {
				_, _ = x.c.conn.Write(masked(ws.OpText, true, fmt.Appendf(nil, "%d %s", i, big)))
			}
		}()
		for i := range n {
			if got := r.next(t); !strings.HasPrefix(got, fmt.Sprint(i, " ")) {
				t.Fatalf("message %d is %.20q", i, got)
			}
			if len(r.messages) != 0 {
				t.Fatal("a message came while paused")
			}
			x.s.Resume()
		}
	})
}

// reference reads a byte stream with the library's own reader.
func reference(b []byte, limit int) (messages []string, failed bool) {
	r := bytes.NewReader(b)
	state, msg := ws.StateServerSide, []byte(nil)
	for {
		h, err := ws.ReadHeader(r)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return messages, false
		case err != nil || ws.CheckHeader(h, state) != nil || h.OpCode == ws.OpBinary:
			return messages, true
		case h.OpCode.IsData() && int64(len(msg))+h.Length > int64(limit):
			return messages, true
		}
		p := make([]byte, h.Length)
		if _, err := io.ReadFull(r, p); err != nil {
			return messages, false
		}
		ws.Cipher(p, h.Mask, 0)
		switch {
		case h.OpCode == ws.OpClose:
			return messages, true
		case h.OpCode.IsControl():
			continue
		}
		msg = append(msg, p...)
		if !h.Fin {
			state = state.Set(ws.StateFragmented)
			continue
		}
		state = state.Clear(ws.StateFragmented)
		if !utf8.Valid(msg) {
			return messages, true
		}
		messages, msg = append(messages, string(msg)), nil
	}
}

// sink swallows what a socket under the fuzzer answers.
type sink struct{ net.Conn }

func (sink) Write(b []byte) (int, error)      { return len(b), nil }
func (sink) RemoteAddr() net.Addr             { return nil }
func (sink) SetReadDeadline(time.Time) error  { return nil }
func (sink) SetWriteDeadline(time.Time) error { return nil }
func (sink) Close() error                     { return nil }

func FuzzInbound(f *testing.F) {
	f.Add(join(masked(ws.OpText, true, []byte("one")), masked(ws.OpPing, true, []byte("p")), masked(ws.OpText, true, []byte("two"))), uint16(3))
	f.Add(join(masked(ws.OpText, false, []byte("a\xc3")), masked(ws.OpPong, true, nil), masked(ws.OpContinuation, true, []byte("\xa9"))), uint16(7))
	f.Add(masked(ws.OpText, true, make([]byte, 300)), uint16(1))
	f.Add(masked(ws.OpClose, true, []byte{3, 0xe8}), uint16(2))
	f.Add([]byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, uint16(5))
	f.Add([]byte{0x81, 0xfe, 0x00, 0x02, 1, 2, 3, 4, 5, 6}, uint16(1))
	p, err := NewPoller(Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(p.Close)
	const limit = 1000
	f.Fuzz(func(t *testing.T, b []byte, chunk uint16) {
		want, failed := reference(b, limit)
		r := newRecorder()
		r.messages = make(chan string, len(b)+1)
		s := p.newSocket(sink{}, Options{Framing: Native, Handler: r, MaxMessage: limit})
		s.alt = &stream{conn: sink{}, wake: make(chan struct{}, 1)}
		rest := bytes.Clone(b)
		for len(rest) > 0 {
			n := min(int(chunk%64)+1, len(rest))
			s.feed(rest[:n:n])
			rest = rest[n:]
		}
		s.mu.Lock()
		closed := s.is(closing)
		s.mu.Unlock()
		if closed != failed || len(r.messages) != len(want) {
			t.Fatalf("%d messages, closed %v; want %d, %v", len(r.messages), closed, len(want), failed)
		}
		for i, m := range want {
			if got := <-r.messages; got != m {
				t.Fatalf("message %d is %q, want %q", i, got, m)
			}
		}
		s.releaseInbound()
		s.mu.Lock()
		s.flags |= done
		s.mu.Unlock()
		p.wheel.remove(s)
	})
}
