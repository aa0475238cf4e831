package persistence

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	selectRoles = query(`
		SELECT id, name, actions, created_at, is_default FROM role WHERE community_id = $1 ORDER BY created_at, id`)

	insertRole = query(`
		INSERT INTO role (id, name, community_id, is_default, actions, created_at) VALUES ($1, $2, $3, $4, $5, $6)`)

	// Several nodes may start at once: whoever is second finds the role there.
	insertInstanceRole = query(`
		INSERT INTO role (id, name, is_default, actions, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (name) WHERE community_id IS NULL DO NOTHING`)

	insertAssignment = query(`INSERT INTO role_assignment (id, user_id, community_id, role_id) VALUES ($1, $2, $3, $4)`)

	insertInstanceAssignment = query(`
		INSERT INTO role_assignment (id, user_id, role_id)
		SELECT $1, $2, id FROM role WHERE community_id IS NULL AND name = $3
		ON CONFLICT (user_id, role_id) WHERE community_id IS NULL DO NOTHING`)

	updateRole = query(`UPDATE role SET name = $2, actions = $3, is_default = $4 WHERE id = $1`)

	deleteRole = query(`DELETE FROM role WHERE id = $1`)

	deleteAssignment = query(`DELETE FROM role_assignment WHERE user_id = $1 AND community_id = $2 AND role_id = $3`)

	selectRoleKnown = query(`SELECT EXISTS (SELECT FROM role WHERE id = $1)`)

	// Only members have roles, whatever assignments say.
	selectRolesInCommunity = query(`
		SELECT r.id, r.name, r.actions, r.created_at, r.is_default
		FROM role_assignment a JOIN role r ON r.id = a.role_id
		JOIN membership m ON m.user_id = a.user_id AND m.community_id = a.community_id
		WHERE a.user_id = $1 AND a.community_id = $2 ORDER BY r.created_at, r.id`)

	selectRolesInChannel = query(`
		SELECT r.id, r.name, r.actions, r.created_at, r.is_default
		FROM channel c JOIN role_assignment a ON a.community_id = c.community_id JOIN role r ON r.id = a.role_id
		JOIN membership m ON m.user_id = a.user_id AND m.community_id = a.community_id
		WHERE a.user_id = $1 AND c.id = $2 ORDER BY r.created_at, r.id`)

	selectRoleHolders = query(`
		SELECT u.id, u.username, u.display_name FROM role_assignment a JOIN app_user u ON u.id = a.user_id
		WHERE a.role_id = $1 AND a.user_id > $2
			AND (a.community_id IS NULL OR EXISTS (
				SELECT FROM membership m WHERE m.user_id = a.user_id AND m.community_id = a.community_id))
		ORDER BY a.user_id LIMIT $3`)
)

func scanRole(row pgx.CollectableRow) (protocol.Role, error) {
	var r protocol.Role
	err := row.Scan(&r.ID, &r.Name, &r.Actions, &r.CreatedAt, &r.IsDefault)
	return r, err
}

// CreateRole stores a role of a community.
func (db *DB) CreateRole(ctx context.Context, owner Owner, community protocol.CommunityID, r protocol.Role) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, insertRole, r.ID, r.Name, community, r.IsDefault, r.Actions, r.CreatedAt)
		return err
	})
	return shown(err, "create role")
}

// UpdateRoles stores what roles have become, and those that are new, in one
// fenced transaction.
func (db *DB) UpdateRoles(ctx context.Context, owner Owner, community protocol.CommunityID, changed, added []protocol.Role) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		for _, r := range changed {
			b.Queue(updateRole, r.ID, r.Name, r.Actions, r.IsDefault)
		}
		for _, r := range added {
			b.Queue(insertRole, r.ID, r.Name, community, r.IsDefault, r.Actions, r.CreatedAt)
		}
		return tx.SendBatch(ctx, b).Close()
	})
	return shown(err, "update roles")
}

// DeleteRole removes a role with its assignments.
func (db *DB) DeleteRole(ctx context.Context, owner Owner, id protocol.RoleID) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, deleteRole, id)
		return err
	})
	return shown(err, "delete role")
}

// AssignRole gives a member a role of the community.
func (db *DB) AssignRole(ctx context.Context, owner Owner, community protocol.CommunityID, user protocol.UserID, role protocol.RoleID) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, insertAssignment, protocol.NewRandomID[memberRow](), user, community, role)
		return err
	})
	return shown(err, "assign role")
}

// UnassignRole takes a role of the community from a member.
func (db *DB) UnassignRole(ctx context.Context, owner Owner, community protocol.CommunityID, user protocol.UserID, role protocol.RoleID) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, deleteAssignment, user, community, role)
		return err
	})
	return shown(err, "unassign role")
}

// RoleKnown reports whether there is a role with the id, of whatever community
// or of the instance.
func (db *DB) RoleKnown(ctx context.Context, id protocol.RoleID) (bool, error) {
	var known bool
	if err := db.pool.QueryRow(ctx, selectRoleKnown, id).Scan(&known); err != nil {
		return false, oneLine(fmt.Errorf("look for role %s: %w", id, err))
	}
	return known, nil
}

// RolesInCommunity lists the roles of a member, oldest first; of others none.
func (db *DB) RolesInCommunity(ctx context.Context, user protocol.UserID, community protocol.CommunityID) ([]protocol.Role, error) {
	return db.roles(ctx, selectRolesInCommunity, user, community)
}

// RolesInChannel lists the roles of a member in the community of a channel.
func (db *DB) RolesInChannel(ctx context.Context, user protocol.UserID, channel protocol.ChannelID) ([]protocol.Role, error) {
	return db.roles(ctx, selectRolesInChannel, user, channel)
}

func (db *DB) roles(ctx context.Context, sql string, args ...any) ([]protocol.Role, error) {
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list roles: %w", err))
	}
	list, err := pgx.CollectRows(rows, scanRole)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list roles: %w", err))
	}
	return list, nil
}

// RoleHolders lists at most limit users who have a role, in the order of their
// ids, from behind one of them.
func (db *DB) RoleHolders(ctx context.Context, role protocol.RoleID, after protocol.UserID, limit int) ([]protocol.RoleHolder, error) {
	// The zero id would be NULL, behind which nothing is.
	rows, err := db.pool.Query(ctx, selectRoleHolders, role, after.String(), limit)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list users of role %s: %w", role, err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (protocol.RoleHolder, error) {
		var h protocol.RoleHolder
		err := row.Scan(&h.UserID, &h.Username, &h.DisplayName)
		return h, err
	})
	if err != nil {
		return nil, oneLine(fmt.Errorf("list users of role %s: %w", role, err))
	}
	return list, nil
}
