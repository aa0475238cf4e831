package persistence

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

const fileColumns = `f.id, f.filename, f.mime_type, f.file_type, f.size, f.checksum, f.uploaded_by, f.uploaded_at, f.deleted_at,
	f.resource_type, f.user_id, f.community_id, f.message_id, f.storage_type`

var (
	selectUploadRoom = query(`
		SELECT coalesce((SELECT max(max_file_size_bytes) FROM instance_settings), 524288000), u.storage_quota_bytes - u.storage_used_bytes
		FROM app_user u WHERE u.id = $1`)

	// The user's row is locked, so of uploads at the same time each sees what the
	// others have taken; the trigger of the table counts the bytes.
	insertFile = query(`
		INSERT INTO file (id, filename, mime_type, file_type, size, checksum, uploaded_by, uploaded_at, resource_type,
			user_id, community_id, message_id, storage_type, storage_path)
		SELECT $1, $2, $3, $4, $5, $6, u.id, $8, $9, $10, $11, $12, $13, $14
		FROM app_user u WHERE u.id = $7 AND u.storage_used_bytes + $5 <= u.storage_quota_bytes FOR NO KEY UPDATE`)

	// One look at everything that says who may have a file: the rows of members
	// are committed before whoever changed them is answered. A picture without a
	// community is of the one that shows it.
	selectFileAccess = query(`
		SELECT ` + fileColumns + `, f.storage_path, coalesce(f.thumbnail_path, ''),
			m.id IS NOT NULL AND m.deleted_at IS NULL, m.channel_id IS NOT NULL, c.id IS NOT NULL AND c.deleted_at IS NULL, coalesce(c.is_private, false),
			place.id IS NOT NULL,
			EXISTS (SELECT FROM membership s JOIN community o ON o.id = s.community_id
				WHERE s.user_id = $2 AND s.community_id = place.id AND o.deleted_at IS NULL),
			EXISTS (SELECT FROM channel_membership s WHERE s.user_id = $2 AND s.channel_id = m.channel_id),
			EXISTS (SELECT FROM direct_message_group_member s WHERE s.user_id = $2 AND s.group_id = m.direct_message_group_id),
			f.resource_type = 'REPLAY_CLIP' AND (
				EXISTS (SELECT FROM replay_clip r WHERE r.file_id = f.id AND r.is_public)
				OR EXISTS (SELECT FROM message_attachment a JOIN message am ON am.id = a.message_id
					WHERE a.file_id = f.id AND am.deleted_at IS NULL AND (
						EXISTS (SELECT FROM direct_message_group_member s WHERE s.user_id = $2 AND s.group_id = am.direct_message_group_id)
						OR EXISTS (SELECT FROM channel ac JOIN community ao ON ao.id = ac.community_id
							JOIN membership s ON s.community_id = ac.community_id AND s.user_id = $2
							WHERE ac.id = am.channel_id AND ac.deleted_at IS NULL AND ao.deleted_at IS NULL AND (NOT ac.is_private
								OR EXISTS (SELECT FROM channel_membership cs WHERE cs.user_id = $2 AND cs.channel_id = ac.id))))))
		FROM file f
		LEFT JOIN message m ON m.id = f.message_id
		LEFT JOIN channel c ON c.id = m.channel_id
		LEFT JOIN LATERAL (SELECT coalesce(f.community_id, c.community_id, CASE WHEN f.resource_type IN ('COMMUNITY_AVATAR', 'COMMUNITY_BANNER')
			THEN (SELECT o.id FROM community o WHERE o.avatar_file_id = f.id OR o.banner_file_id = f.id LIMIT 1) END) AS id) AS place ON true
		WHERE f.id = $1 AND f.deleted_at IS NULL`)

	// The user first, as everywhere where his bytes change.
	lockUploader = query(`SELECT id FROM app_user WHERE id = $1 FOR NO KEY UPDATE`)

	selectUploader = query(`SELECT uploaded_by FROM file WHERE id = $1 AND deleted_at IS NULL`)

	markFileDeleted = query(`
		UPDATE file f SET deleted_at = $3 WHERE f.id = $1 AND f.uploaded_by = $2 AND f.deleted_at IS NULL RETURNING ` + fileColumns)
)

func fileFields(f *protocol.File) []any {
	return []any{&f.ID, &f.Filename, &f.MimeType, &f.FileType, &f.Size, &f.Checksum, &f.UploadedByID, &f.UploadedAt, &f.DeletedAt,
		&f.ResourceType, &f.UserID, &f.CommunityID, &f.MessageID, &f.StorageType}
}

// UploadRoom is what a user may upload now, in bytes.
type UploadRoom struct {
	Limit int64 // of a file, by the instance's settings
	Left  int64 // of the user's quota; may be negative
}

// UploadRoom reads what a user may upload; an unknown one is a NotFound.
func (db *DB) UploadRoom(ctx context.Context, user protocol.UserID) (UploadRoom, error) {
	var r UploadRoom
	err := db.pool.QueryRow(ctx, selectUploadRoom, user).Scan(&r.Limit, &r.Left)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, protocol.NotFound("User not found")
	}
	return r, shown(err, "read quota of user")
}

// StoreFile stores the row of an upload and takes its bytes from the uploader's
// quota, at once or not at all. Its bytes must be stored already. Errors for the
// caller: what does not fit, an owner that is gone.
func (db *DB) StoreFile(ctx context.Context, f protocol.File, path string) error {
	done, err := db.pool.Exec(ctx, insertFile, f.ID, f.Filename, f.MimeType, f.FileType, f.Size, f.Checksum, f.UploadedByID, f.UploadedAt,
		f.ResourceType, f.UserID, f.CommunityID, f.MessageID, f.StorageType, path)
	if err != nil {
		return shown(err, "store file")
	}
	if done.RowsAffected() > 0 {
		return nil
	}
	room, err := db.UploadRoom(ctx, *f.UploadedByID)
	if err != nil {
		return err
	}
	return protocol.ErrQuota(room.Left)
}

// FileAccess is a file and what decides whether a user may have it.
type FileAccess struct {
	protocol.FileGrant
	Message       bool // the message that it was uploaded for is there
	InChannel     bool // and is, or was, in a channel
	Channel       bool // which is there
	Private       bool // and private
	Community     bool // it belongs to a community
	Member        bool // the user is a member of that community
	ChannelMember bool // of the channel
	GroupMember   bool // of the group of direct messages
	Shared        bool // a clip that the user may see although it is another's
}

// FileAccess reads a file that is not deleted, as a user finds it.
func (db *DB) FileAccess(ctx context.Context, id protocol.FileID, user protocol.UserID) (FileAccess, error) {
	var a FileAccess
	err := db.pool.QueryRow(ctx, selectFileAccess, id, user).Scan(append(fileFields(&a.File), &a.Path, &a.Thumbnail,
		&a.Message, &a.InChannel, &a.Channel, &a.Private, &a.Community, &a.Member, &a.ChannelMember, &a.GroupMember, &a.Shared)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, protocol.ErrFileNotFound
	}
	return a, shown(err, "read file")
}

// DeleteFile marks an upload of the user's as deleted and returns it.
func (db *DB) DeleteFile(ctx context.Context, id protocol.FileID, user protocol.UserID, at protocol.Instant) (protocol.File, error) {
	var f protocol.File
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		var by *protocol.UserID
		err := tx.QueryRow(ctx, selectUploader, id).Scan(&by)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return protocol.ErrFileNotFound
		case err != nil:
			return err
		case by == nil || *by != user:
			return protocol.ErrForeignFile
		}
		if _, err := tx.Exec(ctx, lockUploader, user); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, markFileDeleted, id, user, at).Scan(fileFields(&f)...)
		if errors.Is(err, pgx.ErrNoRows) {
			return protocol.ErrFileNotFound
		}
		return err
	})
	return f, shown(err, "delete file")
}
