package dm

import (
	"context"
	"fmt"
	"slices"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errPair     = protocol.Forbidden("Cannot add members to a 1:1 DM")
	errTooLarge = protocol.Conflict(fmt.Sprintf("A DM group can have at most %d members", protocol.MaxGroupMembers))
)

// getGroup lets the edge read the group when all that was queued is stored.
func (s *State) getGroup(turn.Turn, protocol.GetDirect) (turn.Outcome, error) {
	return turn.Outcome{Reply: &protocol.DirectGrant{ID: s.id}, AfterRows: true}, nil
}

// opened lets users in for whom somebody has opened the group: those who had left
// it are members again.
func (s *State) opened(t turn.Turn, m *protocol.GroupOpened) (turn.Outcome, error) {
	if s.group == nil {
		return turn.Outcome{}, errNoGroup
	}
	returning := s.others(m.Users)
	if len(returning) == 0 {
		return s.letIn(m.Users), nil
	}
	if s.group.Pair[0].IsZero() || !s.pairs(returning) {
		return turn.Outcome{}, protocol.ErrForbidden // it was opened for others
	}
	db, owner, id, now := s.db, t.Owner, s.id, t.Now
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.ReturnToGroup(ctx, owner, id, returning, now); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			s.welcome(returning)
			return s.letIn(m.Users), nil
		}, nil
	}}, nil
}

// pairs reports whether all users are of the pair of a one-to-one conversation.
func (s *State) pairs(users []protocol.UserID) bool {
	return !slices.ContainsFunc(users, func(u protocol.UserID) bool { return !slices.Contains(s.group.Pair[:], u) })
}

// others are those of the users who are no members, each once.
func (s *State) others(users []protocol.UserID) []protocol.UserID {
	var list []protocol.UserID
	for _, u := range users {
		if !s.has(u) && !slices.Contains(list, u) {
			list = append(list, u)
		}
	}
	return list
}

// welcome notes new members.
func (s *State) welcome(users []protocol.UserID) {
	g := *s.group
	g.Members = slices.Concat(g.Members, users)
	s.group = &g
}

// letIn lets the sockets of members into the room.
func (s *State) letIn(users []protocol.UserID) turn.Outcome {
	out := turn.Outcome{Everywhere: true, Rooms: make([]protocol.Rooms, len(users))}
	for i, u := range users {
		out.Rooms[i] = protocol.Rooms{Of: protocol.UserTopic(u), Join: []protocol.Topic{protocol.GroupTopic(s.id)}}
	}
	return out
}

// addMembers adds users to a group. Who is in it already is no error.
func (s *State) addMembers(t turn.Turn, req protocol.AddDirectMembers) (turn.Outcome, error) {
	added := s.others(req.UserIDs)
	switch {
	case !s.has(t.Caller.UserID): // has left while this waited
		return turn.Outcome{}, protocol.ErrForbidden
	case !s.group.IsGroup:
		return turn.Outcome{}, errPair
	case len(added) == 0:
		return turn.Outcome{Reply: &protocol.DirectGrant{ID: s.id}}, nil
	case len(s.group.Members)+len(added) > protocol.MaxGroupMembers:
		return turn.Outcome{}, errTooLarge
	}
	db, owner, id, by, now := s.db, t.Owner, s.id, t.Caller.UserID, t.Now
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.AddToGroup(ctx, owner, id, by, added, now); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			s.welcome(added)
			out := s.letIn(added)
			out.Reply = &protocol.DirectGrant{ID: id}
			return out, nil
		}, nil
	}}, nil
}

// leave ends the caller's membership. When it is answered, he can do nothing here
// any more, and his sockets hear nothing that comes later.
func (s *State) leave(t turn.Turn, _ protocol.LeaveDirect) (turn.Outcome, error) {
	db, owner, id, user, now := s.db, t.Owner, s.id, t.Caller.UserID, t.Now
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.LeaveGroup(ctx, owner, id, user, now); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return s.left(user), nil }, nil
	}}, nil
}

// left forgets a member; the group with the last one.
func (s *State) left(user protocol.UserID) turn.Outcome {
	if s.group != nil {
		g := *s.group
		g.Members = slices.DeleteFunc(slices.Clone(g.Members), func(u protocol.UserID) bool { return u == user })
		s.group = &g
		if len(g.Members) == 0 {
			s.group = nil
			s.log.Vanish()
		}
	}
	return turn.Outcome{Everywhere: true, Rooms: []protocol.Rooms{{
		Of: protocol.UserTopic(user), Leave: []protocol.Topic{protocol.GroupTopic(s.id)},
	}}}
}

// authorGone forgets a member whose account was deleted, and who wrote his
// messages.
func (s *State) authorGone(t turn.Turn, m *protocol.AuthorGone) (turn.Outcome, error) {
	if _, err := s.log.AuthorGone(t, m); err != nil {
		return turn.Outcome{}, err
	}
	return s.left(m.User), nil
}

// pairBlocked takes over that one of the pair blocks the other. That one does no
// longer may leave the other's block: Postgres knows.
func (s *State) pairBlocked(_ turn.Turn, m *protocol.PairBlocked) (turn.Outcome, error) {
	if s.group == nil {
		return turn.Outcome{}, nil
	}
	s.blocks++
	if m.Blocked {
		s.setBlocked(true)
		return turn.Outcome{}, nil
	}
	db, id, told := s.db, s.id, s.blocks
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		blocked, err := db.PairBlocked(ctx, id)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			if s.group != nil && s.blocks == told { // or what was read is out of date
				s.setBlocked(blocked)
			}
			return turn.Outcome{}, nil
		}, nil
	}}, nil
}

func (s *State) setBlocked(blocked bool) {
	g := *s.group
	g.Blocked = blocked
	s.group = &g
}
