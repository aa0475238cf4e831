package replay

import (
	"time"

	"github.com/rookery-chat/rookery/actors/replay/fmp4"
)

// Bounds of what a sender can make of a recording.
const (
	maxPicture = 8 << 20  // bytes
	maxSegment = 96 << 20 // bytes
	maxSamples = 16 << 10 // of a track in a segment
	maxPacket  = 1500     // bytes of audio
	maxQueue   = 8 << 10  // packets of audio, of which the older half is forgotten then
	blankSide  = 16       // pixels: what a media server sends when a track is muted
	early      = fmp4.VideoRate / 10
	pliEvery   = time.Second
	maxJump    = 60 * fmp4.VideoRate      // a longer step of the clock is none
	maxDrift   = fmp4.AudioRate * 4 / 100 // between the tracks until they are set right
	defaultGap = fmp4.VideoRate / 30
)

// piece is a segment that is to be written.
type piece struct {
	params        *fmp4.Parameters
	video, audio  fmp4.Run
	discontinuous bool
	began         time.Time
}

// clock extends the timestamps of RTP and knows when they were.
type clock struct {
	rate    int64
	last    uint32
	at      int64
	started bool

	reported   bool
	reportAt   int64 // extended timestamp
	reportTime time.Time
}

func (c *clock) extend(timestamp uint32) int64 {
	if !c.started {
		c.started, c.last, c.at = true, timestamp, int64(timestamp)
	}
	return c.at + int64(int32(timestamp-c.last))
}

func (c *clock) advance(timestamp uint32) int64 {
	at := c.extend(timestamp)
	if at > c.at {
		c.at, c.last = at, timestamp
	}
	return at
}

func (c *clock) report(timestamp uint32, ntp uint64) {
	if !c.started {
		return
	}
	c.reported, c.reportAt, c.reportTime = true, c.extend(timestamp), ntpTime(ntp)
}

func ntpTime(ntp uint64) time.Time {
	seconds := int64(ntp>>32) - 2208988800 // from 1900 to 1970
	return time.Unix(seconds, int64((ntp&0xffffffff)*1e9>>32))
}

// when is the sender's time of a timestamp.
func (c *clock) when(at int64) time.Time {
	return c.reportTime.Add(time.Duration(at-c.reportAt) * time.Second / time.Duration(c.rate))
}

type sound struct {
	at   int64
	data []byte
}

// mux makes segments of pictures and packets. It has no goroutine and no clock.
type mux struct {
	target int64 // length of a segment
	emit   func(piece)

	params  *fmp4.Parameters
	waiting bool // for a key frame
	gap     bool // the next segment follows a pause
	blank   bool // pictures are a media server's
	asked   time.Time

	videoClock, audioClock clock
	base                   int64 // timestamp of the recording's begin
	end                    int64 // of the recording so far, without the last picture

	now       piece
	start     int64 // of the segment
	shown     int64 // when the last picture began
	usual     int64 // duration of a picture
	arrived   time.Time
	size      int
	discarded bool // audio from before the segment

	queue     []sound
	audioBase int64
	synced    int // 0: not, 1: by arrival, 2: by reports
	audioEnd  int64
	firstAt   int64 // the audio packet that came first, and when
	firstTime time.Time
	anchor    int64 // a picture, and when it came
	anchorAt  time.Time
}

func newMux(target time.Duration, emit func(piece)) *mux {
	return &mux{
		target: int64(target * fmp4.VideoRate / time.Second), emit: emit, waiting: true, usual: defaultGap,
		videoClock: clock{rate: fmp4.VideoRate}, audioClock: clock{rate: fmp4.AudioRate},
	}
}

// picture adds one.
func (m *mux) picture(u *fmp4.Unit, now time.Time) {
	params, ok := m.parameters(u)
	if !ok || m.blank || len(u.Data) == 0 || len(u.Data) > maxPicture {
		return
	}
	at := m.videoClock.advance(u.Timestamp)
	if m.waiting {
		if !u.Key || params == nil {
			return
		}
		m.waiting = false
	}
	if len(m.now.video.Samples) == 0 {
		m.open(at, params, now)
	}
	position := at - m.base
	if step := position - m.shown; len(m.now.video.Samples) > 0 && (step <= 0 || step > maxJump) {
		m.pause(now)
		if !u.Key {
			return
		}
		m.waiting = false
		m.open(at, params, now)
		position = at - m.base
	}
	if n := len(m.now.video.Samples); n > 0 {
		m.usual = position - m.shown
		m.now.video.Samples[n-1].Duration = uint32(m.usual)
		if m.due(u.Key, params, position) {
			m.cut(position)
			m.open(at, params, now)
		}
	}
	m.now.video.Samples = append(m.now.video.Samples, fmp4.Sample{Data: u.Data, Key: u.Key})
	m.size += len(u.Data)
	m.shown, m.arrived = position, now
}

// parameters takes parameter sets, and tells which hold for a picture.
func (m *mux) parameters(u *fmp4.Unit) (*fmp4.Parameters, bool) {
	if len(u.SPS) == 0 {
		return m.params, true
	}
	pps := u.PPS
	if len(pps) == 0 && m.params != nil {
		pps = m.params.PPS
	}
	p, err := fmp4.NewParameters(u.SPS, pps)
	if err != nil {
		m.waiting = true
		return nil, false
	}
	if m.blank = p.Width <= blankSide && p.Height <= blankSide; m.blank {
		m.waiting = true
		return nil, false
	}
	if m.params == nil || !m.params.Same(&p) {
		m.params = &p
		m.waiting = m.waiting || !u.Key
	}
	return m.params, true
}

// due reports whether a picture begins another segment.
func (m *mux) due(key bool, params *fmp4.Parameters, position int64) bool {
	length := position - m.start
	return params != m.now.params || key && length >= m.target-early || length >= m.target*3/2 ||
		m.size > maxSegment || len(m.now.video.Samples) >= maxSamples
}

// open begins a segment with the picture of a timestamp.
func (m *mux) open(at int64, params *fmp4.Parameters, now time.Time) {
	if m.end == 0 || m.gap {
		m.base = at - m.end
		m.anchor, m.anchorAt = m.end, now
		m.synced, m.discarded = 0, true
	}
	m.start = at - m.base
	m.shown = m.start
	m.size = 0
	m.now = piece{params: params, video: fmp4.Run{Start: uint64(m.start)}, discontinuous: m.gap, began: now}
	m.gap = false
}

// cut ends a segment where another begins.
func (m *mux) cut(position int64) {
	m.end = position
	m.now.audio = m.takeAudio(position)
	m.emit(m.now)
	m.now = piece{}
}

// lost tells that pictures are missing: others can't be shown before a key frame.
func (m *mux) lost() { m.waiting = true }

// pause ends the segment at hand; what comes next follows a gap.
func (m *mux) pause(now time.Time) {
	if n := len(m.now.video.Samples); n > 0 {
		last := max(min(int64(now.Sub(m.arrived)*fmp4.VideoRate/time.Second), m.target), min(m.usual, m.target), 1)
		m.now.video.Samples[n-1].Duration = uint32(last)
		m.cut(m.shown + last)
		m.gap = true
	}
	m.waiting = true
}

// wantsKey reports, at most once a second, whether a key frame is to be asked for.
func (m *mux) wantsKey(now time.Time) bool {
	due := m.waiting || len(m.now.video.Samples) > 0 && now.Sub(m.now.began) >= time.Duration(m.target-early)*time.Second/fmp4.VideoRate
	if !due || now.Sub(m.asked) < pliEvery {
		return false
	}
	m.asked = now
	return true
}

// packet adds audio.
func (m *mux) packet(timestamp uint32, data []byte, now time.Time) {
	if len(data) == 0 || len(data) > maxPacket {
		return
	}
	if len(m.queue) >= maxQueue {
		m.queue = append(m.queue[:0:0], m.queue[maxQueue/2:]...)
	}
	at := m.audioClock.extend(timestamp)
	if n := len(m.queue); n > 0 && at <= m.queue[n-1].at {
		return
	}
	m.audioClock.advance(timestamp)
	if m.firstTime.IsZero() {
		m.firstAt, m.firstTime = at, now
	}
	m.queue = append(m.queue, sound{at, data})
}

// sync finds which timestamp of the audio is the begin of the recording.
func (m *mux) sync() {
	if m.videoClock.reported && m.audioClock.reported {
		began := m.videoClock.when(m.base)
		base := m.audioClock.reportAt + int64(began.Sub(m.audioClock.reportTime)*fmp4.AudioRate/time.Second)
		if drift := base - m.audioBase; m.synced < 2 || drift > maxDrift || drift < -maxDrift {
			m.audioBase, m.synced = base, 2
		}
		return
	}
	if m.synced == 0 && !m.firstTime.IsZero() {
		began := m.anchorAt.Add(-time.Duration(m.anchor) * time.Second / fmp4.VideoRate)
		m.audioBase = m.firstAt + int64(began.Sub(m.firstTime)*fmp4.AudioRate/time.Second)
		m.synced = 1
	}
}

// takeAudio takes the packets that sound before a position of the video.
func (m *mux) takeAudio(position int64) (r fmp4.Run) {
	if len(m.queue) == 0 {
		return r
	}
	m.sync()
	end := position * fmp4.AudioRate / fmp4.VideoRate
	from := m.audioEnd
	if m.discarded {
		from = max(from, m.start*fmp4.AudioRate/fmp4.VideoRate)
		m.discarded = false
	}
	taken := 0
	last := int64(0)
	for _, s := range m.queue {
		at := s.at - m.audioBase
		if at >= end || len(r.Samples) >= maxSamples {
			break
		}
		taken++
		if at < from {
			continue
		}
		if n := len(r.Samples); n > 0 {
			r.Samples[n-1].Duration = uint32(min(at-last, 1<<31))
		} else {
			r.Start = uint64(at)
		}
		r.Samples = append(r.Samples, fmp4.Sample{Data: s.data, Duration: fmp4.OpusDuration(s.data), Key: true})
		last = at
	}
	m.queue = append(m.queue[:0:0], m.queue[taken:]...)
	if n := len(r.Samples); n > 0 {
		m.audioEnd = last + int64(r.Samples[n-1].Duration)
	}
	return r
}
