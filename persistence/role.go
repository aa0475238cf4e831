package persistence

import (
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
)

func scanRole(row pgx.CollectableRow) (protocol.Role, error) {
	var r protocol.Role
	err := row.Scan(&r.ID, &r.Name, &r.Actions, &r.CreatedAt, &r.IsDefault)
	return r, err
}
