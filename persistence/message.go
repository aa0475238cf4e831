package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// messageColumns is a whole message in one row, with what hangs on it, so that a
// page is one statement and one snapshot, whatever its length.
const messageColumns = `
	m.id, m.channel_id, m.direct_message_group_id, m.author_id, m.sent_at, m.edited_at, m.deleted_at,
	m.pending_attachments, m.search_text, m.pinned, m.pinned_at, m.pinned_by, m.deleted_by, m.deleted_by_reason,
	m.parent_message_id, m.reply_count, m.last_reply_at, m.seq, coalesce(m.nonce, ''),
	m.spans,
	r.emoji, r.users,
	(SELECT string_agg(` + attachmentText + `, ',' ORDER BY a.position, a.id)
		FROM message_attachment a JOIN file f ON f.id = a.file_id WHERE a.message_id = m.id)`

// messageTable goes with messageColumns; reactions in the order in which they were made.
const messageTable = ` FROM message m LEFT JOIN LATERAL (
		SELECT array_agg(made.emoji) AS emoji, array_agg(made.user_id) AS users
		FROM (SELECT emoji, user_id FROM message_reaction WHERE message_id = m.id ORDER BY created_at, id) AS made
	) AS r ON true`

// attachmentText is what the contract shows of a file.
const attachmentText = `'{"id":"' || f.id || '","filename":' || to_json(f.filename) || ',"mimeType":' || to_json(f.mime_type)
	|| ',"fileType":"' || f.file_type || '","size":' || f.size || ',"hasThumbnail":'
	|| CASE WHEN f.thumbnail_path IS NULL THEN 'false' ELSE 'true' END || '}'`

// history is what lists show of a channel: no replies, nothing that was deleted.
const history = `SELECT ` + messageColumns + messageTable + `
	WHERE m.channel_id = $1 AND m.parent_message_id IS NULL AND m.deleted_at IS NULL`

// seqOfToken is the place of a message whose id a client sent as its token; a
// message of elsewhere leaves the page empty.
const seqOfToken = `(SELECT t.seq FROM message t WHERE t.id = $3 AND t.channel_id = $1)`

var (
	selectRecentMessages = query(history + ` ORDER BY m.seq DESC LIMIT $2`)
	selectFirstMessages  = query(history + ` ORDER BY m.seq LIMIT $2`)
	selectOlderMessages  = query(history + ` AND m.seq < $3::bigint ORDER BY m.seq DESC LIMIT $2`)
	selectNewerMessages  = query(history + ` AND m.seq > $3::bigint ORDER BY m.seq LIMIT $2`)
	selectMessagesBefore = query(history + ` AND m.seq < ` + seqOfToken + ` ORDER BY m.seq DESC LIMIT $2`)
	selectMessagesAfter  = query(history + ` AND m.seq > ` + seqOfToken + ` ORDER BY m.seq LIMIT $2`)

	selectMessage          = query(`SELECT ` + messageColumns + messageTable + ` WHERE m.id = $1 AND m.deleted_at IS NULL`)
	selectChannelOfMessage = query(`SELECT channel_id FROM message WHERE id = $1 AND channel_id IS NOT NULL`)

	// Files that a user may attach to a message: his own uploads for messages,
	// not yet in use by another one.
	selectAttachable = query(`
		SELECT (` + attachmentText + `)::json FROM file f
		WHERE f.id = ANY ($1) AND f.uploaded_by = $2 AND f.deleted_at IS NULL AND f.resource_type = 'MESSAGE_ATTACHMENT'
			AND (f.message_id IS NULL OR f.message_id = $3)
			AND NOT EXISTS (SELECT FROM message_attachment a WHERE a.file_id = f.id AND a.message_id <> $3)`)

	selectChannelSettings = query(`SELECT community_id, slowmode_seconds, is_private FROM channel WHERE id = $1 AND deleted_at IS NULL`)

	// Receipts count too: the newest message may have been deleted, and its seq
	// must not come back, or a new message would be taken as read.
	selectLastSeq = query(`
		SELECT coalesce(greatest(
				(SELECT max(seq) FROM message WHERE channel_id = $1),
				(SELECT max(last_read_seq) FROM read_receipt WHERE channel_id = $1)), 0),
			(SELECT sent_at FROM message WHERE channel_id = $1 ORDER BY seq DESC LIMIT 1)`)

	selectRecentSends = query(`
		SELECT id, author_id, coalesce(nonce, ''), sent_at FROM (
			SELECT id, author_id, nonce, sent_at, seq FROM message WHERE channel_id = $1 ORDER BY seq DESC LIMIT $2
		) AS newest WHERE sent_at >= $3 ORDER BY seq`)

	// Only when slow mode is on: nobody else needs it.
	selectLastSends = query(`
		SELECT newest.author_id, max(newest.sent_at) FROM channel c, LATERAL (
			SELECT m.author_id, m.sent_at FROM message m WHERE m.channel_id = c.id ORDER BY m.seq DESC LIMIT $2
		) AS newest
		WHERE c.id = $1 AND c.slowmode_seconds > 0 AND newest.author_id IS NOT NULL
			AND newest.sent_at > $3::timestamptz - make_interval(secs => c.slowmode_seconds)
		GROUP BY newest.author_id`)
)

// maxSlowmodeScan bounds how far back senders are looked up when a channel with
// slow mode is loaded.
const maxSlowmodeScan = 5000

// LoggedMessage is a message with its reactions one by one, in the order in
// which they were made.
type LoggedMessage struct {
	protocol.Message
	Choices []protocol.Reacted
}

// RecentSend is a message that was stored a short while ago, by which a repeated
// send is known.
type RecentSend struct {
	ID     protocol.MessageID
	Author protocol.UserID // zero: the account is gone
	Nonce  string          // of the client; empty: none
	SentAt protocol.Instant
}

// LastSend is when a user last sent into a channel.
type LastSend struct {
	User protocol.UserID
	At   protocol.Instant
}

// ChannelLog is what the owner of a channel keeps of it in memory.
type ChannelLog struct {
	Settings   protocol.ChannelSettings
	Messages   []LoggedMessage  // the newest that lists show, oldest of them first
	More       bool             // there are older ones
	LastSeq    int64            // of all rows and receipts; 0: nothing was ever written
	LastSentAt protocol.Instant // of the newest row
	Sends      []RecentSend     // oldest first
	LastSends  []LastSend       // only when slow mode is on
}

// ChannelLog reads the newest limit messages of a channel, and what sends since
// the given moment (at most sends of them) were, in one round trip.
func (db *DB) ChannelLog(ctx context.Context, channel protocol.ChannelID, limit, sends int, since, now protocol.Instant) (*ChannelLog, error) {
	l := &ChannelLog{Settings: protocol.ChannelSettings{Missing: true}}
	b := &pgx.Batch{}
	b.Queue(selectChannelSettings, channel).QueryRow(func(row pgx.Row) error {
		s := protocol.ChannelSettings{}
		err := row.Scan(&s.Community, &s.Slowmode, &s.Private)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		l.Settings = s
		return err
	})
	queueList(b, &l.Messages, scanMessage, selectRecentMessages, channel, limit+1)
	b.Queue(selectLastSeq, channel).QueryRow(func(row pgx.Row) error { return row.Scan(&l.LastSeq, &l.LastSentAt) })
	queueList(b, &l.Sends, scanRecentSend, selectRecentSends, channel, sends, since)
	queueList(b, &l.LastSends, scanLastSend, selectLastSends, channel, maxSlowmodeScan, now)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, oneLine(fmt.Errorf("load channel %s: %w", channel, err))
	}
	if l.More = len(l.Messages) > limit; l.More {
		l.Messages = l.Messages[:limit]
	}
	slices.Reverse(l.Messages)
	return l, nil
}

// LoggedMessage reads one message; nil when there is none or it was deleted.
func (db *DB) LoggedMessage(ctx context.Context, id protocol.MessageID) (*LoggedMessage, error) {
	rows, err := db.pool.Query(ctx, selectMessage, id)
	if err != nil {
		return nil, oneLine(fmt.Errorf("read message %s: %w", id, err))
	}
	m, err := pgx.CollectExactlyOneRow(rows, scanMessage)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, oneLine(fmt.Errorf("read message %s: %w", id, err))
	}
	return &m, nil
}

// Message reads one message of a channel or group; a NotFound when there is none
// or it was deleted.
func (db *DB) Message(ctx context.Context, id protocol.MessageID) (*protocol.Message, error) {
	m, err := db.LoggedMessage(ctx, id)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, protocol.NotFound("Message not found")
	}
	return &m.Message, nil
}

// ChannelOfMessage finds the channel of a message; it never changes. A message
// that does not exist or is not in a channel is a NotFound.
func (db *DB) ChannelOfMessage(ctx context.Context, id protocol.MessageID) (protocol.ChannelID, error) {
	var c protocol.ChannelID
	err := db.pool.QueryRow(ctx, selectChannelOfMessage, id).Scan(&c)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, protocol.NotFound("Message not found")
	}
	if err != nil {
		return c, oneLine(fmt.Errorf("find channel of message %s: %w", id, err))
	}
	return c, nil
}

// Attachable reads those of the files that the user may attach to the message.
func (db *DB) Attachable(ctx context.Context, ids []protocol.FileID, user protocol.UserID, message protocol.MessageID) ([]protocol.Attachment, error) {
	rows, err := db.pool.Query(ctx, selectAttachable, ids, user, message)
	if err != nil {
		return nil, oneLine(fmt.Errorf("read files of %s: %w", user, err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[protocol.Attachment])
	if err != nil {
		return nil, oneLine(fmt.Errorf("read files of %s: %w", user, err))
	}
	return list, nil
}

func scanRecentSend(row pgx.CollectableRow) (RecentSend, error) {
	var s RecentSend
	err := row.Scan(&s.ID, &s.Author, &s.Nonce, &s.SentAt)
	return s, err
}

func scanLastSend(row pgx.CollectableRow) (LastSend, error) {
	var s LastSend
	err := row.Scan(&s.User, &s.At)
	return s, err
}
