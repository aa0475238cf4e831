package community

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errNoCommunity = protocol.NotFound("Community not found")
	errNoFile      = protocol.NotFound("File not found")
)

func (s *State) getCommunity(t turn.Turn, _ protocol.GetCommunity) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoCommunity
	}
	row := s.row
	return turn.Outcome{Reply: &row}, nil
}

// createCommunity founds the community. The id was made by the edge for this
// one request, so a member who asks for it again repeats a request whose answer
// got lost.
func (s *State) createCommunity(t turn.Turn, req protocol.CreateCommunity) (turn.Outcome, error) {
	if !s.missing {
		if !s.roster.has(t.Caller.UserID) {
			return turn.Outcome{}, protocol.ErrForbidden
		}
		row := s.row
		return s.welcome(t.Caller.UserID, &row), nil
	}
	founding, err := s.founding(t, req)
	if err != nil {
		return turn.Outcome{}, err
	}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.CreateCommunity(ctx, owner, founding); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			s.found(founding)
			row := s.row
			return s.welcome(founding.Founder, &row), nil
		}, nil
	}}, nil
}

func (s *State) founding(t turn.Turn, req protocol.CreateCommunity) (persistence.NewCommunity, error) {
	avatar, err := fileID(req.Avatar)
	if err != nil {
		return persistence.NewCommunity{}, err
	}
	banner, err := fileID(req.Banner)
	if err != nil {
		return persistence.NewCommunity{}, err
	}
	n := persistence.NewCommunity{
		Community: protocol.Community{
			ID: s.id, Name: req.Name, CreatedAt: t.Now, Avatar: avatar, Banner: banner, Description: req.Description,
		},
		Founder: t.Caller.UserID,
		Channels: []protocol.Channel{{
			ID: protocol.ChannelID(protocol.NewID[row]()), Name: general, CommunityID: s.id, CreatedAt: t.Now, Type: protocol.ChannelText,
		}},
	}
	for _, d := range rules.CommunityRoles() {
		r := newRole(d, t.Now)
		if d.Name == rules.RoleCommunityAdmin {
			n.Admin = r.ID
		}
		n.Roles = append(n.Roles, r)
	}
	return n, nil
}

// found makes the state of a community that was just stored.
func (s *State) found(n persistence.NewCommunity) {
	s.replace(persistence.CommunityRows{
		Community: &n.Community, Channels: n.Channels, Roles: n.Roles,
		Members: []persistence.MemberGroup{{Roles: []protocol.RoleID{n.Admin}, Users: []protocol.UserID{n.Founder}}},
	})
}

// welcome lets a new member's sockets in and then answers. Sockets that could
// not be told learn of the community when they connect again.
func (s *State) welcome(user protocol.UserID, reply any) turn.Outcome {
	return turn.Outcome{
		Asks: []turn.Ask{{
			Kind: protocol.KindUser, ID: user.String(),
			Msg: &protocol.MemberJoined{Community: s.id, Channels: s.open(user)},
		}},
		Then: func(turn.Turn, []turn.Answer) (turn.Outcome, error) { return turn.Outcome{Reply: reply}, nil },
	}
}

// fileID reads an optional file id; what is not one names no file.
func fileID(text *string) (*protocol.FileID, error) {
	if text == nil || *text == "" {
		return nil, nil
	}
	var id protocol.FileID
	if err := id.UnmarshalText([]byte(*text)); err != nil || id.IsZero() {
		return nil, errNoFile
	}
	return id.Ptr(), nil
}

// updateCommunity changes what is given.
func (s *State) updateCommunity(t turn.Turn, req protocol.UpdateCommunity) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoCommunity
	}
	was, is := s.row, s.row
	if req.Name != nil {
		is.Name = *req.Name
	}
	is.Description = req.Description.Or(is.Description)
	for _, f := range []struct {
		given protocol.Patch[string]
		into  **protocol.FileID
	}{{req.Avatar, &is.Avatar}, {req.Banner, &is.Banner}} {
		if !f.given.Given {
			continue
		}
		id, err := fileID(f.given.Value)
		if err != nil {
			return turn.Outcome{}, err
		}
		*f.into = id
	}
	db, owner, by, now := s.db, t.Owner, t.Caller.UserID, t.Now
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.UpdateCommunity(ctx, owner, was, is, by, now); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			s.row = is
			e, err := s.event("communityUpdated", protocol.CommunityUpdated{
				CommunityID: s.id, Name: is.Name, Description: is.Description, Avatar: is.Avatar, Banner: is.Banner,
			})
			return turn.Outcome{Reply: &is, Events: []protocol.Event{e}}, err
		}, nil
	}}, nil
}

func (s *State) deleteCommunity(t turn.Turn, _ protocol.DeleteCommunity) (turn.Outcome, error) {
	return s.bury(t)
}

// removeCommunity is deleteCommunity for administrators of the instance.
func (s *State) removeCommunity(t turn.Turn, _ protocol.RemoveCommunity) (turn.Outcome, error) {
	return s.bury(t)
}

// bury makes the community disappear. What it holds is deleted later.
func (s *State) bury(t turn.Turn) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoCommunity
	}
	db, owner, row, now := s.db, t.Owner, s.row, t.Now
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		aliases, err := db.DeleteCommunity(ctx, owner, row, now)
		if err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) { return s.buried(t, aliases) }, nil
	}}, nil
}

// buried tells the members, empties the rooms, and answers when every channel
// knows that it is gone: also those that hold no answer.
func (s *State) buried(t turn.Turn, aliases []protocol.AliasGroupID) (turn.Outcome, error) {
	e, err := s.event("communityDeleted", protocol.CommunityDeleted{CommunityID: s.id})
	if err != nil {
		return turn.Outcome{}, err
	}
	rooms := (&protocol.MemberLeft{Community: s.id, Channels: s.channelIDs(), Aliases: aliases}).Topics()
	s.suspect(s.channelIDs()...)
	s.replace(persistence.CommunityRows{})
	clear(s.online)
	out, err := s.takeBack(t, nil, shrunk)
	out.Events = append(out.Events, e)
	out.Empties = append(out.Empties, protocol.Empty{Topics: rooms})
	return out, err
}

// reload reads everything again and takes back every answer.
func (s *State) reload(t turn.Turn, _ *protocol.ReloadCommunity) (turn.Outcome, error) {
	db, id, now := s.db, s.id, t.Now
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		rows, err := db.Community(ctx, id, now)
		if err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			s.replace(rows)
			for u := range s.online {
				if !s.roster.has(u) {
					delete(s.online, u)
				}
			}
			return s.takeBack(t, nil, shrunk)
		}, nil
	}}, nil
}

// event is something for all members.
func (s *State) event(name string, payload any) (protocol.Event, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return protocol.Event{}, fmt.Errorf("encode %s: %w", name, err)
	}
	return protocol.Event{Name: name, Topics: []protocol.Topic{protocol.CommunityTopic(s.id)}, Payload: body}, nil
}
