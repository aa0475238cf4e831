package persistence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	selectLogin = query(`SELECT id, username, password_hash, role, banned FROM app_user WHERE username = $1`)

	selectAccountState = query(`
		SELECT u.username, u.role, u.banned,
			ARRAY (SELECT DISTINCT action FROM role_assignment a JOIN role r ON r.id = a.role_id, unnest(r.actions) AS action
				WHERE a.user_id = u.id AND a.community_id IS NULL),
			ARRAY (SELECT t.id FROM revoked_token t WHERE t.user_id = u.id AND t.expires_at > $2)
		FROM app_user u WHERE u.id = $1`)

	// Taken by whoever ends logins of the account; see lockForLogin.
	lockAccount = query(`SELECT role FROM app_user WHERE id = $1 FOR NO KEY UPDATE`)

	setBan = query(`
		UPDATE app_user u SET banned = $2 OR leaving_at IS NOT NULL, banned_at = CASE WHEN $2 THEN $3::timestamptz END,
			banned_by = CASE WHEN $2 THEN $4::uuid END
		WHERE u.id = $1
		RETURNING ` + adminUserColumns)
)

// LoginRow is what a login is checked against.
type LoginRow struct {
	ID       protocol.UserID
	Username string
	Hash     string
	Role     string
	Banned   bool
}

// UserForLogin finds an account by its lower-case name; an unknown one is a
// NotFound, which must not be shown.
func (db *DB) UserForLogin(ctx context.Context, username string) (LoginRow, error) {
	var l LoginRow
	err := db.pool.QueryRow(ctx, selectLogin, username).Scan(&l.ID, &l.Username, &l.Hash, &l.Role, &l.Banned)
	if errors.Is(err, pgx.ErrNoRows) {
		return l, protocol.NotFound("User not found")
	}
	if err != nil {
		return l, oneLine(fmt.Errorf("read account for login: %w", err))
	}
	return l, nil
}

// AccountState is what decides whether a valid token is still good, and for
// what.
type AccountState struct {
	Username string
	Role     string
	Banned   bool
	Actions  protocol.ActionSet // of all instance roles
	Revoked  []protocol.AnyID   // access tokens (jti) and sessions (sid) that ended early and have not expired
}

// AccountState reads the state of an account in one query; an unknown one is a
// NotFound.
func (db *DB) AccountState(ctx context.Context, user protocol.UserID, now protocol.Instant) (AccountState, error) {
	var s AccountState
	var actions []string
	err := db.pool.QueryRow(ctx, selectAccountState, user, now).Scan(&s.Username, &s.Role, &s.Banned, &actions, &s.Revoked)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, protocol.NotFound("User not found")
	}
	if err != nil {
		return s, oneLine(fmt.Errorf("read account %s: %w", user, err))
	}
	s.Actions = protocol.ParseActionSet(actions)
	return s, nil
}

// AccountBan bans an account or ends its ban.
type AccountBan struct {
	User   protocol.UserID
	By     protocol.UserID
	Banned bool
	At     protocol.Instant

	AccessFor time.Duration // lifetime of access tokens
}

// SetAccountBan stores a ban in one fenced transaction and with it ends every
// login of the account. Errors for the caller are those of the contract.
func (db *DB) SetAccountBan(ctx context.Context, owner Owner, ban AccountBan) (protocol.AdminUser, error) {
	var u protocol.AdminUser
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		var role string
		err := tx.QueryRow(ctx, lockAccount, ban.User).Scan(&role)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return protocol.NotFound("User not found")
		case err != nil:
			return err
		case ban.User == ban.By:
			return protocol.Forbidden("Cannot ban yourself")
		case ban.Banned && role == protocol.RoleOwner:
			return protocol.Forbidden("Cannot ban an instance owner")
		}
		if ban.Banned {
			if _, err := endFamilies(ctx, tx, ban.User, protocol.SessionID{}, ban.At, ban.AccessFor); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, setBan, ban.User, ban.Banned, ban.At, ban.By).Scan(adminUserFields(&u)...)
	})
	return u, shown(err, "ban account")
}
