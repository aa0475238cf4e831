package cluster

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/wirepb"
)

// Ask sends msg to the virtual actor and waits for its reply, until the deadline
// of ctx, or five seconds when it has none. The actor is activated when it is
// not alive anywhere.
//
// When the owner moved, died or gave no sign of life the ask is repeated, so msg
// must be idempotent or carry an id by which the actor knows it again. An actor
// that has the message and takes its time is waited for.
//
// The error is a *protocol.Error: the actor's own, or protocol.ErrDeadline when
// no answer came in time (what was asked may have been done), or
// protocol.ErrUnavailable when it was not accepted anywhere.
func (n *Node) Ask(ctx context.Context, kind, id string, msg any) (any, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	out := outgoing{value: msg}
	k := identity{kind, id}
	return n.persist(ctx, func(silent int) outcome { return n.askActor(ctx, k, &out, silent) })
}

// AskNode sends msg to a named actor of one node. Otherwise it is like Ask;
// a node that is not a member any more is protocol.ErrUnavailable at once.
func (n *Node) AskNode(ctx context.Context, nodeID, name string, msg any) (any, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	out := outgoing{value: msg}
	return n.persist(ctx, func(silent int) outcome {
		m := n.topology.Load().view.find(nodeID)
		switch {
		case m == nil:
			return outcome{err: protocol.ErrUnavailable}
		case nodeID == n.ID():
			return n.askLocal(ctx, msg, func(env *actor.MessageEnvelope, c *call) verdict {
				return n.deliverNamed(name, env, c)
			})
		}
		env, err := out.envelope(n, identity{id: name}, m)
		if err != nil {
			return outcome{err: err}
		}
		return n.askRemote(ctx, m, env, silent)
	})
}

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, defaultAskTimeout)
}

// persist repeats a try until it is answered or time is up. once is told how many
// tries got no sign of life.
func (n *Node) persist(ctx context.Context, once func(silent int) outcome) (any, error) {
	n.counters.asks.Add(1)
	for silent := 0; ; {
		out := once(silent)
		switch out.verdict {
		case answered:
			if out.wire != nil {
				return n.decodeReply(out.wire)
			}
			return out.value, out.err
		case full:
			n.counters.refused.Add(1)
			return nil, protocol.ErrUnavailable
		case unknown:
			return nil, protocol.ErrInternal
		case lost:
			silent++
		case moved:
		}
		n.counters.retries.Add(1)
		pause := time.NewTimer(30*time.Millisecond + rand.N(70*time.Millisecond))
		select {
		case <-pause.C:
		case <-n.ctx.Done():
			pause.Stop()
			return nil, protocol.ErrUnavailable
		case <-ctx.Done():
			pause.Stop()
			if out.verdict == lost {
				return nil, protocol.ErrDeadline
			}
			return nil, protocol.ErrUnavailable
		}
	}
}

func (n *Node) askActor(ctx context.Context, k identity, out *outgoing, silent int) outcome {
	top := n.topology.Load()
	m := top.view.owner(k.kind, k.id, "")
	if m == nil {
		if n.kinds[k.kind] == nil {
			n.log.Error("nobody hosts this kind", "kind", k.kind)
			return outcome{verdict: unknown}
		}
		return outcome{verdict: moved}
	}
	if m.ID == top.view.self {
		return n.askLocal(ctx, out.value, func(env *actor.MessageEnvelope, c *call) verdict {
			return n.table.deliver(k, env, c)
		})
	}
	env, err := out.envelope(n, k, m)
	if err != nil {
		return outcome{err: err}
	}
	return n.askRemote(ctx, m, env, silent)
}

// askLocal waits for the reply as long as there is time: inside the process
// nothing gets lost, a call that is not answered is answered by the cluster.
func (n *Node) askLocal(ctx context.Context, msg any, deliver func(*actor.MessageEnvelope, *call) verdict) outcome {
	p := newPending()
	c := &call{value: msg, local: p}
	c.from.Address, c.from.Id = n.system.Address(), doorName
	if v := deliver(&actor.MessageEnvelope{Message: c, Sender: &c.from}, c); v != answered {
		return outcome{verdict: v}
	}
	delivered(ctx)
	select {
	case out := <-p.ch:
		return out
	case <-ctx.Done():
		return outcome{err: protocol.ErrDeadline}
	case <-n.ctx.Done():
		return outcome{err: protocol.ErrUnavailable}
	}
}

func (n *Node) askRemote(ctx context.Context, m *Member, env *wirepb.Envelope, silent int) outcome {
	p := n.asks.add(m)
	defer n.asks.remove(p)
	if err := n.post(m.door, env, n.sender(p.request), bounded); err != nil {
		return outcome{err: err}
	}
	delivered(ctx)
	// A connection whose queue is long must not get everything twice at once.
	timer := time.NewTimer(tryTimeout << min(silent, 3))
	defer timer.Stop()
	for {
		select {
		case out := <-p.ch:
			return out
		case <-timer.C:
			if !p.accepted.Load() {
				return outcome{verdict: lost}
			}
		case <-ctx.Done():
			return outcome{err: protocol.ErrDeadline}
		case <-n.ctx.Done():
			return outcome{err: protocol.ErrUnavailable}
		}
	}
}

func (n *Node) decodeReply(env *wirepb.Envelope) (any, error) {
	if env.Type == signalError {
		e := &protocol.Error{}
		if err := decoder.Unmarshal(env.Body, e); err != nil {
			n.log.Error("cannot decode an error reply", "error", err)
			return nil, protocol.ErrInternal
		}
		return nil, e
	}
	v, err := n.registry.Decode(env)
	if err != nil {
		n.log.Error("cannot decode a reply", "type", env.Type, "error", err)
		return nil, protocol.ErrInternal
	}
	return v, nil
}

// Tell sends msg to the virtual actor, at most once, and activates it when it is
// not alive.
func (n *Node) Tell(kind, id string, msg any) {
	k := identity{kind, id}
	top := n.topology.Load()
	m := top.view.owner(kind, id, "")
	switch {
	case m == nil:
		n.dropped(kind, moved)
	case m.ID == top.view.self:
		if v := n.table.deliver(k, &actor.MessageEnvelope{Message: msg}, nil); v != answered {
			n.dropped(kind, v)
		}
	default:
		out := outgoing{value: msg}
		n.tell(m, k, &out)
	}
}

// TellNode sends msg to a named actor of one node, at most once.
func (n *Node) TellNode(nodeID, name string, msg any) {
	if nodeID == n.ID() {
		n.tellNamed(name, msg)
		return
	}
	m := n.topology.Load().view.find(nodeID)
	if m == nil {
		n.dropped(name, lost)
		return
	}
	out := outgoing{value: msg}
	n.tell(m, identity{id: name}, &out)
}

// Broadcast sends msg to the actor of this name on every node, this one
// included, at most once. It is encoded once.
func (n *Node) Broadcast(name string, msg any) {
	n.tellNamed(name, msg)
	view := n.topology.Load().view
	if len(view.Members) == 1 {
		return
	}
	env, err := n.registry.Encode(msg)
	if err != nil {
		n.unencodable(err)
		return
	}
	env.Id = name
	for i := range view.Members {
		if m := &view.Members[i]; m.ID != view.self {
			_ = n.post(m.door, env, nil, bounded) // counted there
		}
	}
}

func (n *Node) tellNamed(name string, msg any) {
	if v := n.deliverNamed(name, &actor.MessageEnvelope{Message: msg}, nil); v != answered {
		n.dropped(name, v)
	}
}

func (n *Node) tell(m *Member, k identity, out *outgoing) {
	env, err := out.envelope(n, k, m)
	if err != nil {
		return // logged there
	}
	_ = n.post(m.door, env, nil, bounded) // counted there
}

func (n *Node) dropped(target string, v verdict) {
	n.counters.dropped.Add(1)
	if v == unknown {
		n.log.Error("told an actor that does not exist", "target", target)
	}
}

// outgoing is a message that is encoded when it first has to leave the process
// and then not again, however often it is tried.
type outgoing struct {
	value any
	env   *wirepb.Envelope
}

func (o *outgoing) envelope(n *Node, k identity, m *Member) (*wirepb.Envelope, error) {
	if o.env == nil {
		env, err := n.registry.Encode(o.value)
		if err != nil {
			n.unencodable(err)
			return nil, protocol.ErrInternal
		}
		o.env = env
	}
	return &wirepb.Envelope{Type: o.env.Type, Body: o.env.Body, Kind: k.kind, Id: k.id, Node: m.hash}, nil
}

func (n *Node) unencodable(err error) {
	n.counters.unencodable.Add(1)
	n.log.Error("MESSAGE CANNOT CROSS NODES", "error", err)
}
