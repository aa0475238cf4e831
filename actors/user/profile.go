package user

import (
	"context"
	"strings"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// updateProfile changes what the user shows of himself and tells everybody who
// shares a community or a conversation with him, each socket once.
func (s *State) updateProfile(t turn.Turn, req protocol.UpdateProfile) (turn.Outcome, error) {
	avatar, err := fileOf(req.Avatar)
	if err != nil {
		return turn.Outcome{}, err
	}
	banner, err := fileOf(req.Banner)
	if err != nil {
		return turn.Outcome{}, err
	}
	change := persistence.ProfileChange{
		DisplayName: req.DisplayName, Avatar: avatar, Banner: banner,
		Bio: trimmed(req.Bio), Status: trimmed(req.Status), At: t.Now,
	}
	if name := change.DisplayName.Value; name != nil {
		*name = strings.TrimSpace(*name)
	}
	db, id := s.db, s.user.ID
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		p, err := db.ChangeProfile(ctx, id, change)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return s.profileUpdated(p) }, nil
	}}, nil
}

func (s *State) profileUpdated(p persistence.Profile) (turn.Outcome, error) {
	u := p.User
	s.show(u)
	e, err := s.event("userProfileUpdated", protocol.ProfileUpdated{
		UserID: u.ID, DisplayName: u.DisplayName, AvatarURL: u.AvatarURL, BannerURL: u.BannerURL, Bio: u.Bio, Status: u.Status,
	})
	for _, c := range p.Communities {
		e.Topics = append(e.Topics, protocol.CommunityTopic(c))
	}
	for _, g := range p.Groups {
		e.Topics = append(e.Topics, protocol.Topic{Room: protocol.RoomGroup, ID: g})
	}
	return turn.Outcome{Reply: &u, Events: []protocol.Event{e}, Everywhere: true}, err
}

// profileChanged reads again what somebody else wrote.
func (s *State) profileChanged(turn.Turn, *protocol.ProfileChanged) (turn.Outcome, error) {
	db, id := s.db, s.user.ID
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		rows, err := db.User(ctx, id)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			if rows.User != nil {
				s.show(*rows.User)
			}
			return turn.Outcome{}, nil
		}, nil
	}}, nil
}

// show takes over what is stored; lastSeen may be newer here.
func (s *State) show(u protocol.PublicUser) {
	if seen := s.user.LastSeen; seen != nil && (u.LastSeen == nil || *u.LastSeen < *seen) {
		u.LastSeen = seen
	}
	s.user = u
}

// fileOf reads the id of a picture; blank clears, and what is no id names no
// file.
func fileOf(p protocol.Patch[string]) (protocol.Patch[protocol.FileID], error) {
	to := protocol.Patch[protocol.FileID]{Given: p.Given}
	if p.Value == nil || *p.Value == "" {
		return to, nil
	}
	var id protocol.FileID
	if err := id.UnmarshalText([]byte(*p.Value)); err != nil || id.IsZero() {
		return to, protocol.NotFound("File not found")
	}
	to.Value = &id
	return to, nil
}

// trimmed is text without blanks around it; nothing but blanks clears.
func trimmed(p protocol.Patch[string]) protocol.Patch[string] {
	if p.Value == nil {
		return p
	}
	text := strings.TrimSpace(*p.Value)
	if text == "" {
		return protocol.Cleared[string]()
	}
	return protocol.To(text)
}
