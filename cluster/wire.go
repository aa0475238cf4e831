package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"

	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/wirepb"
)

// doorName is the process of each node through which everything from other
// nodes comes in: one target, so one place that checks and counts, and one entry
// in the address table of a batch.
const doorName = "rookery"

func doorOf(address string) *actor.PID { return actor.NewPID(address, doorName) }

// Signals are the cluster's own words, in Envelope.Type. As answers:
const (
	signalAccepted = "!accepted" // the ask is in hand
	signalMoved    = "!moved"    // not here, not now
	signalLost     = "!lost"     // an accepted ask that is not known any more
	signalUnknown  = "!unknown"  // no such kind
	signalFull     = "!full"     // a bound was hit
	signalError    = "!error"    // body is a protocol.Error
)

// And as questions:
const (
	signalHello    = "!hello"    // are you who you gossip to be
	signalRelease  = "!release"  // kind/id is mine now
	signalActivate = "!activate" // what is the process of kind/id
	signalQuery    = "!query"    // body lists asks: are they still in hand
)

type urgency bool

const (
	bounded urgency = false
	urgent  urgency = true // answers and signals: bounded by what they answer
)

// post hands an envelope to remoting. It fails when too much waits for the peer.
func (n *Node) post(to *actor.PID, env *wirepb.Envelope, sender *actor.PID, u urgency) error {
	size := int64(len(env.Body) + len(env.Type) + len(env.Kind) + len(env.Id) + 64)
	if size > maxMessage {
		n.counters.dropped.Add(1)
		n.log.Error("message is too large for another node", "type", env.Type, "bytes", size)
		return protocol.ErrTooLarge
	}
	c := n.peers.credit(to.Address)
	if !c.take(size, u) {
		return protocol.ErrUnavailable
	}
	p := &parcel{env: env, credit: c, size: size}
	if sender == nil {
		n.system.Root.Send(to, p)
	} else {
		n.system.Root.Send(to, &actor.MessageEnvelope{Message: p, Sender: sender})
	}
	return nil
}

func (n *Node) sender(request uint32) *actor.PID {
	return &actor.PID{Address: n.system.Address(), Id: doorName, RequestId: request}
}

// sendOutcome answers another node's ask.
func (n *Node) sendOutcome(to *actor.PID, out outcome) {
	env := out.wire
	switch {
	case env != nil:
	case out.verdict == moved:
		env = &wirepb.Envelope{Type: signalMoved}
	case out.verdict == lost:
		env = &wirepb.Envelope{Type: signalLost}
	case out.verdict == full:
		env = &wirepb.Envelope{Type: signalFull}
	case out.verdict == unknown:
		env = &wirepb.Envelope{Type: signalUnknown}
	case out.err != nil:
		env = n.encodeError(out.err)
	default:
		var err error
		if env, err = n.registry.Encode(out.value); err != nil {
			n.unencodable(err)
			env = n.encodeError(protocol.ErrInternal)
		}
	}
	if err := n.post(to, env, nil, urgent); errors.Is(err, protocol.ErrTooLarge) {
		_ = n.post(to, n.encodeError(protocol.ErrTooLarge), nil, urgent)
	}
}

func (n *Node) encodeError(err error) *wirepb.Envelope {
	var p *protocol.Error
	if !errors.As(err, &p) {
		p = protocol.ErrInternal
	}
	body, err := encoder.Marshal(p)
	if err != nil { // strings and numbers only: cannot happen
		n.log.Error("cannot encode an error", "error", err)
	}
	return &wirepb.Envelope{Type: signalError, Body: body}
}

// parcel is an envelope on its way out. Remoting asks it for its wire form when
// it leaves the queue; that is when the sender gets its credit back.
type parcel struct {
	env    *wirepb.Envelope
	credit *credit
	size   int64
}

// Serialize implements remote.RootSerializable.
func (p *parcel) Serialize() (remote.RootSerialized, error) {
	p.credit.give(p.size)
	return framed{p.env}, nil
}

// framed is the Envelope as remoting wants it. The receiver gets the Envelope
// itself, so Deserialize is never called.
type framed struct{ *wirepb.Envelope }

// Deserialize implements remote.RootSerialized.
func (f framed) Deserialize() (remote.RootSerializable, error) { return nil, nil }

// peers bounds what waits to be written to each peer: remoting's own queues are
// unbounded.
type peers struct {
	limit, bytes int64
	dropped      *atomic.Int64
	byAddress    sync.Map // address -> *credit
}

type credit struct {
	of           *peers
	count, bytes atomic.Int64
	refused      atomic.Int64
}

func (p *peers) credit(address string) *credit {
	if c, ok := p.byAddress.Load(address); ok {
		return c.(*credit)
	}
	c, _ := p.byAddress.LoadOrStore(address, &credit{of: p})
	return c.(*credit)
}

// drop forgets a peer whose connection broke: what was queued for it is gone.
func (p *peers) drop(address string) { p.byAddress.Delete(address) }

func (c *credit) take(size int64, u urgency) bool {
	limit, bytes := c.of.limit, c.of.bytes
	if u == urgent {
		limit, bytes = 4*limit, 2*bytes
	}
	count, waiting := c.count.Add(1), c.bytes.Add(size)
	if count <= limit && (waiting <= bytes || count == 1) {
		return true
	}
	c.give(size)
	c.refused.Add(1)
	c.of.dropped.Add(1)
	return false
}

func (c *credit) give(size int64) {
	c.count.Add(-1)
	c.bytes.Add(-size)
}

// flush waits until nothing is queued for any peer, for a short while.
func (p *peers) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		waiting := int64(0)
		p.byAddress.Range(func(_, c any) bool {
			waiting += c.(*credit).count.Load()
			return true
		})
		if waiting == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
