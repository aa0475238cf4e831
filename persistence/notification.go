package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

const notificationColumns = `n.id, n.user_id, n.type, n.message_id, n.channel_id, n.direct_message_group_id, n.author_id, n.parent_message_id,
	n.read, n.dismissed, n.created_at`

// shownNotification is a notification with what it is about. The text of a
// message is shown to those only who are still where it was said.
const shownNotification = `
	SELECT ` + notificationColumns + `, a.id, a.username, a.display_name, a.avatar_file_id,
		m.id, m.spans, m.channel_id, m.direct_message_group_id, c.community_id
	FROM listed n JOIN app_user a ON a.id = n.author_id
	LEFT JOIN channel c ON c.id = n.channel_id AND c.deleted_at IS NULL
	LEFT JOIN message m ON m.id = n.message_id AND m.deleted_at IS NULL AND (
		EXISTS (SELECT FROM membership s WHERE s.user_id = n.user_id AND s.community_id = c.community_id
			AND (NOT c.is_private OR EXISTS (SELECT FROM channel_membership cm WHERE cm.user_id = n.user_id AND cm.channel_id = c.id)))
		OR EXISTS (SELECT FROM direct_message_group_member g WHERE g.user_id = n.user_id AND g.group_id = m.direct_message_group_id))
	ORDER BY n.created_at DESC, n.id DESC`

var (
	selectNotifications = query(`
		WITH listed AS (
			SELECT * FROM notification WHERE user_id = $1 AND NOT dismissed AND NOT (read AND $2::boolean)
			ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4
		)` + shownNotification)

	countNotifications = query(`
		SELECT count(*) FILTER (WHERE NOT (read AND $2::boolean)), count(*) FILTER (WHERE NOT read)
		FROM notification WHERE user_id = $1 AND NOT dismissed`)

	readNotification = query(`
		UPDATE notification n SET read = true WHERE n.id = $1 AND n.user_id = $2 RETURNING ` + notificationColumns)

	readNotifications = query(`UPDATE notification SET read = true WHERE user_id = $1 AND NOT read RETURNING id`)

	dismissNotification = query(`
		UPDATE notification n SET dismissed = true WHERE n.id = $1 AND n.user_id = $2 RETURNING ` + notificationColumns)

	deleteNotification = query(`DELETE FROM notification WHERE id = $1 AND user_id = $2`)

	insertTestNotification = query(`
		WITH listed AS (
			INSERT INTO notification (id, user_id, type, author_id, created_at) VALUES ($1, $2, $3, $2, $4) RETURNING *
		)` + shownNotification)

	clearNotifications = query(`
		WITH n AS (DELETE FROM notification WHERE user_id = $1 RETURNING 1),
			s AS (DELETE FROM user_notification_settings WHERE user_id = $1 RETURNING 1),
			o AS (DELETE FROM channel_notification_override WHERE user_id = $1 RETURNING 1)
		SELECT (SELECT count(*) FROM n), (SELECT count(*) FROM s), (SELECT count(*) FROM o)`)
)

var errNoNotification = protocol.NotFound("Notification not found")

func notificationFields(n *protocol.Notification) []any {
	return []any{
		&n.ID, &n.UserID, &n.Type, &n.MessageID, &n.ChannelID, &n.DirectMessageGroupID, &n.AuthorID, &n.ParentMessageID,
		&n.Read, &n.Dismissed, &n.CreatedAt,
	}
}

func scanShownNotification(row pgx.CollectableRow) (protocol.ShownNotification, error) {
	var n protocol.ShownNotification
	var a protocol.Author
	var m protocol.NoticeMessage
	var spans []byte
	var message *protocol.MessageID
	fields := append(notificationFields(&n.Notification), &a.ID, &a.Username, &a.DisplayName, &a.AvatarURL,
		&message, &spans, &m.ChannelID, &m.DirectMessageGroupID, &n.CommunityID)
	if err := row.Scan(fields...); err != nil {
		return n, err
	}
	n.Author = &a
	if message != nil {
		m.ID, m.Spans = *message, spans
		n.Message = &m
	}
	if n.CommunityID != nil {
		n.Channel = &protocol.NoticeChannel{CommunityID: *n.CommunityID}
	}
	return n, nil
}

// Notifications reads a page of a user's notifications, newest first, and counts
// all of them, in one round trip.
func (db *DB) Notifications(ctx context.Context, user protocol.UserID, unreadOnly bool, limit, offset int) (protocol.NotificationPage, error) {
	p := protocol.NotificationPage{Notifications: []protocol.ShownNotification{}}
	b := &pgx.Batch{}
	b.Queue(selectNotifications, user, unreadOnly, limit, offset).Query(func(rows pgx.Rows) (err error) {
		p.Notifications, err = pgx.AppendRows(p.Notifications, rows, scanShownNotification)
		return err
	})
	b.Queue(countNotifications, user, unreadOnly).QueryRow(func(row pgx.Row) error { return row.Scan(&p.Total, &p.UnreadCount) })
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return p, oneLine(fmt.Errorf("list notifications of %s: %w", user, err))
	}
	return p, nil
}

// UnreadNotifications counts those of a user that are neither read nor dismissed.
func (db *DB) UnreadNotifications(ctx context.Context, user protocol.UserID) (n int, err error) {
	var all int
	err = db.pool.QueryRow(ctx, countNotifications, user, true).Scan(&all, &n)
	return n, shown(err, "count notifications")
}

// ReadNotification marks one as read; one that is not the user's is a NotFound.
func (db *DB) ReadNotification(ctx context.Context, user protocol.UserID, id protocol.AnyID) (protocol.Notification, error) {
	return db.changeNotification(ctx, readNotification, user, id)
}

// DismissNotification takes one from the list.
func (db *DB) DismissNotification(ctx context.Context, user protocol.UserID, id protocol.AnyID) (protocol.Notification, error) {
	return db.changeNotification(ctx, dismissNotification, user, id)
}

func (db *DB) changeNotification(ctx context.Context, sql string, user protocol.UserID, id protocol.AnyID) (protocol.Notification, error) {
	var n protocol.Notification
	err := db.pool.QueryRow(ctx, sql, id, user).Scan(notificationFields(&n)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return n, errNoNotification
	}
	return n, shown(err, "change notification")
}

// ReadNotifications marks all of a user as read and returns those that were not.
func (db *DB) ReadNotifications(ctx context.Context, user protocol.UserID) ([]protocol.AnyID, error) {
	rows, err := db.pool.Query(ctx, readNotifications, user)
	if err != nil {
		return nil, oneLine(fmt.Errorf("read notifications of %s: %w", user, err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[protocol.AnyID])
	return list, shown(err, "read notifications")
}

// DeleteNotification removes one of a user.
func (db *DB) DeleteNotification(ctx context.Context, user protocol.UserID, id protocol.AnyID) error {
	tag, err := db.pool.Exec(ctx, deleteNotification, id, user)
	if err == nil && tag.RowsAffected() == 0 {
		return errNoNotification
	}
	return shown(err, "delete notification")
}

// TestNotification notifies a user himself of nothing.
func (db *DB) TestNotification(ctx context.Context, user protocol.UserID, kind string, at protocol.Instant) (protocol.ShownNotification, error) {
	rows, err := db.pool.Query(ctx, insertTestNotification, protocol.NewRandomID[memberRow](), user, kind, at)
	if err != nil {
		return protocol.ShownNotification{}, shown(err, "make test notification")
	}
	n, err := pgx.CollectExactlyOneRow(rows, scanShownNotification)
	return n, shown(err, "make test notification")
}

// ClearNotifications removes all that a user has of notifications.
func (db *DB) ClearNotifications(ctx context.Context, user protocol.UserID) (protocol.ClearedNotifications, error) {
	c := protocol.ClearedNotifications{Success: true, Message: "All notification data cleared"}
	err := db.pool.QueryRow(ctx, clearNotifications, user).Scan(&c.NotificationsDeleted, &c.SettingsDeleted, &c.OverridesDeleted)
	return c, shown(err, "clear notifications")
}

const (
	settingsColumns = `s.id, s.user_id, s.desktop_enabled, s.play_sound, s.sound_type, s.do_not_disturb, s.dnd_start_time, s.dnd_end_time,
	s.default_channel_level, s.dm_notifications, s.time_zone, s.created_at, s.updated_at`
	overrideColumns = `o.id, o.user_id, o.channel_id, o.level, o.created_at, o.updated_at`
)

var (
	// Makes the row if it is not there; see ensureAppearance.
	ensureNotificationSettings = query(`
		INSERT INTO user_notification_settings AS s (id, user_id, created_at, updated_at) VALUES ($1, $2, $3, $3)
		ON CONFLICT (user_id) DO UPDATE SET updated_at = s.updated_at
		RETURNING ` + settingsColumns)

	changeNotificationSettings = query(`
		INSERT INTO user_notification_settings AS s (id, user_id, created_at, updated_at, desktop_enabled, play_sound, sound_type, do_not_disturb,
			dnd_start_time, dnd_end_time, default_channel_level, dm_notifications, time_zone)
		VALUES ($1, $2, $3, $3, coalesce($4, true), coalesce($5, true), coalesce($6, 'default'), coalesce($7, false),
			$9, $11, coalesce($12, 'mentions'), coalesce($13, true), $15)
		ON CONFLICT (user_id) DO UPDATE SET updated_at = $3, desktop_enabled = coalesce($4, s.desktop_enabled),
			play_sound = coalesce($5, s.play_sound), sound_type = coalesce($6, s.sound_type), do_not_disturb = coalesce($7, s.do_not_disturb),
			dnd_start_time = CASE WHEN $8 THEN $9 ELSE s.dnd_start_time END,
			dnd_end_time = CASE WHEN $10 THEN $11 ELSE s.dnd_end_time END,
			default_channel_level = coalesce($12, s.default_channel_level), dm_notifications = coalesce($13, s.dm_notifications),
			time_zone = CASE WHEN $14 THEN $15 ELSE s.time_zone END
		RETURNING ` + settingsColumns)

	selectOverride = query(`SELECT ` + overrideColumns + ` FROM channel_notification_override o WHERE o.user_id = $1 AND o.channel_id = $2`)

	upsertOverride = query(`
		INSERT INTO channel_notification_override AS o (id, user_id, channel_id, level, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $5)
		ON CONFLICT (user_id, channel_id) DO UPDATE SET level = excluded.level, updated_at = excluded.updated_at
		RETURNING ` + overrideColumns)

	deleteOverride = query(`DELETE FROM channel_notification_override WHERE user_id = $1 AND channel_id = $2`)
)

func settingsFields(s *protocol.NotificationSettings) []any {
	return []any{
		&s.ID, &s.UserID, &s.DesktopEnabled, &s.PlaySound, &s.SoundType, &s.DoNotDisturb, &s.DNDStartTime, &s.DNDEndTime,
		&s.DefaultChannelLevel, &s.DMNotifications, &s.TimeZone, &s.CreatedAt, &s.UpdatedAt,
	}
}

func overrideFields(o *protocol.ChannelOverride) []any {
	return []any{&o.ID, &o.UserID, &o.ChannelID, &o.Level, &o.CreatedAt, &o.UpdatedAt}
}

// NotificationSettings reads a user's settings, which the first read makes.
func (db *DB) NotificationSettings(ctx context.Context, user protocol.UserID, at protocol.Instant) (protocol.NotificationSettings, error) {
	var s protocol.NotificationSettings
	err := db.pool.QueryRow(ctx, ensureNotificationSettings, protocol.NewRandomID[memberRow](), user, at).Scan(settingsFields(&s)...)
	return s, shown(err, "read notification settings")
}

// ChangeNotificationSettings changes what is given, making the row if it is not
// there.
func (db *DB) ChangeNotificationSettings(
	ctx context.Context, user protocol.UserID, c protocol.UpdateNotificationSettings, at protocol.Instant,
) (protocol.NotificationSettings, error) {
	var s protocol.NotificationSettings
	err := db.pool.QueryRow(ctx, changeNotificationSettings, protocol.NewRandomID[memberRow](), user, at,
		c.DesktopEnabled, c.PlaySound, c.SoundType, c.DoNotDisturb, c.DNDStartTime.Given, c.DNDStartTime.Value,
		c.DNDEndTime.Given, c.DNDEndTime.Value, c.DefaultChannelLevel, c.DMNotifications, c.TimeZone.Given, c.TimeZone.Value,
	).Scan(settingsFields(&s)...)
	return s, shown(err, "change notification settings")
}

// ChannelOverride reads a user's level of a channel; nil: the default counts.
func (db *DB) ChannelOverride(ctx context.Context, user protocol.UserID, channel protocol.ChannelID) (*protocol.ChannelOverride, error) {
	var o protocol.ChannelOverride
	err := db.pool.QueryRow(ctx, selectOverride, user, channel).Scan(overrideFields(&o)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, shown(err, "read level of channel")
	}
	return &o, nil
}

// SetChannelOverride sets a user's level of a channel.
func (db *DB) SetChannelOverride(
	ctx context.Context, user protocol.UserID, channel protocol.ChannelID, level string, at protocol.Instant,
) (protocol.ChannelOverride, error) {
	var o protocol.ChannelOverride
	err := db.pool.QueryRow(ctx, upsertOverride, protocol.NewRandomID[memberRow](), user, channel, level, at).Scan(overrideFields(&o)...)
	return o, shown(err, "set level of channel")
}

// DeleteChannelOverride goes back to the default level.
func (db *DB) DeleteChannelOverride(ctx context.Context, user protocol.UserID, channel protocol.ChannelID) error {
	_, err := db.pool.Exec(ctx, deleteOverride, user, channel)
	return shown(err, "delete level of channel")
}

// notificationsKept is how long notifications are kept at most.
const notificationsKept = 90 * 24 * 60 * 60 * 1000

var (
	sweepOldNotifications = query(`
		DELETE FROM notification WHERE id IN (SELECT id FROM notification WHERE created_at < $1 LIMIT $2)`)

	// Users in the order of ids, from $1 on, with what they have too much of.
	sweepManyNotifications = query(`
		WITH walked AS (
			SELECT id FROM app_user WHERE $1::uuid IS NULL OR id > $1::uuid ORDER BY id LIMIT $2
		), gone AS (
			DELETE FROM notification WHERE id IN (
				SELECT n.id FROM walked w CROSS JOIN LATERAL (
					SELECT id FROM notification WHERE user_id = w.id ORDER BY created_at DESC, id DESC OFFSET $3 LIMIT $4
				) AS n)
		)
		SELECT id FROM walked ORDER BY id DESC LIMIT 1`)
)

// sweptUsers is how many users one step of SweepNotifications looks at.
const sweptUsers = 500

// SweepNotifications deletes some notifications that are too old, and those beyond
// the newest of users after the one given. It returns the user to go on after; the
// zero id: this was the last step.
func (db *DB) SweepNotifications(ctx context.Context, after protocol.UserID, now protocol.Instant) (next protocol.UserID, err error) {
	if _, err := db.pool.Exec(ctx, sweepOldNotifications, now-notificationsKept, sweepBatch); err != nil {
		return after, oneLine(fmt.Errorf("sweep notifications: %w", err))
	}
	err = db.pool.QueryRow(ctx, sweepManyNotifications, after, sweptUsers, protocol.MaxNotifications, sweepBatch).Scan(&next)
	if errors.Is(err, pgx.ErrNoRows) {
		return protocol.UserID{}, nil
	}
	return next, shown(err, "sweep notifications")
}
