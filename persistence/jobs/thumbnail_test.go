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
	ready := make(chan persistence.FilePlace, 10)
	thumbnails := &Thumbnails{Blobs: blobs, FFmpeg: ffmpeg, Ready: func(_ context.Context, p persistence.FilePlace) { ready <- p }}
	r := node(t, Config{DB: db, Thumbnails: thumbnails})
	store := func(content []byte) protocol.FileID {
		f := protocol.File{ID: protocol.FileID(protocol.NewRandomID[struct{}]()), Filename: "a.mp4", MimeType: "video/mp4", FileType: "VIDEO", Size: int64(len(content)),
			Checksum: "x", UploadedByID: &user, UploadedAt: protocol.InstantOf(time.Now()), ResourceType: protocol.FileAttachment, MessageID: &message,
			StorageType: blobs.Kind()}
		path := persistence.NewBlobPath()
		w, err := blobs.Create(t.Context(), blobs.Kind(), path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(content)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := db.StoreFile(t.Context(), f, path); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Pool().Exec(t.Context(), `INSERT INTO message_attachment (id, message_id, file_id, position) VALUES (gen_random_uuid(), $1, $2, 0)`, message, f.ID); err != nil {
			t.Fatal(err)
		}
		if err := r.Thumbnail(t.Context(), f.ID); err != nil {
			t.Fatal(err)
		}
		return f.ID
	}
	for _, seconds := range []string{"3", "0.4"} {
		id := store(clip(t, ffmpeg, seconds))
		if p := await(t, "a picture of "+seconds+" s", ready); p.Message != message || p.In().Group != group {
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
