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
		FROM message_attachment a JOIN file f ON f.id = a.file_id WHERE a.message_id = m.id AND f.deleted_at IS NULL)`

// messageTable goes with messageColumns; reactions in the order in which they were made.
const messageTable = ` FROM message m LEFT JOIN LATERAL (
		SELECT array_agg(made.emoji) AS emoji, array_agg(made.user_id) AS users
		FROM (SELECT emoji, user_id FROM message_reaction WHERE message_id = m.id ORDER BY created_at, id) AS made
	) AS r ON true`

// attachmentText is what the contract shows of a file.
const attachmentText = `'{"id":"' || f.id || '","filename":' || to_json(f.filename) || ',"mimeType":' || to_json(f.mime_type)
	|| ',"fileType":"' || f.file_type || '","size":' || f.size || ',"hasThumbnail":'
	|| CASE WHEN f.thumbnail_path IS NULL THEN 'false' ELSE 'true' END || '}'`

// logQueries are the statements about the messages of one channel or one group:
// $1 is its id.
type logQueries struct {
	recent, first, older, newer, before, after, around string // pages
	lastSeq, sends, removed                            string
}

var (
	channelLog = newLogQueries("channel_id")
	groupLog   = newLogQueries("direct_message_group_id")
)

// logOf chooses by the place.
func logOf(in protocol.Place) *logQueries {
	if in.Kind() == protocol.KindDM {
		return groupLog
	}
	return channelLog
}

func newLogQueries(column string) *logQueries {
	// What lists show: no replies, nothing that was deleted.
	history := `SELECT ` + messageColumns + messageTable + `
		WHERE m.` + column + ` = $1 AND m.parent_message_id IS NULL AND m.deleted_at IS NULL`
	// The place of a message whose id a client sent as its token; a message of
	// elsewhere leaves the page empty.
	seqOfToken := `(SELECT t.seq FROM message t WHERE t.id = $3 AND t.` + column + ` = $1)`
	return &logQueries{
		recent: query(history + ` ORDER BY m.seq DESC LIMIT $2`),
		first:  query(history + ` ORDER BY m.seq LIMIT $2`),
		older:  query(history + ` AND m.seq < $3::bigint ORDER BY m.seq DESC LIMIT $2`),
		newer:  query(history + ` AND m.seq > $3::bigint ORDER BY m.seq LIMIT $2`),
		before: query(history + ` AND m.seq < ` + seqOfToken + ` ORDER BY m.seq DESC LIMIT $2`),
		after:  query(history + ` AND m.seq > ` + seqOfToken + ` ORDER BY m.seq LIMIT $2`),

		// The anchor is the first row. The rows after it are older, then come those
		// that are newer; of both one more than the page has.
		around: query(`WITH anchor AS (SELECT t.seq FROM message t
				WHERE t.id = $2 AND t.` + column + ` = $1 AND t.parent_message_id IS NULL AND t.deleted_at IS NULL)
			(` + history + ` AND m.seq <= (SELECT seq FROM anchor) ORDER BY m.seq DESC LIMIT $3 + 2)
			UNION ALL
			(` + history + ` AND m.seq > (SELECT seq FROM anchor) ORDER BY m.seq LIMIT $3 + 1)`),

		// Receipts count too: the newest message may have been deleted, and its seq
		// must not come back, or a new message would be taken as read.
		lastSeq: query(`
			SELECT coalesce(greatest(
					(SELECT max(seq) FROM message WHERE ` + column + ` = $1),
					(SELECT max(last_read_seq) FROM read_receipt WHERE ` + column + ` = $1)), 0),
				(SELECT sent_at FROM message WHERE ` + column + ` = $1 ORDER BY seq DESC LIMIT 1)`),

		sends: query(`
			SELECT id, author_id, coalesce(nonce, ''), sent_at FROM (
				SELECT id, author_id, nonce, sent_at, seq FROM message WHERE ` + column + ` = $1 ORDER BY seq DESC LIMIT $2
			) AS newest WHERE sent_at >= $3 ORDER BY seq`),

		removed: query(`SELECT EXISTS (SELECT FROM message WHERE id = $2 AND ` + column + ` = $1 AND deleted_at IS NOT NULL)`),
	}
}

// threadShown holds for messages m that are no replies, or replies to what is shown: a
// message that is removed takes its thread out of sight.
const threadShown = `(m.parent_message_id IS NULL
	OR EXISTS (SELECT FROM message p WHERE p.id = m.parent_message_id AND p.deleted_at IS NULL))`

var (
	selectMessage        = query(`SELECT ` + messageColumns + messageTable + ` WHERE m.id = $1 AND m.deleted_at IS NULL AND ` + threadShown)
	selectPlaceOfMessage = query(`SELECT channel_id, direct_message_group_id FROM message WHERE id = $1`)

	// Files that a user may attach to a message: his own uploads for messages,
	// not yet in use by another one.
	selectAttachable = query(`
		SELECT (` + attachmentText + `)::json FROM file f
		WHERE f.id = ANY ($1) AND f.uploaded_by = $2 AND f.deleted_at IS NULL AND f.resource_type = 'MESSAGE_ATTACHMENT'
			AND (f.message_id IS NULL OR f.message_id = $3)
			AND NOT EXISTS (SELECT FROM message_attachment a WHERE a.file_id = f.id AND a.message_id <> $3)`)

	selectChannelSettings = query(`SELECT community_id, slowmode_seconds, is_private FROM channel WHERE id = $1 AND deleted_at IS NULL`)

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

// Log is what the owner of a conversation keeps of it in memory.
type Log struct {
	Messages   []LoggedMessage  // the newest that lists show, oldest of them first
	More       bool             // there are older ones
	LastSeq    int64            // of all rows and receipts; 0: nothing was ever written
	LastSentAt protocol.Instant // of the newest row
	Sends      []RecentSend     // oldest first
	LastSends  []LastSend       // of a channel, and only when slow mode is on
}

// LogScope says how much of a conversation is read.
type LogScope struct {
	Messages, Sends int              // at most
	Since           protocol.Instant // sends from here on
	Now             protocol.Instant
}

// queue reads the log with the batch; done is for when the batch was sent.
func (l *Log) queue(b *pgx.Batch, in protocol.Place, scope LogScope) (done func()) {
	q := logOf(in)
	queueList(b, &l.Messages, scanMessage, q.recent, in.ID(), scope.Messages+1)
	b.Queue(q.lastSeq, in.ID()).QueryRow(func(row pgx.Row) error { return row.Scan(&l.LastSeq, &l.LastSentAt) })
	queueList(b, &l.Sends, scanRecentSend, q.sends, in.ID(), scope.Sends, scope.Since)
	return func() {
		if l.More = len(l.Messages) > scope.Messages; l.More {
			l.Messages = l.Messages[:scope.Messages]
		}
		slices.Reverse(l.Messages)
	}
}

// ChannelLog reads the settings of a channel and its log in one round trip.
func (db *DB) ChannelLog(ctx context.Context, channel protocol.ChannelID, scope LogScope) (protocol.ChannelSettings, *Log, error) {
	settings, l := protocol.ChannelSettings{Missing: true}, &Log{}
	b := &pgx.Batch{}
	b.Queue(selectChannelSettings, channel).QueryRow(func(row pgx.Row) error {
		s := protocol.ChannelSettings{}
		err := row.Scan(&s.Community, &s.Slowmode, &s.Private)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		settings = s
		return err
	})
	done := l.queue(b, protocol.InChannel(channel), scope)
	queueList(b, &l.LastSends, scanLastSend, selectLastSends, channel, maxSlowmodeScan, scope.Now)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return settings, nil, oneLine(fmt.Errorf("load channel %s: %w", channel, err))
	}
	done()
	return settings, l, nil
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

// PlaceOfMessage finds where a message is; that never changes. A message that
// does not exist is a NotFound.
func (db *DB) PlaceOfMessage(ctx context.Context, id protocol.MessageID) (protocol.Place, error) {
	var p protocol.Place
	err := db.pool.QueryRow(ctx, selectPlaceOfMessage, id).Scan(&p.Channel, &p.Group)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, protocol.NotFound("Message not found")
	}
	if err != nil {
		return p, oneLine(fmt.Errorf("find place of message %s: %w", id, err))
	}
	return p, nil
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
