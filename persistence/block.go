package persistence

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	insertBlock = query(`
		INSERT INTO user_block (id, blocker_id, blocked_id, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (blocker_id, blocked_id) DO NOTHING`)

	endFriendship = query(`
		DELETE FROM friendship
		WHERE least(user_a_id, user_b_id) = least($1::uuid, $2::uuid) AND greatest(user_a_id, user_b_id) = greatest($1::uuid, $2::uuid)`)

	deleteBlock = query(`DELETE FROM user_block WHERE blocker_id = $1 AND blocked_id = $2`)

	selectBlocked = query(`
		SELECT ` + publicUserColumns + ` FROM user_block x JOIN app_user u ON u.id = x.blocked_id
		WHERE x.blocker_id = $1 ORDER BY u.username LIMIT $2`)

	selectIsBlocked = query(`SELECT EXISTS (SELECT FROM user_block WHERE blocker_id = $1 AND blocked_id = $2)`)
)

// BlockUser stores a block, if it is not there, and ends what friendship or
// request is between the two, in one transaction.
func (db *DB) BlockUser(ctx context.Context, by, user protocol.UserID, at protocol.Instant) error {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		both, err := lockPair(ctx, tx, by, user)
		switch {
		case err != nil:
			return err
		case !both:
			return protocol.NotFound("User to block not found")
		}
		b := &pgx.Batch{}
		b.Queue(insertBlock, protocol.NewRandomID[memberRow](), by, user, at)
		b.Queue(endFriendship, by, user)
		return tx.SendBatch(ctx, b).Close()
	})
	return shown(err, "block user")
}

// UnblockUser ends a block, if there is one.
func (db *DB) UnblockUser(ctx context.Context, by, user protocol.UserID) error {
	_, err := db.pool.Exec(ctx, deleteBlock, by, user)
	return shown(err, "unblock user")
}

// BlockedUsers lists at most limit users whom a user blocked, by name.
func (db *DB) BlockedUsers(ctx context.Context, by protocol.UserID, limit int) ([]protocol.PublicUser, error) {
	list, err := collect(ctx, db, scanPublicUser, selectBlocked, by, limit)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list blocked users: %w", err))
	}
	return list, nil
}

// HasBlocked reports whether one user blocked another.
func (db *DB) HasBlocked(ctx context.Context, by, user protocol.UserID) (bool, error) {
	var blocked bool
	if err := db.pool.QueryRow(ctx, selectIsBlocked, by, user).Scan(&blocked); err != nil {
		return false, oneLine(fmt.Errorf("look for block: %w", err))
	}
	return blocked, nil
}
