package instance

import (
	"context"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

const reasonReset = "Password has been reset"

// resetPassword sets the password of the account that a link is for. Its logins
// and their sockets end before the reply.
func (s *State) resetPassword(t turn.Turn, req protocol.ResetPassword) (turn.Outcome, error) {
	db, owner := s.db, t.Owner
	change := persistence.PasswordChange{Hash: req.Hash, At: t.Now, AccessFor: protocol.AccessLifetime, Network: t.Caller.Network()}
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		user, err := db.ResetPassword(ctx, owner, req.TokenHash, change)
		if err != nil {
			return nil, err
		}
		done := turn.Outcome{Reply: &protocol.Success{Success: true}, Accounts: []protocol.UserID{user}}
		return func(turn.Turn) (turn.Outcome, error) {
			return turn.Outcome{
				Asks: []turn.Ask{{Kind: protocol.KindUser, ID: user.String(), Msg: &protocol.EndSessions{Reason: reasonReset}}},
				Then: func(turn.Turn, []turn.Answer) (turn.Outcome, error) { return done, nil },
			}, nil
		}, nil
	}}, nil
}
