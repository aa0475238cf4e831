package cluster

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/wirepb"
)

type hostState uint8

const (
	starting  hostState = iota // waits for the previous owner; messages queue up
	live                       //
	releasing                  // was asked to go
	stopped                    // takes nothing any more; removed from its table
)

// host is the cluster's side of one actor: a virtual actor's activation, or a
// named actor. It owns the asks that the actor owes an answer to, so that none
// is lost silently in the mailbox of an actor that stops.
type host struct {
	node *Node
	kind *kind // nil for a named actor
	id   string

	mu      sync.Mutex
	state   hostState
	reason  Reason
	ended   bool  // stopped and out of its table
	begun   bool  // Started was handled; only in the actor's turn
	owed    int32 // number of calls
	pid     *actor.PID
	backlog []*actor.MessageEnvelope // while starting
	calls   *call                    // owed answers, newest first
	limit   *time.Timer              // hard stop of a release
	up      chan struct{}            // closed when it is not starting any more; made when needed
	gone    chan struct{}            // closed when ended; made when needed

	used atomic.Int64 // unix nanoseconds of the last message

	current *call // only in the actor's turn
}

func newHost(n *Node, k *kind, id string) *host {
	return &host{node: n, kind: k, id: id}
}

// whenGone is closed when the host has stopped.
func (h *host) whenGone() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone == nil {
		h.gone = make(chan struct{})
		if h.ended {
			close(h.gone)
		}
	}
	return h.gone
}

// whenUp is closed when the host is not starting any more.
func (h *host) whenUp() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.up == nil {
		h.up = make(chan struct{})
		if h.state != starting {
			close(h.up)
		}
	}
	return h.up
}

// started lets go those who wait for the end of the start. The caller holds mu.
func (h *host) started() {
	if h.up != nil {
		close(h.up)
		h.up = nil
	}
}

func (h *host) name() string {
	if h.kind == nil {
		return h.id
	}
	return h.kind.Name + "/" + h.id
}

// take puts a message into the actor's mailbox; c is nil for a tell.
func (h *host) take(env *actor.MessageEnvelope, c *call) verdict {
	h.mu.Lock()
	switch {
	case h.state == stopped:
		h.mu.Unlock()
		return lost
	case h.state == releasing && h.reason != ReasonIdle:
		h.mu.Unlock()
		return moved
	case c != nil && h.owed >= maxHostCalls, c == nil && len(h.backlog) >= maxHostCalls:
		h.mu.Unlock()
		return full
	}
	if c != nil {
		c.host = h
		c.next = h.calls
		if h.calls != nil {
			h.calls.prev = c
		}
		h.calls = c
		h.owed++
	}
	if h.kind != nil && h.kind.IdleAfter > 0 {
		h.used.Store(time.Now().UnixNano())
	}
	if h.state == starting {
		h.backlog = append(h.backlog, env)
		h.mu.Unlock()
		return answered
	}
	pid := h.pid
	h.mu.Unlock()
	h.node.system.Root.Send(pid, env)
	return answered
}

func (h *host) forget(c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case c.prev != nil:
		c.prev.next = c.next
	case h.calls == c:
		h.calls = c.next
	default:
		return // was taken off by detach
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
	h.owed--
}

func (h *host) callOf(sender *actor.PID) *call {
	if sender == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := h.calls; c != nil; c = c.next {
		if &c.from == sender {
			return c
		}
	}
	return nil
}

// run spawns the actor and hands it what has queued up.
func (h *host) run(props *actor.Props, name string) error {
	h.mu.Lock()
	if h.state != starting {
		h.mu.Unlock()
		return nil
	}
	h.mu.Unlock()
	h.node.spawning.Store(name, h)
	defer h.node.spawning.Delete(name)
	pid, err := h.node.system.Root.SpawnNamed(h.decorate(props), name)
	if err != nil {
		return fmt.Errorf("spawn %s: %w", name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pid = pid
	if h.state == stopped { // meanwhile: released, or its Started failed
		h.node.system.Root.Stop(pid)
		return nil
	}
	h.state = live
	h.started()
	for _, env := range h.backlog {
		h.node.system.Root.Send(pid, env)
	}
	h.backlog = nil
	return nil
}

// dressed is what actors are spawned with, beside what was given for them. It is
// kept, because a kind gives the same for all its activations: Props with their
// middleware are larger than most actors.
type dressed struct{ given, props *actor.Props }

func (h *host) decorate(props *actor.Props) *actor.Props {
	if h.kind == nil {
		return h.node.dress(props, h.node.restartOnPanic)
	}
	if d := h.kind.dressed.Load(); d != nil && d.given == props {
		return d.props
	}
	d := &dressed{props, h.node.dress(props, h.node.stopOnPanic)}
	h.kind.dressed.Store(d)
	return d.props
}

func (n *Node) dress(props *actor.Props, strategy actor.SupervisorStrategy) *actor.Props {
	return props.Clone(
		actor.WithOnInit(func(ctx actor.Context) {
			if h, ok := n.spawning.LoadAndDelete(ctx.Self().Id); ok {
				ctx.Set(h.(*host))
			}
		}),
		actor.WithReceiverMiddleware(plain),
		actor.WithGuardian(strategy),
	)
}

// plain gives the actor plain values, whatever way they came.
func plain(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(rc actor.ReceiverContext, env *actor.MessageEnvelope) {
		h := rc.(actor.Context).Get(hostExtension).(*host)
		switch m := env.Message.(type) {
		case *call:
			h.turn(next, rc, env, m)
		case *wirepb.Envelope:
			value, err := h.node.registry.Decode(m)
			if err != nil {
				h.node.log.Error("cannot decode what was told", "actor", h.name(), "type", m.Type, "error", err)
				return
			}
			env.Message = value
			next(rc, env)
		case wake:
		case *actor.Started:
			next(rc, env)
			h.begun = true
		case *actor.Stopping:
			h.last(next, rc, env)
		case *actor.Stopped:
			h.last(next, rc, env)
			h.detach(h.leftover())
		case *actor.Restarting:
			h.last(next, rc, env)
			h.disown()
		default:
			next(rc, env)
		}
	}
}

func (h *host) turn(next actor.ReceiverFunc, rc actor.ReceiverContext, env *actor.MessageEnvelope, c *call) {
	if c.wire != nil {
		value, err := h.node.registry.Decode(c.wire)
		if err != nil {
			h.node.log.Error("cannot decode what was asked", "actor", h.name(), "type", c.wire.Type, "error", err)
			c.finish(outcome{err: protocol.ErrInternal})
			return
		}
		c.value, c.wire = value, nil
	}
	env.Message, c.value = c.value, nil
	c.taken = true
	h.current = c
	ok := false
	defer func() {
		h.current = nil
		if !ok { // a panic is passing through; the supervisor deals with the actor
			c.finish(outcome{err: protocol.ErrInternal})
		}
	}()
	next(rc, env)
	ok = true
}

// last delivers the messages of the actor's end. A panic here would leave an
// actor that never finishes stopping.
func (h *host) last(next actor.ReceiverFunc, rc actor.ReceiverContext, env *actor.MessageEnvelope) {
	defer func() {
		if r := recover(); r != nil {
			h.node.log.Error("actor panicked while stopping", "actor", h.name(), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	next(rc, env)
}

// leftover is what asks get that the actor did not answer: another try, unless
// it failed to start, which it would do again at once.
func (h *host) leftover() outcome {
	if !h.begun {
		return outcome{err: protocol.ErrInternal}
	}
	return outcome{verdict: moved}
}

// detach ends the host: it takes nothing any more and owes nothing.
func (h *host) detach(out outcome) {
	h.mu.Lock()
	if h.state == stopped {
		h.mu.Unlock()
		return
	}
	if h.state == starting {
		h.started()
	}
	h.state = stopped
	// Taken off the list while nobody else can: a late reply looks at the links.
	var owed []*call
	for c := h.calls; c != nil; {
		next := c.next
		c.next, c.prev = nil, nil
		owed = append(owed, c)
		c = next
	}
	h.calls, h.backlog = nil, nil
	if h.limit != nil {
		h.limit.Stop()
	}
	h.mu.Unlock()
	h.node.removed(h)
	h.mu.Lock()
	h.ended = true
	if h.gone != nil {
		close(h.gone)
	}
	h.mu.Unlock()
	for _, c := range owed {
		c.finish(out)
	}
}

// disown answers the asks that the actor held when its state was thrown away by
// a restart. Those still in the mailbox stay.
func (h *host) disown() {
	var held []*call
	h.mu.Lock()
	for c := h.calls; c != nil; c = c.next {
		if c.taken {
			held = append(held, c)
		}
	}
	h.mu.Unlock()
	for _, c := range held {
		c.finish(outcome{verdict: moved})
	}
}
