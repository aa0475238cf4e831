package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	selectGroup = query(`
		SELECT name, is_group, created_at, pair_low, pair_high FROM direct_message_group WHERE id = $1 AND deleted_at IS NULL`)

	selectKnownGroup = query(`SELECT id FROM direct_message_group WHERE id = $1 AND deleted_at IS NULL`)

	selectGroupMembers = query(`SELECT user_id FROM direct_message_group_member WHERE group_id = $1 ORDER BY joined_at, id`)

	// Whether one of a pair blocks the other.
	selectPairBlocked = query(`
		SELECT EXISTS (SELECT FROM direct_message_group g JOIN user_block b
			ON b.blocker_id = g.pair_low AND b.blocked_id = g.pair_high OR b.blocker_id = g.pair_high AND b.blocked_id = g.pair_low
			WHERE g.id = $1)`)

	// The group of two users, smaller id first.
	selectPair = query(`
		SELECT id FROM direct_message_group
		WHERE pair_low = least($1::uuid, $2::uuid) AND pair_high = greatest($1::uuid, $2::uuid) AND deleted_at IS NULL`)

	// Accounts that are being deleted take no part any more.
	lockFutureMembers = query(`
		SELECT id FROM app_user WHERE id = ANY ($1) AND leaving_at IS NULL ORDER BY id FOR NO KEY UPDATE`)

	selectBlockWithAny = query(`
		SELECT EXISTS (SELECT FROM user_block WHERE blocker_id = $1 AND blocked_id = ANY ($2) OR blocked_id = $1 AND blocker_id = ANY ($2))`)

	countGroups = query(`SELECT count(*) FROM direct_message_group_member WHERE user_id = $1`)

	insertGroup = query(`
		INSERT INTO direct_message_group (id, name, created_at, is_group, pair_low, pair_high)
		VALUES ($1, $2, $3, $4, least($5::uuid, $6::uuid), greatest($5::uuid, $6::uuid))`)

	insertGroupMembers = query(`
		INSERT INTO direct_message_group_member (id, group_id, user_id, joined_at)
		SELECT n.id, $1, n.user_id, $3 FROM unnest($4::uuid[], $2::uuid[]) AS n (id, user_id)
		ON CONFLICT (group_id, user_id) DO NOTHING`)

	deleteGroupMember = query(`DELETE FROM direct_message_group_member WHERE group_id = $1 AND user_id = $2`)

	dropEmptyGroups = query(`
		UPDATE direct_message_group g SET deleted_at = $2, pair_low = NULL, pair_high = NULL
		WHERE g.id = ANY ($1) AND g.deleted_at IS NULL
			AND NOT EXISTS (SELECT FROM direct_message_group_member m WHERE m.group_id = g.id)`)
)

// groupColumns is a group as clients see it, in one row.
var groupColumns = `g.id, g.name, g.is_group, g.created_at,
		(SELECT json_agg(json_build_object('id', m.id, 'groupId', m.group_id, 'userId', m.user_id, 'joinedAt', ` + iso("m.joined_at") + `,
			'user', json_build_object('id', u.id, 'username', u.username, 'displayName', u.display_name, 'avatarUrl', u.avatar_file_id))
			ORDER BY m.joined_at, m.id)
			FROM direct_message_group_member m JOIN app_user u ON u.id = m.user_id WHERE m.group_id = g.id),
		last.id, last.author_id, last.spans, last.sent_at
	FROM direct_message_group g LEFT JOIN LATERAL (
		SELECT id, author_id, spans, sent_at FROM message
		WHERE direct_message_group_id = g.id AND deleted_at IS NULL ORDER BY seq DESC LIMIT 1
	) AS last ON true`

var (
	selectDirectGroup = query(`SELECT ` + groupColumns + ` WHERE g.id = $1 AND g.deleted_at IS NULL`)

	// The one with the newest message, or the newest group, comes first.
	selectDirectGroups = query(`SELECT ` + groupColumns + `
		WHERE g.id IN (SELECT group_id FROM direct_message_group_member WHERE user_id = $1) AND g.deleted_at IS NULL
		ORDER BY coalesce(last.sent_at, g.created_at) DESC, g.id DESC LIMIT $2`)
)

// Group is a direct message group as its owner keeps it.
type Group struct {
	Name      *string
	IsGroup   bool
	CreatedAt protocol.Instant
	Pair      [2]protocol.UserID // of one-to-one conversations; zero otherwise
	Members   []protocol.UserID  // in the order of joining
	Blocked   bool               // one of the pair blocks the other
}

// GroupLog reads a group and its log in one round trip; nil when there is none.
func (db *DB) GroupLog(ctx context.Context, id protocol.GroupID, scope LogScope) (*Group, *Log, error) {
	var g *Group
	l, members, blocked := &Log{}, []protocol.UserID{}, false
	b := &pgx.Batch{}
	b.Queue(selectGroup, id).QueryRow(func(row pgx.Row) error {
		var r Group
		err := row.Scan(&r.Name, &r.IsGroup, &r.CreatedAt, &r.Pair[0], &r.Pair[1])
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		g = &r
		return err
	})
	queueList(b, &members, pgx.RowTo[protocol.UserID], selectGroupMembers, id)
	b.Queue(selectPairBlocked, id).QueryRow(func(row pgx.Row) error { return row.Scan(&blocked) })
	done := l.queue(b, protocol.InGroup(id), scope)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, nil, oneLine(fmt.Errorf("load direct message group %s: %w", id, err))
	}
	done()
	if g != nil {
		g.Members, g.Blocked = members, blocked
	}
	return g, l, nil
}

// errNoGroup is said of groups that are not there.
var errNoGroup = protocol.NotFound("DM group not found")

// KnownGroup returns the id of a group that exists; a NotFound otherwise.
func (db *DB) KnownGroup(ctx context.Context, id protocol.GroupID) (protocol.GroupID, error) {
	known, err := oneOf[protocol.GroupID](ctx, db, selectKnownGroup, id)
	if err == nil && known.IsZero() {
		err = errNoGroup
	}
	return known, shown(err, "look for direct message group")
}

// PairGroup is the one-to-one conversation of two users; zero when there is none.
func (db *DB) PairGroup(ctx context.Context, a, b protocol.UserID) (protocol.GroupID, error) {
	id, err := oneOf[protocol.GroupID](ctx, db, selectPair, a, b)
	return id, shown(err, "look for the conversation of a pair")
}

// PairBlocked reports whether one of the pair of a group blocks the other.
func (db *DB) PairBlocked(ctx context.Context, id protocol.GroupID) (bool, error) {
	blocked, err := oneOf[bool](ctx, db, selectPairBlocked, id)
	return blocked, shown(err, "look for a block")
}

// oneOf reads one value; the zero one when there is no row.
func oneOf[T any](ctx context.Context, db *DB, sql string, args ...any) (v T, err error) {
	err = db.pool.QueryRow(ctx, sql, args...).Scan(&v)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return v, err
}

// NewGroup is a conversation that is to be opened.
type NewGroup struct {
	ID      protocol.GroupID
	Creator protocol.UserID
	Members []protocol.UserID // the creator included
	Name    *string
	IsGroup bool
	At      protocol.Instant
}

// pair is the two of a one-to-one conversation; zero ids for others.
func (n NewGroup) pair() (a, b protocol.UserID) {
	if n.IsGroup || len(n.Members) != 2 {
		return a, b
	}
	return n.Members[0], n.Members[1]
}

// OpenGroup stores a group with its members, in one transaction, and returns its
// id: of two people that of the one they have, whose members it does not look at.
// A second call with the same id finds the first one's result. The users are
// locked, so that a block comes before or after.
func (db *DB) OpenGroup(ctx context.Context, n NewGroup) (id protocol.GroupID, err error) {
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		if err := admit(ctx, tx, n.Creator, n.Members); err != nil {
			return err
		}
		a, b := n.pair()
		known, sql, args := protocol.GroupID{}, selectKnownGroup, []any{n.ID}
		if !a.IsZero() {
			sql, args = selectPair, []any{a, b}
		}
		if err := tx.QueryRow(ctx, sql, args...).Scan(&known); !errors.Is(err, pgx.ErrNoRows) {
			id = known
			return err
		}
		var has int
		if err := tx.QueryRow(ctx, countGroups, n.Creator).Scan(&has); err != nil {
			return err
		}
		if has >= protocol.MaxGroups {
			return protocol.Conflict("You are a member of as many DM groups as you can be")
		}
		id = n.ID
		batch := &pgx.Batch{}
		batch.Queue(insertGroup, n.ID, n.Name, n.At, n.IsGroup, a, b)
		batch.Queue(insertGroupMembers, n.ID, n.Members, n.At, memberIDs(n.Members))
		return tx.SendBatch(ctx, batch).Close()
	})
	return id, shown(err, "open direct message group")
}

// memberIDs are ids for the rows of members, in the order in which they are named.
func memberIDs(users []protocol.UserID) []protocol.AnyID {
	ids := make([]protocol.AnyID, len(users))
	for i := range ids {
		ids[i] = protocol.AnyID(protocol.NewID[memberRow]())
	}
	return ids
}

// admit locks users and refuses those who are not there, or with whom one blocks
// the other.
func admit(ctx context.Context, tx pgx.Tx, by protocol.UserID, users []protocol.UserID) error {
	tag, err := tx.Exec(ctx, lockFutureMembers, users)
	if err != nil {
		return err
	}
	if tag.RowsAffected() != int64(len(users)) {
		return protocol.NotFound("User not found")
	}
	var blocked bool
	if err := tx.QueryRow(ctx, selectBlockWithAny, by, users).Scan(&blocked); err != nil {
		return err
	}
	if blocked {
		return protocol.ErrForbidden
	}
	return nil
}

// ReturnToGroup makes users members of a group again for whom it was opened.
func (db *DB) ReturnToGroup(ctx context.Context, owner Owner, id protocol.GroupID, users []protocol.UserID, at protocol.Instant) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, insertGroupMembers, id, users, at, memberIDs(users))
		return err
	})
	return shown(err, "return to direct message group")
}

// AddToGroup makes users, each named once, members of a group.
func (db *DB) AddToGroup(ctx context.Context, owner Owner, id protocol.GroupID, by protocol.UserID, users []protocol.UserID, at protocol.Instant) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if err := admit(ctx, tx, by, users); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertGroupMembers, id, users, at, memberIDs(users))
		return err
	})
	return shown(err, "add to direct message group")
}

// LeaveGroup ends a membership; the group goes with the last one.
func (db *DB) LeaveGroup(ctx context.Context, owner Owner, id protocol.GroupID, user protocol.UserID, at protocol.Instant) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(deleteGroupMember, id, user)
		b.Queue(dropEmptyGroups, []protocol.GroupID{id}, at)
		return tx.SendBatch(ctx, b).Close()
	})
	return shown(err, "leave direct message group")
}

// DirectGroup reads a group as its members see it; an unknown one is a NotFound.
func (db *DB) DirectGroup(ctx context.Context, id protocol.GroupID) (protocol.DirectGroup, error) {
	list, err := collect(ctx, db, scanDirectGroup, selectDirectGroup, id)
	if err == nil && len(list) == 0 {
		err = errNoGroup
	}
	if err != nil {
		return protocol.DirectGroup{}, shown(err, "read direct message group")
	}
	return list[0], nil
}

// DirectGroups lists at most limit groups of a user, the last active one first.
func (db *DB) DirectGroups(ctx context.Context, user protocol.UserID, limit int) ([]protocol.DirectGroup, error) {
	list, err := collect(ctx, db, scanDirectGroup, selectDirectGroups, user, limit)
	for i := range list {
		if last := list[i].LastMessage; last != nil {
			last.DirectMessageGroupID = &list[i].ID
		}
	}
	return list, shown(err, "list direct message groups")
}

// GroupsOf lists the groups of a user.
func (db *DB) GroupsOf(ctx context.Context, user protocol.UserID) ([]protocol.GroupID, error) {
	list, err := collect(ctx, db, pgx.RowTo[protocol.GroupID], selectGroupIDs, user)
	return list, shown(err, "list direct message groups")
}

func scanDirectGroup(row pgx.CollectableRow) (protocol.DirectGroup, error) {
	var g protocol.DirectGroup
	var last protocol.LastDirectMessage
	var sentAt *protocol.Instant
	err := row.Scan(&g.ID, &g.Name, &g.IsGroup, &g.CreatedAt, &g.Members, &last.ID, &last.AuthorID, &last.Spans, &sentAt)
	if g.Members == nil {
		g.Members = []protocol.DirectMember{}
	}
	if sentAt != nil {
		last.SentAt = *sentAt
		g.LastMessage = &last
	}
	return g, err
}
