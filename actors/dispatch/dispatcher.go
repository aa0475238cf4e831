package dispatch

import (
	"context"
	"errors"
	"log/slog"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Input is a request before it has a type.
type Input = protocol.Input

// locations bounds each of the caches of where messages and channels live: an
// entry is about 100 bytes.
const locations = 1 << 16

// Asker reaches actors. *cluster.Node is one.
type Asker interface {
	Ask(ctx context.Context, kind, id string, msg any) (any, error)
}

// Pusher reaches the browsers of users. *push.Sender is one.
type Pusher interface {
	PublicKey() string
	// Check refuses endpoints that nothing may be sent to, and keys that are none.
	Check(s protocol.Subscribe) error
	// Test sends a message of its own to every browser of a user.
	Test(ctx context.Context, user protocol.UserID, debug bool) (sent, failed int, err error)
}

// Config is what a Dispatcher works with. Cluster, DB and Passwords are needed.
type Config struct {
	Cluster   Asker
	DB        *persistence.DB
	Passwords Hasher
	Log       *slog.Logger // nil: silent

	Machine func() protocol.Machine // how this node's machine is; nil: not known
	Debug   bool                    // the debug rows are there

	Files protocol.FileSigner // signs links to files
	Push  Pusher              // nil: there is no web push
}

// Dispatcher brings requests to the actors that own the state.
type Dispatcher struct {
	cfg      Config
	log      *slog.Logger
	plans    map[string]*plan
	messages *lru.Cache[protocol.MessageID, protocol.Place]
	channels *lru.Cache[protocol.ChannelID, protocol.CommunityID]
	aliases  *lru.Cache[protocol.AliasGroupID, protocol.CommunityID]

	communities *lru.Cache[protocol.CommunityID, protocol.CommunityID] // that exist
	groups      *lru.Cache[protocol.GroupID, protocol.GroupID]         // likewise

	stats   memo[protocol.InstanceStats]
	storage memo[protocol.InstanceStorage]
}

// New compiles the operations table. It panics when a row of the table can't be
// compiled.
func New(cfg Config) *Dispatcher {
	d := &Dispatcher{cfg: cfg, log: cfg.Log, plans: map[string]*plan{}}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	for _, op := range protocol.Operations() {
		d.plans[op.Name] = newPlan(op)
	}
	d.messages = newCache[protocol.MessageID, protocol.Place]()
	d.channels = newCache[protocol.ChannelID, protocol.CommunityID]()
	d.aliases = newCache[protocol.AliasGroupID, protocol.CommunityID]()
	d.communities = newCache[protocol.CommunityID, protocol.CommunityID]()
	d.groups = newCache[protocol.GroupID, protocol.GroupID]()
	return d
}

func newCache[K comparable, V any]() *lru.Cache[K, V] {
	c, err := lru.New[K, V](locations)
	if err != nil { // only for sizes below one
		panic(err)
	}
	return c
}

// Do performs an operation for a caller. The result is a pointer to the row's
// reply type, or json.RawMessage when the body is already encoded, or nil when
// there is none. Every error is a *protocol.Error.
func (d *Dispatcher) Do(ctx context.Context, op *protocol.Operation, caller protocol.Caller, in Input) (any, error) {
	reply, err := d.do(ctx, op, caller, in)
	if err == nil {
		return reply, nil
	}
	shown := d.shown(ctx, op, caller, err)
	if own := refusals[op.Name]; own != nil && shown.Code == protocol.CodeForbidden {
		shown = own
	}
	return nil, shown
}

// shown is the error that the caller gets: an internal one is logged here, once.
func (d *Dispatcher) shown(ctx context.Context, op *protocol.Operation, caller protocol.Caller, err error) *protocol.Error {
	var known *protocol.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return protocol.ErrDeadline
	case persistence.Unreachable(err):
		d.log.Warn("the database is away", "op", op.Name, "error", err)
		return protocol.ErrUnavailable
	}
	d.log.LogAttrs(ctx, slog.LevelError, "operation failed", slog.String("op", op.Name), slog.Any("user", caller.UserID),
		slog.String("request", protocol.RequestID(ctx)), slog.Any("error", err))
	return protocol.ErrInternal
}

func (d *Dispatcher) do(ctx context.Context, op *protocol.Operation, caller protocol.Caller, in Input) (any, error) {
	p := d.plans[op.Name]
	switch {
	case p == nil, op.Debug && !d.cfg.Debug, op.RESTOnly && !caller.Conn.IsZero():
		return nil, unknownOperation
	case caller.Anonymous() && !op.Public:
		return nil, protocol.ErrUnauthorized
	case op.Debug && !caller.Owner:
		return nil, protocol.ErrDebugOwners
	}
	ctx, cancel := context.WithTimeout(ctx, p.deadline)
	defer cancel()
	cmd := p.decode(caller, in)
	if op.Home == protocol.KindEdge {
		return d.edge(ctx, p, caller, cmd)
	}
	home, id, err := d.locate(ctx, p, caller, cmd)
	if err != nil {
		return nil, err
	}
	msg := cmd.command.Interface()
	if err := d.hashPassword(ctx, msg); err != nil {
		return nil, err
	}
	reply, err := d.cfg.Cluster.Ask(ctx, string(home), id, msg)
	if err != nil {
		return nil, err
	}
	return d.finish(ctx, op, msg, reply)
}

// unknownOperation answers rows that have no form here, such as those of
// sessions, which the HTTP edge does.
var unknownOperation = &protocol.Error{Code: protocol.CodeMethodNotFound, Message: "No such operation"}

// edge answers a row of the edge. No actor will judge it, so it is judged here.
func (d *Dispatcher) edge(ctx context.Context, p *plan, caller protocol.Caller, cmd decoded) (any, error) {
	answer := answers[p.op.Name]
	switch {
	case answer == nil:
		return nil, unknownOperation
	case !permitted(p.op, caller):
		return nil, protocol.ErrForbidden
	case cmd.fault != nil:
		return nil, cmd.fault
	}
	return answer(ctx, d, cmd.command.Interface())
}

// permitted judges permissions of the instance, the only ones that rows of the
// edge may have.
func permitted(op *protocol.Operation, caller protocol.Caller) bool {
	return op.Permission == protocol.ActionNone || caller.Owner ||
		op.Resource == protocol.ResourceInstance && caller.Actions.Has(op.Permission)
}
