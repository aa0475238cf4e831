package persistence

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

const channelMemberColumns = `cm.id, cm.user_id, cm.channel_id, cm.joined_at, cm.added_by`

var (
	selectChannelMembers = query(`
		SELECT ` + channelMemberColumns + `, ` + publicUserColumns + `
		FROM channel_membership cm JOIN app_user u ON u.id = cm.user_id
		WHERE cm.channel_id = $1 AND (cm.joined_at, cm.id) > (coalesce($2, '-infinity'::timestamptz), $3::uuid) ORDER BY cm.joined_at, cm.id LIMIT $4`)

	selectChannelMember = query(`
		SELECT ` + channelMemberColumns + ` FROM channel_membership cm WHERE cm.channel_id = $1 AND cm.user_id = $2`)

	selectChannelMembershipsOf = query(`
		SELECT ` + channelMemberColumns + ` FROM channel_membership cm JOIN channel c ON c.id = cm.channel_id
		WHERE cm.user_id = $1 AND c.is_private AND c.deleted_at IS NULL ORDER BY cm.joined_at, cm.id`)

	insertChannelMember = query(`
		INSERT INTO channel_membership (id, joined_at, user_id, channel_id, added_by) VALUES ($1, $2, $3, $4, $5)`)

	deleteChannelMember = query(`DELETE FROM channel_membership WHERE channel_id = $1 AND user_id = $2`)

	selectUserExists = query(`SELECT EXISTS (SELECT FROM app_user WHERE id = $1)`)
)

func scanChannelMembership(row pgx.CollectableRow) (protocol.ChannelMembership, error) {
	var m protocol.ChannelMembership
	err := row.Scan(&m.ID, &m.UserID, &m.ChannelID, &m.JoinedAt, &m.AddedBy)
	return m, err
}

func scanChannelMember(row pgx.CollectableRow) (protocol.ChannelMembership, error) {
	m := protocol.ChannelMembership{User: &protocol.PublicUser{}}
	err := row.Scan(append([]any{&m.ID, &m.UserID, &m.ChannelID, &m.JoinedAt, &m.AddedBy}, publicUserFields(m.User)...)...)
	return m, err
}

// ChannelMembers lists at most limit of those who were let into a channel with
// their users, the first leading, from after a place on.
func (db *DB) ChannelMembers(ctx context.Context, channel protocol.ChannelID, after protocol.MemberPlace, limit int) ([]protocol.ChannelMembership, error) {
	return listRows(ctx, db, "list channel members", scanChannelMember, selectChannelMembers, channel, after.JoinedAt, zeroable(after.ID), limit)
}

// ChannelMembership reads one of them; a missing one is a NotFound.
func (db *DB) ChannelMembership(ctx context.Context, channel protocol.ChannelID, user protocol.UserID) (protocol.ChannelMembership, error) {
	list, err := listRows(ctx, db, "read channel membership", scanChannelMembership, selectChannelMember, channel, user)
	if err == nil && len(list) == 0 {
		return protocol.ChannelMembership{}, protocol.NotFound("Channel membership not found")
	}
	if err != nil {
		return protocol.ChannelMembership{}, err
	}
	return list[0], nil
}

// ChannelMembershipsOf lists the private channels that a user was let into.
func (db *DB) ChannelMembershipsOf(ctx context.Context, user protocol.UserID) ([]protocol.ChannelMembership, error) {
	return listRows(ctx, db, "list channel memberships of user", scanChannelMembership, selectChannelMembershipsOf, user)
}

// UserExists reports whether there is such an account.
func (db *DB) UserExists(ctx context.Context, id protocol.UserID) (bool, error) {
	var there bool
	err := db.pool.QueryRow(ctx, selectUserExists, id).Scan(&there)
	return there, shown(err, "look for user")
}

// AddChannelMember lets a user into a channel.
func (db *DB) AddChannelMember(ctx context.Context, owner Owner, m protocol.ChannelMembership) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		var there bool
		err := tx.QueryRow(ctx, lockUser, m.UserID).Scan(&there)
		if errors.Is(err, pgx.ErrNoRows) {
			return protocol.NotFound("User not found")
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, insertChannelMember, m.ID, m.JoinedAt, m.UserID, m.ChannelID, m.AddedBy)
		return err
	})
	return shown(err, "add channel member")
}

// RemoveChannelMember shows a user out of a channel.
func (db *DB) RemoveChannelMember(ctx context.Context, owner Owner, channel protocol.ChannelID, user protocol.UserID) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, deleteChannelMember, channel, user)
		return err
	})
	return shown(err, "remove channel member")
}
