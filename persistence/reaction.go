package persistence

import "github.com/rookery-chat/rookery/protocol"

// ReactionRow stores one user's choice of an emoji. Nothing happens when the
// message or the user is gone.
type ReactionRow struct {
	ID      protocol.AnyID
	Message protocol.MessageID
	Emoji   string
	User    protocol.UserID
	At      protocol.Instant
}

var insertReactions = newStatement(Statement{
	Name:  "insert reactions",
	Stage: 3,
	SQL: `
	INSERT INTO message_reaction (id, message_id, emoji, user_id, created_at)
	SELECT n.id, m.id, n.emoji, u.id, n.at
	FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::timestamptz[]) AS n (id, message_id, emoji, user_id, at)
	JOIN message m ON m.id = n.message_id
	JOIN app_user u ON u.id = n.user_id
	ON CONFLICT (message_id, emoji, user_id) DO NOTHING`,
	Args: func(rows []Row) []any {
		return []any{
			Column(rows, func(r *ReactionRow) protocol.AnyID { return r.ID }),
			Column(rows, func(r *ReactionRow) protocol.MessageID { return r.Message }),
			Column(rows, func(r *ReactionRow) string { return r.Emoji }),
			Column(rows, func(r *ReactionRow) protocol.UserID { return r.User }),
			Column(rows, func(r *ReactionRow) protocol.Instant { return r.At }),
		}
	},
})

// Statement implements Row.
func (*ReactionRow) Statement() *Statement { return insertReactions }

// Size implements Row.
func (r *ReactionRow) Size() int { return rowSize + len(r.Emoji) }

// UnreactedRow takes one user's choice of an emoji back.
type UnreactedRow struct {
	Message protocol.MessageID
	Emoji   string
	User    protocol.UserID
}

var deleteReactions = newStatement(Statement{
	Name: "delete reactions",
	SQL: `
	DELETE FROM message_reaction r
	USING unnest($1::uuid[], $2::text[], $3::uuid[]) AS g (message_id, emoji, user_id)
	WHERE r.message_id = g.message_id AND r.emoji = g.emoji AND r.user_id = g.user_id`,
	Args: func(rows []Row) []any {
		return []any{
			Column(rows, func(r *UnreactedRow) protocol.MessageID { return r.Message }),
			Column(rows, func(r *UnreactedRow) string { return r.Emoji }),
			Column(rows, func(r *UnreactedRow) protocol.UserID { return r.User }),
		}
	},
})

// Statement implements Row.
func (*UnreactedRow) Statement() *Statement { return deleteReactions }

// Size implements Row.
func (r *UnreactedRow) Size() int { return rowSize + len(r.Emoji) }
