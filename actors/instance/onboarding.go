package instance

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"time"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// tokenLife is how long a set-up token is good, from the contract.
const tokenLife = 15 * time.Minute

// onboardingStatus tells whether set-up is needed and, while it is, the token.
func (s *State) onboardingStatus(t turn.Turn, _ protocol.GetOnboarding) (turn.Outcome, error) {
	if !s.needsSetup() || s.token(t.Now) != "" {
		return s.status(t), nil
	}
	db, owner := s.db, t.Owner
	token := protocol.NewRandomID[row]().String()
	until := t.Now + protocol.Instant(tokenLife.Milliseconds())
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.PutSetupToken(ctx, owner, token, until); err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			s.rows.Token, s.rows.TokenUntil = token, until
			return s.status(t), nil
		}, nil
	}}, nil
}

func (s *State) status(t turn.Turn) turn.Outcome {
	return turn.Outcome{Reply: &protocol.OnboardingStatus{
		NeedsSetup: s.needsSetup(), HasUsers: s.rows.HasUsers, SetupToken: s.token(t.Now),
	}}
}

// setUp makes the first owner and what goes with him.
func (s *State) setUp(t turn.Turn, req protocol.SetupInstance) (turn.Outcome, error) {
	token := s.token(t.Now)
	if token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(req.SetupToken)) != 1 {
		return turn.Outcome{}, persistence.ErrSetupToken
	}
	n := newInstance(t, req)
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.SetUpInstance(ctx, owner, n); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			s.rows.Name, s.rows.Description, s.rows.UpdatedAt = n.Name, n.Description, n.At
			s.rows.HasUsers, s.rows.HasInvites = true, true
			s.rows.Token, s.rows.TokenUntil = "", 0
			done := &protocol.SetupDone{Success: true, Message: "Instance setup completed successfully", AdminUserID: n.Admin}
			if n.Community != nil {
				done.DefaultCommunityID = n.Community.Community.ID.Ptr()
			}
			return turn.Outcome{Reply: done}, nil
		}, nil
	}}, nil
}

func newInstance(t turn.Turn, req protocol.SetupInstance) persistence.NewInstance {
	admin := protocol.UserID(protocol.NewID[row]())
	n := persistence.NewInstance{
		Token: req.SetupToken, At: t.Now, Name: req.InstanceName, Description: req.InstanceDescription,
		Admin: admin, Username: strings.ToLower(req.AdminUsername), Email: optional(req.AdminEmail), Hash: req.Hash,
		Role:   rules.RoleInstanceAdmin,
		Invite: protocol.Invite{ID: protocol.InviteID(protocol.NewID[row]()), Code: welcomeCode(), CreatedByID: &admin, CreatedAt: t.Now},
	}
	if req.CreateDefaultCommunity != nil && !*req.CreateDefaultCommunity {
		return n
	}
	n.Community = firstCommunity(t, admin, req)
	n.Welcome = welcomeText(req.InstanceName)
	n.Invite.DefaultCommunities = []protocol.InviteCommunity{inviteCommunity(n.Invite.ID, n.Community.Community.ID)}
	return n
}

func firstCommunity(t turn.Turn, admin protocol.UserID, req protocol.SetupInstance) *persistence.NewCommunity {
	name := "General"
	if c := optional(req.DefaultCommunityName); c != nil {
		name = *c
	}
	about := optional(req.InstanceDescription)
	if about == nil {
		text := "Welcome to " + req.InstanceName + "!"
		about = &text
	}
	id := protocol.CommunityID(protocol.NewID[row]())
	n := &persistence.NewCommunity{
		Community: protocol.Community{ID: id, Name: name, CreatedAt: t.Now, Description: about},
		Founder:   admin,
		Channels: []protocol.Channel{
			newChannel(t, id, general, protocol.ChannelText, 0),
			newChannel(t, id, "announcements", protocol.ChannelText, 1),
			newChannel(t, id, "voice-chat", protocol.ChannelVoice, 0),
		},
	}
	for _, d := range rules.CommunityRoles() {
		r := newRole(d, t.Now)
		if d.Name == rules.RoleCommunityAdmin {
			n.Admin = r.ID
		}
		n.Roles = append(n.Roles, r)
	}
	return n
}

func newChannel(t turn.Turn, c protocol.CommunityID, name, kind string, position int) protocol.Channel {
	return protocol.Channel{
		ID: protocol.ChannelID(protocol.NewID[row]()), Name: name, CommunityID: c, CreatedAt: t.Now, Type: kind, Position: position,
	}
}

func welcomeText(instance string) string {
	return "Welcome to " + instance + "! 🎉\n\n" +
		"A few things to start with:\n" +
		"• Invite people from the instance settings\n" +
		"• Add channels for what you talk about\n" +
		"• Give roles to those who help you run the place\n" +
		"• Say hello in voice-chat"
}

// welcomeCode is guessed as hard as the contract's eight digits allow.
func welcomeCode() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b)
	return "welcome-" + hex.EncodeToString(b)
}

// optional treats blank text as absent.
func optional(text *string) *string {
	if text == nil || *text == "" {
		return nil
	}
	return text
}
