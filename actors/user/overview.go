package user

import (
	"context"
	"slices"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// overview is what a session of the user begins with.
func (s *State) overview(_ turn.Turn, m *protocol.AskOverview) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoUser
	}
	db, me, marks := s.db, s.user.ID, slices.Clone(s.marks)
	return stored(func(ctx context.Context) (any, error) { return db.Overview(ctx, me, m, marks) }), nil
}
