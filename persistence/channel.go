package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	// TEXT sorts before VOICE.
	selectChannels = query(`
		SELECT id, name, community_id, created_at, type, position, slowmode_seconds, is_private FROM channel
		WHERE community_id = $1 ORDER BY type, position, created_at, id`)

	selectPrivateChannels = query(`
		SELECT cm.channel_id, array_agg(cm.user_id) FROM channel c JOIN channel_membership cm ON cm.channel_id = c.id
		WHERE c.community_id = $1 AND c.is_private GROUP BY cm.channel_id`)

	selectCommunityOfChannel = query(`SELECT community_id FROM channel WHERE id = $1`)

	insertChannel = query(`
		INSERT INTO channel (id, name, community_id, created_at, type, position, slowmode_seconds, is_private)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`)

	insertChannelMembership = query(`
		INSERT INTO channel_membership (id, joined_at, user_id, channel_id, added_by) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (user_id, channel_id) DO NOTHING`)
)

func scanChannel(row pgx.CollectableRow) (protocol.Channel, error) {
	var c protocol.Channel
	err := row.Scan(&c.ID, &c.Name, &c.CommunityID, &c.CreatedAt, &c.Type, &c.Position, &c.SlowmodeSeconds, &c.IsPrivate)
	return c, err
}

func scanPrivateChannel(row pgx.CollectableRow) (PrivateChannel, error) {
	var p PrivateChannel
	err := row.Scan(&p.Channel, &p.Users)
	return p, err
}

func queueChannel(b *pgx.Batch, c protocol.Channel, creator protocol.UserID) {
	b.Queue(insertChannel, c.ID, c.Name, c.CommunityID, c.CreatedAt, c.Type, c.Position, c.SlowmodeSeconds, c.IsPrivate)
	b.Queue(insertChannelMembership, protocol.NewRandomID[memberRow](), c.CreatedAt, creator, c.ID, creator)
}

// CreateChannel stores a channel and lets its creator in. A taken name is a
// conflict.
func (db *DB) CreateChannel(ctx context.Context, owner Owner, c protocol.Channel, creator protocol.UserID) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		queueChannel(b, c, creator)
		return tx.SendBatch(ctx, b).Close()
	})
	return shown(err, "create channel")
}

// CommunityOfChannel finds the community of a channel; it never changes. An
// unknown channel is a NotFound.
func (db *DB) CommunityOfChannel(ctx context.Context, id protocol.ChannelID) (protocol.CommunityID, error) {
	var c protocol.CommunityID
	err := db.pool.QueryRow(ctx, selectCommunityOfChannel, id).Scan(&c)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, protocol.NotFound("Channel not found")
	}
	if err != nil {
		return c, oneLine(fmt.Errorf("find community of channel %s: %w", id, err))
	}
	return c, nil
}
