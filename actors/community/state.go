package community

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// general is the channel that a community is founded with and that new members
// are let into.
const general = "general"

// everything is what an owner of the instance may do.
var everything = rules.Effective(true, nil)

// State is one community in memory.
type State struct {
	cfg Config
	db  *persistence.DB
	id  protocol.CommunityID

	missing  bool // not founded (yet)
	row      protocol.Community
	channels []protocol.Channel // in the order of lists; replaced as a whole, replies share it
	roles    []protocol.Role    // oldest first
	roster   roster
	private  map[protocol.ChannelID]map[protocol.UserID]struct{} // who was let into private channels
	bans     map[protocol.UserID]protocol.Instant                // until when; 0: for ever
	timeouts map[protocol.UserID]protocol.Instant

	version   int64                        // of the answers to AskAccess
	holders   map[protocol.ChannelID]int64 // channels that hold answers, with the version of the latest
	strangers strangers                    // outsiders who got an answer

	online   map[protocol.UserID]protocol.Instant // when last heard of
	since    protocol.Instant                     // when this activation was loaded
	sweeping bool
}

// load reads a community in one round trip. One that does not exist is loaded
// as missing: it may be about to be founded.
func load(ctx context.Context, cfg Config, db *persistence.DB, id protocol.CommunityID, t turn.Turn) (*State, error) {
	rows, err := db.Community(ctx, id, t.Now)
	if err != nil {
		return nil, err
	}
	s := &State{
		cfg: cfg, db: db, id: id,
		version: t.Owner.Epoch << 32,
		holders: map[protocol.ChannelID]int64{},
		online:  map[protocol.UserID]protocol.Instant{},
		since:   t.Now,
	}
	s.replace(rows)
	if t.Owner.Epoch > 1 {
		for _, c := range s.channels {
			s.holders[c.ID] = 0
		}
	}
	return s, nil
}

// replace makes the rows the state.
func (s *State) replace(r persistence.CommunityRows) {
	s.missing = r.Community == nil
	s.row = protocol.Community{}
	if !s.missing {
		s.row = *r.Community
	}
	s.channels, s.roles = r.Channels, r.Roles
	s.roster = newRoster(s.roles, r.Members)
	s.private = map[protocol.ChannelID]map[protocol.UserID]struct{}{}
	for _, p := range r.Private {
		for _, u := range p.Users {
			s.letIn(p.Channel, u)
		}
	}
	s.bans, s.timeouts = restrictions(r.Bans), restrictions(r.Timeouts)
}

func restrictions(list []persistence.Restriction) map[protocol.UserID]protocol.Instant {
	m := make(map[protocol.UserID]protocol.Instant, len(list))
	for _, r := range list {
		m[r.User] = r.Until
	}
	return m
}

// letIn notes that a user was let into a private channel.
func (s *State) letIn(channel protocol.ChannelID, user protocol.UserID) {
	if s.private[channel] == nil {
		s.private[channel] = map[protocol.UserID]struct{}{}
	}
	s.private[channel][user] = struct{}{}
}

// actions is what a user may do in the community, outside of private channels.
func (s *State) actions(user protocol.UserID, owner bool) protocol.ActionSet {
	if owner {
		return everything
	}
	return s.roster.actions(user)
}

// judge decides by the caller's roles; what depends on one channel is decided
// by the handler. An owner passes, so that he learns what is missing.
func (s *State) judge(t turn.Turn, op *protocol.Operation) turn.Verdict {
	if t.Caller.Owner || !s.missing && s.roster.actions(t.Caller.UserID).Has(op.Permission) {
		return turn.Allow
	}
	return turn.Deny
}

func (s *State) channel(id protocol.ChannelID) (protocol.Channel, bool) {
	i := slices.IndexFunc(s.channels, func(c protocol.Channel) bool { return c.ID == id })
	if i < 0 {
		return protocol.Channel{}, false
	}
	return s.channels[i], true
}

func (s *State) channelNamed(name string) (protocol.Channel, bool) {
	i := slices.IndexFunc(s.channels, func(c protocol.Channel) bool { return c.Name == name })
	if i < 0 {
		return protocol.Channel{}, false
	}
	return s.channels[i], true
}

// inside reports whether a channel is open to a member.
func (s *State) inside(c protocol.Channel, user protocol.UserID) bool {
	if !c.IsPrivate {
		return true
	}
	_, in := s.private[c.ID][user]
	return in
}

// open lists the channels that a member can see into.
func (s *State) open(user protocol.UserID) []protocol.ChannelID {
	var ids []protocol.ChannelID
	for _, c := range s.channels {
		if s.inside(c, user) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func (s *State) role(name string) (protocol.Role, bool) {
	i := slices.IndexFunc(s.roles, func(r protocol.Role) bool { return r.Name == name })
	if i < 0 {
		return protocol.Role{}, false
	}
	return s.roles[i], true
}

// learnRole adds a role that the state did not have.
func (s *State) learnRole(r protocol.Role) {
	if slices.ContainsFunc(s.roles, func(o protocol.Role) bool { return o.ID == r.ID }) {
		return
	}
	s.roles = append(slices.Clone(s.roles), r)
	slices.SortFunc(s.roles, func(a, b protocol.Role) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), bytes.Compare(a.ID[:], b.ID[:]))
	})
	s.roster.know(s.roles)
}

// newRole makes a default role of a new or mended community.
func newRole(d rules.DefaultRole, at protocol.Instant) protocol.Role {
	return protocol.Role{
		ID: protocol.RoleID(protocol.NewID[row]()), Name: d.Name, Actions: d.Names(), CreatedAt: at, IsDefault: true,
	}
}

// row tags the ids that this package makes.
type row struct{}

func memberRole() rules.DefaultRole {
	all := rules.CommunityRoles()
	return all[slices.IndexFunc(all, func(r rules.DefaultRole) bool { return r.Name == rules.RoleMember })]
}
