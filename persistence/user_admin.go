package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

const adminUserColumns = publicUserColumns + `, u.email, u.verified, u.created_at, u.status_updated_at,
	u.banned, u.banned_at, u.banned_by, u.storage_quota_bytes, u.storage_used_bytes`

var (
	selectAdminUser = query(`SELECT ` + adminUserColumns + ` FROM app_user u WHERE u.id = $1`)

	selectAdminUsers = query(`
		SELECT ` + adminUserColumns + ` FROM app_user u
		WHERE ($2::uuid IS NULL OR (u.created_at, u.id) < (SELECT created_at, id FROM app_user WHERE id = $2))
			AND ($3::boolean IS NULL OR u.banned = $3) AND ($4 = '' OR u.role = $4)
			AND ($5 = '' OR ` + userName + ` LIKE '%' || lower($5) || '%' OR lower(u.email) LIKE '%' || lower($5) || '%')
		ORDER BY u.created_at DESC, u.id DESC LIMIT $1`)

	// The rows of the caller and of all owners are locked, in one order for all:
	// of two demotions at the same time the second sees what the first has done.
	lockOwners = query(`
		SELECT id, role, banned FROM app_user WHERE role = 'OWNER' OR id = ANY ($1) ORDER BY id FOR NO KEY UPDATE`)

	setUserRole = query(`UPDATE app_user u SET role = $2 WHERE u.id = $1 RETURNING ` + adminUserColumns)
)

func adminUserFields(u *protocol.AdminUser) []any {
	return append(publicUserFields(&u.PublicUser), &u.Email, &u.Verified, &u.CreatedAt, &u.StatusUpdatedAt,
		&u.Banned, &u.BannedAt, &u.BannedByID, &u.StorageQuotaBytes, &u.StorageUsedBytes)
}

func scanAdminUser(row pgx.CollectableRow) (protocol.AdminUser, error) {
	var u protocol.AdminUser
	err := row.Scan(adminUserFields(&u)...)
	return u, err
}

// AdminUser reads a user as administrators see him; an unknown one is a NotFound.
func (db *DB) AdminUser(ctx context.Context, id protocol.UserID) (protocol.AdminUser, error) {
	var u protocol.AdminUser
	err := db.pool.QueryRow(ctx, selectAdminUser, id).Scan(adminUserFields(&u)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return u, protocol.NotFound("User not found")
	}
	if err != nil {
		return u, oneLine(fmt.Errorf("read account %s: %w", id, err))
	}
	return u, nil
}

// AccountFilter says which accounts are listed; its zero value: all.
type AccountFilter struct {
	After  protocol.UserID // the last one of the page before
	Banned *bool
	Role   string
	Part   string // of name, display name or e-mail address, in any case
}

// AdminUsers lists a page of accounts, newest first.
func (db *DB) AdminUsers(ctx context.Context, f AccountFilter, limit int) (protocol.AccountPage, error) {
	// Planned anew each time: the best plan depends on what is filtered.
	list, err := collect(ctx, db, scanAdminUser, selectAdminUsers, pgx.QueryExecModeDescribeExec,
		limit+1, f.After, f.Banned, f.Role, likePattern(f.Part))
	if err != nil {
		return protocol.AccountPage{}, oneLine(fmt.Errorf("list accounts: %w", err))
	}
	p := protocol.AccountPage{Users: list}
	if len(list) > limit {
		p.Users = list[:limit]
		p.ContinuationToken = &p.Users[limit-1].ID
	}
	return p, nil
}

// SetUserRole makes a user an owner of the instance or an ordinary user, in one
// fenced transaction. Only owners may change who is one, and one of them, who
// is not banned, has to stay.
func (db *DB) SetUserRole(ctx context.Context, owner Owner, by, id protocol.UserID, role string) (protocol.AdminUser, error) {
	var u protocol.AdminUser
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if err := checkRoleChange(ctx, tx, by, id, role); err != nil {
			return err
		}
		return tx.QueryRow(ctx, setUserRole, id, role).Scan(adminUserFields(&u)...)
	})
	return u, shown(err, "set role of user")
}

func checkRoleChange(ctx context.Context, tx pgx.Tx, by, id protocol.UserID, role string) error {
	type account struct {
		ID     protocol.UserID
		Role   string
		Banned bool
	}
	rows, err := tx.Query(ctx, lockOwners, []protocol.UserID{by, id})
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[account])
	if err != nil {
		return err
	}
	var found, owns bool
	var was string
	others := 0 // owners that stay
	for _, a := range list {
		isOwner := a.Role == protocol.RoleOwner
		if a.ID == id {
			found, was = true, a.Role
		} else if isOwner && !a.Banned {
			others++
		}
		owns = owns || a.ID == by && isOwner
	}
	switch {
	case !found:
		return protocol.NotFound("User not found")
	case was == role:
		return nil
	case !owns:
		return protocol.ErrForbidden
	case was == protocol.RoleOwner && others == 0:
		return protocol.Forbidden("Cannot demote the last owner. Promote another user first.")
	}
	return nil
}
