package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

const (
	// thumbnailQueue is worked by nodes that have ffmpeg only, one at a time: a
	// video takes a core.
	thumbnailQueue = "thumbnail"

	thumbnailTime  = 30 * time.Second // of one run of ffmpeg
	thumbnailLife  = 4 * time.Minute  // with fetching the video
	thumbnailTries = 3                // of one job; the sweep makes new ones, within the bound of TryThumbnail
	// sweptThumbnails is how many videos the sweep has in the queue.
	sweptThumbnails = 200
	maxThumbnail    = 4 << 20

	// The same as limits of the process: address space in KiB, seconds of CPU,
	// blocks of 512 bytes of output.
	thumbnailLimits = `ulimit -v 2097152 && ulimit -t 60 && ulimit -f 8192 && exec "$0" "$@"`
)

// Thumbnails are pictures of videos, made by ffmpeg.
type Thumbnails struct {
	Blobs *persistence.Blobs
	// FFmpeg is the program; empty: this node makes none.
	FFmpeg string
	// Ready is told of messages that show a video that has its picture now.
	Ready func(ctx context.Context, p persistence.FilePlace)
}

// FindFFmpeg is where ffmpeg is; empty when it is not there.
func FindFFmpeg() string {
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		return ""
	}
	return path
}

// thumbnail is what is stored of one picture that is to be made.
type thumbnail struct {
	File protocol.FileID `json:"file"`
}

// Kind implements river.JobArgs.
func (thumbnail) Kind() string { return "file.thumbnail" }

// Thumbnail has a picture made of a video, once in the cluster and at once. It may
// be lost, and without ffmpeg on this node it does nothing: the sweep finds the
// video, and whichever node can makes the picture.
func (r *Runner) Thumbnail(ctx context.Context, file protocol.FileID) error {
	if r.thumbnails == nil || r.thumbnails.FFmpeg == "" {
		return nil
	}
	if _, err := r.client.Insert(ctx, thumbnail{File: file}, thumbnailOpts()); err != nil {
		return fmt.Errorf("queue thumbnail: %w", err)
	}
	return nil
}

func thumbnailOpts() *river.InsertOpts {
	return &river.InsertOpts{Queue: thumbnailQueue, MaxAttempts: thumbnailTries, UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

// thumbnailSweep queues videos that have no picture. While no node has ffmpeg, a
// few wait in the queue and all others in their table.
func thumbnailSweep(db *persistence.DB) Chore {
	return Chore{"file.thumbnails", "* * * * *", func(ctx context.Context, _ protocol.Instant) (bool, error) {
		files, err := db.MissingThumbnails(ctx, sweptThumbnails)
		if err != nil || len(files) == 0 {
			return false, err
		}
		params := make([]river.InsertManyParams, 0, len(files))
		for _, f := range files {
			params = append(params, river.InsertManyParams{Args: thumbnail{File: f}, InsertOpts: thumbnailOpts()})
		}
		if _, err := river.ClientFromContext[pgx.Tx](ctx).InsertMany(ctx, params); err != nil {
			return false, fmt.Errorf("queue thumbnails: %w", err)
		}
		return false, nil
	}}
}

// painter makes pictures.
type painter struct {
	river.WorkerDefaults[thumbnail]
	Thumbnails
	db  *persistence.DB
	log *slog.Logger
}

// Timeout implements river.Worker.
func (*painter) Timeout(*river.Job[thumbnail]) time.Duration { return thumbnailLife }

// Work implements river.Worker. What ffmpeg can't read has no picture, and is not
// tried again.
func (p *painter) Work(ctx context.Context, job *river.Job[thumbnail]) error {
	g, err := p.db.Video(ctx, job.Args.File)
	switch {
	case errors.Is(err, protocol.ErrFileNotFound), err == nil && g.Thumbnail != "":
		return nil
	case err != nil:
		return err
	}
	if ok, err := p.db.TryThumbnail(ctx, g.File.ID); err != nil || !ok {
		return err
	}
	dir, err := os.MkdirTemp("", "rookery-thumbnail-")
	if err != nil {
		return fmt.Errorf("thumbnail: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	video, err := p.fetch(ctx, &g, dir)
	if err != nil {
		return err
	}
	picture, err := p.paint(ctx, video, dir)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded): // the machine may have much to do
		return err
	case err != nil:
		p.log.Info("no thumbnail can be made", "file", g.File.ID, "error", err)
		return p.db.GiveUpThumbnail(ctx, g.File.ID)
	}
	return p.publish(ctx, &g, picture)
}

// fetch gives the path of the video, which is copied when it is not on this
// machine: ffmpeg has to move about in it.
func (p *painter) fetch(ctx context.Context, g *protocol.FileGrant, dir string) (string, error) {
	if path, ok := p.Blobs.LocalPath(g.File.StorageType, g.Path); ok {
		return path, nil
	}
	r, err := p.Blobs.Open(ctx, g.File.StorageType, g.Path, 0, g.File.Size)
	if err != nil {
		return "", err
	}
	defer r.Close()
	path := filepath.Join(dir, "video")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("copy video: %w", err)
	}
	_, err = io.Copy(f, r)
	return path, errors.Join(err, f.Close())
}

// paint takes the frame at one second, or the first one of a shorter video.
func (p *painter) paint(ctx context.Context, video, dir string) ([]byte, error) {
	var failed error
	for _, at := range []string{"1", "0"} {
		path := filepath.Join(dir, "at"+at+".jpg")
		if failed = p.run(ctx, dir, arguments(video, at, path)); failed != nil {
			continue
		}
		info, err := os.Stat(path)
		if err != nil || info.Size() == 0 {
			failed = errors.New("there is no frame")
			continue
		}
		if info.Size() > maxThumbnail {
			return nil, errors.New("the picture is too large")
		}
		return os.ReadFile(path) //nolint:gosec // written by us
	}
	return nil, failed
}

// arguments of ffmpeg: local files only, of the containers that are accepted,
// with one thread and a bounded frame.
func arguments(video, at, picture string) []string {
	return []string{
		"-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1",
		"-protocol_whitelist", "file", "-format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,avi", "-max_pixels", "67108864",
		"-ss", at, "-i", "file:" + video, "-map", "0:v:0", "-frames:v", "1", "-an", "-sn", "-dn",
		"-vf", "scale=480:-1", "-q:v", "5", "-threads", "1", "-f", "mjpeg", "-y", "file:" + picture,
	}
}

func (p *painter) run(ctx context.Context, dir string, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, thumbnailTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", thumbnailLimits, p.FFmpeg}, args...)...) // #nosec G204 -- paths are our own
	cmd.Dir, cmd.Env = dir, []string{"LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("ffmpeg: %w", ctx.Err())
	case err != nil:
		return fmt.Errorf("ffmpeg: %w: %.300s", err, out)
	}
	return nil
}

// publish stores the picture and tells the messages that show the video.
func (p *painter) publish(ctx context.Context, g *protocol.FileGrant, picture []byte) error {
	kind, path := g.File.StorageType, persistence.ThumbnailPath(g.File.ID)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := p.Blobs.Create(ctx, kind, path)
	if err != nil {
		return err
	}
	if _, err := w.Write(picture); err != nil {
		cancel()
		return errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil {
		return err
	}
	err = p.db.SetThumbnail(ctx, g.File.ID, path)
	if errors.Is(err, protocol.ErrFileNotFound) { // deleted meanwhile
		return p.Blobs.Delete(ctx, kind, path)
	}
	if err != nil || p.Ready == nil {
		return err
	}
	places, err := p.db.FilePlaces(ctx, g.File.ID)
	for _, place := range places {
		p.Ready(ctx, place)
	}
	return err
}
