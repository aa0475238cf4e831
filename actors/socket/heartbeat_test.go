package socket

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

func TestHeartbeat(t *testing.T) {
	beat := Heartbeat{Interval: 20 * time.Millisecond, Timeout: patience}
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		for _, framing := range []Framing{SocketIO, Native} {
			t.Run(framing.String(), func(t *testing.T) {
				x := open(t, Config{SocketIOPing: beat, NativePing: beat}, framing, wrap)
				for range 5 {
					before := x.s.LastPong()
					if framing == SocketIO {
						x.c.expectText("2")
						x.c.text("3")
					} else {
						x.c.expect(ws.OpPing, "")
						x.c.write(masked(ws.OpPong, true, nil))
					}
					eventually(t, "pong noted", func() bool { return x.s.LastPong() > before })
				}
				if len(x.r.messages) != 0 {
					t.Error("the owner saw a heartbeat")
				}
			})
		}
	})
}

func TestSilentPeerIsClosed(t *testing.T) {
	beat := Heartbeat{Interval: 20 * time.Millisecond, Timeout: 100 * time.Millisecond}
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		for _, framing := range []Framing{SocketIO, Native} {
			x := open(t, Config{SocketIOPing: beat, NativePing: beat}, framing, wrap)
			x.c.text("not a pong")
			x.c.expectClose(0)
			if err := x.r.end(t); !errors.Is(err, ErrNoPong) {
				t.Errorf("closed with %v", err)
			}
			if x.p.Stats().NoPong != 1 {
				t.Error("not counted")
			}
		}
	})
}

// A ping that is due soon goes out with an event, in one write.
func TestPingRidesAlong(t *testing.T) {
	for _, tick := range []time.Duration{-1, patience} {
		x := open(t, Config{Tick: tick}, SocketIO, nil)
		x.s.Push(eventN(1), Now())
		x.c.expectText(`42["e",{"i":1}]`)
		x.s.mu.Lock()
		x.s.pingAt = Now() + int64(time.Second)
		x.s.mu.Unlock()
		before := x.s.Counts().Writes
		x.s.Push(eventN(2), Now())
		x.s.Flush()
		x.c.expectText(`42["e",{"i":2}]`)
		x.c.expectText("2")
		if w := x.s.Counts().Writes - before; w != 1 {
			t.Errorf("%d writes", w)
		}
	}
}

func TestWheel(t *testing.T) {
	var w wheel
	w.init(time.Millisecond)
	start := Now()
	at := func(ms int) int64 { return start + int64(ms)*int64(time.Millisecond) }
	sockets := make([]Socket, 5)
	due := map[*Socket]int{&sockets[0]: 3, &sockets[1]: 3, &sockets[2]: 100, &sockets[3]: 1000, &sockets[4]: 50}
	for s, ms := range due {
		w.sooner(s, at(ms))
	}
	w.sooner(&sockets[2], at(200)) // later: no change
	w.sooner(&sockets[2], at(20))
	due[&sockets[2]] = 20
	w.remove(&sockets[4])
	delete(due, &sockets[4])
	for ms := range 1100 {
		w.advance(at(ms), func(s *Socket, now int64) int64 {
			want, ok := due[s]
			if !ok {
				t.Fatal("visited without a deadline")
			}
			if now < at(want) { // beyond the horizon: look again
				return at(want)
			}
			if now > at(want+3) {
				t.Errorf("%d ms is visited at %d ms", want, ms)
			}
			delete(due, s)
			return 0
		})
	}
	if len(due) != 0 {
		t.Errorf("%d never visited", len(due))
	}
}
