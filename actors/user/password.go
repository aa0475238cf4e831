package user

import (
	"context"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

const reasonPassword = "Password has been changed"

var errWrongPassword = protocol.Forbidden("Current password is incorrect")

// changePassword stores the new password; all logins but the caller's end with
// it, with their sockets, and no gate lets them through when the reply is out.
// The edge adds the tokens.
func (s *State) changePassword(t turn.Turn, req protocol.ChangePassword) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoUser
	}
	db := s.db
	change := persistence.PasswordChange{
		User: s.user.ID, Proven: req.Proven, Hash: req.Hash, Keep: t.Caller.Session, At: t.Now, AccessFor: protocol.AccessLifetime,
	}
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		ended, ok, err := db.ChangePassword(ctx, change)
		switch {
		case err != nil:
			return nil, err
		case !ok: // somebody else was faster
			return nil, errWrongPassword
		}
		return func(turn.Turn) (turn.Outcome, error) { return s.ended(ended), nil }, nil
	}}, nil
}

func (s *State) ended(sessions []protocol.SessionID) turn.Outcome {
	out := turn.Outcome{Reply: &protocol.Tokens{}, Accounts: []protocol.UserID{s.user.ID}, Everywhere: true}
	for _, session := range sessions {
		s.closing(session, protocol.AnyID{})
		out.Closes = append(out.Closes, protocol.CloseSockets{User: s.user.ID, Session: session, Reason: reasonPassword})
	}
	out.Timers = s.vanished()
	return out
}
