package persistence

import "github.com/rookery-chat/rookery/protocol"

// ReceiptRow moves a user's watermark in a channel or group forward; it never
// goes back, in whatever order rows arrive.
type ReceiptRow struct {
	ID      protocol.AnyID // when it is the user's first there
	User    protocol.UserID
	In      protocol.Place
	Message protocol.MessageID
	Seq     int64
	SentAt  protocol.Instant // of the message
	At      protocol.Instant // when it was read
}

var (
	advanceReceipts      = newReceiptStatement("advance receipts", "channel_id", "channel")
	advanceGroupReceipts = newReceiptStatement("advance receipts of groups", "direct_message_group_id", "direct_message_group")
)

// Of several rows of one user the newest counts, so that a sender's ten
// messages are one upsert. Rows go in order of their key, so that concurrent
// transactions can't block each other crosswise.
func newReceiptStatement(name, column, table string) *Statement {
	return newStatement(Statement{
		Name:  name,
		Stage: 4,
		SQL: `
	INSERT INTO read_receipt AS old (id, user_id, ` + column + `, last_read_message_id, last_read_seq, last_read_sent_at, last_read_at)
	SELECT DISTINCT ON (n.user_id, n.place_id) n.id, n.user_id, n.place_id, m.id, n.seq, n.sent_at, n.at
	FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::timestamptz[], $7::timestamptz[])
		AS n (id, user_id, place_id, message_id, seq, sent_at, at)
	JOIN app_user u ON u.id = n.user_id
	JOIN ` + table + ` c ON c.id = n.place_id
	LEFT JOIN message m ON m.id = n.message_id
	ORDER BY n.user_id, n.place_id, n.seq DESC
	ON CONFLICT (user_id, ` + column + `) DO UPDATE SET last_read_message_id = excluded.last_read_message_id,
		last_read_seq = excluded.last_read_seq, last_read_sent_at = excluded.last_read_sent_at, last_read_at = excluded.last_read_at
	WHERE excluded.last_read_seq > old.last_read_seq`,
		Args: func(rows []Row) []any {
			return []any{
				Column(rows, func(r *ReceiptRow) protocol.AnyID { return r.ID }),
				Column(rows, func(r *ReceiptRow) protocol.UserID { return r.User }),
				Column(rows, func(r *ReceiptRow) protocol.AnyID { return r.In.ID() }),
				Column(rows, func(r *ReceiptRow) protocol.MessageID { return r.Message }),
				Column(rows, func(r *ReceiptRow) int64 { return r.Seq }),
				Column(rows, func(r *ReceiptRow) protocol.Instant { return r.SentAt }),
				Column(rows, func(r *ReceiptRow) protocol.Instant { return r.At }),
			}
		},
	})
}

// Statement implements Row.
func (r *ReceiptRow) Statement() *Statement {
	if r.In.Kind() == protocol.KindDM {
		return advanceGroupReceipts
	}
	return advanceReceipts
}

// Size implements Row.
func (*ReceiptRow) Size() int { return rowSize }
