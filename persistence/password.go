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
	selectPasswordHash = query(`SELECT password_hash FROM app_user WHERE id = $1`)

	renewPasswordHash = query(`UPDATE app_user SET password_hash = $3 WHERE id = $1 AND password_hash = $2`)

	changePassword = query(`UPDATE app_user SET password_hash = $3 WHERE id = $1 AND password_hash = $2 AND NOT banned`)

	setPassword = query(`UPDATE app_user SET password_hash = $2 WHERE id = $1`)

	// With a new password the links and the known places of the old one are void.
	deleteResets = query(`DELETE FROM password_reset WHERE user_id = $1 AND used_at IS NULL`)

	// An account has one link: a new one replaces it.
	storeReset = query(`
		INSERT INTO password_reset (token_hash, user_id, created_by, by_owner, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (user_id) DO UPDATE SET token_hash = excluded.token_hash, created_by = excluded.created_by,
			by_owner = excluded.by_owner, created_at = excluded.created_at, expires_at = excluded.expires_at, used_at = NULL`)

	selectReset = query(`SELECT user_id FROM password_reset WHERE token_hash = $1 AND used_at IS NULL`)

	// The one statement that decides who of several uses the link. An account that
	// has become an owner's since needs an owner's link.
	useReset = query(`
		UPDATE password_reset r SET used_at = $3 FROM app_user u
		WHERE r.token_hash = $1 AND r.user_id = $2 AND r.used_at IS NULL AND r.expires_at > $3
			AND u.id = r.user_id AND (r.by_owner OR u.role <> 'OWNER')`)
)

var errBadReset = protocol.BadRequest("Invalid or expired reset link")

// PasswordHash reads the hash of an account's password.
func (db *DB) PasswordHash(ctx context.Context, user protocol.UserID) (string, error) {
	var hash string
	err := db.pool.QueryRow(ctx, selectPasswordHash, user).Scan(&hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", protocol.ErrUnauthorized
	}
	if err != nil {
		return "", oneLine(fmt.Errorf("read password hash of user %s: %w", user, err))
	}
	return hash, nil
}

// RenewPasswordHash replaces a hash of an older kind, unless it has changed
// meanwhile.
func (db *DB) RenewPasswordHash(ctx context.Context, user protocol.UserID, old, renewed string) error {
	if _, err := db.pool.Exec(ctx, renewPasswordHash, user, old, renewed); err != nil {
		return oneLine(fmt.Errorf("renew password hash: %w", err))
	}
	return nil
}

// PasswordChange is a new password of an account.
type PasswordChange struct {
	User      protocol.UserID
	Proven    string // the hash of the password before
	Hash      string
	Keep      protocol.SessionID // the login that goes on
	At        protocol.Instant
	AccessFor time.Duration // lifetime of access tokens
	Network   string        // from where a link was used; from then on known
}

// ChangePassword stores a new password, unless the one before has been replaced
// meanwhile, and ends all logins but one. It returns those that were alive.
func (db *DB) ChangePassword(ctx context.Context, c PasswordChange) (ended []protocol.SessionID, ok bool, err error) {
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		changed, err := tx.Exec(ctx, changePassword, c.User, c.Proven, c.Hash)
		if err != nil || changed.RowsAffected() == 0 {
			return err
		}
		ok = true
		ended, err = afterPassword(ctx, tx, c)
		return err
	})
	if err != nil {
		return nil, false, oneLine(fmt.Errorf("change password: %w", err))
	}
	return ended, ok, nil
}

// afterPassword ends what the old password has led to. The caller holds the
// account's lock.
func afterPassword(ctx context.Context, tx pgx.Tx, c PasswordChange) ([]protocol.SessionID, error) {
	b := &pgx.Batch{}
	b.Queue(deleteResets, c.User)
	b.Queue(deleteLoginPlaces, c.User)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, err
	}
	return endFamilies(ctx, tx, c.User, c.Keep, c.At, c.AccessFor)
}

// NewReset is a link with which a password can be set once.
type NewReset struct {
	User    protocol.UserID
	By      protocol.UserID
	ByOwner bool
	Hash    [32]byte // SHA-256 of the token
	At      protocol.Instant
	Expires protocol.Instant
}

// StoreReset stores a link. It replaces the one that the account had.
func (db *DB) StoreReset(ctx context.Context, r NewReset) error {
	_, err := db.pool.Exec(ctx, storeReset, r.Hash[:], r.User, r.By, r.ByOwner, r.At, r.Expires)
	return shown(err, "store reset link")
}

// ResetPending reports whether there is an unused link with this token.
func (db *DB) ResetPending(ctx context.Context, hash [32]byte) (bool, error) {
	var user protocol.UserID
	err := db.pool.QueryRow(ctx, selectReset, hash[:]).Scan(&user)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, oneLine(fmt.Errorf("look for reset link: %w", err))
	}
	return true, nil
}

// ResetPassword sets the password of the account that a link is for and ends all
// its logins, in one fenced transaction. It returns the account.
func (db *DB) ResetPassword(ctx context.Context, owner Owner, token [32]byte, c PasswordChange) (user protocol.UserID, err error) {
	err = db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, selectReset, token[:]).Scan(&c.User); err != nil {
			return refused(err)
		}
		var role string
		if err := tx.QueryRow(ctx, lockAccount, c.User).Scan(&role); err != nil {
			return refused(err)
		}
		used, err := tx.Exec(ctx, useReset, token[:], c.User, c.At)
		if err != nil {
			return err
		}
		if used.RowsAffected() == 0 {
			return errBadReset
		}
		if _, err := tx.Exec(ctx, setPassword, c.User, c.Hash); err != nil {
			return err
		}
		if _, err = afterPassword(ctx, tx, c); err == nil && c.Network != "" {
			_, err = tx.Exec(ctx, noteLoginPlace, c.User, c.Network, c.At)
		}
		return err
	})
	return c.User, shown(err, "reset password")
}

// refused says that a link is not good when there is no row.
func refused(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return errBadReset
	}
	return err
}
