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
		WHERE community_id = $1 AND deleted_at IS NULL ORDER BY type, position, created_at, id`)

	selectPrivateChannels = query(`
		SELECT cm.channel_id, array_agg(cm.user_id) FROM channel c JOIN channel_membership cm ON cm.channel_id = c.id
		WHERE c.community_id = $1 AND c.is_private AND c.deleted_at IS NULL GROUP BY cm.channel_id`)

	selectCommunityOfChannel = query(`SELECT community_id FROM channel WHERE id = $1 AND deleted_at IS NULL`)

	insertChannel = query(`
		INSERT INTO channel (id, name, community_id, created_at, type, position, slowmode_seconds, is_private)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`)

	updateChannel = query(`
		UPDATE channel SET name = $2, position = $3, slowmode_seconds = $4, is_private = $5 WHERE id = $1`)

	selectChannelUsers = query(`SELECT user_id FROM channel_membership WHERE channel_id = $1`)

	moveChannels = query(`
		UPDATE channel c SET position = n.position FROM unnest($1::uuid[], $2::integer[]) AS n (id, position) WHERE c.id = n.id`)

	buryChannel = query(`UPDATE channel SET deleted_at = $2 WHERE id = $1`)

	// See 00010_tombstone.sql.
	raiseRooms = query(`UPDATE community SET rooms_version = rooms_version + 1 WHERE id = $1`)

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
		b.Queue(raiseRooms, c.CommunityID)
		return tx.SendBatch(ctx, b).Close()
	})
	return shown(err, "create channel")
}

// UpdateChannel stores the settings of a channel. One that becomes private
// keeps insider inside (zero: nobody in particular); users are those who then
// are. A taken name is a conflict.
func (db *DB) UpdateChannel(ctx context.Context, owner Owner, was, is protocol.Channel, insider protocol.UserID, now protocol.Instant) (users []protocol.UserID, err error) {
	err = db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(updateChannel, is.ID, is.Name, is.Position, is.SlowmodeSeconds, is.IsPrivate)
		if is.IsPrivate != was.IsPrivate {
			b.Queue(raiseRooms, is.CommunityID)
		}
		if is.IsPrivate && !was.IsPrivate {
			if !insider.IsZero() {
				b.Queue(insertChannelMembership, protocol.NewRandomID[memberRow](), now, insider, is.ID, insider)
			}
			queueList(b, &users, pgx.RowTo[protocol.UserID], selectChannelUsers, is.ID)
		}
		return tx.SendBatch(ctx, b).Close()
	})
	return users, shown(err, "update channel")
}

// MoveChannels stores the positions of the channels.
func (db *DB) MoveChannels(ctx context.Context, owner Owner, moved []protocol.Channel) error {
	ids, positions := make([]protocol.ChannelID, len(moved)), make([]int, len(moved))
	for i, c := range moved {
		ids[i], positions[i] = c.ID, c.Position
	}
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, moveChannels, ids, positions)
		return err
	})
	return shown(err, "move channels")
}

// DeleteChannel makes a channel disappear. What it holds goes later (PurgeDeleted).
func (db *DB) DeleteChannel(ctx context.Context, owner Owner, community protocol.CommunityID, id protocol.ChannelID, now protocol.Instant) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(buryChannel, id, now)
		b.Queue(raiseRooms, community)
		return tx.SendBatch(ctx, b).Close()
	})
	return shown(err, "delete channel")
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
