package instance

import (
	"context"
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// reasonBanned is what the sockets of a banned account are told.
const reasonBanned = "Account has been banned"

// endAgainAfter is how long after a ban sockets are ended once more.
const endAgainAfter = 2 * time.Second

// endAgain ends sockets that came between the ban and the moment when every
// gate had heard of it.
type endAgain struct{ user protocol.UserID }

// banUser bans an account or ends its ban. A banned one loses its logins with
// the ban itself, then its sockets, and is refused at every gate before the
// reply.
func (s *State) banUser(t turn.Turn, req protocol.SetUserBan) (turn.Outcome, error) {
	db, owner := s.db, t.Owner
	ban := persistence.AccountBan{
		User: req.ID, By: t.Caller.UserID, Banned: req.Banned, At: t.Now, AccessFor: protocol.AccessLifetime,
	}
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		u, err := db.SetAccountBan(ctx, owner, ban)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return banned(&u), nil }, nil
	}}, nil
}

func banned(u *protocol.AdminUser) turn.Outcome {
	done := turn.Outcome{Reply: u, Accounts: []protocol.UserID{u.ID}}
	if !u.Banned {
		return done
	}
	done.Timers = []turn.Timer{{After: endAgainAfter, Msg: &endAgain{u.ID}}}
	return turn.Outcome{
		Asks: []turn.Ask{{Kind: protocol.KindUser, ID: u.ID.String(), Msg: &protocol.EndSessions{Reason: reasonBanned}}},
		Then: func(turn.Turn, []turn.Answer) (turn.Outcome, error) { return done, nil },
	}
}

func (s *State) endAgain(_ turn.Turn, m *endAgain) (turn.Outcome, error) {
	return turn.Outcome{Tells: []turn.Tell{{
		Kind: protocol.KindUser, ID: m.user.String(), Msg: &protocol.EndSessions{Reason: reasonBanned},
	}}}, nil
}

// setRole makes a user an owner of the instance or an ordinary user. Every gate
// has heard of it before the reply.
func (s *State) setRole(t turn.Turn, req protocol.SetUserRole) (turn.Outcome, error) {
	db, owner, by := s.db, t.Owner, t.Caller.UserID
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		u, err := db.SetUserRole(ctx, owner, by, req.ID, req.Role)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			return turn.Outcome{
				Reply: &u, Accounts: []protocol.UserID{u.ID},
				Tells: []turn.Tell{{Kind: protocol.KindUser, ID: u.ID.String(), Msg: &protocol.ProfileChanged{}}},
			}, nil
		}, nil
	}}, nil
}
