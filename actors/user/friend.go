package user

import (
	"context"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// The texts of the contract; clients match those of conflicts.
var (
	errSelfFriend   = protocol.Forbidden("Cannot send friend request to yourself")
	errNoRequest    = protocol.NotFound("Friend request not found")
	errNoFriendship = protocol.NotFound("Friendship not found")
	errNotPending   = protocol.Conflict("Friend request is not pending")
	errNotFriends   = protocol.Conflict("Not friends with this user")
)

// requestFriend asks another user, or accepts what he has asked.
func (s *State) requestFriend(t turn.Turn, req protocol.RequestFriend) (turn.Outcome, error) {
	if req.UserID == s.user.ID {
		return turn.Outcome{}, errSelfFriend
	}
	db := s.db
	n := protocol.Friendship{ID: req.ID, UserAID: s.user.ID, UserBID: req.UserID, CreatedAt: t.Now, Status: protocol.FriendPending}
	return stored(func(ctx context.Context) (any, error) {
		f, err := db.RequestFriend(ctx, n)
		return &f, err
	}), nil
}

func (s *State) acceptFriend(_ turn.Turn, req protocol.AcceptFriend) (turn.Outcome, error) {
	db, c := s.db, s.received("Cannot accept this friend request")
	c.Accept = true
	return stored(func(ctx context.Context) (any, error) {
		f, err := db.ChangeFriendship(ctx, req.ID, c)
		return &f, err
	}), nil
}

func (s *State) declineFriend(_ turn.Turn, req protocol.DeclineFriend) (turn.Outcome, error) {
	return s.endFriendship(req.ID, s.received("Cannot decline this friend request")), nil
}

func (s *State) cancelFriend(_ turn.Turn, req protocol.CancelFriend) (turn.Outcome, error) {
	me := s.user.ID
	return s.endFriendship(req.ID, persistence.FriendChange{
		State: protocol.FriendPending, Allowed: func(f protocol.Friendship) bool { return f.UserAID == me },
		Unknown: errNoRequest, Forbidden: protocol.Forbidden("Cannot cancel this friend request"), Conflict: errNotPending,
	}), nil
}

func (s *State) removeFriend(_ turn.Turn, req protocol.RemoveFriend) (turn.Outcome, error) {
	me := s.user.ID
	return s.endFriendship(req.ID, persistence.FriendChange{
		State: protocol.FriendAccepted, Allowed: func(f protocol.Friendship) bool { return f.UserAID == me || f.UserBID == me },
		Unknown: errNoFriendship, Forbidden: protocol.Forbidden("Cannot remove this friendship"), Conflict: errNotFriends,
	}), nil
}

// received is a change that only the one who was asked may make.
func (s *State) received(refusal string) persistence.FriendChange {
	me := s.user.ID
	return persistence.FriendChange{
		State: protocol.FriendPending, Allowed: func(f protocol.Friendship) bool { return f.UserBID == me },
		Unknown: errNoRequest, Forbidden: protocol.Forbidden(refusal), Conflict: errNotPending,
	}
}

func (s *State) endFriendship(id protocol.FriendshipID, c persistence.FriendChange) turn.Outcome {
	db := s.db
	return stored(func(ctx context.Context) (any, error) {
		_, err := db.ChangeFriendship(ctx, id, c)
		return &protocol.Success{Success: true}, err
	})
}

// stored is a change of rows that are not in memory: it is all that happens.
func stored(write func(ctx context.Context) (reply any, err error)) turn.Outcome {
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		reply, err := write(ctx)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return turn.Outcome{Reply: reply}, nil }, nil
	}}
}
