package community

import (
	"context"
	"maps"
	"slices"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errNoUserOrCommunity = protocol.NotFound("User or community not found")
	errAlreadyMember     = protocol.Conflict("User is already a member of this community")
	errBanned            = protocol.Forbidden("You are banned from this community")
)

// addMember takes a user in, with the role Member (made again if the community
// lost it) and into the channel general.
func (s *State) addMember(t turn.Turn, req protocol.AddMember) (turn.Outcome, error) {
	until, banned := s.bans[req.UserID]
	switch {
	case s.missing:
		return turn.Outcome{}, errNoUserOrCommunity
	case s.roster.has(req.UserID):
		return turn.Outcome{}, errAlreadyMember
	case banned && (until == 0 || until > t.Now):
		return turn.Outcome{}, errBanned
	}
	n := persistence.NewMember{
		Membership: protocol.Membership{
			ID: protocol.AnyID(protocol.NewRandomID[row]()), UserID: req.UserID, CommunityID: s.id, JoinedAt: t.Now,
		},
		AddedBy: t.Caller.UserID,
	}
	role, ok := s.role(rules.RoleMember)
	if !ok {
		role, n.CreateRole = newRole(memberRole(), t.Now), true
	}
	n.Role = role
	if c, ok := s.channelNamed(general); ok {
		n.Channel = c.ID
	}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.AddMember(ctx, owner, n); err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) { return s.memberAdded(t, n) }, nil
	}}, nil
}

func (s *State) memberAdded(t turn.Turn, n persistence.NewMember) (turn.Outcome, error) {
	m := n.Membership
	s.learnRole(n.Role)
	s.roster.put(m.UserID, []protocol.RoleID{n.Role.ID})
	delete(s.bans, m.UserID)
	if c, ok := s.channel(n.Channel); ok && c.IsPrivate {
		s.letIn(c.ID, m.UserID)
	}
	return s.announceMember(t, m.UserID, n.Role, &m)
}

// announceMember tells the members, then lets the new one's sockets in.
func (s *State) announceMember(t turn.Turn, user protocol.UserID, role protocol.Role, reply any) (turn.Outcome, error) {
	e, err := s.event("roleAssigned", protocol.RoleAssigned{CommunityID: s.id, UserID: user, RoleID: role.ID, RoleName: role.Name})
	if err != nil {
		return turn.Outcome{}, err
	}
	out := s.welcome(user, reply)
	if s.strangers.take(user) {
		if out, err = s.takeBack(t, []protocol.UserID{user}, grown(out)); err != nil {
			return out, err
		}
	}
	out.Events = append([]protocol.Event{e}, out.Events...)
	return out, nil
}

func (s *State) listMembers(turn.Turn, protocol.ListMembers) (turn.Outcome, error) {
	return s.grantMembers()
}

func (s *State) searchMembers(turn.Turn, protocol.SearchMembers) (turn.Outcome, error) {
	return s.grantMembers()
}

func (s *State) getMember(_ turn.Turn, req protocol.GetMember) (turn.Outcome, error) {
	if !s.roster.has(req.UserID) {
		return turn.Outcome{}, errNoMember
	}
	return s.grantMembers()
}

// grantMembers is leave to read members from Postgres.
func (s *State) grantMembers() (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoCommunity
	}
	return turn.Outcome{Reply: &protocol.MembersGrant{CommunityID: s.id}}, nil
}

// reloadMember reads a membership that a registration wrote.
func (s *State) reloadMember(t turn.Turn, m *protocol.ReloadMember) (turn.Outcome, error) {
	db, id, user := s.db, s.id, m.User
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		rows, err := db.Member(ctx, id, user)
		if err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			if m.Gone && rows.Membership == nil {
				return s.accountGone(t, user)
			}
			return s.memberReloaded(t, user, rows)
		}, nil
	}}, nil
}

// accountGone forgets all about a user whose account was deleted, and has the
// channels forget who wrote his messages.
func (s *State) accountGone(t turn.Turn, user protocol.UserID) (turn.Outcome, error) {
	var events []protocol.Event
	if s.roster.has(user) { // members look at their list again, as when somebody was removed
		e, err := s.event("userKicked", protocol.UserKicked{CommunityID: s.id, UserID: user, ModeratorID: user})
		if err != nil {
			return turn.Outcome{}, err
		}
		events = append(events, e)
	}
	for _, in := range s.private {
		delete(in, user)
	}
	s.roster.remove(user)
	delete(s.online, user)
	delete(s.bans, user)
	delete(s.timeouts, user)
	channels := slices.Collect(maps.Keys(s.holders)) // takeBack may shorten the list
	out, err := s.takeBack(t, []protocol.UserID{user}, func(t turn.Turn, confirmed bool) (turn.Outcome, error) {
		out, err := shrunk(t, confirmed)
		for _, c := range channels {
			out.Tells = append(out.Tells, turn.Tell{Kind: protocol.KindChannel, ID: c.String(), Msg: &protocol.AuthorGone{User: user}})
		}
		return out, err
	})
	out.Events = slices.Concat(events, out.Events)
	return out, err
}

func (s *State) memberReloaded(t turn.Turn, user protocol.UserID, rows persistence.MemberRows) (turn.Outcome, error) {
	if rows.Membership == nil {
		return s.dropMember(t, departure{user: user})
	}
	was := s.roster.actions(user)
	for _, in := range s.private {
		delete(in, user)
	}
	ids := make([]protocol.RoleID, len(rows.Roles))
	for i, r := range rows.Roles {
		s.learnRole(r)
		ids[i] = r.ID
	}
	s.roster.put(user, ids)
	for _, c := range rows.Private {
		s.letIn(c, user)
	}
	if was&^s.roster.actions(user) != 0 {
		return s.takeBack(t, []protocol.UserID{user}, shrunk)
	}
	return s.announceMember(t, user, shownRole(rows.Roles), &protocol.Done{})
}

// shownRole is the role that the members are told about.
func shownRole(roles []protocol.Role) protocol.Role {
	if i := slices.IndexFunc(roles, func(r protocol.Role) bool { return r.Name == rules.RoleMember }); i >= 0 {
		return roles[i]
	}
	if len(roles) > 0 {
		return roles[0]
	}
	return protocol.Role{Name: rules.RoleMember}
}
