package cluster

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/wirepb"
)

func TestCredit(t *testing.T) {
	p := &peers{limit: 3, bytes: 100, dropped: new(atomic.Int64)}
	c := p.credit("a")
	if !c.take(500, bounded) {
		t.Fatal("a single message may be larger than the bound")
	}
	if c.take(1, bounded) {
		t.Fatal("bytes are not bounded")
	}
	c.give(500)
	for range 3 {
		if !c.take(1, bounded) {
			t.Fatal("refused below the bound")
		}
	}
	if c.take(1, bounded) {
		t.Fatal("messages are not bounded")
	}
	if !c.take(1, urgent) {
		t.Fatal("answers must have more room than questions")
	}
	if p.dropped.Load() != 2 || c.refused.Load() != 2 || c.count.Load() != 4 || c.bytes.Load() != 4 {
		t.Fatal(p.dropped.Load(), c.refused.Load(), c.count.Load(), c.bytes.Load())
	}
	p.drop("a")
	if !p.credit("a").take(1, bounded) {
		t.Fatal("a new connection starts afresh")
	}
}

// What a peer does not take is refused, not piled up. Nobody listens at the
// address, so remoting holds everything back.
func TestPeerLimit(t *testing.T) {
	n, err := Start(t.Context(), Config{Listen: "127.0.0.1:0", PeerLimit: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	c := n.peers.credit("127.0.0.1:1")
	for range 10 {
		c.take(1, bounded)
	}
	env := &wirepb.Envelope{Type: "string", Body: []byte{0x60}}
	if err := n.post(doorOf("127.0.0.1:1"), env, nil, bounded); !errors.Is(err, protocol.ErrUnavailable) {
		t.Fatal(err)
	}
	big := &wirepb.Envelope{Type: "string", Body: []byte(strings.Repeat("x", maxMessage))}
	if err := n.post(doorOf("127.0.0.1:1"), big, nil, bounded); !errors.Is(err, protocol.ErrTooLarge) {
		t.Fatal(err)
	}
	if n.Stats().Dropped != 2 {
		t.Fatal(n.Stats().Dropped)
	}
}
