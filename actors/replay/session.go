package replay

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/rookery-chat/rookery/actors/replay/fmp4"
)

// Defaults of a Config.
const (
	DefaultSegment = 10 * time.Second
	DefaultWindow  = 12 * time.Minute
	DefaultBytes   = 2 << 30
)

const (
	joinTimeout  = 15 * time.Second
	tokenTime    = 6 * time.Hour
	keyTick      = 200 * time.Millisecond
	writeBacklog = 4 // segments
)

// Errors of a recording.
var (
	ErrNoTrack      = errors.New("the participant has no such track")
	ErrNoScreen     = errors.New("the track is not a screen share")
	ErrSlow         = errors.New("segments can't be written as fast as they come")
	ErrDisconnected = errors.New("the recorder lost its room")
)

// CodecError means that a track's codec can't be recorded.
type CodecError struct{ Mime string }

func (e CodecError) Error() string { return "screen shares of codec " + e.Mime + " can't be recorded" }

// Config says where and how much to record.
type Config struct {
	URL         string // of the LiveKit server
	Key, Secret string
	Dir         string        // is made, and must not exist
	Segment     time.Duration // target length; 0: DefaultSegment
	Window      time.Duration // that is kept; 0: DefaultWindow
	Bytes       int64         // that are kept at most; 0: DefaultBytes
	Log         *slog.Logger
}

// Source is what to record.
type Source struct {
	Room     string
	Identity string // whose tracks they must be
	Video    string // id of a SCREEN_SHARE track
	Audio    string // id of a SCREEN_SHARE_AUDIO track; empty: none
}

// Kind is what happened to a recording.
type Kind int

// Ready comes once, with the first segment, before its Cut. Stopped or Failed is last.
const (
	Ready Kind = iota
	Cut
	Stopped
	Failed
)

// Event tells of a recording.
type Event struct {
	Kind    Kind
	Segment Segment // of Ready and Cut
	Err     error   // of Failed
}

// Session is a recording.
type Session struct {
	*Buffer
	notify func(Event)
	source Source
	room   *lksdk.Room
	over   chan struct{} // closed at the end of everything
	quit   chan struct{} // closed when it is to end
	left   chan struct{} // closed when the room is left
	once   sync.Once
	err    error // why; nil: it was stopped, or there is nothing more

	changed    chan struct{} // the room did
	subscribed chan error    // the video track is, or can't be
	pieces     chan piece

	media  sync.Mutex // guards what follows
	mux    *mux
	units  fmp4.Units
	ended  bool
	ssrc   [2]webrtc.SSRC // of video and audio
	askKey func()
}

// Start begins a recording. It returns when media flow, or can't.
func Start(ctx context.Context, cfg Config, src Source, notify func(Event)) (*Session, error) {
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of a recording: %w", err)
	}
	s := &Session{
		Buffer: newBuffer(cfg.Dir, cmp.Or(cfg.Window, DefaultWindow), cmp.Or(cfg.Bytes, DefaultBytes)),
		notify: notify, source: src, over: make(chan struct{}), quit: make(chan struct{}), left: make(chan struct{}),
		changed: make(chan struct{}, 1), subscribed: make(chan error, 1), pieces: make(chan piece, writeBacklog),
		units: fmp4.Units{Max: maxPicture},
	}
	s.mux = newMux(cmp.Or(cfg.Segment, DefaultSegment), s.emit)
	if err := s.join(ctx, cfg); err != nil {
		if s.room != nil {
			s.room.Disconnect()
		}
		_ = s.Remove()
		return nil, err
	}
	go s.write()
	go s.watch()
	return s, nil
}

// Stop ends the recording and returns when its last segment is written and the room
// left. What was recorded stays, until Remove.
func (s *Session) Stop() {
	s.finish(nil)
	<-s.over
}

// Done is closed when the recording has ended.
func (s *Session) Done() <-chan struct{} { return s.over }

func (s *Session) finish(err error) {
	s.once.Do(func() {
		s.err = err
		close(s.quit)
	})
}

// join enters the room and takes the tracks.
func (s *Session) join(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	token, err := auth.NewAccessToken(cfg.Key, cfg.Secret).SetIdentity("EG_" + rand.Text()).SetKind(livekit.ParticipantInfo_EGRESS).
		SetVideoGrant(recorderGrant(s.source.Room)).SetValidFor(tokenTime).ToJWT()
	if err != nil {
		return fmt.Errorf("sign the token of a recorder: %w", err)
	}
	s.room = lksdk.NewRoom(s.callbacks())
	err = s.room.JoinWithContextAndToken(ctx, cfg.URL, token, lksdk.WithAutoSubscribe(false), lksdk.WithLogger(logger.GetDiscardLogger()))
	if err != nil {
		return fmt.Errorf("join the room as a recorder: %w", err)
	}
	video, err := s.find(ctx, s.source.Video, livekit.TrackSource_SCREEN_SHARE)
	if err != nil {
		return err
	}
	if mime := video.MimeType(); !strings.EqualFold(mime, webrtc.MimeTypeH264) {
		return CodecError{mime}
	}
	wanted := []*lksdk.RemoteTrackPublication{video}
	if s.source.Audio != "" {
		audio, err := s.find(ctx, s.source.Audio, livekit.TrackSource_SCREEN_SHARE_AUDIO)
		if err != nil {
			return err
		}
		if mime := audio.MimeType(); !strings.EqualFold(mime, webrtc.MimeTypeOpus) {
			return CodecError{mime}
		}
		wanted = append(wanted, audio)
	}
	for _, pub := range wanted {
		pub.OnRTCP(s.report)
		if err := pub.SetSubscribed(true); err != nil {
			return fmt.Errorf("subscribe to a screen share: %w", err)
		}
	}
	select {
	case err := <-s.subscribed:
		return err
	case <-s.quit:
		return cmp.Or(s.err, ErrNoTrack)
	case <-ctx.Done():
		return fmt.Errorf("no media of the screen share: %w", ctx.Err())
	}
}

func recorderGrant(room string) *auth.VideoGrant {
	g := &auth.VideoGrant{Room: room, RoomJoin: true, Hidden: true, Recorder: true}
	g.SetCanPublish(false)
	g.SetCanPublishData(false)
	g.SetCanSubscribe(true)
	return g
}

// find waits for a track of the participant, for one that is published at this moment.
func (s *Session) find(ctx context.Context, id string, source livekit.TrackSource) (*lksdk.RemoteTrackPublication, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout/5)
	defer cancel()
	for {
		if p := s.room.GetParticipantByIdentity(s.source.Identity); p != nil {
			for _, pub := range p.TrackPublications() {
				remote, ok := pub.(*lksdk.RemoteTrackPublication)
				if !ok || pub.SID() != id {
					continue
				}
				if pub.Source() != source {
					return nil, ErrNoScreen
				}
				return remote, nil
			}
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			return nil, ErrNoTrack
		}
	}
}

func (s *Session) callbacks() *lksdk.RoomCallback {
	changed := func() {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
	mine := func(pub lksdk.TrackPublication) bool { return pub.SID() == s.source.Video }
	cb := lksdk.NewRoomCallback()
	cb.OnParticipantConnected = func(*lksdk.RemoteParticipant) { changed() }
	cb.OnTrackPublished = func(*lksdk.RemoteTrackPublication, *lksdk.RemoteParticipant) { changed() }
	cb.OnTrackSubscribed = s.take
	cb.OnTrackSubscriptionFailed = func(id string, _ *lksdk.RemoteParticipant) {
		if id == s.source.Video {
			s.tell(fmt.Errorf("the screen share can't be subscribed: %w", ErrNoTrack))
		}
	}
	cb.OnTrackUnpublished = func(pub *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
		if mine(pub) {
			s.finish(nil)
		}
	}
	cb.OnParticipantDisconnected = func(p *lksdk.RemoteParticipant) {
		if p.Identity() == s.source.Identity {
			s.finish(nil)
		}
	}
	cb.OnTrackMuted = func(pub lksdk.TrackPublication, _ lksdk.Participant) {
		if mine(pub) {
			s.pause()
		}
	}
	cb.OnDisconnectedWithReason = func(why lksdk.DisconnectionReason) {
		s.finish(fmt.Errorf("%w: %s", ErrDisconnected, why))
	}
	return cb
}

func (s *Session) tell(err error) {
	select {
	case s.subscribed <- err:
	default:
	}
}

// take begins to read a track.
func (s *Session) take(track *webrtc.TrackRemote, pub *lksdk.RemoteTrackPublication, from *lksdk.RemoteParticipant) {
	mime := track.Codec().MimeType
	switch pub.SID() {
	case s.source.Video:
		if !strings.EqualFold(mime, webrtc.MimeTypeH264) {
			s.tell(CodecError{mime})
			return
		}
		s.media.Lock()
		s.ssrc[0] = track.SSRC()
		s.askKey = func() { from.WritePLI(track.SSRC()) }
		s.media.Unlock()
		s.tell(nil)
		go s.read(track, s.video, func() { s.finish(nil) })
	case s.source.Audio:
		if !strings.EqualFold(mime, webrtc.MimeTypeOpus) {
			return
		}
		s.media.Lock()
		s.ssrc[1] = track.SSRC()
		s.media.Unlock()
		go s.read(track, s.audio, func() {})
	}
}

// read passes on the packets of a track until there are no more.
func (s *Session) read(track *webrtc.TrackRemote, take func(*rtp.Packet, bool), end func()) {
	defer end()
	var order reorder
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		s.media.Lock()
		ended := s.ended
		if !ended {
			order.push(p, take)
		}
		s.media.Unlock()
		if ended {
			return
		}
	}
}

func (s *Session) video(p *rtp.Packet, gap bool) {
	if gap {
		s.units.Lose()
	}
	s.picture(s.units.Push(p.Timestamp, p.Payload))
}

func (s *Session) picture(u *fmp4.Unit, lost bool) {
	if lost {
		s.mux.lost()
	}
	if u != nil {
		s.mux.picture(u, time.Now())
	}
}

func (s *Session) audio(p *rtp.Packet, _ bool) { s.mux.packet(p.Timestamp, p.Payload, time.Now()) }

// report takes the sender reports of both tracks, which either of them gets.
func (s *Session) report(packet rtcp.Packet) {
	sr, ok := packet.(*rtcp.SenderReport)
	if !ok {
		return
	}
	s.media.Lock()
	defer s.media.Unlock()
	switch webrtc.SSRC(sr.SSRC) {
	case s.ssrc[0]:
		s.mux.videoClock.report(sr.RTPTime, sr.NTPTime)
	case s.ssrc[1]:
		s.mux.audioClock.report(sr.RTPTime, sr.NTPTime)
	}
}

func (s *Session) pause() {
	s.media.Lock()
	defer s.media.Unlock()
	if !s.ended {
		s.picture(s.units.Flush())
		s.mux.pause(time.Now())
	}
}

// emit is called with the lock held.
func (s *Session) emit(p piece) {
	select {
	case s.pieces <- p:
	default:
		s.finish(ErrSlow)
	}
}

// watch asks for key frames, and ends the recording.
func (s *Session) watch() {
	tick := time.NewTicker(keyTick)
	defer tick.Stop()
	for {
		select {
		case <-s.quit:
			s.pause()
			s.media.Lock()
			s.ended = true
			close(s.pieces)
			s.media.Unlock()
			s.room.Disconnect()
			close(s.left)
			return
		case now := <-tick.C:
			s.media.Lock()
			ask := s.askKey
			if !s.mux.wantsKey(now) {
				ask = nil
			}
			s.media.Unlock()
			if ask != nil {
				ask()
			}
		}
	}
}

// write writes segments, until there are no more.
func (s *Session) write() {
	defer close(s.over)
	ready := false
	for p := range s.pieces {
		segment, err := s.add(&p)
		if err != nil {
			s.finish(err)
			continue
		}
		if !ready {
			ready = true
			s.notify(Event{Kind: Ready, Segment: segment})
		}
		s.notify(Event{Kind: Cut, Segment: segment})
	}
	<-s.left
	if s.err != nil {
		s.notify(Event{Kind: Failed, Err: s.err})
		return
	}
	s.notify(Event{Kind: Stopped})
}
