package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// scanUnread is how many messages behind a watermark are looked at, whatever
// they are: a watermark far behind must not cost more than a page.
const scanUnread = 4 * protocol.MaxUnread

// readableCommunities are the communities in which the user $1 may read; $2: he
// is an owner of the instance.
const readableCommunities = `
	SELECT m.community_id AS id FROM membership m JOIN community co ON co.id = m.community_id
	WHERE m.user_id = $1 AND co.deleted_at IS NULL AND ($2::boolean OR EXISTS (
		SELECT FROM role_assignment a JOIN role r ON r.id = a.role_id
		WHERE a.user_id = m.user_id AND a.community_id = m.community_id AND 'READ_MESSAGE' = ANY (r.actions)))`

// readableChannels are the channels that the user $1 may read.
const readableChannels = `
	SELECT c.id FROM (` + readableCommunities + `) AS of JOIN channel c ON c.community_id = of.id
	WHERE c.deleted_at IS NULL AND (NOT c.is_private
		OR EXISTS (SELECT FROM channel_membership cm WHERE cm.user_id = $1 AND cm.channel_id = c.id))`

// pointer is the message that a watermark points to, at and seq, in a place: if it
// is gone, the newest one before it that is left, as far as is looked.
func pointer(message, seq, column, place, looked string) string {
	return `CASE WHEN ` + message + ` IS NOT NULL AND NOT EXISTS (SELECT FROM message d WHERE d.id = ` + message + ` AND d.deleted_at IS NOT NULL)
		THEN ` + message + ` ELSE (
			SELECT b.id FROM (
				SELECT id, seq, parent_message_id, deleted_at FROM message m
				WHERE m.` + column + ` = ` + place + ` AND m.seq <= ` + seq + ` ORDER BY m.seq DESC LIMIT ` + looked + `
			) AS b WHERE b.parent_message_id IS NULL AND b.deleted_at IS NULL ORDER BY b.seq DESC LIMIT 1
		) END`
}

// unreadIn counts in the places of a list. $1 is the user; $3 to $5 are watermarks
// that Postgres may not have yet.
func unreadIn(column, places string) string {
	return `
	SELECT p.id, coalesce(n.unread, 0), coalesce(mention.unread, 0), ` + pointer("w.message_id", "w.seq", column, "p.id", "$7") + `, w.at
	FROM (` + places + `) AS p
	LEFT JOIN read_receipt r ON r.user_id = $1 AND r.` + column + ` = p.id
	LEFT JOIN unnest($3::uuid[], $4::bigint[], $5::uuid[], $6::timestamptz[]) AS k (place_id, seq, message_id, at) ON k.place_id = p.id
	CROSS JOIN LATERAL (
		SELECT greatest(r.last_read_seq, k.seq, 0) AS seq,
			CASE WHEN k.seq > coalesce(r.last_read_seq, 0) THEN k.message_id ELSE r.last_read_message_id END AS message_id,
			CASE WHEN k.seq > coalesce(r.last_read_seq, 0) THEN k.at ELSE r.last_read_at END AS at
	) AS w
	CROSS JOIN LATERAL (
		SELECT count(*)::int AS unread FROM (
			SELECT FROM (
				SELECT author_id, parent_message_id, deleted_at FROM message m
				WHERE m.` + column + ` = p.id AND m.seq > w.seq ORDER BY m.seq DESC LIMIT $7
			) AS newest
			WHERE parent_message_id IS NULL AND deleted_at IS NULL AND author_id IS DISTINCT FROM $1 LIMIT $8
		) AS counted
	) AS n
	LEFT JOIN (
		SELECT ` + column + ` AS id, count(*)::int AS unread FROM notification
		WHERE user_id = $1 AND NOT read AND NOT dismissed AND type IN ('USER_MENTION', 'SPECIAL_MENTION', 'DIRECT_MESSAGE')
			AND ` + column + ` IS NOT NULL
		GROUP BY 1
	) AS mention ON mention.id = p.id
	WHERE w.at IS NOT NULL OR n.unread > 0 OR mention.unread > 0`
}

var (
	selectUnreadChannels = query(unreadIn("channel_id", readableChannels))
	// $2 says nothing here: owners of the instance read no foreign conversations.
	selectUnreadGroups = query(unreadIn("direct_message_group_id",
		`SELECT group_id AS id FROM direct_message_group_member WHERE user_id = $1 AND $2::boolean IS NOT NULL`))

	selectUnreadChannel = query(unreadIn("channel_id", `SELECT $9::uuid AS id WHERE $2::boolean IS NOT NULL`))
	selectUnreadGroup   = query(unreadIn("direct_message_group_id", `SELECT $9::uuid AS id WHERE $2::boolean IS NOT NULL`))
)

// Mark is how far a user has read in a place.
type Mark struct {
	In protocol.Place
	protocol.Watermark
}

// markArgs are watermarks as parallel arrays.
func markArgs(marks []Mark) []any {
	places, seqs := make([]protocol.AnyID, len(marks)), make([]int64, len(marks))
	messages, at := make([]protocol.MessageID, len(marks)), make([]protocol.Instant, len(marks))
	for i, m := range marks {
		places[i], seqs[i], messages[i], at[i] = m.In.ID(), m.Seq, m.Message, m.At
	}
	return []any{places, seqs, messages, at}
}

// Unread lists what a user has not read, in all channels and groups that he may
// read, in one round trip; those without a watermark and with nothing to read are
// left out. Watermarks that Postgres may not have yet are marks.
func (db *DB) Unread(ctx context.Context, user protocol.UserID, owner bool, marks []Mark) ([]protocol.Unread, error) {
	list := []protocol.Unread{}
	args := slices.Concat([]any{user, owner}, markArgs(marks), []any{scanUnread, protocol.MaxUnread})
	b := &pgx.Batch{}
	add := func(sql string, to func(protocol.AnyID) protocol.Place) {
		b.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
			list, err = pgx.AppendRows(list, rows, scanUnreadIn(to))
			return err
		})
	}
	add(selectUnreadChannels, channelPlace)
	add(selectUnreadGroups, groupPlace)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, oneLine(fmt.Errorf("count what %s has not read: %w", user, err))
	}
	return list, nil
}

func channelPlace(id protocol.AnyID) protocol.Place {
	return protocol.InChannel(protocol.ChannelID(id))
}
func groupPlace(id protocol.AnyID) protocol.Place { return protocol.InGroup(protocol.GroupID(id)) }

func scanUnreadIn(to func(protocol.AnyID) protocol.Place) pgx.RowToFunc[protocol.Unread] {
	return func(row pgx.CollectableRow) (protocol.Unread, error) {
		var u protocol.Unread
		var id protocol.AnyID
		err := row.Scan(&id, &u.UnreadCount, &u.MentionCount, &u.LastReadMessageID, &u.LastReadAt)
		in := to(id)
		u.ChannelID, u.DirectMessageGroupID = in.Channel.Ptr(), in.Group.Ptr()
		return u, err
	}
}

// UnreadIn is what a user has not read in one place that he may read.
func (db *DB) UnreadIn(ctx context.Context, user protocol.UserID, in protocol.Place, own protocol.Watermark) (protocol.Unread, error) {
	sql, to := selectUnreadChannel, channelPlace
	if in.Kind() == protocol.KindDM {
		sql, to = selectUnreadGroup, groupPlace
	}
	var marks []Mark
	if own.Seq > 0 {
		marks = []Mark{{in, own}}
	}
	args := slices.Concat([]any{user, false}, markArgs(marks), []any{scanUnread, protocol.MaxUnread, in.ID()})
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return protocol.Unread{}, oneLine(fmt.Errorf("count what %s has not read: %w", user, err))
	}
	u, err := pgx.CollectExactlyOneRow(rows, scanUnreadIn(to))
	if errors.Is(err, pgx.ErrNoRows) {
		return protocol.Unread{ChannelID: in.Channel.Ptr(), DirectMessageGroupID: in.Group.Ptr()}, nil
	}
	if err != nil {
		return u, oneLine(fmt.Errorf("count what %s has not read: %w", user, err))
	}
	return u, nil
}

// lastReadIn reads a watermark of the user $1 in the place $2. The one that Postgres
// may not have yet is $3, with its seq $4.
func lastReadIn(column string) string {
	return `
	SELECT ` + pointer("w.message_id", "w.seq", column, "$2", "$5") + ` FROM (
		SELECT last_read_message_id AS message_id, last_read_seq AS seq FROM read_receipt WHERE user_id = $1 AND ` + column + ` = $2
		UNION ALL SELECT $3::uuid, $4::bigint
		ORDER BY seq DESC LIMIT 1
	) AS w`
}

var (
	selectChannelReceipt = query(lastReadIn("channel_id"))
	selectGroupReceipt   = query(lastReadIn("direct_message_group_id"))

	selectReadPlace = query(`SELECT channel_id, direct_message_group_id, seq, sent_at FROM message WHERE id = $1`)

	selectPeerReads = query(`
		SELECT r.user_id, r.last_read_at FROM read_receipt r
		JOIN direct_message_group_member g ON g.group_id = r.direct_message_group_id AND g.user_id = r.user_id
		WHERE r.direct_message_group_id = $1 AND r.user_id <> $2 ORDER BY r.user_id`)

	selectChannelReaders = query(`
		SELECT u.id, u.username, u.display_name, u.avatar_file_id, r.last_read_at
		FROM read_receipt r JOIN app_user u ON u.id = r.user_id
		WHERE r.channel_id = $1 AND r.last_read_seq >= $2 AND r.user_id <> $3
			AND EXISTS (SELECT FROM channel c JOIN membership m ON m.community_id = c.community_id
				WHERE c.id = $1 AND m.user_id = r.user_id AND (NOT c.is_private
					OR EXISTS (SELECT FROM channel_membership cm WHERE cm.channel_id = $1 AND cm.user_id = r.user_id)))
		ORDER BY r.last_read_at DESC, u.id LIMIT $4`)

	selectGroupReaders = query(`
		SELECT u.id, u.username, u.display_name, u.avatar_file_id, r.last_read_at
		FROM read_receipt r JOIN app_user u ON u.id = r.user_id
		JOIN direct_message_group_member g ON g.group_id = r.direct_message_group_id AND g.user_id = r.user_id
		WHERE r.direct_message_group_id = $1 AND r.last_read_seq >= $2 AND r.user_id <> $3
		ORDER BY r.last_read_at DESC, u.id LIMIT $4`)
)

// LastRead is the message up to which a user has read in a place; zero: none. The
// watermark that Postgres may not have yet is own.
func (db *DB) LastRead(ctx context.Context, user protocol.UserID, in protocol.Place, own protocol.Watermark) (id protocol.MessageID, err error) {
	sql := selectChannelReceipt
	if in.Kind() == protocol.KindDM {
		sql = selectGroupReceipt
	}
	err = db.pool.QueryRow(ctx, sql, user, in.ID(), own.Message, own.Seq, scanUnread).Scan(&id)
	return id, shown(err, "read watermark")
}

// ReadPlace finds a message for somebody who has read it: its place in the order
// of the conversation, which must be in. Replies and removed messages count too.
func (db *DB) ReadPlace(ctx context.Context, id protocol.MessageID, in protocol.Place) (seq int64, sentAt protocol.Instant, err error) {
	var at protocol.Place
	err = db.pool.QueryRow(ctx, selectReadPlace, id).Scan(&at.Channel, &at.Group, &seq, &sentAt)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, 0, protocol.ErrReadNoMessage
	case err == nil && at != in:
		return 0, 0, protocol.ErrReadElsewhere
	}
	return seq, sentAt, shown(err, "find message")
}

// PeerReads lists how far the others of a group have read.
func (db *DB) PeerReads(ctx context.Context, group protocol.GroupID, but protocol.UserID) ([]protocol.PeerRead, error) {
	rows, err := db.pool.Query(ctx, selectPeerReads, group, but)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list reads in group %s: %w", group, err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[protocol.PeerRead])
	return list, shown(err, "list reads in group")
}

// Readers lists who has read up to a seq, of those who may still read there, the
// latest first.
func (db *DB) Readers(ctx context.Context, in protocol.Place, seq int64, but protocol.UserID) ([]protocol.Reader, error) {
	sql := selectChannelReaders
	if in.Kind() == protocol.KindDM {
		sql = selectGroupReaders
	}
	rows, err := db.pool.Query(ctx, sql, in.ID(), seq, but, protocol.MaxReaders)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list readers in %s: %w", in, err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[protocol.Reader])
	return list, shown(err, "list readers")
}

// advance moves a watermark forward, in one statement, and returns it as it is
// then, and whether it has moved. A message that is gone leaves no pointer.
func advance(column string) string {
	return `
	WITH moved AS (
		INSERT INTO read_receipt AS old (id, user_id, ` + column + `, last_read_message_id, last_read_seq, last_read_sent_at, last_read_at)
		VALUES ($1, $2, $3, (SELECT m.id FROM message m WHERE m.id = $4), $5, $6, $7)
		ON CONFLICT (user_id, ` + column + `) DO UPDATE SET last_read_message_id = excluded.last_read_message_id,
			last_read_seq = excluded.last_read_seq, last_read_sent_at = excluded.last_read_sent_at, last_read_at = excluded.last_read_at
		WHERE excluded.last_read_seq > old.last_read_seq
		RETURNING id, last_read_message_id, last_read_seq, last_read_at
	)
	SELECT id, last_read_message_id, last_read_seq, last_read_at, true FROM moved
	UNION ALL
	SELECT id, last_read_message_id, last_read_seq, last_read_at, false FROM read_receipt
	WHERE user_id = $2 AND ` + column + ` = $3 AND NOT EXISTS (SELECT FROM moved)`
}

// seen marks the notifications of a user in a place as read, those of messages
// that he has read by that.
func seen(column string) string {
	return `
	UPDATE notification SET read = true
	WHERE user_id = $1 AND ` + column + ` = $2 AND NOT read
		AND type IN ('USER_MENTION', 'SPECIAL_MENTION', 'CHANNEL_MESSAGE', 'DIRECT_MESSAGE')
	RETURNING id`
}

var (
	advanceChannel = query(advance("channel_id"))
	advanceGroup   = query(advance("direct_message_group_id"))
	seenChannel    = query(seen("channel_id"))
	seenGroup      = query(seen("direct_message_group_id"))
)

// Advance is how far a user says he has read.
type Advance struct {
	User    protocol.UserID
	In      protocol.Place
	Message protocol.MessageID
	Seq     int64
	SentAt  protocol.Instant
	At      protocol.Instant
	Seen    bool // notifications from there are read too
}

// Advanced is what came of an Advance.
type Advanced struct {
	Receipt protocol.Receipt
	Seq     int64 // of the watermark
	Moved   bool
	Seen    []protocol.AnyID // notifications that are read now
}

// AdvanceReceipt moves a watermark forward; it never goes back.
func (db *DB) AdvanceReceipt(ctx context.Context, a Advance) (Advanced, error) {
	up, see := advanceChannel, seenChannel
	if a.In.Kind() == protocol.KindDM {
		up, see = advanceGroup, seenGroup
	}
	var r Advanced
	var read []protocol.AnyID
	// When somebody else has just stored the first watermark, it is not moved and not
	// seen either; the second look sees it.
	for range 2 {
		r = Advanced{Receipt: protocol.Receipt{UserID: a.User, ChannelID: a.In.Channel.Ptr(), DirectMessageGroupID: a.In.Group.Ptr()}}
		b := &pgx.Batch{}
		found := false
		b.Queue(up, protocol.NewRandomID[memberRow](), a.User, a.In.ID(), a.Message, a.Seq, a.SentAt, a.At).Query(func(rows pgx.Rows) error {
			defer rows.Close()
			for rows.Next() {
				found = true
				if err := rows.Scan(&r.Receipt.ID, &r.Receipt.LastReadMessageID, &r.Seq, &r.Receipt.LastReadAt, &r.Moved); err != nil {
					return err
				}
			}
			return rows.Err()
		})
		if a.Seen {
			b.Queue(see, a.User, a.In.ID()).Query(func(rows pgx.Rows) (err error) {
				read, err = pgx.AppendRows(read, rows, pgx.RowTo[protocol.AnyID])
				return err
			})
		}
		if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
			return r, shown(err, "move watermark")
		}
		if found {
			r.Seen = read
			return r, nil
		}
	}
	return r, fmt.Errorf("move watermark of %s in %s: no row", a.User, a.In)
}
