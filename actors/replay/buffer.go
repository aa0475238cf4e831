package replay

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rookery-chat/rookery/actors/replay/fmp4"
)

// Errors of a Buffer.
var (
	ErrEmpty = errors.New("there are no segments yet")
	ErrName  = errors.New("not the name of a segment")
	ErrGone  = errors.New("there is no such segment any more")
)

// Bounds of a buffer.
const (
	maxSegments = 4096
	maxIndex    = 4 << 20 // bytes of index.json
	maxInit     = 64 << 10
	remembered  = 512 // segments that are gone
	indexName   = "index.json"
)

// Segment is a file of a recording.
type Segment struct {
	Number        uint32    `json:"number"` // from 1 on
	Init          uint32    `json:"init"`
	Start         int64     `json:"start"`    // in 1/90000 s of what was recorded
	Duration      int64     `json:"duration"` // in 1/90000 s
	Size          int64     `json:"size"`
	Key           bool      `json:"key"`           // it starts with a key frame
	Discontinuous bool      `json:"discontinuous"` // there is a pause before it
	Began         time.Time `json:"began"`
}

// Name is that of the file.
func (s *Segment) Name() string { return segmentName(s.Number) }

// Length is the exact duration.
func (s *Segment) Length() time.Duration { return span(s.Duration) }

func segmentName(number uint32) string { return fmt.Sprintf("segment_%05d.m4s", number) }
func initName(number uint32) string    { return fmt.Sprintf("init-%d.mp4", number) }
func span(ticks int64) time.Duration   { return time.Duration(ticks) * time.Second / fmp4.VideoRate }
func ticks(length time.Duration) int64 { return int64(length) * 9 / 1e5 }
func (s *Segment) end() int64          { return s.Start + s.Duration }
func byNumber(s Segment, n uint32) int { return cmp.Compare(s.Number, n) }

// Buffer is the directory of a recording.
type Buffer struct {
	dir    string
	window int64
	bytes  int64

	mu       sync.Mutex
	segments []Segment
	inits    map[uint32]*fmp4.Init
	gone     []Segment // the last ones that were removed
	passed   int       // discontinuities that were
	size     int64
	pins     int // clips that read segments
	doomed   []string
}

func newBuffer(dir string, window time.Duration, bytes int64) *Buffer {
	return &Buffer{dir: dir, window: ticks(window), bytes: bytes, inits: map[uint32]*fmp4.Init{}}
}

// Info is what a buffer has.
type Info struct {
	Segments int
	First    uint32        // number of the first segment
	Duration time.Duration // of all
	Bytes    int64
	Began    time.Time // when the first segment was recorded; zero: not known
	Ended    time.Time // and the end of the last
}

// Info tells what there is.
func (b *Buffer) Info() Info {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.segments)
	if n == 0 {
		return Info{}
	}
	first, last := b.segments[0], b.segments[n-1]
	info := Info{Segments: n, First: first.Number, Duration: span(last.end() - first.Start), Bytes: b.size, Began: first.Began}
	if !last.Began.IsZero() {
		info.Ended = last.Began.Add(last.Length())
	}
	return info
}

// Segments lists them.
func (b *Buffer) Segments() []Segment {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.segments)
}

// Playlist is HLS for what there is now. Names are put behind the prefix.
func (b *Buffer) Playlist(prefix string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.segments) == 0 {
		return "", ErrEmpty
	}
	var longest int64
	for _, s := range b.segments {
		longest = max(longest, s.Duration)
	}
	var w strings.Builder
	fmt.Fprintf(&w, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n", int64(math.Ceil(float64(longest)/fmp4.VideoRate)))
	fmt.Fprintf(&w, "#EXT-X-MEDIA-SEQUENCE:%d\n", b.segments[0].Number-1)
	if b.passed > 0 {
		fmt.Fprintf(&w, "#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", b.passed)
	}
	for i, s := range b.segments {
		breaks := i > 0 && (s.Discontinuous || s.Init == s.Number)
		if breaks {
			w.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if i == 0 || s.Init == s.Number {
			fmt.Fprintf(&w, "#EXT-X-MAP:URI=\"%s%s\"\n", prefix, initName(s.Init))
		}
		if (breaks || i == 0) && !s.Began.IsZero() {
			fmt.Fprintf(&w, "#EXT-X-PROGRAM-DATE-TIME:%s\n", s.Began.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		fmt.Fprintf(&w, "#EXTINF:%.5f,\n%s%s\n", float64(s.Duration)/fmp4.VideoRate, prefix, s.Name())
	}
	w.WriteString("#EXT-X-ENDLIST\n")
	return w.String(), nil
}

var names = regexp.MustCompile(`^(?:init-([1-9]\d{0,9})\.mp4|segment_(\d{5,10})\.m4s)$`)

// Open opens a segment or an initialisation that the playlist names.
func (b *Buffer) Open(name string) (*os.File, error) {
	if !names.MatchString(name) {
		return nil, ErrName
	}
	file, err := os.Open(filepath.Join(b.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("open a segment: %w", err)
	}
	return file, nil
}

// add writes a segment and removes what is too old.
func (b *Buffer) add(p *piece) (Segment, error) {
	number, init := b.number(p.params)
	s := Segment{
		Number: number, Init: init, Start: int64(p.video.Start), Key: p.video.Samples[0].Key, Discontinuous: p.discontinuous, Began: p.began,
	}
	for _, v := range p.video.Samples {
		s.Duration += int64(v.Duration)
	}
	var known *fmp4.Init
	if init == number {
		known = &fmp4.Init{Video: *p.params, Channels: 2}
		if err := b.write(initName(init), func(f *os.File) error {
			_, err := f.Write(known.Bytes())
			return err
		}); err != nil {
			return s, err
		}
	}
	err := b.write(s.Name(), func(f *os.File) (err error) {
		s.Size, err = fmp4.WriteSegment(f, number, p.video, p.audio)
		return err
	})
	if err != nil {
		return s, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if known != nil {
		b.inits[init] = known
	}
	b.segments = append(b.segments, s)
	b.size += s.Size
	b.expire()
	return s, b.writeIndex()
}

// number is that of the next segment, and that of its initialisation.
func (b *Buffer) number(params *fmp4.Parameters) (number, init uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.segments); n > 0 {
		last := b.segments[n-1]
		if b.inits[last.Init].Video.Same(params) {
			return last.Number + 1, last.Init
		}
		return last.Number + 1, last.Number + 1
	}
	return 1, 1
}

// write makes a file whole, or not at all.
func (b *Buffer) write(name string, content func(*os.File) error) error {
	temporary := filepath.Join(b.dir, name+".part")
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(content(file), file.Close())
		if err == nil {
			err = os.Rename(temporary, filepath.Join(b.dir, name))
		}
		if err != nil {
			_ = os.Remove(temporary)
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (b *Buffer) writeIndex() error {
	text, err := json.Marshal(b.segments)
	if err != nil {
		return fmt.Errorf("encode the index: %w", err)
	}
	return b.write(indexName, func(f *os.File) error {
		_, err := f.Write(text)
		return err
	})
}

// expire removes segments that the buffer need not have, and then those that can't be
// shown without them.
func (b *Buffer) expire() {
	for len(b.segments) > 1 {
		first, length := b.segments[0], b.segments[len(b.segments)-1].end()-b.segments[1].Start
		if length < b.window && b.size <= b.bytes && len(b.segments) <= maxSegments && first.Key {
			return
		}
		b.segments = b.segments[1:]
		b.size -= first.Size
		if next := b.segments[0]; next.Discontinuous || next.Init == next.Number {
			b.passed++
		}
		b.gone = append(b.gone, first)
		if len(b.gone) > 2*remembered {
			b.gone = slices.Clone(b.gone[remembered:])
		}
		b.remove(first.Name())
		if b.segments[0].Init != first.Init {
			delete(b.inits, first.Init)
			b.remove(initName(first.Init))
		}
	}
}

func (b *Buffer) remove(name string) {
	if b.pins > 0 {
		b.doomed = append(b.doomed, name)
		return
	}
	_ = os.Remove(filepath.Join(b.dir, name))
}

// Remove deletes everything.
func (b *Buffer) Remove() error { return os.RemoveAll(b.dir) }

// Range is a part of a recording.
type Range struct {
	// Last is how much of the end; else From and To count.
	Last time.Duration
	// From and To are times since the begin of the segment with the number First, as a
	// player of a playlist has them that begins with it. 0: the first there is.
	First    uint32
	From, To time.Duration
}

// Clip is a file to be made. It has to be closed.
type Clip struct {
	*fmp4.Clip
	release func()
}

// Close lets the segments go.
func (c *Clip) Close() { c.release() }

// Capture cuts a clip. Nothing is written but by the clip's WriteTo.
func (b *Buffer) Capture(r Range) (*Clip, error) {
	b.mu.Lock()
	if len(b.segments) == 0 {
		b.mu.Unlock()
		return nil, ErrEmpty
	}
	from, to, err := b.bounds(r)
	if err != nil {
		b.mu.Unlock()
		return nil, err
	}
	segments, inits := b.overlap(from, to), map[uint32]*fmp4.Init{}
	for _, s := range segments {
		inits[s.Init] = b.inits[s.Init]
	}
	b.pins++
	b.mu.Unlock()
	release := sync.OnceFunc(b.unpin)
	clip, err := b.clip(segments, inits, from, to)
	if err != nil {
		release()
		return nil, err
	}
	return &Clip{clip, release}, nil
}

func (b *Buffer) unpin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pins--; b.pins == 0 {
		for _, name := range b.doomed {
			_ = os.Remove(filepath.Join(b.dir, name))
		}
		b.doomed = nil
	}
}

// bounds are the times of a range in the recording.
func (b *Buffer) bounds(r Range) (from, to int64, err error) {
	if end := b.segments[len(b.segments)-1].end(); r.Last > 0 {
		return max(end-ticks(r.Last), 0), end, nil
	}
	if r.From < 0 || r.From >= r.To || r.To > 1000*time.Hour {
		return 0, 0, fmp4.ErrRange
	}
	zero := b.segments[0].Start
	if r.First != 0 && r.First != b.segments[0].Number {
		for _, list := range [][]Segment{b.segments, b.gone} {
			if i, found := slices.BinarySearchFunc(list, r.First, byNumber); found {
				return list[i].Start + ticks(r.From), list[i].Start + ticks(r.To), nil
			}
		}
		return 0, 0, ErrGone
	}
	return zero + ticks(r.From), zero + ticks(r.To), nil
}

// overlap lists the segments that a range needs: those from the last key frame on.
func (b *Buffer) overlap(from, to int64) []Segment {
	first := 0
	for i, s := range b.segments {
		if s.Key && s.Start <= from {
			first = i
		}
	}
	last := first + 1
	for last < len(b.segments) && b.segments[last].Start < to {
		last++
	}
	return slices.Clone(b.segments[first:last])
}

func (b *Buffer) clip(segments []Segment, inits map[uint32]*fmp4.Init, from, to int64) (*fmp4.Clip, error) {
	sources := make([]fmp4.Source, 0, len(segments))
	for _, s := range segments {
		path := filepath.Join(b.dir, s.Name())
		f, err := readFragment(path)
		if err != nil {
			return nil, err
		}
		sources = append(sources, fmp4.Source{Init: inits[s.Init], Fragment: &f, Open: func() (fmp4.Data, error) { return os.Open(path) }})
	}
	return fmp4.NewClip(sources, from, to)
}

func readFragment(path string) (fmp4.Fragment, error) {
	file, err := os.Open(path)
	if err != nil {
		return fmp4.Fragment{}, fmt.Errorf("open a segment: %w", err)
	}
	defer func() { _ = file.Close() }()
	stat, err := file.Stat()
	if err != nil {
		return fmp4.Fragment{}, fmt.Errorf("open a segment: %w", err)
	}
	return fmp4.ReadFragment(file, stat.Size())
}
