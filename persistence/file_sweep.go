package persistence

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	selectDeletedFiles = query(`
		SELECT id, storage_type, storage_path, coalesce(thumbnail_path, '') FROM file
		WHERE deleted_at IS NOT NULL AND id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid) ORDER BY id LIMIT $2`)

	forgetFiles = query(`DELETE FROM file WHERE id = ANY ($1) AND deleted_at IS NOT NULL`)

	selectUnknownBlobs = query(`
		SELECT b.path FROM unnest($1::text[]) AS b (path)
		WHERE NOT EXISTS (SELECT FROM file f WHERE f.storage_path = b.path)
			AND NOT EXISTS (SELECT FROM file f WHERE f.thumbnail_path = b.path)`)
)

const (
	// sweptFiles is how many deleted files one step removes.
	sweptFiles = 200
	// orphanGrace is how old bytes without a row must be: an upload stores its
	// row last, and may be slow.
	orphanGrace = 24 * time.Hour
)

type deletedFile struct {
	ID              protocol.FileID
	Kind            string
	Path, Thumbnail string
}

// FileSweeper removes bytes that nothing needs. It remembers how far it is, so it
// is for one storage; its steps may be repeated and run on several nodes.
type FileSweeper struct {
	DB    *DB
	Blobs *Blobs

	mu    sync.Mutex
	after protocol.FileID // of deleted files
	shard int             // of orphans
}

// SweepDeleted removes the bytes of some files that were deleted, with their
// thumbnails, and then their rows. Bytes that are not there are removed already;
// what can't be removed now is tried the next time.
func (s *FileSweeper) SweepDeleted(ctx context.Context, _ protocol.Instant) (more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, err := listRows(ctx, s.DB, "list deleted files", pgx.RowToStructByPos[deletedFile], selectDeletedFiles, s.after, sweptFiles)
	if err != nil {
		return false, err
	}
	var gone []protocol.FileID
	var failed error
	for _, f := range list {
		s.after = f.ID
		if err := s.remove(ctx, f); err != nil {
			failed = fmt.Errorf("remove bytes of file %s: %w", f.ID, err)
			if ctx.Err() != nil {
				break
			}
			continue
		}
		gone = append(gone, f.ID)
	}
	if len(gone) > 0 {
		if _, err := s.DB.pool.Exec(ctx, forgetFiles, gone); err != nil {
			return false, oneLine(fmt.Errorf("forget deleted files: %w", err))
		}
	}
	if len(list) == sweptFiles && ctx.Err() == nil {
		return true, nil
	}
	s.after = protocol.FileID{}
	return false, failed
}

func (s *FileSweeper) remove(ctx context.Context, f deletedFile) error {
	err := s.Blobs.Delete(ctx, f.Kind, f.Path)
	if f.Thumbnail != "" {
		err = errors.Join(err, s.Blobs.Delete(ctx, f.Kind, f.Thumbnail))
	}
	return err
}

// ours are the names that files are stored under, and those of bytes that a
// crash has left half written. Nothing else in a directory is touched.
var ours = regexp.MustCompile(`^(?:[0-9a-f]{2}/[0-9a-f]{30}|thumbnails/[0-9a-f-]{36}\.jpg)(?:\.[0-9a-f]+\.tmp)?$`)

// shards are the folders of a storage, which one step each looks through.
const shards = 257

func shardPrefix(n int) string {
	if n == shards-1 {
		return thumbnailFolder
	}
	return fmt.Sprintf("%02x/", n)
}

// SweepOrphans removes bytes that no row knows, folder by folder.
func (s *FileSweeper) SweepOrphans(ctx context.Context, now protocol.Instant) (more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := now.Time().Add(-orphanGrace)
	for _, kind := range s.Blobs.Kinds() {
		if err := s.sweepFolder(ctx, kind, shardPrefix(s.shard), old); err != nil {
			return false, err
		}
	}
	if s.shard++; s.shard < shards {
		return true, nil
	}
	s.shard = 0
	return false, nil
}

func (s *FileSweeper) sweepFolder(ctx context.Context, kind, prefix string, old time.Time) error {
	return s.Blobs.List(ctx, kind, prefix, func(list []StoredBlob) error {
		var paths []string
		for _, b := range list {
			if ours.MatchString(b.Path) && b.Modified.Before(old) {
				paths = append(paths, b.Path)
			}
		}
		if len(paths) == 0 {
			return nil
		}
		unknown, err := listRows(ctx, s.DB, "look for blobs", pgx.RowTo[string], selectUnknownBlobs, paths)
		if err != nil {
			return err
		}
		for _, path := range unknown {
			if err := s.Blobs.Delete(ctx, kind, path); err != nil {
				return err
			}
		}
		return nil
	})
}
