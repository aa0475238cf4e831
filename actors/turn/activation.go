package turn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Limits of what one activation holds while it can't go on.
const (
	maxStashed  = 4096
	loadTimeout = 10 * time.Second
	askTimeout  = 5 * time.Second
	workTimeout = 30 * time.Second
)

// errFull answers commands that can't even be held.
var errFull = protocol.Unavailable("Too many requests are waiting, please retry")

// Cluster makes the kind known to a node.
func (k *Kind[S]) Cluster(env *Env) cluster.Kind {
	var options []actor.PropsOption
	if k.Sparse {
		options = append(options, actor.WithMailbox(actor.UnboundedLockfree()))
	}
	// One for all: an activation learns its id when it starts.
	props := actor.PropsFromProducer(func() actor.Actor { return &activation[S]{kind: k, env: env} }, options...)
	return cluster.Kind{
		Name:      string(k.Name),
		IdleAfter: k.IdleAfter,
		Props:     func(string) *actor.Props { return props },
	}
}

// activation is the actor: one per identity, somewhere in the cluster.
type activation[S any] struct {
	kind *Kind[S]
	env  *Env
	id   string

	state  *S
	epoch  int64  // of the lease
	run    uint64 // random, names this activation
	events uint64 // that it published
	system *actor.ActorSystem
	self   *actor.PID

	waiting  []request           // until the state is loaded
	held     []request           // structural turns behind the one in flight
	parked   map[any][]request   // per question that has no answer yet
	pruned   map[string]struct{} // nodes that want no events
	inflight atomic.Int64        // writes and work beside the mailbox under way
	working  bool                // a structural turn is under way
	draining atomic.Bool         // set by the mailbox, read by writers too
	stopped  bool
	unloaded context.CancelFunc // ends the load; nil when it is over
}

// request is a message with the means to answer it.
type request struct {
	msg   any
	reply func(any, error)
}

// again is work that comes back into the mailbox.
type again[S any] struct {
	run func(ctx actor.Context, a *activation[S])
}

// log is made when there is something to say: most activations never do.
func (a *activation[S]) log() *slog.Logger {
	return a.env.Log.With("kind", string(a.kind.Name), "id", a.id)
}

// owner is who the activation's rows are written for.
func (a *activation[S]) owner() persistence.Owner {
	return persistence.Owner{Kind: string(a.kind.Name), ID: a.id, Epoch: a.epoch}
}

// Receive is the life of an activation; everything else is a request.
func (a *activation[S]) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.system, a.self, a.id, a.run = ctx.ActorSystem(), ctx.Self(), cluster.Identity(ctx), rand.Uint64()
		a.load()
	case *again[S]:
		m.run(ctx, a)
	case *cluster.Release:
		a.release(ctx, m)
	case *actor.Stopping:
		if a.unloaded != nil {
			a.unloaded()
		}
	case *protocol.Prune:
		if a.pruned == nil {
			a.pruned = map[string]struct{}{}
		}
		a.pruned[m.Node] = struct{}{}
	case *protocol.Graft:
		delete(a.pruned, m.Node)
		cluster.Replier(ctx)(&protocol.Done{}, nil)
	case actor.SystemMessage, actor.AutoReceiveMessage:
	default:
		a.receive(ctx, request{ctx.Message(), cluster.Replier(ctx)})
	}
	a.settle(ctx)
}

// load takes the lease and reads the state beside the mailbox.
func (a *activation[S]) load() {
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	a.unloaded = cancel
	go func() {
		defer cancel()
		state, epoch, err := a.read(ctx)
		a.send(&again[S]{func(ctx actor.Context, a *activation[S]) { a.loaded(ctx, state, epoch, err) }})
	}()
}

func (a *activation[S]) read(ctx context.Context) (*S, int64, error) {
	var epoch int64
	if a.kind.Leased {
		var err error
		epoch, err = a.env.DB.TakeLease(ctx, string(a.kind.Name), a.id, a.env.Node.ID())
		if err != nil {
			return nil, 0, fmt.Errorf("take lease: %w", err)
		}
	}
	t := a.turn(protocol.Caller{})
	t.Owner.Epoch = epoch
	state, err := a.kind.Load(ctx, a.env, t)
	if err != nil {
		return nil, 0, fmt.Errorf("load: %w", err)
	}
	return state, epoch, nil
}

func (a *activation[S]) loaded(ctx actor.Context, state *S, epoch int64, err error) {
	waiting := a.waiting
	a.waiting, a.unloaded = nil, nil
	if err != nil {
		a.log().Warn("actor could not be loaded", "error", err)
		for _, r := range waiting {
			r.reply(nil, protocol.ErrUnavailable)
		}
		ctx.Stop(a.self)
		return
	}
	a.state, a.epoch = state, epoch
	if a.kind.Start != nil {
		a.finish(ctx, a.kind.Start(a.state, a.turn(protocol.Caller{})), nil, false, nobody)
	}
	for _, r := range waiting {
		a.receive(ctx, r)
	}
}

// release is told when this node must not own the identity any longer, or when
// nobody used it for long.
func (a *activation[S]) release(ctx actor.Context, m *cluster.Release) {
	if m.Reason == cluster.ReasonIdle && (a.state == nil || a.inflight.Load() > 0 || a.kind.Busy != nil && a.kind.Busy(a.state)) {
		cluster.ReplyError(ctx, cluster.Busy)
		return
	}
	if a.kind.Leave != nil && a.state != nil && !a.draining.Load() && !a.stopped {
		a.finish(ctx, a.kind.Leave(a.state, a.turn(protocol.Caller{})), nil, false, nobody)
	}
	a.draining.Store(true)
	a.refuseHeld()
}

// refuseHeld sends away what has not begun: the next owner will do it.
func (a *activation[S]) refuseHeld() {
	for _, r := range append(a.waiting, a.held...) {
		r.reply(nil, cluster.Moved)
	}
	a.waiting, a.held = nil, nil
	for _, list := range a.parked {
		for _, r := range list {
			r.reply(nil, cluster.Moved)
		}
	}
	a.parked = nil
}

// settle ends a draining activation when nothing of it is under way any more.
func (a *activation[S]) settle(ctx actor.Context) {
	if a.draining.Load() && a.inflight.Load() == 0 && !a.stopped {
		a.stopped = true
		ctx.Stop(a.self)
	}
}

// receive runs a request now, or keeps it for when it can run.
func (a *activation[S]) receive(ctx actor.Context, r request) {
	switch {
	case a.draining.Load():
		r.reply(nil, cluster.Moved)
	case a.state == nil:
		a.waiting = hold(a.waiting, r)
	default:
		a.serve(ctx, r)
	}
}

func hold(queue []request, r request) []request {
	if len(queue) >= maxStashed {
		r.reply(nil, errFull)
		return queue
	}
	return append(queue, r)
}

// serve is one turn: permission, validity, handler.
func (a *activation[S]) serve(ctx actor.Context, r request) {
	h := a.kind.handlers[reflect.TypeOf(r.msg)]
	if h == nil {
		a.log().Error("actor has no handler", "type", fmt.Sprintf("%T", r.msg))
		r.reply(nil, protocol.ErrInternal)
		return
	}
	t := a.turn(protocol.Caller{})
	if cmd, ok := r.msg.(protocol.AnyCommand); ok {
		t.Caller = cmd.By()
		if !a.judged(t, h.op, r) {
			return
		}
		if fault := cmd.Fault(); fault != nil {
			r.reply(nil, fault)
			return
		}
	}
	if h.structural && a.working {
		a.held = hold(a.held, r)
		return
	}
	if h.writes && a.env.Writer.Full() {
		r.reply(nil, protocol.Unavailable("The server can't store more at the moment, please retry"))
		return
	}
	out, err := h.run(a.state, t, r.msg)
	a.finish(ctx, out, err, h.structural, r.reply)
}

// judged reports whether the turn may go on. If not, the request was answered
// or parked.
func (a *activation[S]) judged(t Turn, op *protocol.Operation, r request) bool {
	if op.Permission == protocol.ActionNone {
		if t.Caller.Anonymous() && !op.Public {
			r.reply(nil, protocol.ErrUnauthorized)
			return false
		}
		return true
	}
	v := Deny
	switch {
	case t.Caller.Anonymous():
	case op.Resource == protocol.ResourceInstance:
		v.Allowed = t.Caller.Owner || t.Caller.Actions.Has(op.Permission)
	case a.kind.Judge != nil:
		v = a.kind.Judge(a.state, t, op)
	}
	switch {
	case v.Ask != nil:
		a.park(v, r)
		return false
	case !v.Allowed:
		r.reply(nil, protocol.ErrForbidden)
		return false
	}
	return true
}

// park keeps a request until the answer was learned. Requests that need the
// same answer wait in order.
func (a *activation[S]) park(v Verdict, r request) {
	key := v.Key
	if a.parked == nil {
		a.parked = map[any][]request{}
	}
	queue, asked := a.parked[key]
	a.parked[key] = hold(queue, r)
	if asked {
		return
	}
	a.ask(*v.Ask, func(ctx actor.Context, a *activation[S], answer Answer) {
		queue := a.parked[key]
		delete(a.parked, key)
		if answer.Err != nil {
			for _, r := range queue {
				r.reply(nil, answer.Err)
			}
			return
		}
		v.Learn(a.turn(protocol.Caller{}), answer)
		for _, r := range queue {
			a.receive(ctx, r)
		}
	})
}

func (a *activation[S]) ask(q Ask, then func(actor.Context, *activation[S], Answer)) {
	within := q.Within
	if within == 0 {
		within = askTimeout
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		reply, err := a.env.Node.Ask(ctx, string(q.Kind), q.ID, q.Msg)
		a.send(&again[S]{func(ctx actor.Context, a *activation[S]) { then(ctx, a, Answer{reply, err}) }})
	}()
}

func (a *activation[S]) turn(caller protocol.Caller) Turn {
	now := time.Now
	if a.env.Now != nil {
		now = a.env.Now
	}
	return Turn{
		Now:    protocol.InstantOf(now()),
		Caller: caller,
		Self:   protocol.Origin{Kind: a.kind.Name, ID: a.id},
		Owner:  a.owner(),
		Node:   a.env.Node.ID(),
	}
}

// send puts work into this activation's own mailbox. It goes to the system in
// which the activation was started: a node that rejoined has another one.
func (a *activation[S]) send(m *again[S]) { a.system.Root.Send(a.self, m) }

// nobody is the reply of turns that nobody asked for.
func nobody(any, error) {}

// answer renders a handler's error: what a caller may see passes, the rest is
// logged once and becomes internal.
func (a *activation[S]) answer(err error) error {
	var shown *protocol.Error
	switch {
	case errors.As(err, &shown):
		return shown
	case errors.Is(err, persistence.ErrFenced):
		return cluster.Moved
	case persistence.Unreachable(err):
		a.log().Warn("the database is away", "error", err)
		return protocol.ErrUnavailable
	default:
		a.log().Error("turn failed", "error", err)
		return protocol.ErrInternal
	}
}
