package fmp4

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// maxMoof bounds the index of a segment, and with it how many samples it has.
const maxMoof = 4 << 20

// Sample is a picture, or a packet of audio.
type Sample struct {
	Data     []byte
	Duration uint32
	Key      bool
}

// Run is what a segment has of a track.
type Run struct {
	Start   uint64 // in units of the track, since the recording began
	Samples []Sample
}

// WriteSegment writes a media segment and tells its size.
func WriteSegment(to io.Writer, sequence uint32, video, audio Run) (int64, error) {
	var w boxes
	w.begin("styp")
	w.text("msdh")
	w.u32(0)
	w.text("msdhmsix")
	w.end()
	videoSize, audioSize := runSize(video), runSize(audio)
	if videoSize+audioSize > 1<<31 {
		return 0, fmt.Errorf("a segment of %d bytes is too large", videoSize+audioSize)
	}
	moof := len(w.b)
	w.begin("moof")
	w.full("mfhd", 0, 0)
	w.u32(sequence)
	w.end()
	var offsets []int
	var positions []uint32
	if len(video.Samples) > 0 {
		offsets, positions = append(offsets, traf(&w, videoTrack, video)), append(positions, 0)
	}
	if len(audio.Samples) > 0 {
		offsets, positions = append(offsets, traf(&w, audioTrack, audio)), append(positions, uint32(videoSize))
	}
	w.end()
	for i, at := range offsets {
		binary.BigEndian.PutUint32(w.b[at:], uint32(len(w.b)-moof+8)+positions[i])
	}
	w.u32(uint32(8 + videoSize + audioSize))
	w.text("mdat")
	out := bufio.NewWriter(to)
	if _, err := out.Write(w.b); err != nil {
		return 0, err
	}
	for _, samples := range [][]Sample{video.Samples, audio.Samples} {
		for _, s := range samples {
			if _, err := out.Write(s.Data); err != nil {
				return 0, err
			}
		}
	}
	return int64(len(w.b)+videoSize) + int64(audioSize), out.Flush()
}

func runSize(r Run) (size int) {
	for _, s := range r.Samples {
		size += len(s.Data)
	}
	return size
}

// Flags of samples.
const (
	flagKey   = 0x02000000
	flagDelta = 0x01010000
	trunFlags = 0x000701 // data offset; duration, size and flags of each
)

// traf tells where its data offset is to be written.
func traf(w *boxes, track uint32, r Run) (offset int) {
	w.begin("traf")
	w.full("tfhd", 0, 0x020000)
	w.u32(track)
	w.end()
	w.full("tfdt", 1, 0)
	w.u64(r.Start)
	w.end()
	w.full("trun", 0, trunFlags)
	w.u32(uint32(len(r.Samples)))
	offset = len(w.b)
	w.u32(0)
	for _, s := range r.Samples {
		flags := uint32(flagDelta)
		if s.Key || track == audioTrack {
			flags = flagKey
		}
		w.u32(s.Duration, uint32(len(s.Data)), flags)
	}
	w.end()
	w.end()
	return offset
}

// Fragment is the index of a segment.
type Fragment struct {
	Sequence     uint32
	Video, Audio Index
}

// Index is where the samples of a track are in a segment.
type Index struct {
	Start   uint64
	Offset  int64 // of the first; the others follow
	Samples []Entry
}

// Entry is a sample without its data.
type Entry struct {
	Size, Duration uint32
	Key            bool
}

// Duration is how long the samples last, in units of the track.
func (x *Index) Duration() (sum uint64) {
	for _, s := range x.Samples {
		sum += uint64(s.Duration)
	}
	return sum
}

// End is where the next segment starts.
func (x *Index) End() uint64 { return x.Start + x.Duration() }

func (x *Index) bytes() (sum int64) {
	for _, s := range x.Samples {
		sum += int64(s.Size)
	}
	return sum
}

// ReadFragment reads the index of a segment of the given size.
func ReadFragment(r io.ReaderAt, size int64) (Fragment, error) {
	var f Fragment
	for at := int64(0); ; {
		var head [8]byte
		if size-at < 8 {
			return f, malformed("no moof")
		}
		if _, err := r.ReadAt(head[:], at); err != nil {
			return f, fmt.Errorf("read a segment: %w", err)
		}
		length, name := int64(binary.BigEndian.Uint32(head[:])), string(head[4:])
		if length < 8 || length > size-at {
			return f, malformed("a box is longer than the segment")
		}
		if name != "moof" {
			if name != "styp" {
				return f, malformed("no moof at the start")
			}
			at += length
			continue
		}
		if length > maxMoof {
			return f, malformed("too many samples")
		}
		moof := make([]byte, length-8)
		if _, err := r.ReadAt(moof, at+8); err != nil {
			return f, fmt.Errorf("read a segment: %w", err)
		}
		if err := f.parse(moof, at, length); err != nil {
			return f, err
		}
		return f, f.check(r, at+length, size)
	}
}

// check compares the index with the data that follows at its end.
func (f *Fragment) check(r io.ReaderAt, end, size int64) error {
	var head [8]byte
	if size-end < 8 {
		return malformed("no mdat")
	}
	if _, err := r.ReadAt(head[:], end); err != nil {
		return fmt.Errorf("read a segment: %w", err)
	}
	if string(head[4:]) != "mdat" || int64(binary.BigEndian.Uint32(head[:])) != size-end {
		return malformed("mdat is not the rest")
	}
	for _, x := range []*Index{&f.Video, &f.Audio} {
		if len(x.Samples) > 0 && (x.Offset < end+8 || x.bytes() > size-x.Offset) {
			return malformed("samples are not in mdat")
		}
	}
	return nil
}

func (f *Fragment) parse(moof []byte, at, length int64) error {
	return each(moof, func(name string, body []byte) error {
		switch name {
		case "mfhd":
			r := reader{b: body}
			r.u32()
			f.Sequence = r.u32()
			if r.over {
				return malformed("mfhd is cut off")
			}
		case "traf":
			track, x, err := parseTraf(body)
			if err != nil {
				return err
			}
			x.Offset += at
			if x.Offset < at+length {
				return malformed("samples are not in mdat")
			}
			to := &f.Video
			if track == audioTrack {
				to = &f.Audio
			}
			if to.Samples != nil {
				return malformed("a track comes twice")
			}
			*to = x
		}
		return nil
	})
}

func parseTraf(body []byte) (track uint32, x Index, err error) {
	err = each(body, func(name string, body []byte) error {
		r := reader{b: body}
		head := r.u32()
		switch name {
		case "tfhd":
			track = r.u32()
		case "tfdt":
			if x.Start = r.u64(); head>>24 != 1 || x.Start > 1<<48 {
				return malformed("tfdt")
			}
		case "trun":
			if head != trunFlags || x.Samples != nil {
				return malformed("trun")
			}
			count := r.u32()
			x.Offset = int64(int32(r.u32()))
			if r.over || uint64(count)*12 != uint64(len(r.b)) || count == 0 {
				return malformed("trun has another length")
			}
			x.Samples = make([]Entry, count)
			for i := range x.Samples {
				x.Samples[i] = Entry{Duration: r.u32(), Size: r.u32(), Key: r.u32()&0x10000 == 0}
			}
		}
		if r.over {
			return malformed(name + " is cut off")
		}
		return nil
	})
	if err == nil && (len(x.Samples) == 0 || track != videoTrack && track != audioTrack) {
		err = malformed("a track without samples")
	}
	return track, x, err
}
