package socket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/rookery-chat/rookery/protocol/rookeryws"
)

// pad makes events large, so that the kernel is full soon.
func pad(i, size int) *Frame {
	return NewFrame(Event{Name: "e", Payload: fmt.Appendf(nil, `"%d %s"`, i, strings.Repeat("x", size))})
}

// A peer that does not read is closed; what it had before is a gapless prefix,
// memory stays within the bound, and the others get everything.
func TestSlowReaderIsClosed(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		const bound, size = 64 << 10, 1000
		p := newPoller(t, Config{Tick: -1, SendBuffer: 8 << 10, MaxQueueBytes: bound, Linger: patience})
		slow := openOn(t, p, Native, wrap, newRecorder())
		quick := openOn(t, p, Native, wrap, newRecorder())
		read := make(chan int, 1)
		go func() {
			n := 0
			for ; ; n++ {
				if _, b, err := quick.c.frame(); err != nil || !strings.HasPrefix(string(b), fmt.Sprintf(`{"n":%d,`, n+1)) {
					break
				}
			}
			read <- n
		}()
		pushed := 0
		for ; len(slow.r.closed) == 0; pushed++ {
			f := pad(pushed, size)
			slow.s.Push(f, Now())
			if _, bytes := slow.s.Queued(); bytes > bound+2*size {
				t.Fatalf("%d bytes wait", bytes)
			}
			quick.s.Push(f, Now())
			eventually(t, "the quick one has room", func() bool { _, b := quick.s.Queued(); return b < bound/2 })
		}
		if err := slow.r.end(t); !errors.Is(err, ErrSlowReader) {
			t.Fatalf("closed with %v", err)
		}
		if st := p.Stats(); st.SlowReaders != 1 || st.Open != 2 {
			t.Errorf("%+v", st)
		}
		quick.s.Close(ws.StatusNormalClosure, "")
		if n := <-read; n != pushed {
			t.Errorf("the quick one got %d of %d", n, pushed)
		}
		for n := 1; ; n++ {
			h, b, err := slow.c.frame()
			if err != nil {
				t.Fatalf("after %d frames: %v", n, err)
			}
			if h.OpCode == ws.OpClose {
				if code, _ := ws.ParseCloseFrameData(b); code != rookeryws.CloseSlowReader || n < 2 {
					t.Errorf("closed with %d after %d frames", code, n)
				}
				break
			}
			if !strings.HasPrefix(string(b), fmt.Sprintf(`{"n":%d,`, n)) {
				t.Fatalf("frame %d is %.30q", n, b)
			}
		}
	})
}

func TestSlowSocketIOReaderIsCutOff(t *testing.T) {
	x := open(t, Config{Tick: -1, SendBuffer: 8 << 10, MaxQueueFrames: 16}, SocketIO, nil)
	for i := 0; len(x.r.closed) == 0; i++ {
		x.s.Push(pad(i, 10_000), Now())
		if n, _ := x.s.Queued(); n > 17 {
			t.Fatalf("%d frames wait", n)
		}
	}
	if err := x.r.end(t); !errors.Is(err, ErrSlowReader) {
		t.Fatalf("closed with %v", err)
	}
	eventually(t, "given up", func() bool { return x.p.Len() == 0 })
}

func TestStuckReaderIsClosed(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		x := open(t, Config{Tick: -1, SendBuffer: 8 << 10, SlowAfter: 200 * time.Millisecond, MaxQueueBytes: 64 << 20}, SocketIO, wrap)
		x.s.Push(pad(0, 16<<20), Now())
		if err := x.r.end(t); !errors.Is(err, ErrSlowReader) {
			t.Fatalf("closed with %v", err)
		}
	})
}

// A burst within one tick is no sign of a slow peer.
func TestBurstBeyondTheBoundIsFlushedEarly(t *testing.T) {
	x := open(t, Config{Tick: patience, MaxQueueFrames: 64}, Native, nil)
	const n = 5000
	go func() {
		now := Now()
		for i := range n {
			for {
				if frames, _ := x.s.Queued(); frames < 48 {
					break
				}
			}
			x.s.Push(eventN(i), now)
		}
		x.s.Flush()
	}()
	for i := range n {
		x.c.expectText(fmt.Sprintf(`{"n":%d,"ev":"e","ch":"channel:a","ep":3,"seq":%d,"d":{"i":%d}}`, i+1, i, i))
	}
}

// Pushes and sends of many goroutines arrive whole, each goroutine's in order,
// through a small kernel buffer and a peer that reads in odd pieces.
func TestOrderUnderConcurrency(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		const writers, each = 4, 400
		x := open(t, Config{Tick: time.Millisecond, SendBuffer: 4 << 10, MaxQueueBytes: 64 << 20, MaxQueueFrames: 1 << 20}, Native, wrap)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					if w == 0 {
						x.s.Send(fmt.Appendf(nil, `{"reply":%d}`, i))
						continue
					}
					f := NewFrame(Event{Name: "e", Stream: fmt.Sprint("w", w), Seq: int64(i), Payload: fmt.Appendf(nil, `"%s"`, strings.Repeat("x", i*7%900))})
					if x.s.Push(f, Now()) {
						x.s.FlushLater()
					}
				}
			})
		}
		next, n := [writers]int{}, 0
		for range writers * each {
			_, b, err := x.c.frame()
			if err != nil {
				t.Fatal(err)
			}
			var reply, num, w, seq int
			if _, err := fmt.Sscanf(string(b), `{"reply":%d}`, &reply); err == nil {
				seq, w = reply, 0
			} else if _, err := fmt.Sscanf(string(b), `{"n":%d,"ev":"e","ch":"w%d","ep":0,"seq":%d,`, &num, &w, &seq); err != nil {
				t.Fatalf("%.100q: %v", b, err)
			} else if n++; num != n {
				t.Fatalf("event %d has number %d", n, num)
			}
			if seq != next[w] {
				t.Fatalf("writer %d: %d instead of %d", w, seq, next[w])
			}
			next[w]++
		}
		wg.Wait()
		if q, _ := x.s.Queued(); q != 0 {
			t.Errorf("%d frames wait", q)
		}
	})
}

func TestClose(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		p := newPoller(t, Config{Tick: patience, Linger: patience})
		ended := func(t *testing.T, x fixture, want error) {
			t.Helper()
			if err := x.r.end(t); !errors.Is(err, want) {
				t.Errorf("closed with %v, want %v", err, want)
			}
			eventually(t, "given up", func() bool { return p.Len() == 0 })
			if x.r.closes != 1 {
				t.Errorf("OnClose came %d times", x.r.closes)
			}
		}
		t.Run("with a reason, after what waits", func(t *testing.T) {
			x := openOn(t, p, SocketIO, wrap, newRecorder())
			x.s.Push(eventN(1), Now())
			x.s.Push(eventN(2), Now())
			x.s.Close(rookeryws.CloseRevoked, "gone")
			x.s.Close(rookeryws.CloseTooMany, "again")
			x.s.Push(eventN(3), Now())
			x.s.Send([]byte("no"))
			x.c.expectText(`42["e",{"i":1}]`)
			x.c.expectText(`42["e",{"i":2}]`)
			if r := x.c.expectClose(rookeryws.CloseRevoked); r != "gone" {
				t.Errorf("reason %q", r)
			}
			_ = x.c.conn.Close()
			ended(t, x, ErrClosed)
		})
		t.Run("without a code", func(t *testing.T) {
			x := openOn(t, p, SocketIO, wrap, newRecorder())
			x.s.Close(0, "")
			x.c.expect(ws.OpClose, "")
			x.c.write(masked(ws.OpClose, true, nil))
			x.c.expectEnd()
			_ = x.c.conn.Close()
			ended(t, x, ErrClosed)
		})
		t.Run("abort", func(t *testing.T) {
			x := openOn(t, p, SocketIO, wrap, newRecorder())
			x.s.Abort()
			x.c.expectEnd()
			ended(t, x, ErrClosed)
		})
		t.Run("from the handler", func(t *testing.T) {
			r := newRecorder()
			r.onMessage = func(s *Socket, _ []byte) { s.Close(4000, "") }
			x := openOn(t, p, Native, wrap, r)
			x.c.write(join(masked(ws.OpText, true, []byte("one")), masked(ws.OpText, true, []byte("two"))))
			x.c.expectClose(4000)
			_ = x.c.conn.Close()
			ended(t, x, ErrClosed)
			if len(r.messages) != 1 {
				t.Errorf("%d messages", len(r.messages))
			}
		})
		t.Run("by the peer", func(t *testing.T) {
			x := openOn(t, p, Native, wrap, newRecorder())
			x.c.write(masked(ws.OpClose, true, ws.NewCloseFrameBody(4321, "bye")))
			x.c.expectClose(4321)
			var ce *CloseError
			err := x.r.end(t)
			if !errors.As(err, &ce) || ce.Code != 4321 || ce.Reason != "bye" {
				t.Errorf("closed with %v", err)
			}
			eventually(t, "given up before the peer closes", func() bool { return p.Len() == 0 })
		})
		t.Run("peer vanishes", func(t *testing.T) {
			x := openOn(t, p, Native, wrap, newRecorder())
			_ = x.c.conn.Close()
			ended(t, x, io.EOF)
		})
		t.Run("peer vanishes while paused", func(t *testing.T) {
			x := openOn(t, p, Native, wrap, newRecorder())
			x.s.Pause()
			_ = x.c.conn.(*net.TCPConn).SetLinger(0)
			_ = x.c.conn.Close()
			x.s.Abort()
			x.r.end(t)
			eventually(t, "given up", func() bool { return p.Len() == 0 })
		})
	})
}

func TestLingerEnds(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		x := open(t, Config{Linger: 50 * time.Millisecond}, Native, wrap)
		x.s.Close(4000, "")
		x.r.end(t)
		eventually(t, "given up although the peer keeps the connection", func() bool { return x.p.Len() == 0 })
	})
}

func TestPollerCloseEndsEverything(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		p, err := NewPoller(Config{})
		if err != nil {
			t.Fatal(err)
		}
		x := openOn(t, p, Native, wrap, newRecorder())
		p.Close()
		p.Close()
		if err := x.r.end(t); !errors.Is(err, ErrPollerClosed) {
			t.Errorf("closed with %v", err)
		}
		server, _ := pair(t)
		if _, err := p.Add(server, Options{Framing: Native, Handler: x.r}); !errors.Is(err, ErrPollerClosed) {
			t.Errorf("Add: %v", err)
		}
		x.s.Push(eventN(1), Now())
		x.s.Send(nil)
		x.s.Close(4000, "")
		x.s.Resume()
	})
}

// A frame that may wait goes out with the next one that is sent to the socket
// alone, in its place in the order and in the same write; if nothing is sent, when
// the caller flushes. Others that come meanwhile keep their own tick.
func TestPushLater(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		x := open(t, Config{Tick: patience}, SocketIO, wrap)
		now := Now()
		if !x.s.PushLater(eventN(1), 1, now) {
			t.Fatal("nobody was told to flush")
		}
		if x.s.PushLater(eventN(2), 2, now) {
			t.Error("two were told to flush")
		}
		before := x.s.Counts().Writes
		if frames, _ := x.s.Queued(); frames != 2 || before != 0 {
			t.Errorf("%d frames wait, %d writes", frames, before)
		}
		x.s.Send([]byte("ack"))
		x.c.expectText(`42["e",{"i":1}]`)
		x.c.expectText(`42["e",{"i":2}]`)
		x.c.expectText("ack")
		eventually(t, "the write is counted", func() bool { return x.s.Counts().Writes > before })
		if n := x.s.Counts().Writes - before; n != 1 {
			t.Errorf("%d writes", n)
		}
		// What comes from others is not held up by it.
		x.s.Flush()
		eventually(t, "the writer is done", func() bool {
			x.s.mu.Lock()
			defer x.s.mu.Unlock()
			return x.s.q == nil && !x.s.is(blocked)
		})
		x.s.PushLater(eventN(3), 3, Now())
		if x.s.Push(eventN(4), Now()) { // otherwise it is under way
			x.s.Flush()
		}
		x.c.expectText(`42["e",{"i":3}]`)
		x.c.expectText(`42["e",{"i":4}]`)
	})
}
