package turn

import (
	"context"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Turn is what a handler may know besides its state and its message.
type Turn struct {
	Now    protocol.Instant
	Caller protocol.Caller // zero for messages between actors
	Self   protocol.Origin
	Owner  persistence.Owner // of the rows; its Epoch is 0 for kinds without a lease
	Node   string            // id of the node that runs the turn
}

// Outcome is what a handler decided.
type Outcome struct {
	// Reply is a pointer to the reply type; nil answers *protocol.Done.
	Reply any

	// Events go out in order, after the state changed and rows were queued.
	Events []protocol.Event
	// Rooms and Empties go the same way as events, Rooms in order before them and
	// Empties after.
	Rooms   []protocol.Rooms
	Empties []protocol.Empty

	// Everywhere sends the events to all nodes, whatever the kind's audience.
	Everywhere bool
	// Closes ends sockets, after the events.
	Closes []protocol.CloseSockets
	// Accounts names users whose role, ban or sessions changed: every node drops
	// what its gate knows of them before the reply goes out.
	Accounts []protocol.UserID

	// Pages has every node drop the pages of messages that it keeps: something is
	// gone that any message may name.
	Pages bool

	// Rows are written behind; Reply is held back until they are committed.
	Rows []persistence.Row
	// Refused is run as a turn when the rows were not stored. It takes back what
	// the handler changed.
	Refused func(t Turn, err error) Outcome

	// Stored is called when the rows are committed, on a goroutine of the writer: it
	// must not block. nil: nothing is.
	Stored func()

	// AfterRows holds Reply back until every row queued so far is decided: what
	// is read from Postgres then is not older than what the actor knows.
	AfterRows bool

	// Commit runs beside the mailbox; what the function it returns decides is
	// done as a turn. Nothing else of this Outcome is looked at. The Commits of
	// handlers registered as Structural run one after the other; those of others
	// have no order.
	Commit func(ctx context.Context) (Then, error)

	// Asks are sent to other actors; Then gets the answers and decides. Nothing
	// else of this Outcome but what goes to relays and Tells is looked at.
	Asks []Ask
	Then func(t Turn, answers []Answer) (Outcome, error)

	// Tells are sent to other actors, at most once each.
	Tells []Tell
	// Timers come back as messages.
	Timers []Timer
	// Stop ends the activation after this turn.
	Stop bool
}

// Then is the second half of a structural turn.
type Then func(t Turn) (Outcome, error)

// Ask is a request to another actor.
type Ask struct {
	Kind protocol.Kind
	ID   string
	Msg  any
	// Within bounds the wait; 0 means 5 s.
	Within time.Duration
}

// Answer is what came of an Ask.
type Answer struct {
	Reply any
	Err   error
}

// Tell is a message to another actor that may be lost.
type Tell struct {
	Kind protocol.Kind
	ID   string
	Msg  any
}

// Timer sends Msg to this activation after a while.
type Timer struct {
	After time.Duration
	Msg   any
}

// Verdict is the answer to "may he?". With Ask set it is not known yet: the
// command parks until the answer was learned, and is then judged again.
type Verdict struct {
	Allowed bool
	Ask     *Ask
	Key     any // comparable: commands with the same key wait for the same answer, in order
	Learn   func(t Turn, a Answer)
}

// Allow and Deny are the verdicts that need nothing further.
var (
	Allow = Verdict{Allowed: true}
	Deny  = Verdict{}
)
