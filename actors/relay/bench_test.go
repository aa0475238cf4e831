package relay

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
)

// BenchmarkFanout measures the way of an event from the relay's mailbox to
// 1,000 loopback sockets; an operation is one event, in bursts of 50. The
// readers run in the same process and are part of the time.
func BenchmarkFanout(b *testing.B) {
	for _, framing := range []socket.Framing{socket.SocketIO, socket.Native} {
		b.Run(framing.String(), func(b *testing.B) { benchFanout(b, framing) })
	}
}

func benchFanout(b *testing.B, framing socket.Framing) {
	const sockets, burst = 1000, 50
	h := newHouse(b, Config{})
	c := newChannel()
	payload := json.RawMessage(`{"message":"` + strings.Repeat("x", 400) + `"}`)
	f := event("newMessage", protocol.ChannelTopic(c))
	f.Payload = payload

	var read, target atomic.Int64
	reached := make(chan struct{}, 1)
	for range sockets {
		g := h.guest(framing)
		g.open(protocol.ChannelTopic(c))
		go func() {
			buf := make([]byte, 32<<10)
			for {
				n, err := g.peer.Read(buf)
				if err != nil {
					return
				}
				if t := target.Load(); t > 0 && read.Add(int64(n)) == t {
					reached <- struct{}{}
				}
			}
		}()
	}
	size := func(first, n int64) (bytes int64) {
		frame := socket.NewFrame(socket.Event{Name: f.Name, Payload: f.Payload})
		for i := first; i < first+n; i++ {
			if framing == socket.Native {
				bytes += int64(len(frame.Native(i + 1)))
			} else {
				bytes += int64(len(frame.SocketIO()))
			}
		}
		return bytes * sockets
	}
	before := h.relay.Stats().Deliveries
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; {
		n := min(burst, b.N-sent)
		b.StopTimer()
		target.Add(size(int64(sent), int64(n)))
		b.StartTimer()
		for range n {
			h.tell(f)
		}
		<-reached
		sent += n
	}
	b.StopTimer()
	if got := h.relay.Stats().Deliveries - before; got != uint64(b.N*sockets) {
		b.Fatalf("%d deliveries, want %d", got, b.N*sockets)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*sockets), "ns/delivery")
}
