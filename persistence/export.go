package persistence

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	claimExport = query(`
		INSERT INTO account_export (user_id, run, until) VALUES ($1, $2, $4)
		ON CONFLICT (user_id) DO UPDATE SET run = excluded.run, until = excluded.until WHERE account_export.until < $3`)
	releaseExport = query(`DELETE FROM account_export WHERE user_id = $1 AND run = $2`)
)

// exportPart is one file of an export: a JSON object per row.
type exportPart struct {
	file string
	sql  string
}

// iso is an SQL expression for a moment in the form that clients know.
func iso(column string) string {
	return `to_char(` + column + ` AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}

// exportParts is all that is stored of a user, without secrets, and of others no
// more than ids and names.
var exportParts = []exportPart{
	{"profile.jsonl", query(`
		SELECT json_build_object('id', id, 'username', username, 'displayName', display_name, 'email', email, 'verified', verified,
			'role', role, 'bio', bio, 'status', status, 'avatarUrl', avatar_file_id, 'bannerUrl', banner_file_id,
			'createdAt', ` + iso("created_at") + `, 'lastSeen', ` + iso("last_seen") + `,
			'storageQuotaBytes', storage_quota_bytes, 'storageUsedBytes', storage_used_bytes)
		FROM app_user WHERE id = $1`)},
	{"appearance.jsonl", query(`
		SELECT json_build_object('themeMode', theme_mode, 'accentColor', accent_color, 'intensity', intensity)
		FROM user_appearance_settings WHERE user_id = $1`)},
	{"notifications.jsonl", query(`
		SELECT json_build_object('desktopEnabled', desktop_enabled, 'playSound', play_sound, 'soundType', sound_type,
			'doNotDisturb', do_not_disturb, 'dndStartTime', dnd_start_time, 'dndEndTime', dnd_end_time,
			'defaultChannelLevel', default_channel_level, 'dmNotifications', dm_notifications)
		FROM user_notification_settings WHERE user_id = $1`)},
	{"memberships.jsonl", query(`
		SELECT json_build_object('communityId', c.id, 'name', c.name, 'joinedAt', ` + iso("m.joined_at") + `,
			'roles', ARRAY (SELECT r.name FROM role_assignment a JOIN role r ON r.id = a.role_id
				WHERE a.user_id = m.user_id AND a.community_id = c.id ORDER BY r.name))
		FROM membership m JOIN community c ON c.id = m.community_id WHERE m.user_id = $1 ORDER BY m.joined_at, m.id`)},
	{"friends.jsonl", query(`
		SELECT json_build_object('userId', u.id, 'username', u.username, 'status', f.status, 'asked', f.user_a_id = $1,
			'createdAt', ` + iso("f.created_at") + `)
		FROM friendship f JOIN app_user u ON u.id = CASE WHEN f.user_a_id = $1 THEN f.user_b_id ELSE f.user_a_id END
		WHERE f.user_a_id = $1 OR f.user_b_id = $1 ORDER BY f.created_at, f.id`)},
	{"blocks.jsonl", query(`
		SELECT json_build_object('userId', u.id, 'username', u.username, 'createdAt', ` + iso("b.created_at") + `)
		FROM user_block b JOIN app_user u ON u.id = b.blocked_id WHERE b.blocker_id = $1 ORDER BY b.created_at, b.id`)},
	{"sessions.jsonl", query(`
		SELECT json_build_object('deviceName', device_name, 'userAgent', user_agent, 'ipAddress', ip_address,
			'createdAt', ` + iso("created_at") + `, 'lastUsedAt', ` + iso("last_used_at") + `, 'expiresAt', ` + iso("expires_at") + `)
		FROM refresh_token WHERE user_id = $1 AND consumed_at IS NULL ORDER BY last_used_at, id`)},
	{"files.jsonl", query(`
		SELECT json_build_object('id', id, 'filename', filename, 'mimeType', mime_type, 'size', size, 'checksum', checksum,
			'resourceType', resource_type, 'uploadedAt', ` + iso("uploaded_at") + `)
		FROM file WHERE (uploaded_by = $1 OR user_id = $1) AND deleted_at IS NULL ORDER BY uploaded_at, id`)},
	// In no order: that would make Postgres hold all of them at once.
	{"messages.jsonl", query(`
		SELECT json_build_object('id', id, 'channelId', channel_id, 'directMessageGroupId', direct_message_group_id,
			'parentMessageId', parent_message_id, 'sentAt', ` + iso("sent_at") + `, 'editedAt', ` + iso("edited_at") + `,
			'deletedAt', ` + iso("deleted_at") + `, 'spans', spans)
		FROM message WHERE author_id = $1`)},
}

// ClaimExport makes a run the only export of an account for some time; false
// when there is one.
func (db *DB) ClaimExport(ctx context.Context, user protocol.UserID, run protocol.AnyID, now protocol.Instant, life time.Duration) (bool, error) {
	done, err := db.pool.Exec(ctx, claimExport, user, run, now, protocol.InstantOf(now.Time().Add(life)))
	if err != nil {
		return false, oneLine(fmt.Errorf("claim export: %w", err))
	}
	return done.RowsAffected() > 0, nil
}

// ReleaseExport lets the next export of the account begin.
func (db *DB) ReleaseExport(ctx context.Context, user protocol.UserID, run protocol.AnyID) error {
	if _, err := db.pool.Exec(ctx, releaseExport, user, run); err != nil {
		return oneLine(fmt.Errorf("release export: %w", err))
	}
	return nil
}

// ExportAccount writes all that is stored of a user, file by file, as lines of
// JSON. Rows are passed on as they come, so that memory does not grow with them;
// create may be slow.
func (db *DB) ExportAccount(ctx context.Context, user protocol.UserID, create func(file string) (io.Writer, error)) error {
	for _, part := range exportParts {
		w, err := create(part.file)
		if err != nil {
			return err
		}
		if err := db.exportRows(ctx, part.sql, user, w); err != nil {
			return oneLine(fmt.Errorf("export %s of user %s: %w", part.file, user, err))
		}
	}
	return nil
}

func (db *DB) exportRows(ctx context.Context, sql string, user protocol.UserID, w io.Writer) error {
	rows, err := db.pool.Query(ctx, sql, user)
	if err != nil {
		return err
	}
	defer rows.Close()
	var line []byte
	for rows.Next() {
		line = append(append(line[:0], rows.RawValues()[0]...), '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return rows.Err()
}
