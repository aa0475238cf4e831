package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

const (
	friendshipColumns = `f.id, f.user_a_id, f.user_b_id, f.created_at, f.status`

	publicUserColumnsA = `a.id, a.username, a.role, a.avatar_file_id, a.banner_file_id, a.last_seen, a.display_name, a.bio, a.status`
	publicUserColumnsB = `b.id, b.username, b.role, b.avatar_file_id, b.banner_file_id, b.last_seen, b.display_name, b.bio, b.status`
)

var (
	selectFriends = query(`
		SELECT ` + publicUserColumns + `, f.id FROM (
			SELECT id, user_b_id AS friend FROM friendship WHERE user_a_id = $1 AND status = 'ACCEPTED'
			UNION ALL
			SELECT id, user_a_id FROM friendship WHERE user_b_id = $1 AND status = 'ACCEPTED'
		) AS f JOIN app_user u ON u.id = f.friend ORDER BY u.username LIMIT $2`)

	selectFriendsAsked = query(`
		SELECT ` + friendshipColumns + `, ` + publicUserColumnsA + `, ` + publicUserColumnsB + `
		FROM friendship f JOIN app_user a ON a.id = f.user_a_id JOIN app_user b ON b.id = f.user_b_id
		WHERE f.user_a_id = $1 AND f.status = 'PENDING' ORDER BY f.created_at DESC, f.id LIMIT $2`)

	selectFriendsAsking = query(`
		SELECT ` + friendshipColumns + `, ` + publicUserColumnsA + `, ` + publicUserColumnsB + `
		FROM friendship f JOIN app_user a ON a.id = f.user_a_id JOIN app_user b ON b.id = f.user_b_id
		WHERE f.user_b_id = $1 AND f.status = 'PENDING' ORDER BY f.created_at DESC, f.id LIMIT $2`)

	selectFriendship = query(`
		SELECT ` + friendshipColumns + ` FROM friendship f
		WHERE least(f.user_a_id, f.user_b_id) = least($1::uuid, $2::uuid) AND greatest(f.user_a_id, f.user_b_id) = greatest($1::uuid, $2::uuid)`)

	// What happens between two users happens one after the other: both rows are
	// locked, in one order for all, so that nobody waits for one who waits for him.
	lockUsers = query(`SELECT id FROM app_user WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE`)

	selectBlockBetween = query(`
		SELECT EXISTS (SELECT FROM user_block WHERE blocker_id = $1 AND blocked_id = $2 OR blocker_id = $2 AND blocked_id = $1)`)

	insertFriendship = query(`
		INSERT INTO friendship (id, user_a_id, user_b_id, created_at, status) VALUES ($1, $2, $3, $4, $5)`)

	selectFriendshipByID = query(`SELECT ` + friendshipColumns + ` FROM friendship f WHERE f.id = $1`)

	acceptFriendship = query(`UPDATE friendship SET status = 'ACCEPTED' WHERE id = $1`)

	deleteFriendship = query(`DELETE FROM friendship WHERE id = $1`)
)

func friendshipFields(f *protocol.Friendship) []any {
	return []any{&f.ID, &f.UserAID, &f.UserBID, &f.CreatedAt, &f.Status}
}

func scanFriend(row pgx.CollectableRow) (protocol.Friend, error) {
	var f protocol.Friend
	err := row.Scan(append(publicUserFields(&f.PublicUser), &f.FriendshipID)...)
	return f, err
}

func scanFriendRequest(row pgx.CollectableRow) (protocol.FriendRequest, error) {
	var f protocol.FriendRequest
	fields := append(friendshipFields(&f.Friendship), publicUserFields(&f.UserA)...)
	err := row.Scan(append(fields, publicUserFields(&f.UserB)...)...)
	return f, err
}

// Friends lists at most limit friends of a user, by name.
func (db *DB) Friends(ctx context.Context, user protocol.UserID, limit int) ([]protocol.Friend, error) {
	list, err := collect(ctx, db, scanFriend, selectFriends, user, limit)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list friends of user: %w", err))
	}
	return list, nil
}

// FriendRequests lists the requests that a user sent and received and that
// wait, the newest first, at most limit of each.
func (db *DB) FriendRequests(ctx context.Context, user protocol.UserID, limit int) (protocol.FriendRequests, error) {
	var r protocol.FriendRequests
	b := &pgx.Batch{}
	queueList(b, &r.Sent, scanFriendRequest, selectFriendsAsked, user, limit)
	queueList(b, &r.Received, scanFriendRequest, selectFriendsAsking, user, limit)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return r, oneLine(fmt.Errorf("list friend requests of user: %w", err))
	}
	return r, nil
}

// queryRower is a pool or a transaction.
type queryRower interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// FriendshipBetween finds what is between two users; nil: nothing.
func (db *DB) FriendshipBetween(ctx context.Context, a, b protocol.UserID) (*protocol.Friendship, error) {
	f, err := friendship(ctx, db.pool, selectFriendship, a, b)
	if err != nil {
		return nil, oneLine(fmt.Errorf("read friendship: %w", err))
	}
	return f, nil
}

func friendship(ctx context.Context, from queryRower, sql string, args ...any) (*protocol.Friendship, error) {
	var f protocol.Friendship
	err := from.QueryRow(ctx, sql, args...).Scan(friendshipFields(&f)...)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &f, nil
}

// lockPair locks the rows of two users and reports whether both are there.
func lockPair(ctx context.Context, tx pgx.Tx, a, b protocol.UserID) (bool, error) {
	tag, err := tx.Exec(ctx, lockUsers, []protocol.UserID{a, b})
	return tag.RowsAffected() == 2, err
}

// RequestFriend stores a friend request in one transaction. When the other side
// has asked before, that request is accepted. A second call with the same id
// finds the first one's result.
func (db *DB) RequestFriend(ctx context.Context, n protocol.Friendship) (protocol.Friendship, error) {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		both, err := lockPair(ctx, tx, n.UserAID, n.UserBID)
		switch {
		case err != nil:
			return err
		case !both:
			return protocol.NotFound("User not found")
		}
		var blocked bool
		if err := tx.QueryRow(ctx, selectBlockBetween, n.UserAID, n.UserBID).Scan(&blocked); err != nil {
			return err
		}
		if blocked {
			return protocol.Forbidden("Cannot send friend request to this user")
		}
		known, err := friendship(ctx, tx, selectFriendship, n.UserAID, n.UserBID)
		switch {
		case err != nil:
			return err
		case known == nil:
			_, err = tx.Exec(ctx, insertFriendship, n.ID, n.UserAID, n.UserBID, n.CreatedAt, n.Status)
			return err
		case known.ID == n.ID: // sent again
			n = *known
			return nil
		case known.Status != protocol.FriendPending:
			return protocol.Conflict("Already friends with this user")
		case known.UserAID == n.UserAID:
			return protocol.Conflict("Friend request already sent")
		}
		n = *known
		n.Status = protocol.FriendAccepted
		_, err = tx.Exec(ctx, acceptFriendship, n.ID)
		return err
	})
	return n, shown(err, "request friend")
}

// FriendChange is what may be done to a friendship that is there, and what its
// parties are told who may not.
type FriendChange struct {
	Accept    bool // otherwise the friendship ends
	Allowed   func(f protocol.Friendship) bool
	State     string // that it has to have
	Unknown   *protocol.Error
	Forbidden *protocol.Error
	Conflict  *protocol.Error
}

// ChangeFriendship accepts or ends a friendship in one transaction.
func (db *DB) ChangeFriendship(ctx context.Context, id protocol.FriendshipID, c FriendChange) (protocol.Friendship, error) {
	var changed protocol.Friendship
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		f, err := lockFriendship(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case f == nil:
			return c.Unknown
		case !c.Allowed(*f):
			return c.Forbidden
		case f.Status != c.State:
			return c.Conflict
		}
		changed = *f
		if !c.Accept {
			_, err = tx.Exec(ctx, deleteFriendship, id)
			return err
		}
		changed.Status = protocol.FriendAccepted
		_, err = tx.Exec(ctx, acceptFriendship, id)
		return err
	})
	return changed, shown(err, "change friendship")
}

// lockFriendship locks the users of a friendship, as everything between two
// users does, and reads it after that; nil when there is none.
func lockFriendship(ctx context.Context, tx pgx.Tx, id protocol.FriendshipID) (*protocol.Friendship, error) {
	f, err := friendship(ctx, tx, selectFriendshipByID, id)
	if err != nil || f == nil {
		return nil, err
	}
	if _, err := lockPair(ctx, tx, f.UserAID, f.UserBID); err != nil {
		return nil, err
	}
	return friendship(ctx, tx, selectFriendshipByID, id)
}
