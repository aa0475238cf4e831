package user

import (
	"context"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func (s *State) updateAppearance(t turn.Turn, req protocol.UpdateAppearance) (turn.Outcome, error) {
	db, me, at := s.db, s.user.ID, t.Now
	return stored(func(ctx context.Context) (any, error) {
		a, err := db.ChangeAppearance(ctx, me, req, at)
		return &a, err
	}), nil
}
