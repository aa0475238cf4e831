package cluster

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"

	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/wirepb"
)

// door is where everything from other nodes comes in. It runs on the goroutine
// of the connection, so it only routes; values are decoded in the turn of the
// actor that gets them.
type door struct{ node *Node }

var _ actor.Process = (*door)(nil)

// SendUserMessage implements actor.Process. A request id in the target makes it
// an answer to an ask of this node.
func (d *door) SendUserMessage(to *actor.PID, message any) {
	_, msg, sender := actor.UnwrapEnvelope(message)
	if own, ok := msg.(*parcel); ok {
		// Meant for who lived at this node's address before it rejoined: it never
		// left the process.
		own.credit.give(own.size)
		msg = own.env
	}
	env, ok := msg.(*wirepb.Envelope)
	switch {
	case to.GetRequestId() != 0:
		d.answer(to.RequestId, env)
	case ok:
		d.request(env, sender)
	default:
		if _, dead := msg.(*actor.DeadLetterResponse); !dead {
			d.node.log.Error("actor answered with ctx.Respond; use cluster.Reply", "type", fmt.Sprintf("%T", msg))
		}
	}
}

// SendSystemMessage implements actor.Process.
func (d *door) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (d *door) Stop(*actor.PID) {}

// answer ends or accepts an ask. env is nil for a dead letter: the connection to
// the peer could not be made.
func (d *door) answer(request uint32, env *wirepb.Envelope) {
	p := d.node.asks.get(request)
	if p == nil {
		return // answered, or not waited for any more
	}
	switch {
	case env == nil:
		p.answer(outcome{verdict: lost})
	case env.Type == signalAccepted:
		p.accepted.Store(true)
	case env.Type == signalMoved:
		p.answer(outcome{verdict: moved})
	case env.Type == signalLost:
		p.answer(outcome{verdict: lost})
	case env.Type == signalFull:
		p.answer(outcome{verdict: full})
	case env.Type == signalUnknown:
		p.answer(outcome{verdict: unknown})
	default:
		p.answer(outcome{wire: env})
	}
}

func (d *door) request(env *wirepb.Envelope, sender *actor.PID) {
	n := d.node
	if self := n.topology.Load().self(); env.Node != 0 && self != nil && env.Node != self.hash {
		n.respond(sender, outcome{verdict: moved}) // meant for who lived here before
		return
	}
	if len(env.Type) > 0 && env.Type[0] == '!' {
		d.signal(env, sender)
		return
	}
	message := &actor.MessageEnvelope{Message: env}
	var c *call
	if sender != nil {
		c = &call{wire: env}
		c.from.Address, c.from.Id, c.from.RequestId = sender.Address, sender.Id, sender.RequestId
		message.Message, message.Sender = c, &c.from
		n.ledger.add(c)
	}
	var v verdict
	if env.Kind == "" {
		v = n.deliverNamed(env.Id, message, c)
	} else {
		v = n.table.deliver(identity{env.Kind, env.Id}, message, c)
	}
	switch {
	case v == answered:
	case c != nil:
		n.ledger.remove(c)
		n.respond(sender, outcome{verdict: v})
	default:
		n.dropped(env.Kind+"/"+env.Id, v)
	}
}

func (n *Node) respond(to *actor.PID, out outcome) {
	if to != nil {
		n.sendOutcome(to, out)
	}
}

func (d *door) signal(env *wirepb.Envelope, sender *actor.PID) {
	n := d.node
	switch env.Type {
	case signalHello:
		n.respond(sender, outcome{})
	case signalRelease:
		gone := n.table.cede(identity{env.Kind, env.Id})
		if gone == nil {
			n.respond(sender, outcome{})
			return
		}
		go func() {
			<-gone
			n.respond(sender, outcome{})
		}()
	case signalActivate:
		go func() { n.respond(sender, n.activation(identity{env.Kind, env.Id})) }()
	case signalQuery:
		d.query(env, sender)
	}
}

func (d *door) query(env *wirepb.Envelope, sender *actor.PID) {
	var requests []uint32
	if err := decoder.Unmarshal(env.Body, &requests); err != nil || sender == nil {
		return
	}
	for _, r := range requests {
		if !d.node.ledger.has(origin{sender.Address, r}) {
			to := &actor.PID{Address: sender.Address, Id: doorName, RequestId: r}
			d.node.sendOutcome(to, outcome{verdict: lost})
		}
	}
}

// signal asks another node's door something.
func (n *Node) signal(ctx context.Context, m *Member, env *wirepb.Envelope) outcome {
	p := n.asks.add(m)
	defer n.asks.remove(p)
	if err := n.post(m.door, env, n.sender(p.request), urgent); err != nil {
		return outcome{verdict: full}
	}
	select {
	case out := <-p.ch:
		return out
	case <-ctx.Done():
		return outcome{verdict: lost}
	}
}

// lookup is the cluster's placement on the library's interface, for code that
// addresses actors through the library.
type lookup struct{ node *Node }

var _ pcluster.IdentityLookup = (*lookup)(nil)

// Get implements cluster.IdentityLookup: the process of the activation, which is
// created when there is none; nil when it cannot be had now.
func (l *lookup) Get(ci *pcluster.ClusterIdentity) *actor.PID {
	n := l.node
	k := identity{ci.Kind, ci.Identity}
	m := n.topology.Load().view.owner(k.kind, k.id, "")
	if m == nil {
		return nil
	}
	var out outcome
	if m.ID == n.ID() {
		out = n.activation(k)
	} else {
		ctx, cancel := context.WithTimeout(n.ctx, tryTimeout)
		defer cancel()
		out = n.signal(ctx, m, &wirepb.Envelope{Type: signalActivate, Kind: k.kind, Id: k.id, Node: m.hash})
	}
	value := out.value
	if out.wire != nil {
		value, _ = n.decodeReply(out.wire)
	}
	name, _ := value.(string)
	if out.verdict != answered || name == "" {
		return nil
	}
	return actor.NewPID(m.Address(), name)
}

// RemovePid implements cluster.IdentityLookup; nothing is cached.
func (l *lookup) RemovePid(*pcluster.ClusterIdentity, *actor.PID) {}

// Setup implements cluster.IdentityLookup.
func (l *lookup) Setup(*pcluster.Cluster, []string, bool) {}

// Shutdown implements cluster.IdentityLookup; Node.Drain does the work.
func (l *lookup) Shutdown() {}

// activation makes sure that k lives here and answers with its process name.
func (n *Node) activation(k identity) outcome {
	if v := n.table.deliver(k, &actor.MessageEnvelope{Message: wake{}}, nil); v != answered {
		return outcome{verdict: v}
	}
	h := n.table.find(k)
	if h == nil {
		return outcome{verdict: moved}
	}
	select {
	case <-h.whenUp():
	case <-h.whenGone():
		return outcome{verdict: moved}
	case <-n.ctx.Done():
		return outcome{err: protocol.ErrUnavailable}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pid == nil { // it was let go before it started
		return outcome{verdict: moved}
	}
	return outcome{value: h.pid.Id}
}

// wake brings an activation to life and is not shown to the actor.
type wake struct{}
