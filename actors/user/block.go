package user

import (
	"context"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// blockUser keeps another user from asking, and ends the friendship with him.
func (s *State) blockUser(t turn.Turn, req protocol.BlockUser) (turn.Outcome, error) {
	if req.UserID == s.user.ID {
		return turn.Outcome{}, protocol.Forbidden("Cannot block yourself")
	}
	db, me, at := s.db, s.user.ID, t.Now
	return stored(func(ctx context.Context) (any, error) {
		return &protocol.Success{Success: true}, db.BlockUser(ctx, me, req.UserID, at)
	}), nil
}

func (s *State) unblockUser(_ turn.Turn, req protocol.UnblockUser) (turn.Outcome, error) {
	db, me := s.db, s.user.ID
	return stored(func(ctx context.Context) (any, error) {
		return &protocol.Success{Success: true}, db.UnblockUser(ctx, me, req.UserID)
	}), nil
}
