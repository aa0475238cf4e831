package persistence

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// maxCompany bounds friends who hear of one's presence.
const maxCompany = 2000

var (
	selectCompany = query(`
		SELECT 1, user_b_id FROM friendship WHERE user_a_id = $1 AND status = 'ACCEPTED'
		UNION ALL
		SELECT 1, user_a_id FROM friendship WHERE user_b_id = $1 AND status = 'ACCEPTED'
		LIMIT $2`)

	// One community of each user whom $1 may see, or none: then it is by friendship, a
	// direct-message group, or himself.
	selectVisible = query(`
		SELECT u.id, (SELECT m.community_id FROM membership m JOIN membership own ON own.community_id = m.community_id
				JOIN community c ON c.id = m.community_id
				WHERE m.user_id = u.id AND own.user_id = $1 AND c.deleted_at IS NULL LIMIT 1) AS community, u.last_seen
		FROM app_user u WHERE u.id = ANY ($2)`)

	selectAcquainted = query(`
		SELECT user_b_id FROM friendship WHERE user_a_id = $1 AND status = 'ACCEPTED'
		UNION SELECT user_a_id FROM friendship WHERE user_b_id = $1 AND status = 'ACCEPTED'
		UNION SELECT o.user_id FROM direct_message_group_member g JOIN direct_message_group_member o ON o.group_id = g.group_id WHERE g.user_id = $1
		UNION SELECT $1
		LIMIT $2`)

	selectSeenMembers = query(`
		SELECT m.user_id FROM membership m JOIN app_user u ON u.id = m.user_id
		WHERE m.community_id = $1 AND u.last_seen > $2`)
)

// Company lists where it is heard that a user comes or goes, besides his
// communities and direct-message groups: the topics of his friends.
func (db *DB) Company(ctx context.Context, user protocol.UserID) ([]protocol.Topic, error) {
	rows, err := db.pool.Query(ctx, selectCompany, user, maxCompany)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list company of %s: %w", user, err))
	}
	list, err := pgx.CollectRows(rows, scanTopic)
	return list, shown(err, "list company")
}

// Visible is a user who may be asked after.
type Visible struct {
	User      protocol.UserID
	Community protocol.CommunityID // one that he shares with the one who asks; zero: none
	LastSeen  protocol.Instant
}

// VisibleTo finds out which of the users one may see, and through what, in one
// round trip: those who share a community with him, his friends and those with
// whom he shares a direct-message group, and himself.
func (db *DB) VisibleTo(ctx context.Context, user protocol.UserID, of []protocol.UserID) ([]Visible, error) {
	var all []Visible
	known := map[protocol.UserID]bool{}
	b := &pgx.Batch{}
	queueList(b, &all, pgx.RowToStructByPos[Visible], selectVisible, user, of)
	b.Queue(selectAcquainted, user, maxCompany).Query(func(rows pgx.Rows) error {
		list, err := pgx.CollectRows(rows, pgx.RowTo[protocol.UserID])
		for _, u := range list {
			known[u] = true
		}
		return err
	})
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, oneLine(fmt.Errorf("find whom %s may see: %w", user, err))
	}
	seen := all[:0]
	for _, v := range all {
		if !v.Community.IsZero() || known[v.User] {
			seen = append(seen, v)
		}
	}
	return seen, nil
}

// Acquainted lists friends and those who share a direct-message group with a user,
// and himself.
func (db *DB) Acquainted(ctx context.Context, user protocol.UserID) ([]protocol.UserID, error) {
	rows, err := db.pool.Query(ctx, selectAcquainted, user, maxCompany)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list acquaintances of %s: %w", user, err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[protocol.UserID])
	return list, shown(err, "list acquaintances")
}

// SeenMembers lists the members of a community who were seen since a moment.
func (db *DB) SeenMembers(ctx context.Context, community protocol.CommunityID, since protocol.Instant) ([]protocol.UserID, error) {
	rows, err := db.pool.Query(ctx, selectSeenMembers, community, since)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list seen members of %s: %w", community, err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[protocol.UserID])
	return list, shown(err, "list seen members")
}
