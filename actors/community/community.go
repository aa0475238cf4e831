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
	if err := id.UnmarshalText([]byte(*text)); err != nil {
		return nil, errNoFile
	}
	return id.Ptr(), nil
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
