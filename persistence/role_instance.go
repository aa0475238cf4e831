package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	selectInstanceRoles = query(`
		SELECT id, name, actions, created_at, is_default FROM role WHERE community_id IS NULL ORDER BY created_at, id`)

	selectInstanceRolesOf = query(`
		SELECT r.id, r.name, r.actions, r.created_at, r.is_default FROM role_assignment a JOIN role r ON r.id = a.role_id
		WHERE a.user_id = $1 AND a.community_id IS NULL ORDER BY r.created_at, r.id`)

	lockRole = query(`
		SELECT id, name, actions, created_at, is_default, community_id FROM role WHERE id = $1 FOR UPDATE`)

	selectInstanceRoleTaken = query(`SELECT EXISTS (SELECT FROM role WHERE community_id IS NULL AND name = $1 AND id <> $2)`)

	insertCustomRole = query(`INSERT INTO role (id, name, actions, created_at) VALUES ($1, $2, $3, $4)`)

	selectHolderIDs = query(`SELECT user_id FROM role_assignment WHERE role_id = $1 AND community_id IS NULL LIMIT $2`)

	countHolders = query(`SELECT count(*) FROM role_assignment WHERE role_id = $1`)

	addInstanceAssignment = query(`INSERT INTO role_assignment (id, user_id, role_id) VALUES ($1, $2, $3)`)

	deleteInstanceAssignment = query(`DELETE FROM role_assignment WHERE user_id = $1 AND role_id = $2 AND community_id IS NULL`)
)

var (
	errNoRole         = protocol.NotFound("Role not found")
	errNoInstanceRole = protocol.NotFound("Instance role not found")
)

// InstanceRoles lists the roles of the instance, oldest first.
func (db *DB) InstanceRoles(ctx context.Context) ([]protocol.Role, error) {
	return db.roles(ctx, selectInstanceRoles)
}

// InstanceRolesOf lists the instance roles of a user.
func (db *DB) InstanceRolesOf(ctx context.Context, user protocol.UserID) ([]protocol.Role, error) {
	return db.roles(ctx, selectInstanceRolesOf, user)
}

// lockInstanceRole reads a role of the instance until the end of the
// transaction. missing is the refusal when there is no role with the id at all.
func lockInstanceRole(ctx context.Context, tx pgx.Tx, id protocol.RoleID, missing *protocol.Error) (protocol.Role, error) {
	var r protocol.Role
	var community protocol.CommunityID
	err := tx.QueryRow(ctx, lockRole, id).Scan(&r.ID, &r.Name, &r.Actions, &r.CreatedAt, &r.IsDefault, &community)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return r, missing
	case err == nil && !community.IsZero():
		return r, errNoInstanceRole
	}
	return r, err
}

func noRoleWithID(id protocol.RoleID) *protocol.Error {
	return protocol.NotFound("Role with ID " + id.String() + " not found")
}

func checkInstanceRoleName(ctx context.Context, tx pgx.Tx, name string, except protocol.RoleID) error {
	var taken bool
	if err := tx.QueryRow(ctx, selectInstanceRoleTaken, name, except).Scan(&taken); err != nil {
		return err
	}
	if taken {
		return protocol.Conflict(`Role with name "` + name + `" already exists`)
	}
	return nil
}

// CreateInstanceRole stores a role of the instance.
func (db *DB) CreateInstanceRole(ctx context.Context, owner Owner, r protocol.Role) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if err := checkInstanceRoleName(ctx, tx, r.Name, r.ID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertCustomRole, r.ID, r.Name, r.Actions, r.CreatedAt)
		return err
	})
	return shown(err, "create instance role")
}

// UpdateInstanceRole changes a role of the instance in one fenced transaction.
// change decides what becomes of the role as it is. It returns also who has the
// role, at most limit users of them.
func (db *DB) UpdateInstanceRole(
	ctx context.Context, owner Owner, id protocol.RoleID, limit int, change func(*protocol.Role) error,
) (r protocol.Role, holders []protocol.UserID, err error) {
	err = db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if r, err = lockInstanceRole(ctx, tx, id, noRoleWithID(id)); err != nil {
			return err
		}
		if err := change(&r); err != nil {
			return err
		}
		if err := checkInstanceRoleName(ctx, tx, r.Name, r.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, updateRole, r.ID, r.Name, r.Actions, r.IsDefault); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, selectHolderIDs, id, limit)
		if err != nil {
			return err
		}
		holders, err = pgx.CollectRows(rows, pgx.RowTo[protocol.UserID])
		return err
	})
	return r, holders, shown(err, "update instance role")
}

// DeleteInstanceRole removes a role of the instance that nobody has. may
// refuses to remove the role as it is.
func (db *DB) DeleteInstanceRole(ctx context.Context, owner Owner, id protocol.RoleID, may func(protocol.Role) error) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		r, err := lockInstanceRole(ctx, tx, id, noRoleWithID(id))
		if err != nil {
			return err
		}
		if err := may(r); err != nil {
			return err
		}
		var holders int
		if err := tx.QueryRow(ctx, countHolders, id).Scan(&holders); err != nil {
			return err
		}
		if holders > 0 {
			return protocol.BadRequest(fmt.Sprintf("Cannot delete role with %d assigned user(s). Remove all role assignments first.", holders))
		}
		_, err = tx.Exec(ctx, deleteRole, id)
		return err
	})
	return shown(err, "delete instance role")
}

// AssignInstanceRole gives a user a role of the instance. may refuses to give
// away the role as it is.
func (db *DB) AssignInstanceRole(ctx context.Context, owner Owner, id protocol.RoleID, user protocol.UserID, may func(protocol.Role) error) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		r, err := lockInstanceRole(ctx, tx, id, errNoRole)
		if err != nil {
			return err
		}
		if err := may(r); err != nil {
			return err
		}
		if user.IsZero() { // names nobody, and is NULL for Postgres
			return protocol.NotFound("User not found")
		}
		_, err = tx.Exec(ctx, addInstanceAssignment, protocol.NewRandomID[memberRow](), user, id)
		return err
	})
	return shown(err, "assign instance role")
}

// UnassignInstanceRole takes a role of the instance from a user. may refuses to
// take the role as it is.
func (db *DB) UnassignInstanceRole(ctx context.Context, owner Owner, id protocol.RoleID, user protocol.UserID, may func(protocol.Role) error) error {
	unassigned := protocol.NotFound("User role assignment not found")
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		r, err := lockInstanceRole(ctx, tx, id, unassigned)
		switch {
		case errors.Is(err, errNoInstanceRole):
			return unassigned
		case err != nil:
			return err
		}
		tag, err := tx.Exec(ctx, deleteInstanceAssignment, user, id)
		switch {
		case err != nil:
			return err
		case tag.RowsAffected() == 0:
			return unassigned
		}
		return may(r) // an error undoes the transaction
	})
	return shown(err, "unassign instance role")
}
