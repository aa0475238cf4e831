package persistence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	insertModerationEntry = query(`
		INSERT INTO moderation_log (id, community_id, moderator_id, target_user_id, action, reason, metadata, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`)

	// A second ban replaces the first.
	putBan = query(`
		INSERT INTO community_ban (id, community_id, user_id, moderator_id, reason, created_at, expires_at, active)
		VALUES ($1, $2, $3, $4, $5, $6, $7, true)
		ON CONFLICT (community_id, user_id) DO UPDATE SET active = true, moderator_id = excluded.moderator_id,
			reason = excluded.reason, created_at = excluded.created_at, expires_at = excluded.expires_at`)

	endBan = query(`UPDATE community_ban SET active = false WHERE community_id = $1 AND user_id = $2 AND active`)

	putTimeout = query(`
		INSERT INTO community_timeout (id, community_id, user_id, moderator_id, reason, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (community_id, user_id) DO UPDATE SET moderator_id = excluded.moderator_id, reason = excluded.reason,
			created_at = excluded.created_at, expires_at = excluded.expires_at`)

	deleteTimeout = query(`DELETE FROM community_timeout WHERE community_id = $1 AND user_id = $2`)
)

// ModerationAct is what a moderator does to a user, as the log tells of it.
type ModerationAct struct {
	Community protocol.CommunityID
	Moderator protocol.UserID
	Target    protocol.UserID
	Action    string
	Reason    *string
	Metadata  json.RawMessage // an object; nil: none
	At        protocol.Instant
	// SpareOwner is the error when the target is an owner of the instance; nil: he
	// is not spared.
	SpareOwner error
	// NotThere is the error when nothing is found to be changed.
	NotThere error
}

// moderate runs f and writes the entry of the log in one fenced transaction.
func (db *DB) moderate(ctx context.Context, owner Owner, act ModerationAct, f func(pgx.Tx) error) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if err := spare(ctx, tx, act.Target, act.SpareOwner); err != nil {
			return err
		}
		if err := f(tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertModerationEntry, protocol.NewID[memberRow](), act.Community, act.Moderator, act.Target,
			act.Action, act.Reason, act.Metadata, act.At)
		return err
	})
	return shown(err, "moderate "+act.Action)
}

// spare refuses to touch an owner of the instance.
func spare(ctx context.Context, tx pgx.Tx, user protocol.UserID, refusal error) error {
	if refusal == nil {
		return nil
	}
	var isOwner bool
	err := tx.QueryRow(ctx, selectIsOwner, user).Scan(&isOwner)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	case isOwner:
		return refusal
	}
	return nil
}

// BanMember stores a ban, for ever when until is 0, and takes the member out.
func (db *DB) BanMember(ctx context.Context, owner Owner, act ModerationAct, until protocol.Instant) (Departed, error) {
	var d Departed
	err := db.moderate(ctx, owner, act, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(putBan, protocol.NewRandomID[memberRow](), act.Community, act.Target, act.Moderator, act.Reason, act.At, until)
		queueDeparture(b, act.Community, act.Target, &d)
		return tx.SendBatch(ctx, b).Close()
	})
	return d, err
}

// KickMember takes the member out.
func (db *DB) KickMember(ctx context.Context, owner Owner, act ModerationAct) (Departed, error) {
	var d Departed
	err := db.moderate(ctx, owner, act, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		queueDeparture(b, act.Community, act.Target, &d)
		return tx.SendBatch(ctx, b).Close()
	})
	return d, err
}

// UnbanMember ends a ban.
func (db *DB) UnbanMember(ctx context.Context, owner Owner, act ModerationAct) error {
	return db.moderate(ctx, owner, act, func(tx pgx.Tx) error {
		return found(tx.Exec(ctx, endBan, act.Community, act.Target))(act.NotThere)
	})
}

// TimeoutMember stores a timeout; one that runs is replaced.
func (db *DB) TimeoutMember(ctx context.Context, owner Owner, act ModerationAct, until protocol.Instant) error {
	return db.moderate(ctx, owner, act, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, putTimeout, protocol.NewRandomID[memberRow](), act.Community, act.Target, act.Moderator, act.Reason, act.At, until)
		return err
	})
}

// RemoveTimeout ends a timeout, also one that has expired without being noticed.
func (db *DB) RemoveTimeout(ctx context.Context, owner Owner, act ModerationAct) error {
	return db.moderate(ctx, owner, act, func(tx pgx.Tx) error {
		return found(tx.Exec(ctx, deleteTimeout, act.Community, act.Target))(act.NotThere)
	})
}

// found turns a statement that changed nothing into a refusal.
func found(tag interface{ RowsAffected() int64 }, err error) func(refusal error) error {
	return func(refusal error) error {
		if err == nil && tag.RowsAffected() == 0 {
			return refusal
		}
		return err
	}
}

// SparedOwner reports whether a user is an owner of the instance.
func (db *DB) SparedOwner(ctx context.Context, user protocol.UserID) (bool, error) {
	var is bool
	err := db.pool.QueryRow(ctx, selectIsOwner, user).Scan(&is)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, oneLine(fmt.Errorf("read role of %s: %w", user, err))
	}
	return is, nil
}
