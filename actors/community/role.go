package community

import (
	"context"
	"fmt"
	"slices"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errTooManyRoles  = protocol.Conflict("The community has as many roles as it can have")
	errRenameDefault = protocol.BadRequest("Cannot change the name of default roles. Only permissions can be modified.")
	errDeleteDefault = protocol.BadRequest("Cannot delete default roles.")
)

func roleTaken(name string) *protocol.Error {
	return protocol.Conflict(`Role with name "` + name + `" already exists in this community`)
}

func (s *State) roleByID(id protocol.RoleID) (protocol.Role, bool) {
	i := slices.IndexFunc(s.roles, func(r protocol.Role) bool { return r.ID == id })
	if i < 0 {
		return protocol.Role{}, false
	}
	return s.roles[i], true
}

// setRoles replaces the list of roles and what the sets of members' roles are
// worth: a few sets, however many members.
func (s *State) setRoles(roles []protocol.Role) {
	s.roles = roles
	s.roster.know(roles)
}

// withRole is the list of roles with one of them replaced.
func (s *State) withRole(r protocol.Role) []protocol.Role {
	roles := slices.Clone(s.roles)
	for i := range roles {
		if roles[i].ID == r.ID {
			roles[i] = r
		}
	}
	return roles
}

func (s *State) listRoles(turn.Turn, protocol.ListRoles) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoCommunity
	}
	return turn.Outcome{Reply: s.shownRoles()}, nil
}

func (s *State) shownRoles() *protocol.CommunityRoles {
	return &protocol.CommunityRoles{CommunityID: s.id, Roles: append([]protocol.Role{}, s.roles...)}
}

// memberRoles are a member's roles, oldest first.
func (s *State) memberRoles(user protocol.UserID) []protocol.Role {
	ids := s.roster.rolesOf(user)
	list := make([]protocol.Role, 0, len(ids))
	for _, r := range s.roles {
		if slices.Contains(ids, r.ID) {
			list = append(list, r)
		}
	}
	return list
}

func (s *State) rolesOfMember(_ turn.Turn, req protocol.GetMemberRoles) (turn.Outcome, error) {
	id := protocol.AnyID(s.id)
	return turn.Outcome{Reply: &protocol.UserRoles{
		UserID: req.UserID, ResourceID: &id, ResourceType: protocol.RolesOfCommunity, Roles: s.memberRoles(req.UserID),
	}}, nil
}

func (s *State) rolesInChannel(t turn.Turn, req protocol.GetChannelRoles) (turn.Outcome, error) {
	c, ok := s.channel(req.ChannelID)
	switch {
	case !t.Caller.Owner && (!ok || !s.inside(c, t.Caller.UserID)):
		return turn.Outcome{}, protocol.ErrForbidden
	case !ok:
		return turn.Outcome{}, errNoChannel
	}
	id := protocol.AnyID(req.ChannelID)
	return turn.Outcome{Reply: &protocol.UserRoles{
		UserID: req.UserID, ResourceID: &id, ResourceType: protocol.RolesOfChannel, Roles: s.memberRoles(req.UserID),
	}}, nil
}

// roleUsers lets the edge read who has a role of the community.
func (s *State) roleUsers(_ turn.Turn, req protocol.ListRoleUsers) (turn.Outcome, error) {
	grant := &protocol.RoleUsersGrant{}
	if _, ok := s.roleByID(req.RoleID); ok {
		grant.RoleID = req.RoleID
	}
	return turn.Outcome{Reply: grant}, nil
}

// createRole makes a custom role of actions that the caller has. The id was made
// by the edge: whoever repeats the request gets the first one's result.
func (s *State) createRole(t turn.Turn, req protocol.CreateRole) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoCommunity
	}
	if r, again := s.roleByID(req.ID); again {
		return turn.Outcome{Reply: &r}, nil
	}
	if err := s.freeRoleName(req.Name); err != nil {
		return turn.Outcome{}, err
	}
	if err := s.mayGrant(t, req.Actions); err != nil {
		return turn.Outcome{}, err
	}
	if len(s.roles) >= protocol.MaxRoles {
		return turn.Outcome{}, errTooManyRoles
	}
	r := protocol.Role{ID: req.ID, Name: req.Name, Actions: distinct(req.Actions), CreatedAt: t.Now}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.CreateRole(ctx, owner, s.id, r); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			s.learnRole(r)
			e, err := s.event("roleCreated", protocol.RoleChanged{CommunityID: s.id, RoleID: r.ID, RoleName: r.Name})
			return turn.Outcome{Reply: &r, Events: []protocol.Event{e}}, err
		}, nil
	}}, nil
}

func (s *State) freeRoleName(name string) error {
	if _, taken := s.role(name); taken {
		return roleTaken(name)
	}
	if rules.ReservedRole(name) {
		return protocol.BadRequest(`The role name "` + name + `" is reserved`)
	}
	return nil
}

// mayGrant refuses to give away or take back what the caller does not have in
// this community.
func (s *State) mayGrant(t turn.Turn, actions []string) error {
	return rules.Granting(t.Caller.Owner, s.roster.actions(t.Caller.UserID), actions)
}

// distinct names each action once, in the order given.
func distinct(actions []string) []string {
	list := make([]string, 0, len(actions))
	for _, a := range actions {
		if !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// lookup finds a role of this community. When there is none it returns how to
// find out which of two refusals is the right one.
func (s *State) lookup(id protocol.RoleID) (protocol.Role, *turn.Outcome) {
	if r, ok := s.roleByID(id); ok {
		return r, nil
	}
	db := s.db
	return protocol.Role{}, &turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		text := "Role with ID " + id.String() + " not found"
		known, err := db.RoleKnown(ctx, id)
		if err != nil {
			return nil, err
		}
		if known {
			text += " in this community"
		}
		return nil, protocol.NotFound(text)
	}}
}

// updateRole changes name and actions of a role; what is not given stays.
func (s *State) updateRole(t turn.Turn, req protocol.UpdateRole) (turn.Outcome, error) {
	r, unknown := s.lookup(req.RoleID)
	if unknown != nil {
		return *unknown, nil
	}
	renamed := req.Name != nil && *req.Name != "" && *req.Name != r.Name
	if renamed && r.IsDefault {
		return turn.Outcome{}, errRenameDefault
	}
	before := protocol.ParseActionSet(r.Actions)
	if req.Actions != nil {
		if err := s.mayGrant(t, *req.Actions); err != nil {
			return turn.Outcome{}, err
		}
		r.Actions = distinct(*req.Actions)
	}
	if renamed {
		if err := s.freeRoleName(*req.Name); err != nil {
			return turn.Outcome{}, err
		}
		r.Name = *req.Name
	}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.UpdateRoles(ctx, owner, s.id, []protocol.Role{r}, nil); err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			s.setRoles(s.withRole(r))
			after := protocol.ParseActionSet(r.Actions)
			return s.rolesChanged(t, []protocol.Role{r}, before&^after, after&^before, &r)
		}, nil
	}}, nil
}

// rolesChanged announces roles, and answers when every channel has let go of
// what it knows if the change is about rights.
func (s *State) rolesChanged(t turn.Turn, changed []protocol.Role, lost, won protocol.ActionSet, reply any) (turn.Outcome, error) {
	events := make([]protocol.Event, len(changed))
	for i, r := range changed {
		e, err := s.event("roleUpdated", protocol.RoleChanged{CommunityID: s.id, RoleID: r.ID, RoleName: r.Name})
		if err != nil {
			return turn.Outcome{}, err
		}
		events[i] = e
	}
	return s.rightsChanged(t, nil, lost, won, turn.Outcome{Reply: reply}, events)
}

// rightsChanged takes back what channels know of the users (nil: of everybody),
// unless nothing changed. A loss of rights is reported as done only when they
// have confirmed it.
func (s *State) rightsChanged(
	t turn.Turn, users []protocol.UserID, lost, won protocol.ActionSet, done turn.Outcome, events []protocol.Event,
) (out turn.Outcome, err error) {
	switch {
	case lost != 0:
		out, err = s.takeBack(t, users, confirmed(done))
	case won != 0:
		out, err = s.takeBack(t, users, grown(done))
	default:
		out = done
	}
	out.Events = append(events, out.Events...)
	return out, err
}

// deleteRole removes a custom role that no member has.
func (s *State) deleteRole(t turn.Turn, req protocol.DeleteRole) (turn.Outcome, error) {
	r, unknown := s.lookup(req.RoleID)
	if unknown != nil {
		return *unknown, nil
	}
	if r.IsDefault {
		return turn.Outcome{}, errDeleteDefault
	}
	if n := s.roster.count(r.ID); n > 0 {
		return turn.Outcome{}, protocol.BadRequest(fmt.Sprintf(
			`Cannot delete role "%s" because it is assigned to %d user(s). Remove all role assignments first.`, r.Name, n))
	}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.DeleteRole(ctx, owner, r.ID); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			s.setRoles(slices.DeleteFunc(slices.Clone(s.roles), func(o protocol.Role) bool { return o.ID == r.ID }))
			e, err := s.event("roleDeleted", protocol.RoleDeleted{CommunityID: s.id, RoleID: r.ID})
			return turn.Outcome{Events: []protocol.Event{e}}, err
		}, nil
	}}, nil
}

// resetRoles gives the default roles their first actions and makes those that
// are missing. Custom roles and assignments stay.
func (s *State) resetRoles(t turn.Turn, _ protocol.ResetRoles) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoCommunity
	}
	var changed, added []protocol.Role
	var lost, won protocol.ActionSet
	for _, d := range rules.CommunityRoles() {
		r, there := s.role(d.Name)
		if !there {
			added = append(added, newRole(d, t.Now))
			continue
		}
		old := protocol.ParseActionSet(r.Actions)
		lost, won = lost|old&^d.Set(), won|d.Set()&^old
		r.Actions, r.IsDefault = d.Names(), true
		changed = append(changed, r)
	}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.UpdateRoles(ctx, owner, s.id, changed, added); err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			for _, r := range changed {
				s.setRoles(s.withRole(r))
			}
			for _, r := range added {
				s.learnRole(r)
			}
			return s.rolesChanged(t, slices.Concat(changed, added), lost, won, s.shownRoles())
		}, nil
	}}, nil
}
