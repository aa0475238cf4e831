package persistence

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	selectVideo = query(`
		SELECT ` + fileColumns + `, f.storage_path, coalesce(f.thumbnail_path, '') FROM file f
		WHERE f.id = $1 AND f.deleted_at IS NULL AND f.file_type = 'VIDEO'`)

	setThumbnail = query(`UPDATE file SET thumbnail_path = $2 WHERE id = $1 AND deleted_at IS NULL`)

	selectShowing = query(`
		SELECT a.message_id, m.channel_id, m.direct_message_group_id
		FROM message_attachment a JOIN message m ON m.id = a.message_id WHERE a.file_id = $1 AND m.deleted_at IS NULL LIMIT 10`)

	// The condition is that of file_thumbnail_missing_idx.
	selectMissingThumbnails = query(`
		SELECT id FROM file
		WHERE file_type = 'VIDEO' AND thumbnail_path IS NULL AND deleted_at IS NULL AND thumbnail_tries < 5
		ORDER BY id LIMIT $1`)

	countThumbnailTry = query(`UPDATE file SET thumbnail_tries = thumbnail_tries + 1 WHERE id = $1 AND thumbnail_tries < 5`)

	giveUpThumbnail = query(`UPDATE file SET thumbnail_tries = 5 WHERE id = $1`)
)

// Video reads a video that is not deleted; a NotFound when there is none.
func (db *DB) Video(ctx context.Context, id protocol.FileID) (protocol.FileGrant, error) {
	var g protocol.FileGrant
	err := db.pool.QueryRow(ctx, selectVideo, id).Scan(append(fileFields(&g.File), &g.Path, &g.Thumbnail)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return g, protocol.ErrFileNotFound
	}
	return g, shown(err, "read video")
}

// FilePlace is a message that shows a file.
type FilePlace struct {
	Message protocol.MessageID
	Channel protocol.ChannelID // or
	Group   protocol.GroupID
}

// In is the conversation of the message.
func (p FilePlace) In() protocol.Place { return protocol.Place{Channel: p.Channel, Group: p.Group} }

// SetThumbnail notes where the thumbnail of a file is; a NotFound when the file is
// gone meanwhile.
func (db *DB) SetThumbnail(ctx context.Context, id protocol.FileID, path string) error {
	done, err := db.pool.Exec(ctx, setThumbnail, id, path)
	if err == nil && done.RowsAffected() == 0 {
		return protocol.ErrFileNotFound
	}
	return shown(err, "note thumbnail")
}

// FilePlaces lists messages that show a file.
func (db *DB) FilePlaces(ctx context.Context, id protocol.FileID) ([]FilePlace, error) {
	return listRows(ctx, db, "list messages with file", pgx.RowToStructByPos[FilePlace], selectShowing, id)
}

// MissingThumbnails lists videos that have no picture, and of which one may still
// be tried.
func (db *DB) MissingThumbnails(ctx context.Context, limit int) ([]protocol.FileID, error) {
	return listRows(ctx, db, "list videos without thumbnail", pgx.RowTo[protocol.FileID], selectMissingThumbnails, limit)
}

// TryThumbnail counts a try to make a picture, before it begins: a video on which
// the server dies is not tried for ever. It reports whether one is left.
func (db *DB) TryThumbnail(ctx context.Context, id protocol.FileID) (bool, error) {
	done, err := db.pool.Exec(ctx, countThumbnailTry, id)
	return done.RowsAffected() > 0, shown(err, "count thumbnail")
}

// GiveUpThumbnail notes that a video can have no picture.
func (db *DB) GiveUpThumbnail(ctx context.Context, id protocol.FileID) error {
	_, err := db.pool.Exec(ctx, giveUpThumbnail, id)
	return shown(err, "give thumbnail up")
}
