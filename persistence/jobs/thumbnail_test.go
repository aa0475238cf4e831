package jobs

import (
	"bytes"
	"context"
	"image/jpeg"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// TestThumbnail has pictures made of a long and of a short video, and none of
// what is no video.
func TestThumbnail(t *testing.T) {
	t.Parallel()
	ffmpeg := FindFFmpeg()
	if ffmpeg == "" {
		t.Skip("no ffmpeg: `make ffmpeg` installs it")
	}
	db := migrated(t)
	blobs, err := persistence.OpenBlobs(t.Context(), persistence.BlobConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blobs.Close() })
	studio := newStudio(t, db, blobs)
	ready := make(chan persistence.FilePlace, 10)
	thumbnails := &Thumbnails{Blobs: blobs, FFmpeg: ffmpeg, Ready: func(_ context.Context, p persistence.FilePlace) { ready <- p }}
	r := node(t, Config{DB: db, Thumbnails: thumbnails})
	store := func(content []byte) protocol.FileID {
		id := studio.store(t, content)
		if err := r.Thumbnail(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	for _, seconds := range []string{"3", "0.4"} {
		id := store(clip(t, ffmpeg, seconds))
		if p := await(t, "a picture of "+seconds+" s", ready); p.Message != studio.message || p.In().Group != studio.group {
			t.Errorf("%+v is told", p)
		}
		g, err := db.Video(t.Context(), id)
		if err != nil || g.Thumbnail != persistence.ThumbnailPath(id) {
			t.Fatalf("%q, %v", g.Thumbnail, err)
		}
		size, err := blobs.Size(t.Context(), blobs.Kind(), g.Thumbnail)
		if err != nil {
			t.Fatal(err)
		}
		b, err := blobs.Open(t.Context(), blobs.Kind(), g.Thumbnail, 0, size)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(b)
		b.Close()
		if err != nil {
			t.Fatal(err)
		}
		if c, err := jpeg.DecodeConfig(bytes.NewReader(raw)); err != nil || c.Width != 480 || c.Height != 360 {
			t.Errorf("the picture is %d x %d, %v", c.Width, c.Height, err)
		}
	}
	// A playlist, which would have ffmpeg open what it names.
	bad := store([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n"))
	store(clip(t, ffmpeg, "1")) // the queue is worked in order
	await(t, "the last picture", ready)
	if g, err := db.Video(t.Context(), bad); err != nil || g.Thumbnail != "" {
		t.Errorf("a playlist has the picture %q, %v", g.Thumbnail, err)
	}
}

// TestThumbnailSweep has videos of which nobody asked for pictures, as after a
// crash: a node without ffmpeg queues them, one that has it makes them.
func TestThumbnailSweep(t *testing.T) {
	t.Parallel()
	ffmpeg := FindFFmpeg()
	if ffmpeg == "" {
		t.Skip("no ffmpeg: `make ffmpeg` installs it")
	}
	db := migrated(t)
	blobs, err := persistence.OpenBlobs(t.Context(), persistence.BlobConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blobs.Close() })
	studio := newStudio(t, db, blobs)
	good, bad := studio.store(t, clip(t, ffmpeg, "1")), studio.store(t, []byte("no video"))
	missing := func() []protocol.FileID {
		t.Helper()
		list, err := db.MissingThumbnails(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := missing(); len(list) != 2 {
		t.Fatalf("missing are %v", list)
	}
	node(t, Config{DB: db, Thumbnails: &Thumbnails{Blobs: blobs}})
	until(t, "both are queued", func() bool {
		var n int
		if err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM river.river_job WHERE kind = 'file.thumbnail' AND state = 'available'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 2
	})
	ready := make(chan persistence.FilePlace, 10)
	node(t, Config{DB: db, Thumbnails: &Thumbnails{Blobs: blobs, FFmpeg: ffmpeg, Ready: func(_ context.Context, p persistence.FilePlace) { ready <- p }}})
	await(t, "a picture", ready)
	if g, err := db.Video(t.Context(), good); err != nil || g.Thumbnail == "" {
		t.Errorf("%q, %v", g.Thumbnail, err)
	}
	until(t, "nothing is left to try", func() bool { return len(missing()) == 0 })
	if g, err := db.Video(t.Context(), bad); err != nil || g.Thumbnail != "" {
		t.Errorf("what is no video has the picture %q, %v", g.Thumbnail, err)
	}
}

// TestThumbnailTries holds that a video is not tried for ever.
func TestThumbnailTries(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	blobs, err := persistence.OpenBlobs(t.Context(), persistence.BlobConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blobs.Close() })
	id := newStudio(t, db, blobs).store(t, []byte("x"))
	tries := 0
	for tries < 100 {
		ok, err := db.TryThumbnail(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		tries++
		list, err := db.MissingThumbnails(t.Context(), 10)
		if left := len(list) == 1; err != nil || left != (tries < 5) {
			t.Errorf("after %d tries %v are missing, %v", tries, list, err)
		}
	}
	if tries != 5 {
		t.Errorf("%d tries", tries)
	}
}

// until waits for a state.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// studio is a user with a message that shows his videos.
type studio struct {
	db      *persistence.DB
	blobs   *persistence.Blobs
	user    protocol.UserID
	message protocol.MessageID
	group   protocol.GroupID
}

func newStudio(t *testing.T, db *persistence.DB, blobs *persistence.Blobs) *studio {
	t.Helper()
	user := protocol.UserID(protocol.NewID[struct{}]())
	message := protocol.MessageID(protocol.NewID[struct{}]())
	group := protocol.GroupID(protocol.NewID[struct{}]())
	for _, sql := range []string{
		`INSERT INTO app_user (id, username, password_hash) SELECT $1, 'ada', 'x' WHERE $2::uuid IS NOT NULL AND $3::uuid IS NOT NULL`,
		`INSERT INTO direct_message_group (id) SELECT $3::uuid WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL`,
		`INSERT INTO message (id, author_id, direct_message_group_id, seq) VALUES ($2, $1, $3, 1)`,
	} {
		if _, err := db.Pool().Exec(t.Context(), sql, user, message, group); err != nil {
			t.Fatal(err)
		}
	}
	return &studio{db, blobs, user, message, group}
}

func (s *studio) store(t *testing.T, content []byte) protocol.FileID {
	t.Helper()
	f := protocol.File{ID: protocol.FileID(protocol.NewRandomID[struct{}]()), Filename: "a.mp4", MimeType: "video/mp4", FileType: "VIDEO", Size: int64(len(content)),
		Checksum: "x", UploadedByID: &s.user, UploadedAt: protocol.InstantOf(time.Now()), ResourceType: protocol.FileAttachment, MessageID: &s.message,
		StorageType: s.blobs.Kind()}
	path := persistence.NewBlobPath()
	w, err := s.blobs.Create(t.Context(), s.blobs.Kind(), path)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.db.StoreFile(t.Context(), f, path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Pool().Exec(t.Context(), `INSERT INTO message_attachment (id, message_id, file_id, position) VALUES (gen_random_uuid(), $1, $2, 0)`, s.message, f.ID); err != nil {
		t.Fatal(err)
	}
	return f.ID
}

// clip is a small video.
func clip(t *testing.T, ffmpeg, seconds string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.mp4")
	out, err := exec.Command(ffmpeg, "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=640x480:rate=10:duration="+seconds,
		"-pix_fmt", "yuv420p", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
