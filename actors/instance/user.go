package instance

import (
	"context"
	"slices"
	"strings"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// registerUser stores a user with what his invite brings. The communities
// concerned read their new member before the reply.
func (s *State) registerUser(t turn.Turn, req protocol.RegisterUser) (turn.Outcome, error) {
	n := persistence.NewUser{
		ID: req.ID, Username: strings.ToLower(req.Username), Email: optional(req.Email), Hash: req.Hash, Code: req.Code,
		At: t.Now, Member: memberRole(), Channel: general,
	}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		r, err := db.RegisterUser(ctx, owner, n)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			s.rows.HasUsers = true
			return announceUser(r), nil
		}, nil
	}}, nil
}

func memberRole() protocol.Role {
	all := rules.CommunityRoles()
	d := all[slices.IndexFunc(all, func(r rules.DefaultRole) bool { return r.Name == rules.RoleMember })]
	return protocol.Role{Name: d.Name, Actions: d.Names(), IsDefault: true}
}

// announceUser tells the communities of a new user. One that can't be told
// now reads the membership when it is loaded.
func announceUser(r persistence.Registered) turn.Outcome {
	if len(r.Communities) == 0 {
		return turn.Outcome{Reply: &r.User}
	}
	out := turn.Outcome{
		Asks: make([]turn.Ask, len(r.Communities)),
		Then: func(turn.Turn, []turn.Answer) (turn.Outcome, error) { return turn.Outcome{Reply: &r.User}, nil },
	}
	for i, c := range r.Communities {
		out.Asks[i] = turn.Ask{Kind: protocol.KindCommunity, ID: c.String(), Msg: &protocol.ReloadMember{User: r.User.ID}}
	}
	return out
}
