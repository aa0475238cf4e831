package community

import (
	"context"
	"slices"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errNoRole        = protocol.NotFound("Role not found in this community")
	errNoAssignment  = protocol.NotFound("User role assignment not found")
	errAssigned      = protocol.Conflict("User already has this role")
	errNoMemberRole  = protocol.BadRequest("User is not a member of this community")
	errLastAdmin     = protocol.BadRequest("Cannot remove the last Community Admin")
	errTooManyOfUser = protocol.Conflict("The user has as many roles as a member can have")
)

// maxRolesOfMember bounds the roles of one member.
const maxRolesOfMember = 50

// assignRole gives a member a role whose actions the caller has himself.
func (s *State) assignRole(t turn.Turn, req protocol.AssignRole) (turn.Outcome, error) {
	r, ok := s.roleByID(req.RoleID)
	if !ok {
		return turn.Outcome{}, errNoRole
	}
	if err := s.mayGrant(t, r.Actions); err != nil {
		return turn.Outcome{}, err
	}
	had := s.roster.rolesOf(req.UserID)
	switch {
	case !s.roster.has(req.UserID):
		return s.notMember(req.UserID), nil
	case slices.Contains(had, r.ID):
		return turn.Outcome{}, errAssigned
	case len(had) >= maxRolesOfMember:
		return turn.Outcome{}, errTooManyOfUser
	}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.AssignRole(ctx, owner, s.id, req.UserID, r.ID); err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			e, err := s.event("roleAssigned", protocol.RoleAssigned{CommunityID: s.id, UserID: req.UserID, RoleID: r.ID, RoleName: r.Name})
			if err != nil {
				return turn.Outcome{}, err
			}
			return s.reassign(t, req.UserID, slices.Concat(had, []protocol.RoleID{r.ID}), e)
		}, nil
	}}, nil
}

// notMember finds out why somebody can't be given a role.
func (s *State) notMember(user protocol.UserID) turn.Outcome {
	db := s.db
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		known, err := db.UserExists(ctx, user)
		switch {
		case err != nil:
			return nil, err
		case !known:
			return nil, errNoUser
		}
		return nil, errNoMemberRole
	}}
}

// unassignRole takes a role from a member. Who takes it must have its actions,
// and a community keeps an admin.
func (s *State) unassignRole(t turn.Turn, req protocol.UnassignRole) (turn.Outcome, error) {
	had := s.roster.rolesOf(req.UserID)
	r, ok := s.roleByID(req.RoleID)
	if !ok || !slices.Contains(had, r.ID) {
		return turn.Outcome{}, errNoAssignment
	}
	if err := s.mayGrant(t, r.Actions); err != nil {
		return turn.Outcome{}, err
	}
	if !t.Caller.Owner && r.IsDefault && r.Name == rules.RoleCommunityAdmin && s.roster.count(r.ID) == 1 {
		return turn.Outcome{}, errLastAdmin
	}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.UnassignRole(ctx, owner, s.id, req.UserID, r.ID); err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			e, err := s.event("roleUnassigned", protocol.RoleUnassigned{CommunityID: s.id, UserID: req.UserID, RoleID: r.ID})
			if err != nil {
				return turn.Outcome{}, err
			}
			left := slices.DeleteFunc(slices.Clone(had), func(id protocol.RoleID) bool { return id == r.ID })
			return s.reassign(t, req.UserID, left, e)
		}, nil
	}}, nil
}

// reassign makes the roles those of the member. He may have left meanwhile only
// by a structural turn, and there is none between Commit and this.
func (s *State) reassign(t turn.Turn, user protocol.UserID, roles []protocol.RoleID, e protocol.Event) (turn.Outcome, error) {
	before := s.roster.actions(user)
	s.roster.put(user, roles)
	after := s.roster.actions(user)
	return s.rightsChanged(t, []protocol.UserID{user}, before&^after, after&^before, turn.Outcome{}, []protocol.Event{e})
}
