package persistence

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// Users by the side of a row, all columns null when there is none.
const (
	targetColumns    = `u.id, u.username, u.role, u.avatar_file_id, u.banner_file_id, u.last_seen, u.display_name, u.bio, u.status`
	moderatorColumns = `o.id, o.username, o.role, o.avatar_file_id, o.banner_file_id, o.last_seen, o.display_name, o.bio, o.status`
)

var (
	// What has expired is noted with one statement when somebody looks.
	endExpiredBans = query(`UPDATE community_ban SET active = false WHERE community_id = $1 AND active AND expires_at <= $2`)

	deleteExpiredTimeouts = query(`DELETE FROM community_timeout WHERE community_id = $1 AND expires_at <= $2`)

	selectBanList = query(`
		SELECT b.id, b.community_id, b.user_id, b.moderator_id, b.reason, b.created_at, b.expires_at, ` + targetColumns + `, ` + moderatorColumns + `
		FROM community_ban b LEFT JOIN app_user u ON u.id = b.user_id LEFT JOIN app_user o ON o.id = b.moderator_id
		WHERE b.community_id = $1 AND b.active AND (b.expires_at IS NULL OR b.expires_at > $2)
			AND ($3::uuid IS NULL OR (b.created_at, b.id) < (SELECT p.created_at, p.id FROM community_ban p WHERE p.id = $3))
		ORDER BY b.created_at DESC, b.id DESC LIMIT $4`)

	selectTimeoutList = query(`
		SELECT b.id, b.community_id, b.user_id, b.moderator_id, b.reason, b.created_at, b.expires_at, ` + targetColumns + `, ` + moderatorColumns + `
		FROM community_timeout b LEFT JOIN app_user u ON u.id = b.user_id LEFT JOIN app_user o ON o.id = b.moderator_id
		WHERE b.community_id = $1 AND b.expires_at > $2
			AND ($3::uuid IS NULL OR (b.created_at, b.id) < (SELECT p.created_at, p.id FROM community_timeout p WHERE p.id = $3))
		ORDER BY b.created_at DESC, b.id DESC LIMIT $4`)

	selectModerationLog = query(`
		SELECT l.id, l.community_id, l.moderator_id, l.target_user_id, l.target_message_id, l.action, l.reason, l.metadata, l.created_at,
			` + targetColumns + `, ` + moderatorColumns + `
		FROM moderation_log l LEFT JOIN app_user u ON u.id = l.target_user_id LEFT JOIN app_user o ON o.id = l.moderator_id
		WHERE l.community_id = $1 AND ($2 = '' OR l.action = $2)
		ORDER BY l.created_at DESC, l.id DESC LIMIT $3 OFFSET $4`)

	countModerationLog = query(`SELECT count(*) FROM moderation_log WHERE community_id = $1 AND ($2 = '' OR action = $2)`)
)

// maybeUser is a user who may be missing.
type maybeUser struct {
	id       protocol.UserID
	username *string
	role     *string
	user     protocol.PublicUser
}

func (m *maybeUser) fields() []any {
	u := &m.user
	return []any{&m.id, &m.username, &m.role, &u.AvatarURL, &u.BannerURL, &u.LastSeen, &u.DisplayName, &u.Bio, &u.Status}
}

func (m *maybeUser) ptr() *protocol.PublicUser {
	if m.username == nil || m.role == nil {
		return nil
	}
	m.user.ID, m.user.Username, m.user.Role = m.id, *m.username, *m.role
	return &m.user
}

func scanBan(row pgx.CollectableRow) (protocol.Ban, error) {
	b := protocol.Ban{Active: true}
	var user, moderator maybeUser
	fields := append([]any{&b.ID, &b.CommunityID, &b.UserID, &b.ModeratorID, &b.Reason, &b.CreatedAt, &b.ExpiresAt}, user.fields()...)
	err := row.Scan(append(fields, moderator.fields()...)...)
	b.User, b.Moderator = user.ptr(), moderator.ptr()
	return b, err
}

func scanTimeout(row pgx.CollectableRow) (protocol.Timeout, error) {
	var t protocol.Timeout
	var user, moderator maybeUser
	fields := append([]any{&t.ID, &t.CommunityID, &t.UserID, &t.ModeratorID, &t.Reason, &t.CreatedAt, &t.ExpiresAt}, user.fields()...)
	err := row.Scan(append(fields, moderator.fields()...)...)
	t.User, t.Moderator = user.ptr(), moderator.ptr()
	return t, err
}

func scanModerationEntry(row pgx.CollectableRow) (protocol.ModerationEntry, error) {
	var e protocol.ModerationEntry
	var user, moderator maybeUser
	var metadata []byte
	fields := append([]any{&e.ID, &e.CommunityID, &e.ModeratorID, &e.TargetUserID, &e.TargetMessageID, &e.Action, &e.Reason, &metadata, &e.CreatedAt},
		user.fields()...)
	err := row.Scan(append(fields, moderator.fields()...)...)
	e.TargetUser, e.Moderator = user.ptr(), moderator.ptr()
	if e.Metadata = metadata; metadata == nil {
		e.Metadata = []byte("null")
	}
	return e, err
}

// Bans lists at most limit bans in force, newest first, from behind one of them.
func (db *DB) Bans(ctx context.Context, community protocol.CommunityID, now protocol.Instant, after protocol.AnyID, limit int) ([]protocol.Ban, error) {
	return restricted(ctx, db, scanBan, endExpiredBans, selectBanList, community, now, after, limit)
}

// Timeouts lists at most limit timeouts in force, newest first, from behind one
// of them.
func (db *DB) Timeouts(ctx context.Context, community protocol.CommunityID, now protocol.Instant, after protocol.AnyID, limit int) ([]protocol.Timeout, error) {
	return restricted(ctx, db, scanTimeout, deleteExpiredTimeouts, selectTimeoutList, community, now, after, limit)
}

func restricted[T any](
	ctx context.Context, db *DB, scan pgx.RowToFunc[T], expire, list string,
	community protocol.CommunityID, now protocol.Instant, after protocol.AnyID, limit int,
) ([]T, error) {
	var rows []T
	b := &pgx.Batch{}
	b.Queue(expire, community, now)
	queueList(b, &rows, scan, list, community, now, after, limit)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, oneLine(fmt.Errorf("list restrictions of %s: %w", community, err))
	}
	return rows, nil
}

// ModerationLog reads a window of the log, of one action or (empty) of all.
func (db *DB) ModerationLog(ctx context.Context, community protocol.CommunityID, action string, limit, offset int) (protocol.ModerationLog, error) {
	log := protocol.ModerationLog{Logs: []protocol.ModerationEntry{}}
	b := &pgx.Batch{}
	b.Queue(countModerationLog, community, action).QueryRow(func(row pgx.Row) error { return row.Scan(&log.Total) })
	queueList(b, &log.Logs, scanModerationEntry, selectModerationLog, community, action, limit, offset)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return log, oneLine(fmt.Errorf("read moderation log of %s: %w", community, err))
	}
	return log, nil
}
