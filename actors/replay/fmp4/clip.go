package fmp4

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// Tolerances, in the units of the track.
const (
	snap        = VideoRate / 200 // a picture that starts that little late is the one meant
	longPicture = VideoRate / 10
	preroll     = AudioRate * 8 / 100 // that Opus needs to converge (RFC 7845, 4.6)
	chunkTime   = VideoRate           // of a track in one piece
	maxShown    = math.MaxUint32 / 2  // 6.6 hours: times have 32 bits in the file
)

// ErrRange means that there is no picture in the asked range.
var ErrRange = errors.New("nothing was recorded in that range")

// Source is a segment of which a clip is made.
type Source struct {
	Init     *Init
	Fragment *Fragment
	// Open is called when its data are copied, and closed behind.
	Open func() (Data, error)
}

// Data of a segment, such as a file.
type Data interface {
	io.ReaderAt
	io.Closer
}

// Clip is an MP4 file that is made while it is written.
type Clip struct {
	Size     int64
	Duration time.Duration
	Pictures int // that are shown
	Start    int64
	Width    int // of the largest picture
	Height   int

	head    []byte
	chunks  []*chunk
	sources []Source
}

type sample struct {
	source         int
	offset         int64
	size, duration uint32
	start          int64
	key            bool
	description    uint32
}

// chunk is a piece of a track, in the file as in its segment.
type chunk struct {
	source      int
	offset      int64 // in its segment
	size        int64
	at          int64 // behind the head of the file
	start       int64 // in VideoRate
	samples     uint32
	description uint32
}

// NewClip cuts a clip from segments that follow each other. From and to are times of
// the recording in 1/90000 s. The clip starts with the picture that is shown at from.
func NewClip(sources []Source, from, to int64) (*Clip, error) {
	video, descriptions := videoOf(sources)
	if len(video) == 0 {
		return nil, ErrRange
	}
	end := video[len(video)-1].start + int64(video[len(video)-1].duration)
	from, to = max(from, video[0].start), min(to, end)
	video, from, to, shown := trim(video, from, to, end)
	if shown == 0 || to-from > maxShown || to-video[0].start > maxShown {
		return nil, ErrRange
	}
	c := &Clip{
		sources: sources, Pictures: shown, Start: from,
		Duration: time.Duration(to-from) * time.Second / VideoRate,
	}
	vt := track{
		number: videoTrack, rate: VideoRate, video: used(video, descriptions), samples: video,
		skip: uint64(from - video[0].start), shown: uint64(to - from),
	}
	for _, p := range vt.video {
		c.Width, c.Height = max(c.Width, p.Width), max(c.Height, p.Height)
	}
	tracks := []*track{&vt}
	if at := audioTrackOf(sources, from, to); at != nil {
		tracks = append(tracks, at)
	}
	c.lay(tracks, from, to)
	return c, nil
}

// videoOf lists the pictures. One lasts until the next.
func videoOf(sources []Source) (list []sample, descriptions []*Parameters) {
	for i, src := range sources {
		description := slices.IndexFunc(descriptions, src.Init.Video.Same)
		if description < 0 {
			description = len(descriptions)
			descriptions = append(descriptions, &src.Init.Video)
		}
		list = flatten(list, i, &src.Fragment.Video, uint32(description+1))
	}
	return list, descriptions
}

// flatten adds the samples of a segment, and makes the one before last until them.
func flatten(list []sample, source int, x *Index, description uint32) []sample {
	start, offset := int64(x.Start), x.Offset
	for _, e := range x.Samples {
		s := sample{
			source: source, offset: offset, size: e.Size, duration: e.Duration, start: start, key: e.Key, description: description,
		}
		offset += int64(e.Size)
		start += int64(e.Duration)
		if n := len(list); n > 0 {
			gap := s.start - list[n-1].start
			if gap < 0 || gap > maxShown {
				continue // it can't be shown in its order
			}
			list[n-1].duration = uint32(gap)
		}
		list = append(list, s)
	}
	return list
}

// trim takes what is needed to show a range, and tells its exact bounds and how many
// pictures are shown. A picture that lasts long is cut, any other is shown whole.
func trim(video []sample, from, to, limit int64) (part []sample, start, end int64, shown int) {
	first := 0
	for i := range video {
		if video[i].start <= from+snap {
			first = i
		}
	}
	key := first
	for key > 0 && !video[key].key {
		key--
	}
	for !video[key].key { // its key frame is gone: begin with the next
		if key++; key == len(video) {
			return nil, 0, 0, 0
		}
		first = key
	}
	start, end = from, to
	switch at := video[first].start; {
	case at > from+snap:
		start = at
	case from-at < longPicture:
		start, end = at, min(to-(from-at), limit)
	}
	last := first
	for last < len(video) && video[last].start < end-snap {
		last++
	}
	if last == first || end <= start {
		return nil, 0, 0, 0
	}
	part = slices.Clone(video[key:last])
	final := &part[len(part)-1]
	final.duration = uint32(end - final.start)
	return part, start, end, last - first
}

// used keeps the descriptions that are, in the order of the pictures.
func used(video []sample, descriptions []*Parameters) (list []*Parameters) {
	renamed := map[uint32]uint32{}
	for i := range video {
		s := &video[i]
		to, known := renamed[s.description]
		if !known {
			list = append(list, descriptions[s.description-1])
			to = uint32(len(list))
			renamed[s.description] = to
		}
		s.description = to
	}
	return list
}

func toAudio(t int64) int64 { return t * AudioRate / VideoRate }
func toVideo(t int64) int64 { return t * VideoRate / AudioRate }

// audioTrackOf takes the audio of a range.
func audioTrackOf(sources []Source, from, to int64) *track {
	var list []sample
	channels := 0
	for i, src := range sources {
		if len(src.Fragment.Audio.Samples) > 0 {
			list = flatten(list, i, &src.Fragment.Audio, 1)
			channels = max(channels, src.Init.Channels)
		}
	}
	begin, end := toAudio(from), toAudio(to)
	list = slices.DeleteFunc(list, func(s sample) bool {
		return s.start+int64(s.duration) <= begin-preroll || s.start >= end
	})
	if len(list) == 0 || channels == 0 {
		return nil
	}
	if list[len(list)-1].start+int64(list[len(list)-1].duration) <= begin {
		return nil
	}
	for i := range list {
		list[i].key = true
	}
	t := &track{number: audioTrack, rate: AudioRate, channels: channels, samples: list}
	start := list[0].start
	if late := start - begin; late > 0 {
		t.delay = uint64(toVideo(late))
	} else {
		t.skip = uint64(-late)
	}
	last := &list[len(list)-1]
	stop := min(last.start+int64(last.duration), end)
	t.shown = uint64(toVideo(stop - max(start, begin)))
	return t
}

// lay decides where everything is in the file.
func (c *Clip) lay(tracks []*track, from, to int64) {
	for _, t := range tracks {
		t.chunks = chunksOf(t)
		c.chunks = append(c.chunks, t.chunks...)
	}
	slices.SortStableFunc(c.chunks, func(a, b *chunk) int { return int(a.start - b.start) })
	var media int64
	for _, ch := range c.chunks {
		ch.at = media
		media += ch.size
	}
	wide := media > math.MaxUint32-maxMoof*4
	for range 2 { // the second time with the size of the first
		c.head = head(tracks, int64(len(c.head)), media, wide, uint32(to-from))
	}
	c.Size = int64(len(c.head)) + media
}

func head(tracks []*track, base, media int64, wide bool, duration uint32) []byte {
	var w boxes
	w.begin("ftyp")
	w.text("isom")
	w.u32(0x200)
	w.text("isomiso2avc1mp41")
	w.end()
	w.begin("moov")
	movieHeader(&w, duration)
	for _, t := range tracks {
		trak(&w, t, base, wide)
	}
	w.end()
	if wide {
		w.u32(1)
		w.text("mdat")
		w.u64(uint64(media + 16))
	} else {
		w.u32(uint32(media + 8))
		w.text("mdat")
	}
	return w.b
}

// chunksOf splits a track, so that players find audio and video near each other.
func chunksOf(t *track) (list []*chunk) {
	var now *chunk
	for i := range t.samples {
		s := &t.samples[i]
		start := s.start
		if t.rate == AudioRate {
			start = toVideo(start)
		}
		if now == nil || now.source != s.source || now.description != s.description || now.offset+now.size != s.offset || start-now.start >= chunkTime {
			now = &chunk{source: s.source, offset: s.offset, start: start, description: s.description}
			list = append(list, now)
		}
		now.size += int64(s.size)
		now.samples++
	}
	return list
}

// WriteTo writes the file. Memory does not depend on its length, apart from its index.
func (c *Clip) WriteTo(w io.Writer) (int64, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	written, err := out.Write(c.head)
	total := int64(written)
	var open Data
	source := -1
	defer func() {
		if open != nil {
			_ = open.Close()
		}
	}()
	for _, ch := range c.chunks {
		if err != nil {
			return total, err
		}
		if ch.source != source {
			if open != nil {
				_ = open.Close()
				open = nil
			}
			if open, err = c.sources[ch.source].Open(); err != nil {
				return total, fmt.Errorf("open a segment: %w", err)
			}
			source = ch.source
		}
		n, copied := io.Copy(out, io.NewSectionReader(open, ch.offset, ch.size))
		total += n
		if err = copied; err == nil && n < ch.size {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil {
		return total, err
	}
	return total, out.Flush()
}
