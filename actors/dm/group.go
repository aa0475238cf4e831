package dm

import (
	"slices"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errNoGroup  = protocol.NotFound("DM group not found")
	errPin      = protocol.Forbidden("Cannot pin direct messages")
	errUnpin    = protocol.Forbidden("Cannot unpin direct messages")
	errModerate = protocol.Forbidden("Cannot delete direct messages as moderator")
)

// judge lets members do everything. Who has left may still take back what he wrote:
// whether he wrote it is judged with the message.
func (s *State) judge(t turn.Turn, op *protocol.Operation) turn.Verdict {
	return turn.Verdict{Allowed: s.has(t.Caller.UserID) || s.group != nil && op == &protocol.MessageDelete.Operation}
}

func (s *State) has(user protocol.UserID) bool {
	return s.group != nil && slices.Contains(s.group.Members, user)
}

// Gone implements conversation.Rules.
func (s *State) Gone() error {
	if s.group == nil {
		return errNoGroup
	}
	return nil
}

// Still implements conversation.Rules.
func (s *State) Still(c protocol.Caller, _ protocol.Action) error {
	if !s.has(c.UserID) {
		return protocol.ErrForbidden
	}
	return nil
}

// MaySend implements conversation.Rules: nobody writes to whom he blocks, or who
// blocks him.
func (s *State) MaySend(turn.Turn, protocol.Instant) error {
	if s.group.Blocked {
		return protocol.ErrForbidden
	}
	return nil
}

// MayTouch implements conversation.Rules: an edit says something too, and so does
// a reaction.
func (s *State) MayTouch(t turn.Turn) error { return s.MaySend(t, 0) }

// Actions implements conversation.Rules: nobody moderates.
func (s *State) Actions(protocol.Caller) protocol.ActionSet { return 0 }

// Community implements conversation.Rules.
func (s *State) Community() protocol.CommunityID { return protocol.CommunityID{} }

// refuse answers members what groups don't have.
func refuse[Req any](err error) func(*State, turn.Turn, Req) (turn.Outcome, error) {
	return func(*State, turn.Turn, Req) (turn.Outcome, error) { return turn.Outcome{}, err }
}
