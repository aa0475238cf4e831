package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// What deleted channels and communities hold goes in pieces that are small
// enough not to be noticed by those who chat meanwhile.
var (
	selectDeadChannel = query(`SELECT id FROM channel WHERE deleted_at IS NOT NULL ORDER BY deleted_at, id LIMIT 1`)

	selectDeadCommunity = query(`SELECT id FROM community WHERE deleted_at IS NOT NULL ORDER BY deleted_at, id LIMIT 1`)

	selectDeadGroup = query(`SELECT id FROM direct_message_group WHERE deleted_at IS NOT NULL ORDER BY deleted_at, id LIMIT 1`)

	// The newest first: replies before what they reply to.
	selectDeadMessages = query(`SELECT id FROM message WHERE channel_id = $1 ORDER BY seq DESC LIMIT $2`)

	selectDeadDirectMessages = query(`SELECT id FROM message WHERE direct_message_group_id = $1 ORDER BY seq DESC LIMIT $2`)

	// A row of a file goes when its bytes have gone: it must not go with its
	// message.
	purgeMessageFiles = query(`
		UPDATE file SET deleted_at = coalesce(deleted_at, now()), message_id = NULL
		WHERE message_id = ANY ($1) OR id IN (SELECT file_id FROM message_attachment WHERE message_id = ANY ($1))`)

	purgeMessages = query(`DELETE FROM message WHERE id = ANY ($1)`)

	purgeCommunityFiles = query(`
		UPDATE file SET deleted_at = coalesce(deleted_at, now()), community_id = NULL
		WHERE id IN (SELECT id FROM file WHERE community_id = $1 LIMIT $2)`)

	purgeDeadChannel = query(`DELETE FROM channel WHERE id = $1`)

	purgeDeadGroup = query(`DELETE FROM direct_message_group WHERE id = $1`)

	purgeDeadCommunity = query(`DELETE FROM community WHERE id = $1`)
)

// channelRows, groupRows and communityRows are what may be many of a channel, a
// direct message group or a community, besides messages.
var (
	groupRows = []string{
		query(`DELETE FROM notification WHERE id IN (SELECT id FROM notification WHERE direct_message_group_id = $1 LIMIT $2)`),
		query(`DELETE FROM read_receipt WHERE id IN (SELECT id FROM read_receipt WHERE direct_message_group_id = $1 LIMIT $2)`),
	}
	channelRows = []string{
		query(`DELETE FROM notification WHERE id IN (SELECT id FROM notification WHERE channel_id = $1 LIMIT $2)`),
		query(`DELETE FROM read_receipt WHERE id IN (SELECT id FROM read_receipt WHERE channel_id = $1 LIMIT $2)`),
		query(`DELETE FROM channel_notification_override WHERE id IN
			(SELECT id FROM channel_notification_override WHERE channel_id = $1 LIMIT $2)`),
		query(`DELETE FROM channel_membership WHERE id IN (SELECT id FROM channel_membership WHERE channel_id = $1 LIMIT $2)`),
	}
	communityRows = []string{
		purgeCommunityFiles,
		query(`DELETE FROM role_assignment WHERE id IN (SELECT id FROM role_assignment WHERE community_id = $1 LIMIT $2)`),
		query(`DELETE FROM alias_group_member WHERE id IN (SELECT a.id FROM alias_group g
			JOIN alias_group_member a ON a.alias_group_id = g.id WHERE g.community_id = $1 LIMIT $2)`),
		query(`DELETE FROM moderation_log WHERE id IN (SELECT id FROM moderation_log WHERE community_id = $1 LIMIT $2)`),
		query(`DELETE FROM community_ban WHERE id IN (SELECT id FROM community_ban WHERE community_id = $1 LIMIT $2)`),
		query(`DELETE FROM community_timeout WHERE id IN (SELECT id FROM community_timeout WHERE community_id = $1 LIMIT $2)`),
		query(`DELETE FROM membership WHERE id IN (SELECT id FROM membership WHERE community_id = $1 LIMIT $2)`),
	}
)

// PurgeDeleted removes a piece of what deleted channels, groups and communities left: at
// most limit rows of one table with what hangs on them. Files are marked as
// deleted, their bytes are not its business. It reports whether there is more:
// whoever runs it calls again until there is none. Several may run at once.
func (db *DB) PurgeDeleted(ctx context.Context, limit int) (more bool, err error) {
	var channel protocol.ChannelID
	err = db.pool.QueryRow(ctx, selectDeadChannel).Scan(&channel)
	if err == nil {
		return true, oneLineOf("purge channel", db.purgeMessages(ctx, channel, limit, selectDeadMessages, channelRows, purgeDeadChannel))
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return false, oneLineOf("look for deleted channels", err)
	}
	group, err := oneOf[protocol.GroupID](ctx, db, selectDeadGroup)
	if err != nil || !group.IsZero() {
		if err == nil {
			err = db.purgeMessages(ctx, group, limit, selectDeadDirectMessages, groupRows, purgeDeadGroup)
		}
		return err == nil, oneLineOf("purge direct message group", err)
	}
	var community protocol.CommunityID
	err = db.pool.QueryRow(ctx, selectDeadCommunity).Scan(&community)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, oneLineOf("look for deleted communities", err)
	}
	return true, oneLineOf("purge community", db.purgeRows(ctx, communityRows, purgeDeadCommunity, community, limit))
}

func oneLineOf(doing string, err error) error {
	if err == nil {
		return nil
	}
	return oneLine(fmt.Errorf("%s: %w", doing, err))
}

// purgeMessages deletes some messages of a conversation or, when there are none,
// what else hangs on it and in the end the conversation.
func (db *DB) purgeMessages(ctx context.Context, id any, limit int, dead string, tables []string, last string) error {
	messages, err := listRows(ctx, db, "list messages to purge", pgx.RowTo[protocol.MessageID], dead, id, limit)
	if err != nil {
		return err
	}
	if len(messages) == 0 {
		return db.purgeRows(ctx, tables, last, id, limit)
	}
	return pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(purgeMessageFiles, messages)
		b.Queue(purgeMessages, messages)
		return tx.SendBatch(ctx, b).Close()
	})
}

// purgeRows deletes from the first table that has any, or in the end the row
// itself.
func (db *DB) purgeRows(ctx context.Context, tables []string, last string, id any, limit int) error {
	for _, sql := range tables {
		tag, err := db.pool.Exec(ctx, sql, id, limit)
		if err != nil || tag.RowsAffected() > 0 {
			return err
		}
	}
	_, err := db.pool.Exec(ctx, last, id)
	return err
}
