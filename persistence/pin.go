package persistence

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// PinRow pins a message or takes its pin away.
type PinRow struct {
	ID     protocol.MessageID
	Pinned bool
	At     protocol.Instant // 0: not pinned
	By     protocol.UserID  // zero: not pinned
}

var pinMessages = newStatement(Statement{
	Name: "pin messages",
	SQL: `
	UPDATE message m SET pinned = p.pinned, pinned_at = p.at, pinned_by = (SELECT u.id FROM app_user u WHERE u.id = p.by)
	FROM unnest($1::uuid[], $2::bool[], $3::timestamptz[], $4::uuid[]) AS p (id, pinned, at, by)
	WHERE m.id = p.id AND m.deleted_at IS NULL`,
	Args: func(rows []Row) []any {
		return []any{
			Column(rows, func(r *PinRow) protocol.MessageID { return r.ID }),
			Column(rows, func(r *PinRow) bool { return r.Pinned }),
			Column(rows, func(r *PinRow) protocol.Instant { return r.At }),
			Column(rows, func(r *PinRow) protocol.UserID { return r.By }),
		}
	},
})

// Statement implements Row.
func (*PinRow) Statement() *Statement { return pinMessages }

// Size implements Row.
func (*PinRow) Size() int { return rowSize }

// Key implements Keyed.
func (r *PinRow) Key() any { return r.ID }

// RemovedRow hides a message: what it said stays for the record, but no list
// shows it, nobody is notified of it, it is pinned no longer and its files are
// marked as deleted. If it is a reply, its parent has one less.
type RemovedRow struct {
	ID     protocol.MessageID
	At     protocol.Instant
	By     protocol.UserID
	Reason *string
}

// Only what was not removed before counts, so running it again takes nothing
// off twice.
var removeMessages = newStatement(Statement{
	Name: "remove messages",
	SQL: `
	WITH gone AS (
		UPDATE message m SET deleted_at = g.at, deleted_by = (SELECT u.id FROM app_user u WHERE u.id = g.by),
			deleted_by_reason = g.reason, pinned = false, pinned_at = NULL, pinned_by = NULL
		FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[]) AS g (id, at, by, reason)
		WHERE m.id = g.id AND m.deleted_at IS NULL
		RETURNING m.id, m.parent_message_id
	), files AS (
		UPDATE file SET deleted_at = coalesce(deleted_at, (SELECT max(at) FROM unnest($2::timestamptz[]) AS at))
		WHERE message_id IN (SELECT id FROM gone)
			OR id IN (SELECT a.file_id FROM message_attachment a WHERE a.message_id IN (SELECT id FROM gone))
	), notices AS (
		DELETE FROM notification WHERE message_id IN (SELECT id FROM gone) OR parent_message_id IN (SELECT id FROM gone)
	), unindexed AS (` + searchForgets + `
	)
	UPDATE message p SET reply_count = greatest(p.reply_count - lost.replies, 0)
	FROM (SELECT parent_message_id AS id, count(*)::int AS replies FROM gone WHERE parent_message_id IS NOT NULL GROUP BY 1) AS lost
	WHERE p.id = lost.id AND p.id NOT IN (SELECT id FROM gone)`,
	Args: func(rows []Row) []any {
		return []any{
			Column(rows, func(r *RemovedRow) protocol.MessageID { return r.ID }),
			Column(rows, func(r *RemovedRow) protocol.Instant { return r.At }),
			Column(rows, func(r *RemovedRow) protocol.UserID { return r.By }),
			Column(rows, func(r *RemovedRow) *string { return r.Reason }),
		}
	},
})

// Statement implements Row.
func (*RemovedRow) Statement() *Statement { return removeMessages }

// Size implements Row.
func (*RemovedRow) Size() int { return rowSize }

// Key implements Keyed.
func (r *RemovedRow) Key() any { return r.ID }

// ModerationRow is an entry of the log about a message. It is written with the
// change itself.
type ModerationRow struct {
	ID        protocol.AnyID
	Community protocol.CommunityID
	Moderator protocol.UserID
	Message   protocol.MessageID
	Action    string
	Reason    *string
	Metadata  json.RawMessage // an object; nil: none
	At        protocol.Instant
}

var insertModeration = newStatement(Statement{
	Name: "insert moderation log",
	SQL: `
	INSERT INTO moderation_log (id, community_id, moderator_id, target_message_id, action, reason, metadata, created_at)
	SELECT n.id, c.id, (SELECT u.id FROM app_user u WHERE u.id = n.moderator_id), (SELECT m.id FROM message m WHERE m.id = n.message_id),
		n.action, n.reason, n.metadata::jsonb, n.at
	FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
		AS n (id, community_id, moderator_id, message_id, action, reason, metadata, at)
	JOIN community c ON c.id = n.community_id
	ON CONFLICT (id) DO NOTHING`,
	Args: func(rows []Row) []any {
		return []any{
			Column(rows, func(r *ModerationRow) protocol.AnyID { return r.ID }),
			Column(rows, func(r *ModerationRow) protocol.CommunityID { return r.Community }),
			Column(rows, func(r *ModerationRow) protocol.UserID { return r.Moderator }),
			Column(rows, func(r *ModerationRow) protocol.MessageID { return r.Message }),
			Column(rows, func(r *ModerationRow) string { return r.Action }),
			Column(rows, func(r *ModerationRow) *string { return r.Reason }),
			Column(rows, func(r *ModerationRow) *string { return textOrNull(r.Metadata) }),
			Column(rows, func(r *ModerationRow) protocol.Instant { return r.At }),
		}
	},
})

func textOrNull(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

// Statement implements Row.
func (*ModerationRow) Statement() *Statement { return insertModeration }

// Size implements Row.
func (r *ModerationRow) Size() int { return 2 * rowSize }

var (
	// A pin of which the place is asked for may be gone: then nothing follows.
	selectPins = query(`SELECT ` + messageColumns + `, u.id, u.username, u.display_name, u.avatar_file_id` + messageTable + `
		LEFT JOIN app_user u ON u.id = m.author_id
		WHERE m.channel_id = $1 AND m.pinned AND m.deleted_at IS NULL AND ` + threadShown + `
			AND ($2::uuid IS NULL OR (m.pinned_at, m.id) > (SELECT p.pinned_at, p.id FROM message p WHERE p.id = $2 AND p.channel_id = $1 AND p.pinned))
		ORDER BY m.pinned_at, m.id LIMIT $3`)
)

// Pins lists at most limit pinned messages of a channel, oldest pin first, from
// behind one of them.
func (db *DB) Pins(ctx context.Context, channel protocol.ChannelID, after protocol.MessageID, limit int) ([]protocol.PinnedMessage, error) {
	rows, err := db.pool.Query(ctx, selectPins, channel, after, limit)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list pins of %s: %w", channel, err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (protocol.PinnedMessage, error) {
		var r messageScan
		var a protocol.Author
		var name *string
		if err := row.Scan(append(r.fields(), &a.ID, &name, &a.DisplayName, &a.AvatarURL)...); err != nil {
			return protocol.PinnedMessage{}, err
		}
		m, err := r.message()
		p := protocol.PinnedMessage{Message: m.Message}
		if name != nil {
			a.Username = *name
			p.Author = &a
		}
		return p, err
	})
	if err != nil {
		return nil, oneLine(fmt.Errorf("list pins of %s: %w", channel, err))
	}
	return list, nil
}

// MessageRemoved reports whether there is a message that was removed.
func (db *DB) MessageRemoved(ctx context.Context, in protocol.Place, id protocol.MessageID) (bool, error) {
	var removed bool
	if err := db.pool.QueryRow(ctx, logOf(in).removed, in.ID(), id).Scan(&removed); err != nil {
		return false, oneLine(fmt.Errorf("look for message %s: %w", id, err))
	}
	return removed, nil
}
