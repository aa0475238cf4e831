package persistence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// reuseGrace is how long a consumed refresh token is taken for a benign race of
// browser tabs that share a cookie. Later it counts as stolen.
const reuseGrace = 10 * time.Second

// Refresh tokens that were consumed are kept for a week, to recognise reuse.
const keepConsumed = 7 * 24 * time.Hour

var (
	// A login of the same device from the same address replaces the one before.
	replaceSession = query(`
		DELETE FROM refresh_token WHERE user_id = $1 AND family_id IN (
			SELECT family_id FROM refresh_token
			WHERE user_id = $1 AND consumed_at IS NULL AND device_name = $2 AND ip_address IS NOT DISTINCT FROM $3)`)

	insertRefreshToken = query(`
		INSERT INTO refresh_token (id, user_id, family_id, token_hash, created_at, last_used_at, expires_at, device_name, user_agent, ip_address)
		VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9)`)

	// The one statement that decides who of several refreshes wins.
	rotateRefreshToken = query(`
		WITH used AS (
			UPDATE refresh_token SET consumed_at = $4, replaced_by = $5
			WHERE id = $1 AND user_id = $2 AND token_hash = $3 AND consumed_at IS NULL AND expires_at > $4
			RETURNING user_id, family_id)
		INSERT INTO refresh_token (id, user_id, family_id, token_hash, created_at, last_used_at, expires_at, device_name, user_agent, ip_address)
		SELECT $5, user_id, family_id, $6, $4, $4, $7, $8, $9, $10 FROM used
		RETURNING family_id`)

	// Locked, so that no family can be ended between the look and what follows.
	lockUsedRefreshToken = query(`
		SELECT family_id, consumed_at FROM refresh_token
		WHERE id = $1 AND user_id = $2 AND token_hash = $3 AND consumed_at IS NOT NULL AND expires_at > $4
		FOR UPDATE`)

	deleteFamily = query(`DELETE FROM refresh_token WHERE user_id = $1 AND family_id = $2`)

	deleteOtherFamilies = query(`
		DELETE FROM refresh_token WHERE user_id = $1 AND family_id <> $2
		RETURNING family_id, consumed_at IS NULL AND expires_at > $3`)

	insertRevoked = query(`
		INSERT INTO revoked_token (id, user_id, revoked_at, expires_at)
		SELECT DISTINCT id, $2::uuid, $3::timestamptz, $4::timestamptz FROM unnest($1::uuid[]) AS id ORDER BY id
		ON CONFLICT (id) DO UPDATE SET expires_at = greatest(revoked_token.expires_at, excluded.expires_at)`)

	// A family has several live rows when tabs raced; the latest stands for it.
	selectSessions = query(`
		SELECT id, device_name, ip_address, created_at, last_used_at, expires_at, family_id FROM (
			SELECT DISTINCT ON (family_id) * FROM refresh_token
			WHERE user_id = $1 AND consumed_at IS NULL AND expires_at > $2
			ORDER BY family_id, last_used_at DESC, id DESC) AS latest
		ORDER BY last_used_at DESC, id DESC`)

	selectFamily = query(`
		SELECT family_id FROM refresh_token
		WHERE id = $1 AND user_id = $2 AND consumed_at IS NULL AND expires_at > $3`)

	selectFamilyByToken = query(`SELECT family_id FROM refresh_token WHERE id = $1 AND user_id = $2 AND token_hash = $3`)

	sweepRefreshTokens = query(`DELETE FROM refresh_token WHERE expires_at < $1 OR consumed_at < $2`)
	sweepRevoked       = query(`DELETE FROM revoked_token WHERE expires_at < $1`)

	renewPasswordHash = query(`UPDATE app_user SET password_hash = $3 WHERE id = $1 AND password_hash = $2`)
)

// RefreshToken is a refresh token on its way into the database.
type RefreshToken struct {
	ID        protocol.AnyID
	User      protocol.UserID
	Hash      [32]byte // SHA-256 of the token
	At        protocol.Instant
	Expires   protocol.Instant
	Device    string
	Agent     string
	Address   string             // empty: unknown
	AccessFor time.Duration      // lifetime of access tokens: how long a revocation matters
	Session   protocol.SessionID // of a login; ignored by rotation
}

// OpenSession stores the first refresh token of a login. A session of the same
// device at the same address ends with it.
func (db *DB) OpenSession(ctx context.Context, t RefreshToken) error {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(replaceSession, t.User, t.Device, orNull(t.Address))
		b.Queue(insertRefreshToken, t.ID, t.User, t.Session, t.Hash[:], t.At, t.Expires, t.Device, t.Agent, orNull(t.Address))
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return oneLine(fmt.Errorf("open session: %w", err))
	}
	return nil
}

// Rotation is what came of a refresh.
type Rotation struct {
	Session protocol.SessionID
	Valid   bool // the next token is stored
	Stolen  bool // a token came back long after its use: the session is over
}

// RotateSession exchanges the refresh token with the id and hash of used for
// next. Of parallel calls one consumes the token; the others, and whoever comes
// within the grace period, get tokens of the same session. Whoever comes later
// ends the session, which is committed when RotateSession returns.
func (db *DB) RotateSession(ctx context.Context, used protocol.AnyID, usedHash [32]byte, next RefreshToken) (Rotation, error) {
	var r Rotation
	err := db.pool.QueryRow(ctx, rotateRefreshToken, used, next.User, usedHash[:], next.At, next.ID, next.Hash[:], next.Expires,
		next.Device, next.Agent, orNull(next.Address)).Scan(&r.Session)
	switch {
	case err == nil:
		r.Valid = true
		return r, nil
	case !errors.Is(err, pgx.ErrNoRows):
		return r, oneLine(fmt.Errorf("rotate session: %w", err))
	}
	err = db.InTx(ctx, func(tx pgx.Tx) (err error) {
		r, err = reuse(ctx, tx, used, usedHash, next)
		return err
	})
	if err != nil {
		return Rotation{}, oneLine(fmt.Errorf("rotate used token: %w", err))
	}
	return r, nil
}

func reuse(ctx context.Context, tx pgx.Tx, used protocol.AnyID, usedHash [32]byte, next RefreshToken) (Rotation, error) {
	var r Rotation
	var consumed protocol.Instant
	err := tx.QueryRow(ctx, lockUsedRefreshToken, used, next.User, usedHash[:], next.At).Scan(&r.Session, &consumed)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if next.At.Time().Sub(consumed.Time()) <= reuseGrace {
		r.Valid = true
		_, err = tx.Exec(ctx, insertRefreshToken, next.ID, next.User, r.Session, next.Hash[:], next.At, next.Expires,
			next.Device, next.Agent, orNull(next.Address))
		return r, err
	}
	r.Stolen = true
	return r, endFamily(ctx, tx, next.User, r.Session, next.At, next.AccessFor)
}

// endFamily deletes a session's refresh tokens and revokes its access tokens.
func endFamily(ctx context.Context, tx pgx.Tx, user protocol.UserID, session protocol.SessionID, now protocol.Instant, accessFor time.Duration) error {
	// A refresh that was under way may have added a row that this statement did
	// not see, so it is repeated until it finds none.
	for {
		gone, err := tx.Exec(ctx, deleteFamily, user, session)
		if err != nil {
			return err
		}
		if gone.RowsAffected() == 0 {
			break
		}
	}
	return revoke(ctx, tx, user, []protocol.AnyID{protocol.AnyID(session)}, now, accessFor)
}

func revoke(ctx context.Context, tx pgx.Tx, user protocol.UserID, ids []protocol.AnyID, now protocol.Instant, accessFor time.Duration) error {
	_, err := tx.Exec(ctx, insertRevoked, ids, user, now, protocol.InstantOf(now.Time().Add(accessFor)))
	return err
}

// EndSessions ends login sessions of a user, and single access tokens, at once
// and together: refresh tokens are deleted, what was handed out is revoked.
func (db *DB) EndSessions(ctx context.Context, user protocol.UserID, sessions []protocol.SessionID, tokens []protocol.AnyID, now protocol.Instant, accessFor time.Duration) error {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		for _, s := range sessions {
			if err := endFamily(ctx, tx, user, s, now, accessFor); err != nil {
				return err
			}
		}
		if len(tokens) == 0 {
			return nil
		}
		return revoke(ctx, tx, user, tokens, now, accessFor)
	})
	if err != nil {
		return oneLine(fmt.Errorf("end sessions: %w", err))
	}
	return nil
}

// EndOtherSessions ends all login sessions of a user but one and returns those
// that were alive.
func (db *DB) EndOtherSessions(ctx context.Context, user protocol.UserID, keep protocol.SessionID, now protocol.Instant, accessFor time.Duration) ([]protocol.SessionID, error) {
	var ended []protocol.SessionID
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		live := map[protocol.SessionID]bool{}
		for again := true; again; { // as in endFamily
			rows, err := tx.Query(ctx, deleteOtherFamilies, user, keep, now)
			if err != nil {
				return err
			}
			again = false
			var s protocol.SessionID
			var alive bool
			if _, err := pgx.ForEachRow(rows, []any{&s, &alive}, func() error {
				live[s] = live[s] || alive
				again = true
				return nil
			}); err != nil {
				return err
			}
		}
		var ids []protocol.AnyID
		for s, alive := range live {
			if alive {
				ended, ids = append(ended, s), append(ids, protocol.AnyID(s))
			}
		}
		return revoke(ctx, tx, user, ids, now, accessFor)
	})
	if err != nil {
		return nil, oneLine(fmt.Errorf("end other sessions: %w", err))
	}
	return ended, nil
}

// SessionRow is a live login session.
type SessionRow struct {
	protocol.Session
	Family protocol.SessionID
}

// Sessions lists the live login sessions of a user, last used first.
func (db *DB) Sessions(ctx context.Context, user protocol.UserID, now protocol.Instant) ([]SessionRow, error) {
	rows, err := db.pool.Query(ctx, selectSessions, user, now)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list sessions: %w", err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (SessionRow, error) {
		var s SessionRow
		var device *string
		err := row.Scan(&s.ID, &device, &s.IPAddress, &s.CreatedAt, &s.LastUsedAt, &s.ExpiresAt, &s.Family)
		s.DeviceName = "Unknown Device"
		if device != nil && *device != "" {
			s.DeviceName = *device
		}
		return s, err
	})
	if err != nil {
		return nil, oneLine(fmt.Errorf("list sessions: %w", err))
	}
	return list, nil
}

// SessionOf finds the login session of a live refresh token by its id; an
// unknown one is a NotFound.
func (db *DB) SessionOf(ctx context.Context, user protocol.UserID, token protocol.AnyID, now protocol.Instant) (protocol.SessionID, error) {
	return db.session(ctx, selectFamily, token, user, now)
}

// SessionOfToken finds the login session of a refresh token, used or not; an
// unknown one is a NotFound.
func (db *DB) SessionOfToken(ctx context.Context, user protocol.UserID, token protocol.AnyID, hash [32]byte) (protocol.SessionID, error) {
	return db.session(ctx, selectFamilyByToken, token, user, hash[:])
}

func (db *DB) session(ctx context.Context, sql string, args ...any) (protocol.SessionID, error) {
	var s protocol.SessionID
	err := db.pool.QueryRow(ctx, sql, args...).Scan(&s)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, protocol.NotFound("Session not found")
	}
	if err != nil {
		return s, oneLine(fmt.Errorf("find session: %w", err))
	}
	return s, nil
}

// SweepSessions deletes what can't matter any more: refresh tokens that expired
// or were consumed more than a week ago, and revocations of expired tokens.
func (db *DB) SweepSessions(ctx context.Context, now protocol.Instant) error {
	b := &pgx.Batch{}
	b.Queue(sweepRefreshTokens, now, protocol.InstantOf(now.Time().Add(-keepConsumed)))
	b.Queue(sweepRevoked, now)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return oneLine(fmt.Errorf("sweep sessions: %w", err))
	}
	return nil
}

// RenewPasswordHash replaces a hash of an older kind, unless it has changed
// meanwhile.
func (db *DB) RenewPasswordHash(ctx context.Context, user protocol.UserID, old, renewed string) error {
	if _, err := db.pool.Exec(ctx, renewPasswordHash, user, old, renewed); err != nil {
		return oneLine(fmt.Errorf("renew password hash: %w", err))
	}
	return nil
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
