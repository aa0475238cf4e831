package persistence

import (
	"context"
	"fmt"

	"github.com/rookery-chat/rookery/protocol"
)

// insertReplies is for messages below another one: that is stored before, and
// what hangs on replies after. Parents count the rows that were added, and the
// last of them in the order of the log is their last reply. They are few, so all
// are looked through for mentions.
var insertReplies = newStatement(Statement{
	Name:  "insert replies",
	Stage: 2,
	SQL: `
	WITH added AS (
		INSERT INTO message (id, channel_id, direct_message_group_id, seq, author_id, sent_at, deleted_at, nonce, pending_attachments, search_text,
			parent_message_id, spans)
		` + newMessageHead + `, n.parent_id, coalesce(message_spans_known(n.spans), '[]')
		FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::uuid[], $6::timestamptz[], $7::timestamptz[], $8::text[], $9::int[], $10::text[], $11::json[],
			$12::uuid[]) AS n (id, channel_id, group_id, seq, author_id, sent_at, deleted_at, nonce, pending, search_text, spans, parent_id)
		ON CONFLICT (id) DO NOTHING
		RETURNING id, parent_message_id, seq, sent_at
	), counted AS (
		UPDATE message p SET reply_count = p.reply_count + c.replies, last_reply_at = c.at
		FROM (SELECT parent_message_id, count(*)::int AS replies, (array_agg(sent_at ORDER BY seq DESC))[1] AS at FROM added GROUP BY 1) AS c
		WHERE p.id = c.parent_message_id
	)` + insertMentions(`$13::uuid[], $14::uuid[], $15::uuid[], $16::text[]`, `added`),
	Args: func(rows []Row) []any {
		var list []mention
		for _, r := range rows {
			m := r.(*MessageRow).Message
			list = mentionsIn(list, m.ID, m.Spans)
		}
		args := append(messageArgs(rows), Column(rows, func(r *MessageRow) *protocol.MessageID { return r.Message.ParentMessageID }))
		return append(args, mentionArgs(list)...)
	},
})

// SeqRow stores a row without content that keeps a seq, if none has it: the one
// that had it was deleted.
type SeqRow struct {
	ID  protocol.MessageID
	In  protocol.Place
	Seq int64
	At  protocol.Instant
}

var keepSeqs = newStatement(Statement{
	Name: "keep seqs",
	SQL: `
	INSERT INTO message (id, channel_id, direct_message_group_id, seq, sent_at, deleted_at)
	SELECT n.id, n.channel_id, n.group_id, n.seq, n.at, n.at
	FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::timestamptz[]) AS n (id, channel_id, group_id, seq, at)
	WHERE NOT EXISTS (SELECT FROM message m WHERE m.channel_id = n.channel_id AND m.seq = n.seq)
		AND NOT EXISTS (SELECT FROM message m WHERE m.direct_message_group_id = n.group_id AND m.seq = n.seq)
	ON CONFLICT (id) DO NOTHING`,
	Args: func(rows []Row) []any {
		return []any{
			Column(rows, func(r *SeqRow) protocol.MessageID { return r.ID }),
			Column(rows, func(r *SeqRow) protocol.ChannelID { return r.In.Channel }),
			Column(rows, func(r *SeqRow) protocol.GroupID { return r.In.Group }),
			Column(rows, func(r *SeqRow) int64 { return r.Seq }),
			Column(rows, func(r *SeqRow) protocol.Instant { return r.At }),
		}
	},
})

// Statement implements Row.
func (*SeqRow) Statement() *Statement { return keepSeqs }

// Size implements Row.
func (*SeqRow) Size() int { return rowSize }

// Key implements Keyed: the second would not see the first.
func (r *SeqRow) Key() any { return r.Seq }

// SubscribedRow makes a user hear of the replies to a message.
type SubscribedRow struct {
	ID     protocol.AnyID
	User   protocol.UserID
	Parent protocol.MessageID
	At     protocol.Instant
}

var insertSubscribers = newStatement(Statement{
	Name:  "insert thread subscribers",
	Stage: 4,
	SQL: `
	INSERT INTO thread_subscriber (id, user_id, parent_message_id, subscribed_at)
	SELECT n.id, u.id, m.id, n.at
	FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[]) AS n (id, user_id, message_id, at)
	JOIN message m ON m.id = n.message_id
	JOIN app_user u ON u.id = n.user_id
	ORDER BY u.id, m.id
	ON CONFLICT (user_id, parent_message_id) DO NOTHING`,
	Args: func(rows []Row) []any {
		return []any{
			Column(rows, func(r *SubscribedRow) protocol.AnyID { return r.ID }),
			Column(rows, func(r *SubscribedRow) protocol.UserID { return r.User }),
			Column(rows, func(r *SubscribedRow) protocol.MessageID { return r.Parent }),
			Column(rows, func(r *SubscribedRow) protocol.Instant { return r.At }),
		}
	},
})

// Statement implements Row.
func (*SubscribedRow) Statement() *Statement { return insertSubscribers }

// Size implements Row.
func (*SubscribedRow) Size() int { return rowSize }

// UnsubscribedRow ends that.
type UnsubscribedRow struct {
	User   protocol.UserID
	Parent protocol.MessageID
}

var deleteSubscribers = newStatement(Statement{
	Name: "delete thread subscribers",
	SQL: `
	DELETE FROM thread_subscriber s USING unnest($1::uuid[], $2::uuid[]) AS g (user_id, message_id)
	WHERE s.user_id = g.user_id AND s.parent_message_id = g.message_id`,
	Args: func(rows []Row) []any {
		return []any{
			Column(rows, func(r *UnsubscribedRow) protocol.UserID { return r.User }),
			Column(rows, func(r *UnsubscribedRow) protocol.MessageID { return r.Parent }),
		}
	},
})

// Statement implements Row.
func (*UnsubscribedRow) Statement() *Statement { return deleteSubscribers }

// Size implements Row.
func (*UnsubscribedRow) Size() int { return rowSize }

const thread = `SELECT ` + messageColumns + messageTable + ` WHERE m.parent_message_id = $1 AND m.deleted_at IS NULL`

var (
	selectReplies      = query(thread + ` AND m.seq > $3::bigint ORDER BY m.seq LIMIT $2`)
	selectRepliesAfter = query(thread + ` AND m.seq > (SELECT t.seq FROM message t WHERE t.id = $3 AND t.parent_message_id = $1)
		ORDER BY m.seq LIMIT $2`)

	selectSubscribed = query(`SELECT EXISTS (SELECT FROM thread_subscriber WHERE user_id = $1 AND parent_message_id = $2)`)
)

// ThreadPage reads the page of a thread that its owner has granted, a
// protocol.ThreadPage.
func (db *DB) ThreadPage(ctx context.Context, g protocol.ThreadGrant) (*StoredPage, error) {
	sql, after := selectReplies, any(g.Cursor)
	if !g.After.IsZero() {
		sql, after = selectRepliesAfter, g.After
	}
	rows, err := db.pool.Query(ctx, sql, g.Parent, g.Limit+1, after)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list replies to %s: %w", g.Parent, err))
	}
	page, err := collectRows(rows, "replies", g.In, g.Limit, false)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list replies to %s: %w", g.Parent, err))
	}
	return page, nil
}

// Subscribed reports whether a user hears of the replies to a message.
func (db *DB) Subscribed(ctx context.Context, user protocol.UserID, parent protocol.MessageID) (bool, error) {
	subscribed, err := oneOf[bool](ctx, db, selectSubscribed, user, parent)
	return subscribed, shown(err, "look for a subscription")
}
