package cluster

import (
	"errors"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/ctxext"

	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/wirepb"
)

// Answers that an actor gives to the cluster rather than to the asker.
var (
	// Moved is the reply of an activation that is about to go: the asker tries
	// again, at the next owner. Use it with ReplyError.
	Moved = errors.New("cluster: the actor is moving")
	// Busy refuses a Release for idleness: the activation stays.
	Busy = errors.New("cluster: the actor is busy")
)

// Release asks an activation to flush what it has and to stop itself with
// ctx.Stop(ctx.Self()). It has two seconds, then it is stopped without further
// notice. Until it stops it may go on replying to asks it holds; those it does
// not answer are answered Moved when it stops.
type Release struct{ Reason Reason }

// Reason is why an activation is to go.
type Reason uint8

// The reasons.
const (
	ReasonIdle  Reason = iota + 1 // no message for Kind.IdleAfter; may be refused with Busy
	ReasonMoved                   // another node owns the identity now
	ReasonDrain                   // the node is going down
)

func (r Reason) String() string {
	switch r {
	case ReasonIdle:
		return "idle"
	case ReasonMoved:
		return "moved"
	case ReasonDrain:
		return "drain"
	}
	return "unknown"
}

// outcome is how one try of an ask ended.
type outcome struct {
	verdict verdict
	value   any
	err     error            // of the actor, for answered
	wire    *wirepb.Envelope // value from another node, not decoded yet
}

type verdict uint8

const (
	answered verdict = iota
	moved            // not here, not now: try again
	lost             // peer or connection is gone: try again
	full             // a bound was hit: give up
	unknown          // no such kind
)

// answerer takes the outcome of a call made inside this process.
type answerer interface{ answer(outcome) }

// call is one ask, on the side of the actor that is asked. It lives from the
// moment the node has it until it is answered, exactly once: by the actor, or
// by the cluster when the actor stops owing an answer.
type call struct {
	host       *host
	next, prev *call // in host.calls

	value any              // the message, when it was sent inside the process
	wire  *wirepb.Envelope // or as it came
	local answerer         // nil: the asker is another node
	from  actor.PID        // the asker; RequestId names the ask there

	done  atomic.Bool
	taken bool // handed to the actor; written in its turn, read when it stops

	older, newer *call // in ledger, asks of other nodes only
	since        int64
	slow         bool
}

// finish answers the call if nobody did yet.
func (c *call) finish(out outcome) {
	if !c.done.CompareAndSwap(false, true) {
		return
	}
	if c.local != nil {
		c.local.answer(out)
	} else {
		n := c.host.node
		n.sendOutcome(&c.from, out)
		n.ledger.remove(c)
	}
	c.host.forget(c)
}

// reply turns what an actor said into an outcome.
func (c *call) reply(value any, err error) {
	switch {
	case err == nil:
		c.finish(outcome{value: value})
	case errors.Is(err, Moved):
		c.finish(outcome{verdict: moved})
	default:
		c.finish(outcome{err: c.publicError(err)})
	}
}

// publicError is what the asker gets to see. Both askers, in this process and on
// another node, see the same.
func (c *call) publicError(err error) error {
	var p *protocol.Error
	if errors.As(err, &p) {
		return p
	}
	if _, release := c.local.(releaseAnswer); release && errors.Is(err, Busy) {
		return Busy
	}
	c.host.node.log.Error("actor replied with an internal error", "actor", c.host.name(), "error", err)
	return protocol.ErrInternal
}

// Reply answers the ask whose message the actor is handling. Without one (the
// message was told) it does nothing. A value that goes to another node must be
// of a registered type.
func Reply(ctx actor.Context, value any) { Replier(ctx)(value, nil) }

// ReplyError answers the ask with an error. A *protocol.Error arrives unchanged;
// Moved makes the asker try again; any other error is logged here and arrives
// as protocol.ErrInternal.
func ReplyError(ctx actor.Context, err error) { Replier(ctx)(nil, err) }

// Replier takes the ask out of the turn: the function it returns answers it
// later, from any goroutine. The first answer counts, further ones are ignored.
// It is never nil; for a message that was told it does nothing.
func Replier(ctx actor.Context) func(value any, err error) {
	c := currentCall(ctx)
	if c == nil {
		return func(any, error) {}
	}
	return c.reply
}

// Asked reports whether somebody waits for an answer to the current message.
func Asked(ctx actor.Context) bool { return currentCall(ctx) != nil }

var hostExtension = ctxext.NextContextExtensionID()

// ExtensionID makes the host findable from the actor's context.
func (h *host) ExtensionID() ctxext.ContextExtensionID { return hostExtension }

// Identity is the id of the virtual actor whose turn it is, or the name of the
// named actor. It is known from the first message, Started, and not in the
// actor's producer. Actors that the cluster did not spawn have none.
func Identity(ctx actor.Context) string {
	h := hostOf(ctx)
	if h == nil {
		return ""
	}
	return h.id
}

func currentCall(ctx actor.Context) *call {
	h := hostOf(ctx)
	if h == nil {
		return nil
	}
	if h.current != nil {
		return h.current
	}
	// Between turns (ReenterAfter): the library has put the message of then
	// back, and with it the sender, which belongs to exactly one call.
	return h.callOf(ctx.Sender())
}

func hostOf(ctx actor.Context) (h *host) {
	// The library indexes a slice without a check; actors that were not spawned
	// through the cluster have a short one.
	defer func() {
		if recover() != nil {
			h = nil
		}
	}()
	h, _ = ctx.Get(hostExtension).(*host)
	return h
}
