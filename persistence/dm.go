package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	selectGroup = query(`SELECT name, is_group, created_at, pair_low, pair_high FROM direct_message_group WHERE id = $1`)

	selectKnownGroup = query(`SELECT id FROM direct_message_group WHERE id = $1`)

	selectGroupMembers = query(`SELECT user_id FROM direct_message_group_member WHERE group_id = $1 ORDER BY joined_at, id`)

	// Whether one of a pair blocks the other.
	selectPairBlocked = query(`
		SELECT EXISTS (SELECT FROM direct_message_group g JOIN user_block b
			ON b.blocker_id = g.pair_low AND b.blocked_id = g.pair_high OR b.blocker_id = g.pair_high AND b.blocked_id = g.pair_low
			WHERE g.id = $1)`)
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

// KnownGroup returns the id of a group that exists; a NotFound otherwise.
func (db *DB) KnownGroup(ctx context.Context, id protocol.GroupID) (protocol.GroupID, error) {
	var known protocol.GroupID
	err := db.pool.QueryRow(ctx, selectKnownGroup, id).Scan(&known)
	if errors.Is(err, pgx.ErrNoRows) {
		return known, protocol.NotFound("DM group not found")
	}
	if err != nil {
		return known, oneLine(fmt.Errorf("look for direct message group %s: %w", id, err))
	}
	return known, nil
}
