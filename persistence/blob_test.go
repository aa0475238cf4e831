package persistence_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/persistence/s3test"
	"github.com/rookery-chat/rookery/protocol"
)

// storage is a place for files under test; left lists what lies there, finished
// or not.
type storage struct {
	*persistence.Blobs
	left func() []string
}

func filesIn(dir string) []string {
	var paths []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, path)
		}
		return nil
	})
	return paths
}

func openStorage(t *testing.T, cfg persistence.BlobConfig, dir string) storage {
	t.Helper()
	b, err := persistence.OpenBlobs(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := b.Reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	return storage{b, func() []string { return filesIn(dir) }}
}

// onStorages runs a test over a directory and over an S3 server.
func onStorages(t *testing.T, f func(t *testing.T, s storage)) {
	t.Helper()
	t.Run("disk", func(t *testing.T) {
		dir := t.TempDir()
		f(t, openStorage(t, persistence.BlobConfig{Dir: dir}, dir))
	})
	t.Run("s3", func(t *testing.T) {
		url, dir := s3test.Start(t)
		f(t, openStorage(t, persistence.BlobConfig{Dir: t.TempDir(), URL: url}, dir))
	})
}

func write(t *testing.T, s storage, path string, content []byte) {
	t.Helper()
	w, err := s.Create(t.Context(), s.Kind(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBlobs(t *testing.T) {
	onStorages(t, func(t *testing.T, s storage) {
		content := make([]byte, 12<<20) // several parts
		_, _ = rand.Read(content)
		path := persistence.NewBlobPath()
		if ok, err := s.Exists(t.Context(), s.Kind(), path); ok || err != nil {
			t.Fatalf("it is there before: %v", err)
		}
		if _, err := s.Open(t.Context(), s.Kind(), path, 0, 1); !errors.Is(err, persistence.ErrNoBlob) {
			t.Errorf("what is not there: %v", err)
		}
		if _, err := s.Open(t.Context(), "ELSEWHERE", path, 0, 1); !errors.Is(err, protocol.ErrFileUnsupported) {
			t.Errorf("another storage: %v", err)
		}
		write(t, s, path, content)
		if n, err := s.Size(t.Context(), s.Kind(), path); n != int64(len(content)) || err != nil {
			t.Errorf("size = %d, %v", n, err)
		}
		r, err := s.Open(t.Context(), s.Kind(), path, 5, int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, from := range []int{5, 0, len(content) - 10, 6 << 20} {
			if _, err := r.Seek(int64(from), io.SeekStart); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, min(1000, len(content)-from))
			if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, content[from:from+len(got)]) {
				t.Errorf("from %d: %v", from, err)
			}
		}
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if all, err := io.ReadAll(r); err != nil || !bytes.Equal(all, content) {
			t.Errorf("%d bytes, %v", len(all), err)
		}
		for range 2 { // what is gone is gone
			if err := s.Delete(t.Context(), s.Kind(), path); err != nil {
				t.Error(err)
			}
		}
		if left := s.left(); len(left) != 0 {
			t.Errorf("left: %q", left)
		}
	})
}

// A directory keeps nothing of what was not completed.
func TestBlobAborted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStorage(t, persistence.BlobConfig{Dir: dir}, dir)
	ctx, cancel := context.WithCancel(t.Context())
	w, err := s.Create(ctx, s.Kind(), persistence.NewBlobPath())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); err != nil || len(s.left()) != 1 {
		t.Fatal(err, s.left())
	}
	cancel()
	if err := w.Close(); err == nil || len(s.left()) != 0 {
		t.Errorf("%v, left: %q", err, s.left())
	}
}

func TestBlobURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{"ftp://x": "a bucket is", "\x00": "is not one", "s3": "a bucket is"} {
		if _, err := persistence.OpenBlobs(t.Context(), persistence.BlobConfig{Dir: t.TempDir(), URL: url}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// Deleted files go with their bytes, also with bytes that are lost; bytes that no
// row knows go when they are old, and nothing else does.
func TestFileSweep(t *testing.T) {
	onStorages(t, func(t *testing.T, s storage) {
		db := pgtest.New(t)
		ada := addUser(t, db, "ada")
		now := protocol.InstantOf(time.Now())
		store := func(bytes []byte) protocol.File {
			f := protocol.File{ID: protocol.FileID(protocol.NewRandomID[tag]()), Filename: "a", MimeType: "video/mp4", FileType: "VIDEO", Size: 10,
				Checksum: "x", UploadedByID: &ada, UploadedAt: now, ResourceType: protocol.FileAttachment, StorageType: s.Kind()}
			path := persistence.NewBlobPath()
			if bytes != nil {
				write(t, s, path, bytes)
			}
			if err := db.StoreFile(t.Context(), f, path); err != nil {
				t.Fatal(err)
			}
			return f
		}
		kept, gone, lost := store([]byte("kept")), store([]byte("gone")), store(nil)
		write(t, s, persistence.ThumbnailPath(gone.ID), []byte("thumbnail"))
		if err := db.SetThumbnail(t.Context(), gone.ID, persistence.ThumbnailPath(gone.ID)); err != nil {
			t.Fatal(err)
		}
		orphan := persistence.NewBlobPath()
		write(t, s, orphan, []byte("orphan"))
		write(t, s, "foreign/notes.txt", []byte("not ours"))
		for _, f := range []protocol.File{gone, lost} {
			if _, err := db.DeleteFile(t.Context(), f.ID, ada, now); err != nil {
				t.Fatal(err)
			}
		}
		var used int64
		if err := db.Pool().QueryRow(t.Context(), `SELECT storage_used_bytes FROM app_user`).Scan(&used); err != nil || used != 10 {
			t.Errorf("%d bytes used, %v", used, err)
		}
		sweeper := &persistence.FileSweeper{DB: db, Blobs: s.Blobs}
		through := func(step func(context.Context, protocol.Instant) (bool, error), at protocol.Instant) {
			t.Helper()
			for more := true; more; {
				var err error
				if more, err = step(t.Context(), at); err != nil {
					t.Fatal(err)
				}
			}
		}
		there := func(path string) bool {
			ok, err := s.Exists(t.Context(), s.Kind(), path)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		through(sweeper.SweepDeleted, now)
		var rows int
		if err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM file`).Scan(&rows); err != nil || rows != 1 || there(persistence.ThumbnailPath(gone.ID)) {
			t.Errorf("%d rows are left, %v", rows, err)
		}
		through(sweeper.SweepOrphans, now)
		if !there(orphan) {
			t.Error("young bytes were removed")
		}
		through(sweeper.SweepOrphans, protocol.InstantOf(time.Now().Add(48*time.Hour)))
		var path string
		if err := db.Pool().QueryRow(t.Context(), `SELECT storage_path FROM file WHERE id = $1`, kept.ID).Scan(&path); err != nil {
			t.Fatal(err)
		}
		if there(orphan) || !there(path) || !there("foreign/notes.txt") {
			t.Errorf("orphan %v, kept %v, foreign %v", there(orphan), there(path), there("foreign/notes.txt"))
		}
	})
}
