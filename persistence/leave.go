package persistence

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// Messages that lose their author in one transaction, so that nobody waits long
// for their locks, and transactions in one go.
const (
	detachBatch  = 1000
	detachRounds = 50
)

var (
	markLeaving = query(`
		UPDATE app_user SET banned = true, banned_at = coalesce(banned_at, $2), leaving_at = coalesce(leaving_at, $2)
		WHERE id = $1`)

	selectLeaving = query(`SELECT id FROM app_user WHERE leaving_at IS NOT NULL ORDER BY leaving_at`)

	detachMessages = query(`
		UPDATE message SET author_id = NULL
		WHERE id IN (SELECT id FROM message WHERE author_id = $1 LIMIT $2)`)

	// Waits for whoever is about to point to the account.
	lockLeaving = query(`SELECT id FROM app_user WHERE id = $1 FOR UPDATE`)

	// What was the user's own, and what he uploaded and nothing shows, is left to
	// whoever removes stored files.
	abandonFiles = query(`
		UPDATE file f SET deleted_at = coalesce(f.deleted_at, $2), user_id = NULL
		WHERE f.user_id = $1
			OR f.uploaded_by = $1 AND f.user_id IS NULL AND f.community_id IS NULL AND f.message_id IS NULL
				AND NOT EXISTS (SELECT FROM message_attachment a WHERE a.file_id = f.id)`)

	selectOwnGroups = query(`SELECT group_id FROM direct_message_group_member WHERE user_id = $1 ORDER BY group_id`)

	deleteUser = query(`DELETE FROM app_user WHERE id = $1`)

	selectUserTraces = query(`
		SELECT channel_id, direct_message_group_id FROM message WHERE author_id = $1
		UNION
		SELECT m.channel_id, m.direct_message_group_id FROM (
			SELECT message_id FROM message_reaction WHERE user_id = $1
			UNION ALL SELECT message_id FROM message_mention WHERE user_id = $1
		) AS t JOIN message m ON m.id = t.message_id
		LIMIT $2`)
)

// LeavingUser is an account that is to be deleted.
type LeavingUser struct {
	User      protocol.UserID
	By        protocol.UserID // who wants it: the user himself, or an administrator
	At        protocol.Instant
	AccessFor time.Duration // lifetime of access tokens
}

// LeaveUser is the first half of a deletion, in one fenced transaction: the
// account loses its logins and can't be entered any more. The last owner stays.
// Who asks a second time gets the same answer.
func (db *DB) LeaveUser(ctx context.Context, owner Owner, l LeavingUser) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if err := checkLeave(ctx, tx, l); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, markLeaving, l.User, l.At); err != nil {
			return err
		}
		_, err := endFamilies(ctx, tx, l.User, protocol.SessionID{}, l.At, l.AccessFor)
		return err
	})
	return shown(err, "close account")
}

// checkLeave locks the account, and the owners: those who leave or are demoted at
// the same time come one after the other.
func checkLeave(ctx context.Context, tx pgx.Tx, l LeavingUser) error {
	rows, err := tx.Query(ctx, lockOwners, []protocol.UserID{l.User})
	if err != nil {
		return err
	}
	var id protocol.UserID
	var role string
	var banned, found, owns, others bool
	_, err = pgx.ForEachRow(rows, []any{&id, &role, &banned}, func() error {
		if id == l.User {
			found, owns = true, role == protocol.RoleOwner
		} else if !banned {
			others = true
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case !found:
		return protocol.NotFound("User not found")
	case owns && l.User != l.By:
		return protocol.Forbidden("Cannot delete an instance owner")
	case owns && !others:
		return protocol.Forbidden("Cannot delete the last owner. Promote another user first.")
	}
	return nil
}

// LeavingUsers lists accounts whose deletion has begun.
func (db *DB) LeavingUsers(ctx context.Context) ([]protocol.UserID, error) {
	rows, err := db.pool.Query(ctx, selectLeaving)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list leaving users: %w", err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[protocol.UserID])
	if err != nil {
		return nil, oneLine(fmt.Errorf("list leaving users: %w", err))
	}
	return list, nil
}

// DetachMessages takes the user's name off some of his messages and reports
// whether there may be more: hundreds of thousands are too many at once.
func (db *DB) DetachMessages(ctx context.Context, user protocol.UserID) (more bool, err error) {
	for range detachRounds {
		done, err := db.pool.Exec(ctx, detachMessages, user, detachBatch)
		if err != nil {
			return false, oneLine(fmt.Errorf("detach messages of user %s: %w", user, err))
		}
		if done.RowsAffected() < detachBatch {
			return false, nil
		}
	}
	return true, nil
}

// maxTraces bounds the conversations that are told that something they show is gone;
// others show it until they leave memory.
const maxTraces = 1000

// UserTraces lists conversations with messages that a user wrote, reacted to or is
// named in, whether or not he may still read there.
func (db *DB) UserTraces(ctx context.Context, user protocol.UserID) ([]protocol.Place, error) {
	rows, err := db.pool.Query(ctx, selectUserTraces, user, maxTraces)
	if err != nil {
		return nil, oneLine(fmt.Errorf("find traces of user %s: %w", user, err))
	}
	list, err := pgx.CollectRows(rows, scanPlace)
	return list, shown(err, "find traces of user")
}

func scanPlace(row pgx.CollectableRow) (in protocol.Place, err error) {
	err = row.Scan(&in.Channel, &in.Group)
	return in, err
}

// LeftBehind is what a deleted account was a member of.
type LeftBehind struct {
	Communities []protocol.CommunityID
	Groups      []protocol.GroupID // of direct messages
}

// DeleteUser deletes an account whose deletion has begun, in one fenced
// transaction, and returns what it was a member of. Groups that nobody is left in
// go with it. Messages
// that came meanwhile lose their author with it; its own files are marked as
// deleted. An account that is gone already is no error.
func (db *DB) DeleteUser(ctx context.Context, owner Owner, user protocol.UserID, at protocol.Instant) (LeftBehind, error) {
	var left LeftBehind
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockLeaving, user); err != nil {
			return err
		}
		b := &pgx.Batch{}
		queueList(b, &left.Communities, pgx.RowTo[protocol.CommunityID], selectCommunityIDs, user)
		queueList(b, &left.Groups, pgx.RowTo[protocol.GroupID], selectOwnGroups, user)
		b.Queue(abandonFiles, user, at)
		b.Queue(deleteUser, user)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, dropEmptyGroups, left.Groups, at)
		return err
	})
	return left, shown(err, "delete user")
}
