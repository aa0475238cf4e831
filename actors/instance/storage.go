package instance

import (
	"context"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func (s *State) setQuota(t turn.Turn, req protocol.SetUserQuota) (turn.Outcome, error) {
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		return replied(db.SetUserQuota(ctx, owner, req.UserID, req.QuotaBytes))
	}}, nil
}

func (s *State) recountStorage(t turn.Turn, req protocol.RecountUserStorage) (turn.Outcome, error) {
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		return replied(db.RecountUserStorage(ctx, owner, req.UserID))
	}}, nil
}

// replied is the end of a turn that changes nothing in memory.
func replied[T any](reply T, err error) (turn.Then, error) {
	if err != nil {
		return nil, err
	}
	return func(turn.Turn) (turn.Outcome, error) { return turn.Outcome{Reply: &reply}, nil }, nil
}
