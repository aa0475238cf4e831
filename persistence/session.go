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
	// Whoever ends logins of an account holds this lock (see lockAccount), whoever
	// adds one holds the weaker lockEntry: so an end never misses a login that is
	// under way, and nobody enters who was banned meanwhile or whose password has
	// changed since it was checked.
	lockForLogin = query(`
		SELECT id FROM app_user WHERE id = $1 AND password_hash = $2 AND NOT banned FOR NO KEY UPDATE`)

	lockEntry = query(`SELECT id FROM app_user WHERE id = $1 AND NOT banned FOR SHARE`)

	// A login of the same device from the same address replaces the one before.
	// Nobody asked for an end of what that one has open: its access token lives out
	// its hour, as clients with several windows expect.
	replaceSession = query(`
		DELETE FROM refresh_token WHERE user_id = $1 AND family_id IN (
			SELECT family_id FROM refresh_token
			WHERE user_id = $1 AND consumed_at IS NULL AND device_name = $2 AND ip_address IS NOT DISTINCT FROM $3)`)

	insertRefreshToken = query(`
		INSERT INTO refresh_token (id, user_id, family_id, token_hash, created_at, last_used_at, expires_at, device_name, user_agent, ip_address)
		VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9)`)

	// The one statement that decides who of several refreshes wins.
	rotateRefreshToken = query(`
		WITH entry AS (SELECT id FROM app_user WHERE id = $2 AND NOT banned FOR SHARE),
		used AS (
			UPDATE refresh_token t SET consumed_at = $4, replaced_by = $5 FROM entry
			WHERE t.id = $1 AND t.user_id = entry.id AND t.token_hash = $3 AND t.consumed_at IS NULL AND t.expires_at > $4
			RETURNING t.user_id, t.family_id)
		INSERT INTO refresh_token (id, user_id, family_id, token_hash, created_at, last_used_at, expires_at, device_name, user_agent, ip_address)
		SELECT $5, user_id, family_id, $6, $4, $4, $7, $8, $9, $10 FROM used
		RETURNING family_id`)

	// Locked, so that of parallel calls only one finds the token used too late.
	lockUsedRefreshToken = query(`
		SELECT family_id, consumed_at FROM refresh_token
		WHERE id = $1 AND user_id = $2 AND token_hash = $3 AND consumed_at IS NOT NULL AND expires_at > $4
		FOR UPDATE`)

	deleteFamily = query(`DELETE FROM refresh_token WHERE user_id = $1 AND family_id = ANY ($2::uuid[])`)

	// Of those that are not alive nothing needs to be revoked.
	deleteOtherFamilies = query(`
		WITH gone AS (
			DELETE FROM refresh_token WHERE user_id = $1 AND family_id IS DISTINCT FROM $2
			RETURNING family_id, consumed_at IS NULL AND expires_at > $3 AS alive)
		SELECT family_id FROM gone GROUP BY family_id HAVING bool_or(alive)`)

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
	sweepResets        = query(`DELETE FROM password_reset WHERE expires_at < $1`)
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
	Network   string             // of a login: where it comes from; ignored by rotation
}

// OpenSession stores the first refresh token of a login whose password was
// checked against hash. A session of the same device at the same address can't be
// refreshed any more. It reports false when the account has been banned or left
// meanwhile, or has another password.
func (db *DB) OpenSession(ctx context.Context, t RefreshToken, hash string) (ok bool, err error) {
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		found, err := tx.Exec(ctx, lockForLogin, t.User, hash)
		if err != nil || found.RowsAffected() == 0 {
			return err
		}
		ok = true
		b := &pgx.Batch{}
		b.Queue(replaceSession, t.User, t.Device, orNull(t.Address))
		b.Queue(insertRefreshToken, t.ID, t.User, t.Session, t.Hash[:], t.At, t.Expires, t.Device, t.Agent, orNull(t.Address))
		b.Queue(noteLoginPlace, t.User, t.Network, t.At)
		b.Queue(boundLoginPlaces, t.User, maxPlaces)
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return false, oneLine(fmt.Errorf("open session: %w", err))
	}
	return ok, nil
}

// RestartSession replaces all refresh tokens of a login by a new one. It reports
// false when the account has been banned or left.
func (db *DB) RestartSession(ctx context.Context, t RefreshToken) (ok bool, err error) {
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		var role string
		if err := tx.QueryRow(ctx, lockAccount, t.User).Scan(&role); err != nil {
			return none(err)
		}
		entered, err := tx.Exec(ctx, lockEntry, t.User)
		if err != nil || entered.RowsAffected() == 0 {
			return err
		}
		ok = true
		b := &pgx.Batch{}
		b.Queue(deleteFamily, t.User, []protocol.SessionID{t.Session})
		b.Queue(noteLoginPlace, t.User, t.Network, t.At)
		b.Queue(insertRefreshToken, t.ID, t.User, t.Session, t.Hash[:], t.At, t.Expires, t.Device, t.Agent, orNull(t.Address))
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return false, oneLine(fmt.Errorf("restart session: %w", err))
	}
	return ok, nil
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
	// Before the token: whoever ends sessions locks in this order too.
	var role string
	if err := tx.QueryRow(ctx, lockAccount, next.User).Scan(&role); err != nil {
		return r, none(err)
	}
	var consumed protocol.Instant
	err := tx.QueryRow(ctx, lockUsedRefreshToken, used, next.User, usedHash[:], next.At).Scan(&r.Session, &consumed)
	if err != nil {
		return r, none(err)
	}
	if next.At.Time().Sub(consumed.Time()) <= reuseGrace {
		entered, err := tx.Exec(ctx, lockEntry, next.User)
		if err != nil || entered.RowsAffected() == 0 {
			return r, err
		}
		r.Valid = true
		_, err = tx.Exec(ctx, insertRefreshToken, next.ID, next.User, r.Session, next.Hash[:], next.At, next.Expires,
			next.Device, next.Agent, orNull(next.Address))
		return r, err
	}
	r.Stolen = true
	return r, endSessions(ctx, tx, next.User, []protocol.SessionID{r.Session}, next.At, next.AccessFor)
}

// none is no error when there is just no row.
func none(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// endSessions deletes the refresh tokens of sessions and revokes their access
// tokens. The caller holds the account's lock.
func endSessions(ctx context.Context, tx pgx.Tx, user protocol.UserID, sessions []protocol.SessionID, now protocol.Instant, accessFor time.Duration) error {
	if len(sessions) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, deleteFamily, user, sessions); err != nil {
		return err
	}
	return revoke(ctx, tx, user, tokensOf(sessions), now, accessFor)
}

// endFamilies ends all sessions of a user but one (zero: all) and returns those
// that were alive. The caller holds the account's lock.
func endFamilies(ctx context.Context, tx pgx.Tx, user protocol.UserID, keep protocol.SessionID, now protocol.Instant, accessFor time.Duration) ([]protocol.SessionID, error) {
	rows, err := tx.Query(ctx, deleteOtherFamilies, user, keep, now)
	if err != nil {
		return nil, err
	}
	ended, err := pgx.CollectRows(rows, pgx.RowTo[protocol.SessionID])
	if err != nil || len(ended) == 0 {
		return nil, err
	}
	return ended, revoke(ctx, tx, user, tokensOf(ended), now, accessFor)
}

func tokensOf(sessions []protocol.SessionID) []protocol.AnyID {
	ids := make([]protocol.AnyID, len(sessions))
	for i, s := range sessions {
		ids[i] = protocol.AnyID(s)
	}
	return ids
}

func revoke(ctx context.Context, tx pgx.Tx, user protocol.UserID, ids []protocol.AnyID, now protocol.Instant, accessFor time.Duration) error {
	_, err := tx.Exec(ctx, insertRevoked, ids, user, now, protocol.InstantOf(now.Time().Add(accessFor)))
	return err
}

// EndSessions ends login sessions of a user, and single access tokens, at once
// and together: refresh tokens are deleted, what was handed out is revoked.
func (db *DB) EndSessions(ctx context.Context, user protocol.UserID, sessions []protocol.SessionID, tokens []protocol.AnyID, now protocol.Instant, accessFor time.Duration) error {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockAccount, user); err != nil {
			return err
		}
		if err := endSessions(ctx, tx, user, sessions, now, accessFor); err != nil || len(tokens) == 0 {
			return err
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
		if _, err := tx.Exec(ctx, lockAccount, user); err != nil {
			return err
		}
		var err error
		ended, err = endFamilies(ctx, tx, user, keep, now, accessFor)
		return err
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
// or were consumed more than a week ago, revocations of expired tokens, old reset
// links and places.
func (db *DB) SweepSessions(ctx context.Context, now protocol.Instant) error {
	b := &pgx.Batch{}
	b.Queue(sweepRefreshTokens, now, protocol.InstantOf(now.Time().Add(-keepConsumed)))
	b.Queue(sweepRevoked, now)
	b.Queue(sweepResets, now)
	b.Queue(sweepLoginPlaces, protocol.InstantOf(now.Time().Add(-keepPlaces)))
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return oneLine(fmt.Errorf("sweep sessions: %w", err))
	}
	return nil
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
