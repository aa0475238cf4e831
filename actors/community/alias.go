package community

import (
	"context"
	"slices"
	"strings"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

var errNotInCommunity = protocol.BadRequest("User is not a member of this community")

// Alias groups stay in Postgres: nothing here depends on them. The community
// judges who may, and knows who is a member.

func (s *State) listAliases(turn.Turn, protocol.ListAliases) (turn.Outcome, error) {
	return turn.Outcome{Reply: &protocol.AliasGrant{}}, nil
}

func (s *State) getAlias(turn.Turn, protocol.GetAlias) (turn.Outcome, error) {
	return turn.Outcome{Reply: &protocol.AliasGrant{}}, nil
}

// outsiders is the refusal of users who are no members.
func (s *State) outsiders(users []protocol.UserID) error {
	var names []string
	for _, u := range users {
		if !s.roster.has(u) {
			names = append(names, u.String())
		}
	}
	if len(names) == 0 {
		return nil
	}
	return protocol.BadRequest("Users not members of this community: " + strings.Join(names, ", "))
}

// once names each user once, in the order given.
func once(users []protocol.UserID) []protocol.UserID {
	list := make([]protocol.UserID, 0, len(users))
	seen := make(map[protocol.UserID]struct{}, len(users))
	for _, u := range users {
		if _, again := seen[u]; !again {
			seen[u] = struct{}{}
			list = append(list, u)
		}
	}
	return list
}

func (s *State) createAlias(t turn.Turn, req protocol.CreateAlias) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoCommunity
	}
	members := once(req.MemberIDs)
	bad := s.outsiders(members)
	g := protocol.AliasGroup{ID: req.ID, Name: req.Name, CommunityID: s.id, CreatedAt: t.Now}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		stored, err := db.CreateAlias(ctx, owner, g, members, bad)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			return s.seat(g.ID, persistence.AliasChange{Joined: members}, stored), nil
		}, nil
	}}, nil
}

// seat moves the sockets of members into the room of a group and out of it.
func (s *State) seat(group protocol.AliasGroupID, c persistence.AliasChange, reply any) turn.Outcome {
	topic := []protocol.Topic{protocol.AliasTopic(group)}
	out := turn.Outcome{Reply: reply, Everywhere: true}
	for _, u := range c.Joined {
		out.Rooms = append(out.Rooms, protocol.Rooms{Of: protocol.UserTopic(u), Join: topic})
	}
	for _, u := range c.Left {
		out.Rooms = append(out.Rooms, protocol.Rooms{Of: protocol.UserTopic(u), Leave: topic})
	}
	for _, u := range slices.Concat(c.Joined, c.Left) {
		if _, online := s.online[u]; online {
			out.Tells = append(out.Tells, turn.Tell{Kind: protocol.KindUser, ID: u.String(), Msg: &protocol.RoomsMoved{}})
		}
	}
	return out
}

func (s *State) renameAlias(t turn.Turn, req protocol.RenameAlias) (turn.Outcome, error) {
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		g, err := db.RenameAlias(ctx, owner, s.id, req.GroupID, req.Name)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return turn.Outcome{Reply: g}, nil }, nil
	}}, nil
}

// deleteAlias empties the room, and has channels forget that messages name the
// group.
func (s *State) deleteAlias(t turn.Turn, req protocol.DeleteAlias) (turn.Outcome, error) {
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		named, err := db.DeleteAlias(ctx, owner, s.id, req.GroupID)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			out := turn.Outcome{Empties: []protocol.Empty{{Topics: []protocol.Topic{protocol.AliasTopic(req.GroupID)}}}, Everywhere: true, Pages: true}
			// All of them: owners of the instance read without asking for their rights.
			told := s.channelIDs()
			for _, c := range told {
				out.Tells = append(out.Tells, turn.Tell{Kind: protocol.KindChannel, ID: c.String(), Msg: &protocol.AliasGone{Group: req.GroupID}})
			}
			for _, in := range named { // whoever is in it may be named anywhere
				if in.Kind() == protocol.KindChannel && slices.Contains(told, in.Channel) {
					continue
				}
				out.Tells = append(out.Tells, turn.Tell{Kind: in.Kind(), ID: in.ID().String(), Msg: &protocol.AliasGone{Group: req.GroupID}})
			}
			return out, nil
		}, nil
	}}, nil
}

func (s *State) addAliasMember(t turn.Turn, req protocol.AddAliasMember) (turn.Outcome, error) {
	var bad error
	if !s.roster.has(req.UserID) {
		bad = errNotInCommunity
	}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.AddAliasMember(ctx, owner, s.id, req.GroupID, req.UserID, bad); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			return s.seat(req.GroupID, persistence.AliasChange{Joined: []protocol.UserID{req.UserID}}, nil), nil
		}, nil
	}}, nil
}

func (s *State) removeAliasMember(t turn.Turn, req protocol.RemoveAliasMember) (turn.Outcome, error) {
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.RemoveAliasMember(ctx, owner, s.id, req.GroupID, req.UserID); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			return s.seat(req.GroupID, persistence.AliasChange{Left: []protocol.UserID{req.UserID}}, nil), nil
		}, nil
	}}, nil
}

func (s *State) setAliasMembers(t turn.Turn, req protocol.SetAliasMembers) (turn.Outcome, error) {
	members := once(req.MemberIDs)
	bad := s.outsiders(members)
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		change, err := db.SetAliasMembers(ctx, owner, s.id, req.GroupID, members, bad)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return s.seat(req.GroupID, change, nil), nil }, nil
	}}, nil
}
