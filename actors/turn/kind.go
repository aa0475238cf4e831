package turn

import (
	"context"
	"log/slog"
	"reflect"
	"time"

	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Env is what activations work with.
type Env struct {
	Node   *cluster.Node
	DB     *persistence.DB
	Writer *persistence.Writer
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now

	// Noticed is called when messages that may notify somebody are stored, on a
	// goroutine of the writer; nil: nobody wants to know.
	Noticed func()
}

// Kind describes a kind of actor with state S.
type Kind[S any] struct {
	Name protocol.Kind
	// Leased kinds take an epoch when they load; their rows are fenced with it.
	Leased bool
	// Load reads the state; it runs beside the mailbox, after the lease.
	Load func(ctx context.Context, env *Env, t Turn) (*S, error)
	// Start is the first turn after loading; may be nil.
	Start func(s *S, t Turn) Outcome
	// Leave is the last turn before the identity moves to another node; may be nil.
	// Its rows are stored before the activation ends.
	Leave func(s *S, t Turn) Outcome
	// Judge decides about the permission of a row. Rows that need none, and
	// messages between actors, are not judged.
	Judge func(s *S, t Turn, op *protocol.Operation) Verdict
	// Audience names the nodes that get this actor's events; nil floods and prunes.
	Audience func(s *S) []string
	// Busy keeps an idle activation alive; nil: never busy.
	Busy func(s *S) bool
	// IdleAfter is how long an unused activation stays; 0: for ever.
	IdleAfter time.Duration
	// Sparse kinds have many activations with few messages each: their mailbox
	// takes less memory at rest, and an allocation per message.
	Sparse bool

	handlers map[reflect.Type]*handler[S]
}

type handler[S any] struct {
	op         *protocol.Operation // nil: a message between actors
	structural bool
	writes     bool
	run        func(s *S, t Turn, msg any) (Outcome, error)
}

// Option refines the registration of a handler.
type Option uint8

// Options of handlers.
const (
	// Structural handlers return Commit and are run one after the other.
	Structural Option = iota
	// Writes marks handlers that return Rows: they are refused, before they
	// change anything, when the write queue is full.
	Writes
)

// On registers the handler of an operation.
func On[S, Req, Rep any](k *Kind[S], op *protocol.Op[Req, Rep], h func(s *S, t Turn, req Req) (Outcome, error), opts ...Option) {
	k.add(reflect.TypeFor[*protocol.Command[Req]](), &op.Operation, opts, func(s *S, t Turn, msg any) (Outcome, error) {
		return h(s, t, msg.(*protocol.Command[Req]).Req)
	})
}

// OnMessage registers the handler of a message between actors.
func OnMessage[S, M any](k *Kind[S], h func(s *S, t Turn, m *M) (Outcome, error), opts ...Option) {
	k.add(reflect.TypeFor[*M](), nil, opts, func(s *S, t Turn, msg any) (Outcome, error) {
		return h(s, t, msg.(*M))
	})
}

func (k *Kind[S]) add(t reflect.Type, op *protocol.Operation, opts []Option, run func(*S, Turn, any) (Outcome, error)) {
	if k.handlers == nil {
		k.handlers = map[reflect.Type]*handler[S]{}
	}
	if k.handlers[t] != nil {
		panic("turn: two handlers of " + string(k.Name) + " for " + t.String())
	}
	h := &handler[S]{op: op, run: run}
	for _, o := range opts {
		switch o {
		case Structural:
			h.structural = true
		case Writes:
			h.writes = true
		}
	}
	k.handlers[t] = h
}

// Handles reports whether the kind has a handler for the operation. A test
// walks the table with it.
func (k *Kind[S]) Handles(op *protocol.Operation) bool {
	return k.handlers[reflect.PointerTo(op.Command())] != nil
}
