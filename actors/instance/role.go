package instance

import (
	"context"
	"slices"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// maxTold is how many users the gates are told of one by one; of more they
// forget everybody.
const maxTold = 100

var (
	errRenameDefault = protocol.BadRequest("Cannot rename a default role")
	errDeleteAdmin   = protocol.BadRequest("Cannot delete the default Instance Admin role")
)

// createRole makes a role that nobody has yet, so it may hold more than its
// maker does.
func (s *State) createRole(t turn.Turn, req protocol.CreateInstanceRole) (turn.Outcome, error) {
	if err := rules.InstanceActions(req.Actions, nil); err != nil {
		return turn.Outcome{}, err
	}
	r := protocol.Role{ID: req.ID, Name: req.Name, Actions: distinct(req.Actions), CreatedAt: t.Now}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.CreateInstanceRole(ctx, owner, r); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return turn.Outcome{Reply: &r}, nil }, nil
	}}, nil
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

// updateRole changes a role. What it wins its changer must have: he, or a friend
// of his, may have the role. Every gate forgets who has it before the reply.
func (s *State) updateRole(t turn.Turn, req protocol.UpdateInstanceRole) (turn.Outcome, error) {
	db, owner, by := s.db, t.Owner, t.Caller
	change := func(r *protocol.Role) error {
		if req.Name != nil && *req.Name != "" && *req.Name != r.Name {
			if r.IsDefault {
				return errRenameDefault
			}
			r.Name = *req.Name
		}
		if req.Actions == nil {
			return nil
		}
		if err := rules.InstanceActions(*req.Actions, r.Actions); err != nil {
			return err
		}
		had := r.Actions
		r.Actions = distinct(*req.Actions)
		won := slices.DeleteFunc(slices.Clone(r.Actions), func(a string) bool { return slices.Contains(had, a) })
		return rules.Granting(by.Owner, by.Actions, won)
	}
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		r, holders, err := db.UpdateInstanceRole(ctx, owner, req.RoleID, maxTold+1, change)
		if err != nil {
			return nil, err
		}
		if len(holders) > maxTold {
			holders = []protocol.UserID{protocol.Everybody}
		}
		return func(turn.Turn) (turn.Outcome, error) { return turn.Outcome{Reply: &r, Accounts: holders}, nil }, nil
	}}, nil
}

func (s *State) deleteRole(t turn.Turn, req protocol.DeleteInstanceRole) (turn.Outcome, error) {
	db, owner := s.db, t.Owner
	may := func(r protocol.Role) error {
		if r.IsDefault && r.Name == rules.RoleInstanceAdmin {
			return errDeleteAdmin
		}
		return nil
	}
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.DeleteInstanceRole(ctx, owner, req.RoleID, may); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return turn.Outcome{}, nil }, nil
	}}, nil
}

// holds refuses to give or take a role with actions that the caller does not
// have.
func holds(by protocol.Caller) func(protocol.Role) error {
	return func(r protocol.Role) error { return rules.Granting(by.Owner, by.Actions, r.Actions) }
}

func (s *State) assignRole(t turn.Turn, req protocol.AssignInstanceRole) (turn.Outcome, error) {
	db, owner, may := s.db, t.Owner, holds(t.Caller)
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.AssignInstanceRole(ctx, owner, req.RoleID, req.UserID, may); err != nil {
			return nil, err
		}
		return told(req.UserID), nil
	}}, nil
}

func (s *State) unassignRole(t turn.Turn, req protocol.UnassignInstanceRole) (turn.Outcome, error) {
	db, owner, may := s.db, t.Owner, holds(t.Caller)
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.UnassignInstanceRole(ctx, owner, req.RoleID, req.UserID, may); err != nil {
			return nil, err
		}
		return told(req.UserID), nil
	}}, nil
}

// told answers when every gate has forgotten the user.
func told(user protocol.UserID) turn.Then {
	return func(turn.Turn) (turn.Outcome, error) { return turn.Outcome{Accounts: []protocol.UserID{user}}, nil }
}
