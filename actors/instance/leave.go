package instance

import (
	"context"
	"slices"
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// reasonDeleted is what the sockets of a deleted account are told.
const reasonDeleted = "Account has been deleted"

// sweepEvery is how often deletions that were cut short are looked for.
const sweepEvery = 10 * time.Minute

// Timers: look for deletions that have begun, go on with one.
type (
	sweepLeaving  struct{}
	finishLeaving struct{ user protocol.UserID }
)

// deleteAccount deletes somebody else's account. Whoever wants to delete his own
// is asked for his password elsewhere.
func (s *State) deleteAccount(t turn.Turn, req protocol.DeleteUser) (turn.Outcome, error) {
	if req.ID == t.Caller.UserID {
		return turn.Outcome{}, protocol.Forbidden("Cannot delete your own account through admin panel")
	}
	return s.deleteUser(t, req.ID, &protocol.Success{Success: true}), nil
}

// leaveInstance deletes the caller's own account; the edge has checked the
// password.
func (s *State) leaveInstance(t turn.Turn, _ protocol.DeleteAccount) (turn.Outcome, error) {
	return s.deleteUser(t, t.Caller.UserID, &protocol.Success{Success: true}), nil
}

// deleteUser deletes an account in two steps. The first decides, and from then
// on nobody enters it; the second takes the name off the messages, which may be
// many, and deletes. It does not hold up other changes of the instance.
func (s *State) deleteUser(t turn.Turn, user protocol.UserID, reply any) turn.Outcome {
	db, owner := s.db, t.Owner
	leaving := persistence.LeavingUser{User: user, By: t.Caller.UserID, At: t.Now, AccessFor: protocol.AccessLifetime}
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.LeaveUser(ctx, owner, leaving); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return s.deleteLeaving(t, user, reply), nil }, nil
	}}
}

// deleteLeaving closes the sockets of a leaving account, deletes it and tells
// its communities.
func (s *State) deleteLeaving(t turn.Turn, user protocol.UserID, reply any) turn.Outcome {
	return turn.Outcome{
		Asks: []turn.Ask{{Kind: protocol.KindUser, ID: user.String(), Msg: &protocol.AccountGone{Reason: reasonDeleted}}},
		Then: func(turn.Turn, []turn.Answer) (turn.Outcome, error) { return s.detach(t, user, nil, reply), nil },
	}
}

// detach takes the name off some messages, again and again until none is left.
func (s *State) detach(t turn.Turn, user protocol.UserID, traces []protocol.Place, reply any) turn.Outcome {
	db, owner, at := s.db, t.Owner, t.Now
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if traces == nil { // while the rows still have the name
			list, err := db.UserTraces(ctx, user)
			if err != nil {
				return nil, err
			}
			traces = append([]protocol.Place{}, list...)
		}
		more, err := db.DetachMessages(ctx, user)
		if err != nil {
			return nil, err
		}
		if more {
			return func(turn.Turn) (turn.Outcome, error) { return s.detach(t, user, traces, reply), nil }, nil
		}
		left, err := db.DeleteUser(ctx, owner, user, at)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return gone(user, left, traces, reply), nil }, nil
	}}
}

// gone tells the communities and groups of direct messages, and the conversations
// that he had left but where messages name him. One that can't be told now reads its
// members when it is loaded.
func gone(user protocol.UserID, left persistence.LeftBehind, traces []protocol.Place, reply any) turn.Outcome {
	done := turn.Outcome{
		Reply: reply, Accounts: []protocol.UserID{user}, Pages: true,
		Timers: []turn.Timer{{After: endAgainAfter, Msg: &endAgain{user}}},
	}
	for _, in := range traces {
		if !slices.Contains(left.Groups, in.Group) {
			done.Tells = append(done.Tells, turn.Tell{Kind: in.Kind(), ID: in.ID().String(), Msg: &protocol.AuthorGone{User: user}})
		}
	}
	if len(left.Communities)+len(left.Groups) == 0 {
		return done
	}
	out := turn.Outcome{
		Then: func(turn.Turn, []turn.Answer) (turn.Outcome, error) { return done, nil },
	}
	for _, c := range left.Communities {
		out.Asks = append(out.Asks, turn.Ask{Kind: protocol.KindCommunity, ID: c.String(), Msg: &protocol.ReloadMember{User: user, Gone: true}})
	}
	for _, g := range left.Groups {
		out.Asks = append(out.Asks, turn.Ask{Kind: protocol.KindDM, ID: g.String(), Msg: &protocol.AuthorGone{User: user}})
	}
	return out
}

// sweepLeaving looks for deletions that a failure or the end of a node has cut
// short.
func (s *State) sweepLeaving(_ turn.Turn, again *sweepLeaving) (turn.Outcome, error) {
	db := s.db
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		users, _ := db.LeavingUsers(ctx) // the next sweep will tell
		return func(turn.Turn) (turn.Outcome, error) {
			out := turn.Outcome{Timers: []turn.Timer{{After: sweepEvery, Msg: again}}}
			for _, u := range users {
				out.Timers = append(out.Timers, turn.Timer{Msg: &finishLeaving{u}})
			}
			return out, nil
		}, nil
	}}, nil
}

func (s *State) finishLeaving(t turn.Turn, m *finishLeaving) (turn.Outcome, error) {
	return s.deleteLeaving(t, m.user, nil), nil
}
