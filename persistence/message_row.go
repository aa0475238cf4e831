package persistence

import "github.com/rookery-chat/rookery/protocol"

// rowSize is about what a row costs besides its texts.
const rowSize = 256

// MessageRow stores a new message of a channel or group. Its author may be gone by then;
// the message stays.
type MessageRow struct {
	Message *protocol.Message
}

const (
	newMessage     = `INSERT INTO message (id, channel_id, direct_message_group_id, seq, author_id, sent_at, deleted_at, nonce, pending_attachments, search_text, spans)`
	newMessageHead = `SELECT n.id, n.channel_id, n.group_id, n.seq, (SELECT u.id FROM app_user u WHERE u.id = n.author_id), n.sent_at, n.deleted_at,
			nullif(n.nonce, ''), n.pending, n.search_text`
	newMessageArray = `unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::uuid[], $6::timestamptz[], $7::timestamptz[], $8::text[], $9::int[], $10::text[], $11::json[])
			AS n (id, channel_id, group_id, seq, author_id, sent_at, deleted_at, nonce, pending, search_text, spans)`
)

// insertMessages is for messages that name nobody, nearly all of them: a row
// each, and nothing to look up but the author.
var insertMessages = newStatement(Statement{
	Name:  "insert messages",
	Stage: 1,
	SQL: newMessage + `
	` + newMessageHead + `, n.spans
	FROM ` + newMessageArray + `
	ON CONFLICT (id) DO NOTHING`,
	Args: messageArgs,
})

// insertMentioning is for messages that name somebody. Only those that were not
// there get mentions: when the statement runs again, those of the first time may
// have been edited since.
var insertMentioning = newStatement(Statement{
	Name:  "insert messages with mentions",
	Stage: 1,
	SQL: `
	WITH added AS (
		` + newMessage + `
		` + newMessageHead + `, message_spans_known(n.spans)
		FROM ` + newMessageArray + `
		ON CONFLICT (id) DO NOTHING
		RETURNING id
	)` + insertMentions(`$12::uuid[], $13::uuid[], $14::uuid[], $15::text[]`, `added`),
	Args: func(rows []Row) []any {
		var list []mention
		for _, r := range rows {
			m := r.(*MessageRow).Message
			list = mentionsIn(list, m.ID, m.Spans)
		}
		return append(messageArgs(rows), mentionArgs(list)...)
	},
})

func messageArgs(rows []Row) []any {
	return []any{
		Column(rows, func(r *MessageRow) protocol.MessageID { return r.Message.ID }),
		Column(rows, func(r *MessageRow) *protocol.ChannelID { return r.Message.ChannelID }),
		Column(rows, func(r *MessageRow) *protocol.GroupID { return r.Message.DirectMessageGroupID }),
		Column(rows, func(r *MessageRow) int64 { return r.Message.Seq }),
		Column(rows, func(r *MessageRow) *protocol.UserID { return r.Message.AuthorID }),
		Column(rows, func(r *MessageRow) protocol.Instant { return r.Message.SentAt }),
		Column(rows, func(r *MessageRow) *protocol.Instant { return r.Message.DeletedAt }),
		Column(rows, func(r *MessageRow) string { return r.Message.Nonce }),
		Column(rows, func(r *MessageRow) *int { return r.Message.PendingAttachments }),
		Column(rows, func(r *MessageRow) *string { return r.Message.SearchText }),
		Column(rows, func(r *MessageRow) []byte { return protocol.AppendSpans(nil, r.Message.Spans) }),
	}
}

// Statement implements Row.
func (r *MessageRow) Statement() *Statement {
	if r.Message.ParentMessageID != nil {
		return insertReplies
	}
	if names(r.Message.Spans) {
		return insertMentioning
	}
	return insertMessages
}

// Size implements Row.
func (r *MessageRow) Size() int { return messageSize(r.Message.Spans, r.Message.SearchText) }

// EditRow replaces the spans of a message.
type EditRow struct {
	ID         protocol.MessageID
	EditedAt   protocol.Instant
	SearchText *string
	Spans      []protocol.Span
}

var updateMessages = newStatement(Statement{
	Name: "edit messages",
	SQL: `
	WITH edited AS (
		UPDATE message m SET edited_at = e.edited_at, search_text = e.search_text, spans = message_spans_known(e.spans)
		FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::json[]) AS e (id, edited_at, search_text, spans)
		WHERE m.id = e.id
		RETURNING m.id
	), forgotten AS (
		DELETE FROM message_mention WHERE message_id = ANY ($1::uuid[])
	)` + insertMentions(`$5::uuid[], $6::uuid[], $7::uuid[], $8::text[]`, `edited`),
	Args: func(rows []Row) []any {
		args := []any{
			Column(rows, func(r *EditRow) protocol.MessageID { return r.ID }),
			Column(rows, func(r *EditRow) protocol.Instant { return r.EditedAt }),
			Column(rows, func(r *EditRow) *string { return r.SearchText }),
			Column(rows, func(r *EditRow) []byte { return protocol.AppendSpans(nil, r.Spans) }),
		}
		var list []mention
		for _, r := range rows {
			e := r.(*EditRow)
			list = mentionsIn(list, e.ID, e.Spans)
		}
		return append(args, mentionArgs(list)...)
	},
})

// Statement implements Row.
func (*EditRow) Statement() *Statement { return updateMessages }

// Size implements Row.
func (r *EditRow) Size() int { return messageSize(r.Spans, r.SearchText) }

// Key implements Keyed.
func (r *EditRow) Key() any { return r.ID }

// DeletedRow removes a message with its replies and all that hangs on them.
// Attached files are marked deleted, for whoever removes their bytes. If the
// message is itself a reply, its parent has one less.
type DeletedRow struct {
	ID protocol.MessageID
	At protocol.Instant
}

// Files let go of the message first: they would be deleted with it, and nobody
// would know what to remove from the disk. Counts are of rows that still exist,
// so running it again takes nothing off twice.
var deleteMessages = newStatement(Statement{
	Name: "delete messages",
	SQL: `
	WITH gone AS (
		SELECT id FROM message WHERE id = ANY ($1::uuid[])
		UNION SELECT id FROM message WHERE parent_message_id = ANY ($1::uuid[])
	), files AS (
		UPDATE file SET deleted_at = coalesce(deleted_at, $2::timestamptz), message_id = NULL
		WHERE message_id IN (SELECT id FROM gone)
			OR id IN (SELECT a.file_id FROM message_attachment a WHERE a.message_id IN (SELECT id FROM gone))
	), parents AS (
		UPDATE message p SET reply_count = greatest(p.reply_count - lost.replies, 0)
		FROM (SELECT parent_message_id AS id, count(*)::int AS replies FROM message
			WHERE id = ANY ($1::uuid[]) AND parent_message_id IS NOT NULL GROUP BY 1) AS lost
		WHERE p.id = lost.id AND p.id NOT IN (SELECT id FROM gone)
	), unindexed AS (` + searchForgets + `
	)
	DELETE FROM message WHERE id IN (SELECT id FROM gone)`,
	Args: func(rows []Row) []any {
		return []any{
			Column(rows, func(r *DeletedRow) protocol.MessageID { return r.ID }),
			rows[len(rows)-1].(*DeletedRow).At,
		}
	},
})

// Statement implements Row.
func (*DeletedRow) Statement() *Statement { return deleteMessages }

// Size implements Row.
func (*DeletedRow) Size() int { return rowSize }

// AttachedRow links a file to a message, behind those it has.
type AttachedRow struct {
	ID       protocol.AnyID
	Message  protocol.MessageID
	File     protocol.FileID
	Position int // among those that are added together, from 0
}

var insertAttachments = newStatement(Statement{
	Name:  "insert attachments",
	Stage: 3,
	SQL: `
	INSERT INTO message_attachment (id, message_id, file_id, position)
	SELECT n.id, m.id, f.id,
		n.position + coalesce((SELECT max(a.position) + 1 FROM message_attachment a WHERE a.message_id = m.id), 0)
	FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[]) AS n (id, message_id, file_id, position)
	JOIN message m ON m.id = n.message_id
	JOIN file f ON f.id = n.file_id
	ON CONFLICT (message_id, file_id) DO NOTHING`,
	Args: func(rows []Row) []any {
		return []any{
			Column(rows, func(r *AttachedRow) protocol.AnyID { return r.ID }),
			Column(rows, func(r *AttachedRow) protocol.MessageID { return r.Message }),
			Column(rows, func(r *AttachedRow) protocol.FileID { return r.File }),
			Column(rows, func(r *AttachedRow) int { return r.Position }),
		}
	},
})

// Statement implements Row.
func (*AttachedRow) Statement() *Statement { return insertAttachments }

// Size implements Row.
func (*AttachedRow) Size() int { return rowSize }

// DetachedRow takes a file from a message and marks it deleted.
type DetachedRow struct {
	Message protocol.MessageID
	File    protocol.FileID
	At      protocol.Instant
}

var deleteAttachments = newStatement(Statement{
	Name: "delete attachments",
	SQL: `
	WITH gone AS (
		SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS g (message_id, file_id, at)
	), files AS (
		UPDATE file f SET deleted_at = coalesce(f.deleted_at, g.at), message_id = NULL FROM gone g WHERE f.id = g.file_id
	)
	DELETE FROM message_attachment a USING gone g WHERE a.message_id = g.message_id AND a.file_id = g.file_id`,
	Args: func(rows []Row) []any {
		return []any{
			Column(rows, func(r *DetachedRow) protocol.MessageID { return r.Message }),
			Column(rows, func(r *DetachedRow) protocol.FileID { return r.File }),
			Column(rows, func(r *DetachedRow) protocol.Instant { return r.At }),
		}
	},
})

// Statement implements Row.
func (*DetachedRow) Statement() *Statement { return deleteAttachments }

// Size implements Row.
func (*DetachedRow) Size() int { return rowSize }

func messageSize(spans []protocol.Span, search *string) int {
	n := rowSize * (1 + len(spans))
	for _, s := range spans {
		if s.Text != nil {
			n += len(*s.Text)
		}
	}
	if search != nil {
		n += len(*search)
	}
	return n
}
