package persistence

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// PendingRow sets how many uploads of a message are still to come.
type PendingRow struct {
	ID    protocol.MessageID
	Count int
}

var updatePending = newStatement(Statement{
	Name: "count pending attachments",
	SQL: `
	UPDATE message m SET pending_attachments = p.count
	FROM unnest($1::uuid[], $2::int[]) AS p (id, count) WHERE m.id = p.id`,
	Args: func(rows []Row) []any {
		return []any{
			Column(rows, func(r *PendingRow) protocol.MessageID { return r.ID }),
			Column(rows, func(r *PendingRow) int { return r.Count }),
		}
	},
})

// Statement implements Row.
func (*PendingRow) Statement() *Statement { return updatePending }

// Size implements Row.
func (*PendingRow) Size() int { return rowSize }

// Key implements Keyed.
func (r *PendingRow) Key() any { return r.ID }

var selectStaleUploads = query(`
	SELECT id, channel_id, direct_message_group_id FROM message
	WHERE pending_attachments > 0 AND deleted_at IS NULL AND sent_at < $1 ORDER BY sent_at LIMIT $2`)

// StaleUpload is a message that waits for uploads.
type StaleUpload struct {
	ID      protocol.MessageID
	Channel protocol.ChannelID // zero: in Group
	Group   protocol.GroupID
}

// StaleUploads lists messages from before a moment that still wait for uploads,
// oldest first.
func (db *DB) StaleUploads(ctx context.Context, before protocol.Instant, limit int) ([]StaleUpload, error) {
	return listRows(ctx, db, "list pending uploads", pgx.RowToStructByPos[StaleUpload], selectStaleUploads, before, limit)
}
