package user

import (
	"context"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// blockUser keeps another user from asking and from writing to him, and ends the
// friendship with him.
func (s *State) blockUser(t turn.Turn, req protocol.BlockUser) (turn.Outcome, error) {
	if req.UserID == s.user.ID {
		return turn.Outcome{}, protocol.Forbidden("Cannot block yourself")
	}
	db, me, at := s.db, s.user.ID, t.Now
	return s.pairWrite(true, func(ctx context.Context) (protocol.GroupID, error) {
		if err := db.BlockUser(ctx, me, req.UserID, at); err != nil {
			return protocol.GroupID{}, err
		}
		return db.PairGroup(ctx, me, req.UserID)
	}), nil
}

func (s *State) unblockUser(_ turn.Turn, req protocol.UnblockUser) (turn.Outcome, error) {
	db, me := s.db, s.user.ID
	return s.pairWrite(false, func(ctx context.Context) (protocol.GroupID, error) {
		if err := db.UnblockUser(ctx, me, req.UserID); err != nil {
			return protocol.GroupID{}, err
		}
		return db.PairGroup(ctx, me, req.UserID)
	}), nil
}

// pairWrite stores a change between two users, and tells their conversation.
func (s *State) pairWrite(blocked bool, write func(context.Context) (protocol.GroupID, error)) turn.Outcome {
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		id, err := write(ctx)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return s.pairChanged(id, blocked), nil }, nil
	}}
}
