package replay_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	protologger "github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"

	"github.com/rookery-chat/rookery/actors/replay"
	"github.com/rookery-chat/rookery/actors/replay/mediatest"
	"github.com/rookery-chat/rookery/actors/sfu"
)

const (
	key    = "rookery"
	secret = "a-secret-of-more-than-thirty-two-characters"
	room   = "room"
)

// TestMain is also the media server, and a recorder that is killed.
func TestMain(m *testing.M) {
	lksdk.SetLogger(protologger.GetDiscardLogger())
	switch os.Getenv("ROOKERY_REPLAY_TEST") {
	case "sfu", "foreign": // which lets others publish other video
		in := bufio.NewReader(os.Stdin)
		config, err := in.ReadString('\n')
		if os.Getenv("ROOKERY_REPLAY_TEST") == "foreign" {
			config = strings.Replace(config, "video/h264", "video/vp8", 1)
		}
		if err == nil {
			err = sfu.Serve(context.Background(), io.MultiReader(strings.NewReader(config), in))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case "recorder":
		_, err := replay.Start(context.Background(), replay.Config{
			URL: os.Args[1], Key: key, Secret: secret, Dir: os.Args[2], Segment: time.Second,
		}, replay.Source{Room: room, Identity: "ada", Video: os.Args[3], Audio: os.Args[4]}, func(e replay.Event) { fmt.Println(e.Kind) })
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		select {}
	}
	os.Exit(m.Run())
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func server(t *testing.T, kind string) string {
	t.Helper()
	s, err := sfu.Start(sfu.Config{
		Key: key, Secret: secret, Command: []string{"/usr/bin/env", "ROOKERY_REPLAY_TEST=" + kind, os.Args[0]}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	url, err := s.Await(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// sharer is a participant with a screen share.
type sharer struct {
	room  *lksdk.Room
	video *lksdk.LocalTrackPublication
	audio *lksdk.LocalTrackPublication
	seen  chan string // who came
}

func share(t *testing.T, url, identity, video, audio string, source livekit.TrackSource) *sharer {
	t.Helper()
	s := &sharer{seen: make(chan string, 16)}
	cb := lksdk.NewRoomCallback()
	cb.OnParticipantConnected = func(p *lksdk.RemoteParticipant) { s.seen <- p.Identity() }
	var err error
	s.room, err = lksdk.ConnectToRoom(url, lksdk.ConnectInfo{APIKey: key, APISecret: secret, RoomName: room, ParticipantIdentity: identity}, cb)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.room.Disconnect)
	publish := func(path string, source livekit.TrackSource, opts ...lksdk.ReaderSampleProviderOption) *lksdk.LocalTrackPublication {
		track, err := lksdk.NewLocalFileTrack(path, opts...)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := s.room.LocalParticipant.PublishTrack(track, &lksdk.TrackPublicationOptions{Source: source})
		if err != nil {
			t.Fatal(err)
		}
		return pub
	}
	s.video = publish(video, source, lksdk.ReaderTrackWithFrameDuration(time.Second/mediatest.Rate))
	if audio != "" {
		s.audio = publish(audio, livekit.TrackSource_SCREEN_SHARE_AUDIO)
	}
	return s
}

type recording struct {
	*replay.Session
	dir    string
	events chan replay.Event
}

func record(t *testing.T, url string, who *sharer, cfg replay.Config) *recording {
	t.Helper()
	r := &recording{dir: filepath.Join(t.TempDir(), "session"), events: make(chan replay.Event, 100)}
	cfg.URL, cfg.Key, cfg.Secret, cfg.Dir = url, key, secret, r.dir
	src := replay.Source{Room: room, Identity: "ada", Video: who.video.SID()}
	if who.audio != nil {
		src.Audio = who.audio.SID()
	}
	var err error
	if r.Session, err = replay.Start(within(t), cfg, src, func(e replay.Event) { r.events <- e }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

// next waits for an event of a kind.
func (r *recording) next(t *testing.T, kind replay.Kind) replay.Event {
	t.Helper()
	for {
		select {
		case e := <-r.events:
			if e.Kind == kind {
				return e
			}
			if e.Kind == replay.Failed {
				t.Fatalf("the recording failed: %v", e.Err)
			}
			if e.Kind == replay.Stopped {
				t.Fatal("the recording stopped")
			}
		case <-within(t).Done():
			t.Fatalf("no event %d", kind)
		}
	}
}

func (r *recording) playlist(t *testing.T) (path, text string) {
	t.Helper()
	text, err := r.Playlist("")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(r.dir, "list.m3u8")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, text
}

func capture(t *testing.T, b *replay.Buffer, r replay.Range) (*replay.Clip, string) {
	t.Helper()
	c, err := b.Capture(r)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var out bytes.Buffer
	if n, err := c.WriteTo(&out); err != nil || n != c.Size {
		t.Fatalf("wrote %d bytes of %d: %v", n, c.Size, err)
	}
	return c, mediatest.Write(t, "clip.mp4", out.Bytes())
}

func TestRecording(t *testing.T) {
	t.Parallel()
	video, audio := mediatest.Video(t, 14, 640, 360), mediatest.Audio(t, 14)
	url := server(t, "sfu")
	ada := share(t, url, "ada", video, audio, livekit.TrackSource_SCREEN_SHARE)
	r := record(t, url, ada, replay.Config{Segment: 2 * time.Second, Window: 6 * time.Second})
	if _, err := r.Playlist(""); !errors.Is(err, replay.ErrEmpty) {
		t.Errorf("a playlist of nothing: %v", err)
	}
	if _, err := r.Capture(replay.Range{Last: time.Second}); !errors.Is(err, replay.ErrEmpty) {
		t.Errorf("a clip of nothing: %v", err)
	}
	ready := r.next(t, replay.Ready)
	if ready.Segment.Number != 1 || ready.Segment.Length() <= 0 {
		t.Errorf("first segment: %+v", ready.Segment)
	}
	for r.next(t, replay.Cut).Segment.Number < 5 {
	}
	r.Stop()
	info := r.Info()
	if info.First < 2 || info.Duration < 6*time.Second || info.Began.IsZero() || info.Ended.Before(info.Began) {
		t.Errorf("info: %+v", info)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "segment_00001.m4s")); !os.IsNotExist(err) {
		t.Errorf("the first segment is there: %v", err)
	}
	path, text := r.playlist(t)
	for _, want := range []string{"#EXT-X-VERSION:7", "#EXT-X-MAP:URI=\"init-1.mp4\"", fmt.Sprintf("#EXT-X-MEDIA-SEQUENCE:%d\n", info.First-1), "#EXTINF:2.00000,", "#EXT-X-ENDLIST"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	shown := mediatest.Sums(t, path, "-allowed_extensions", "ALL")
	source := mediatest.Sums(t, video)
	first := slices.Index(source, shown[0])
	if first < 0 || !slices.Equal(source[first:first+len(shown)], shown) {
		t.Errorf("the segments show %d pictures from %d on, not as they were shared", len(shown), first)
	}
	c, path := capture(t, r.Buffer, replay.Range{Last: 4 * time.Second})
	probed := mediatest.Probe(t, path)
	if probed.Format.Duration != "4.000000" || len(probed.Streams) != 2 || probed.Streams[1].Duration < "3.8" || c.Pictures != 100 {
		t.Errorf("the last 4 s: %d pictures, %+v", c.Pictures, probed)
	}
	mediatest.Decode(t, path)
	if got := mediatest.Sums(t, path); !slices.Equal(got, shown[len(shown)-100:]) {
		t.Errorf("the last 4 s show %d pictures", len(got))
	}
	from, to := 33*time.Second/mediatest.Rate, 98*time.Second/mediatest.Rate
	_, path = capture(t, r.Buffer, replay.Range{First: info.First, From: from, To: to})
	if got := mediatest.Sums(t, path); !slices.Equal(got, shown[33:98]) {
		t.Errorf("a range shows %d pictures", len(got))
	}
	// What was first some time ago still is known.
	old, path := capture(t, r.Buffer, replay.Range{First: 1, To: 5 * time.Second})
	if old.Start == 0 || mediatest.Probe(t, path).Format.Duration == "5.000000" {
		t.Errorf("a range that is gone in part: %+v", old.Clip)
	}
	for name, want := range map[string]error{"init-1.mp4": nil, "segment_00001.m4s": replay.ErrGone, "index.json": replay.ErrName, "../x": replay.ErrName, "init-1.mp4\n": replay.ErrName} {
		file, err := r.Open(name)
		if !errors.Is(err, want) {
			t.Errorf("%q: %v", name, err)
		}
		if err == nil {
			_ = file.Close()
		}
	}
	rooms := lksdk.NewRoomServiceClient(url, key, secret)
	list, err := rooms.ListParticipants(within(t), &livekit.ListParticipantsRequest{Room: room})
	if err != nil || len(list.Participants) != 1 {
		t.Errorf("who is there after Stop: %v, %v", list, err)
	}
	select {
	case who := <-ada.seen:
		t.Errorf("%s was seen", who)
	default:
	}
	if e := <-r.events; e.Kind == replay.Failed {
		t.Errorf("event %+v", e)
	}
}

func join(t *testing.T, paths ...string) string {
	t.Helper()
	var all []byte
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return mediatest.Write(t, "joined.h264", all)
}

// The window is resized, and the share muted for a while.
func TestPauseAndResize(t *testing.T) {
	t.Parallel()
	video := join(t, mediatest.Video(t, 5, 320, 180), mediatest.Video(t, 20, 640, 360))
	url := server(t, "sfu")
	ada := share(t, url, "ada", video, mediatest.Audio(t, 25), livekit.TrackSource_SCREEN_SHARE)
	r := record(t, url, ada, replay.Config{Segment: time.Second})
	for {
		s := r.next(t, replay.Cut).Segment
		if s.Init > 1 {
			break
		}
	}
	ada.video.SetMuted(true)
	time.Sleep(time.Second / 2) // so long is the share muted
	ada.video.SetMuted(false)
	for !r.next(t, replay.Cut).Segment.Discontinuous {
	}
	r.next(t, replay.Cut)
	ada.room.Disconnect()
	r.next(t, replay.Stopped)
	_, text := r.playlist(t)
	if strings.Count(text, "#EXT-X-DISCONTINUITY\n") < 2 || strings.Count(text, "#EXT-X-MAP") != 2 {
		t.Errorf("playlist:\n%s", text)
	}
	segments := r.Segments()
	for i, s := range segments {
		if i > 0 && s.Start != segments[i-1].Start+segments[i-1].Duration {
			t.Errorf("segment %d starts at %d", s.Number, s.Start)
		}
	}
	c, path := capture(t, r.Buffer, replay.Range{Last: time.Hour})
	mediatest.Decode(t, path)
	if info := r.Info(); c.Duration != info.Duration || c.Width != 640 {
		t.Errorf("a clip of %v, %d wide, of %v", c.Duration, c.Width, info.Duration)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	video := mediatest.Video(t, 20, 320, 180)
	vp8 := filepath.Join(t.TempDir(), "x.ivf")
	mediatest.Run(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=3", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", vp8)
	url := server(t, "sfu")
	ada := share(t, url, "ada", video, "", livekit.TrackSource_SCREEN_SHARE)
	bob := share(t, url, "bob", video, "", livekit.TrackSource_CAMERA)
	foreign := server(t, "foreign")
	eve := share(t, foreign, "eve", vp8, "", livekit.TrackSource_SCREEN_SHARE)
	var codec replay.CodecError
	for name, row := range map[string]struct {
		src  replay.Source
		want func(error) bool
	}{
		"a camera":       {replay.Source{Identity: "bob", Video: bob.video.SID()}, func(err error) bool { return errors.Is(err, replay.ErrNoScreen) }},
		"another's":      {replay.Source{Identity: "bob", Video: ada.video.SID()}, func(err error) bool { return errors.Is(err, replay.ErrNoTrack) }},
		"nobody's":       {replay.Source{Identity: "zoe", Video: ada.video.SID()}, func(err error) bool { return errors.Is(err, replay.ErrNoTrack) }},
		"video as audio": {replay.Source{Identity: "ada", Video: ada.video.SID(), Audio: ada.video.SID()}, func(err error) bool { return errors.Is(err, replay.ErrNoScreen) }},
		"another codec": {replay.Source{Identity: "eve", Video: eve.video.SID()}, func(err error) bool {
			return errors.As(err, &codec) && strings.Contains(strings.ToLower(err.Error()), "vp8")
		}},
	} {
		dir := filepath.Join(t.TempDir(), "session")
		row.src.Room = room
		at := url
		if row.src.Identity == "eve" {
			at = foreign
		}
		_, err := replay.Start(within(t), replay.Config{URL: at, Key: key, Secret: secret, Dir: dir}, row.src, func(replay.Event) {})
		if !row.want(err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: the directory is left", name)
		}
	}
}

func TestKilledRecorder(t *testing.T) {
	t.Parallel()
	video := mediatest.Video(t, 20, 320, 180)
	url := server(t, "sfu")
	ada := share(t, url, "ada", video, mediatest.Audio(t, 20), livekit.TrackSource_SCREEN_SHARE)
	dir := filepath.Join(t.TempDir(), "session")
	cmd := exec.Command(os.Args[0], url, dir, ada.video.SID(), ada.audio.SID())
	cmd.Env = append(os.Environ(), "ROOKERY_REPLAY_TEST=recorder")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range 4 { // ready and three segments
		if !lines.Scan() {
			t.Fatal("the recorder ended")
		}
		if text := lines.Text(); text != "0" && text != "1" {
			t.Fatalf("the recorder says %s", text)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for name, text := range map[string]string{"segment_00099.m4s.part": "half", "segment_00050.m4s": "garbage", "init-7.mp4": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, index := range []bool{true, false} {
		if !index {
			if err := os.Remove(filepath.Join(dir, "index.json")); err != nil {
				t.Fatal(err)
			}
		}
		b, err := replay.Recover(dir)
		if err != nil {
			t.Fatal(err)
		}
		info := b.Info()
		if info.Segments < 3 || info.Began.IsZero() == index {
			t.Errorf("recovered %+v", info)
		}
		_, path := capture(t, b, replay.Range{From: 40 * time.Millisecond, To: 1040 * time.Millisecond})
		mediatest.Decode(t, path)
		if p := mediatest.Probe(t, path); p.Format.Duration != "1.000000" || len(p.Streams) != 2 {
			t.Errorf("a clip of %+v", p)
		}
	}
	if _, err := replay.Recover(filepath.Join(dir, "no")); err == nil {
		t.Error("a directory that is not there is recovered")
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "session")
	cfg := replay.Config{URL: "http://127.0.0.1:1", Key: key, Secret: secret, Dir: dir}
	if _, err := replay.Start(within(t), cfg, replay.Source{Room: room, Identity: "ada", Video: "TR_x"}, func(replay.Event) {}); err == nil {
		t.Error("a recording without a server")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory is left: %v", err)
	}
}
