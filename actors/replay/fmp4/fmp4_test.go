package fmp4_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4/pkg/media/h264reader"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"

	"github.com/rookery-chat/rookery/actors/replay/fmp4"
	"github.com/rookery-chat/rookery/actors/replay/mediatest"
)

const (
	picture = fmp4.VideoRate / mediatest.Rate
	packet  = fmp4.AudioRate / 50
)

// units sends a file through RTP payloads; every payload of a picture is its own packet.
func units(t *testing.T, path string) (list []fmp4.Unit) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	read, err := h264reader.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var payloader codecs.H264Payloader
	assemble := fmp4.Units{Max: 1 << 20}
	take := func(u *fmp4.Unit, lost bool) {
		if lost {
			t.Error("a picture was lost")
		}
		if u != nil {
			list = append(list, *u)
		}
	}
	timestamp := uint32(0xffffff00) // it wraps
	for {
		nal, err := read.NextNAL()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, payload := range payloader.Payload(1200, nal.Data) {
			take(assemble.Push(timestamp, payload))
		}
		if nal.UnitType == h264reader.NalUnitTypeCodedSliceIdr || nal.UnitType == h264reader.NalUnitTypeCodedSliceNonIdr {
			timestamp += picture
		}
	}
	take(assemble.Flush())
	return list
}

func packets(t *testing.T, path string) (list []fmp4.Sample) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	read, _, err := oggreader.NewWith(file)
	if err != nil {
		t.Fatal(err)
	}
	for {
		page, _, err := read.ParseNextPage()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(page, []byte("Opus")) {
			continue
		}
		if d := fmp4.OpusDuration(page); d != packet {
			t.Fatalf("a packet of %d", d)
		}
		list = append(list, fmp4.Sample{Data: page, Duration: packet})
	}
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// segment makes one and reads it back.
func segment(t *testing.T, init *fmp4.Init, number uint32, video, audio fmp4.Run) (fmp4.Source, []byte) {
	t.Helper()
	var b bytes.Buffer
	size, err := fmp4.WriteSegment(&b, number, video, audio)
	if err != nil || size != int64(b.Len()) {
		t.Fatalf("wrote %d, told %d, %v", b.Len(), size, err)
	}
	f, err := fmp4.ReadFragment(bytes.NewReader(b.Bytes()), size)
	if err != nil {
		t.Fatal(err)
	}
	if f.Sequence != number || f.Video.Start != video.Start || len(f.Video.Samples) != len(video.Samples) || len(f.Audio.Samples) != len(audio.Samples) {
		t.Fatalf("segment %d reads as %+v", number, f)
	}
	return fmp4.Source{Init: init, Fragment: &f, Open: func() (fmp4.Data, error) { return memory{bytes.NewReader(b.Bytes())}, nil }}, b.Bytes()
}

// recording is segments of two seconds. Audio comes late by the given packets.
func recording(t *testing.T, list []fmp4.Unit, sound []fmp4.Sample, late int, start uint64) (sources []fmp4.Source, whole []byte) {
	t.Helper()
	p, err := fmp4.NewParameters(list[0].SPS, list[0].PPS)
	if err != nil {
		t.Fatal(err)
	}
	init := &fmp4.Init{Video: p}
	if sound != nil {
		init.Channels = 2
	}
	whole = init.Bytes()
	read, err := fmp4.ParseInit(whole)
	if err != nil || !read.Video.Same(&p) || read.Channels != init.Channels || read.Video.Width != p.Width {
		t.Fatalf("init reads as %+v, %v", read, err)
	}
	for number, part := range slices.Collect(slices.Chunk(list, 2*mediatest.Rate)) {
		video := fmp4.Run{Start: start + uint64(number*2*fmp4.VideoRate)}
		for _, u := range part {
			video.Samples = append(video.Samples, fmp4.Sample{Data: u.Data, Key: u.Key, Duration: picture})
		}
		audio := fmp4.Run{}
		if first := number*100 - late; sound != nil {
			audio.Start = start*8/15 + uint64(max(first, 0)+late)*packet
			audio.Samples = sound[min(max(first, 0), len(sound)):min(max(first+100, 0), len(sound))]
		}
		src, b := segment(t, init, uint32(number+1), video, audio)
		sources = append(sources, src)
		whole = append(whole, b...)
	}
	return sources, whole
}

func clip(t *testing.T, sources []fmp4.Source, from, to int64) (*fmp4.Clip, string) {
	t.Helper()
	c, err := fmp4.NewClip(sources, from, to)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	n, err := c.WriteTo(&b)
	if err != nil || n != c.Size || int64(b.Len()) != n {
		t.Fatalf("wrote %d of %d bytes, told %d: %v", b.Len(), c.Size, n, err)
	}
	return c, mediatest.Write(t, "clip.mp4", b.Bytes())
}

func checkClip(t *testing.T, c *fmp4.Clip, path string, want []string, duration string) mediatest.Probed {
	t.Helper()
	if got := mediatest.Sums(t, path); !slices.Equal(got, want) {
		t.Errorf("%d pictures are shown, want %d; the first is %d of those wanted", len(got), len(want), slices.Index(want, got[0]))
	}
	if c.Pictures != len(want) {
		t.Errorf("tells %d pictures of %d", c.Pictures, len(want))
	}
	p := mediatest.Probe(t, path)
	if p.Format.Duration != duration {
		t.Errorf("lasts %s, want %s", p.Format.Duration, duration)
	}
	return p
}

func TestClips(t *testing.T) {
	t.Parallel()
	file := mediatest.Video(t, 10, 320, 180)
	all := mediatest.Sums(t, file)
	list, sound := units(t, file), packets(t, mediatest.Audio(t, 10))
	if len(list) != 250 || len(all) != 250 {
		t.Fatalf("%d pictures of %d", len(list), len(all))
	}
	sources, whole := recording(t, list, sound, 0, 0)
	if got := mediatest.Sums(t, mediatest.Write(t, "whole.mp4", whole)); !slices.Equal(got, all) {
		t.Errorf("the segments show %d pictures", len(got))
	}
	for name, row := range map[string]struct {
		from, to int64 // pictures
		shift    int64
		duration string
	}{
		"all":                   {0, 250, 0, "10.000000"},
		"more than all":         {-10, 1000, 0, "10.000000"},
		"between":               {33, 98, 0, "2.600000"},
		"a single one":          {60, 61, 0, "0.040000"},
		"a bit before":          {33, 98, -300, "2.600000"},
		"in the middle of one":  {33, 98, 1500, "2.600000"},
		"from the last segment": {249, 250, 0, "0.040000"},
	} {
		t.Run(name, func(t *testing.T) {
			c, path := clip(t, sources, row.from*picture+row.shift, row.to*picture+row.shift)
			p := checkClip(t, c, path, all[max(row.from, 0):min(row.to, 250)], row.duration)
			mediatest.Decode(t, path)
			if len(p.Streams) != 2 || p.Streams[0].Codec != "h264" || p.Streams[0].Width != 320 || p.Streams[1].Codec != "opus" || p.Streams[1].Channels != 2 {
				t.Errorf("streams: %+v", p.Streams)
			}
			for _, s := range p.Streams {
				if s.Duration != row.duration || s.Start != "0.000000" {
					t.Errorf("%s starts at %s and lasts %s", s.Codec, s.Start, s.Duration)
				}
			}
		})
	}
	for _, r := range [][2]int64{{5, 5}, {900000, 990000}, {100, 0}} {
		if _, err := fmp4.NewClip(sources, r[0], r[1]); !errors.Is(err, fmp4.ErrRange) {
			t.Errorf("range %v: %v", r, err)
		}
	}
}

func TestLateAudio(t *testing.T) {
	t.Parallel()
	list, sound := units(t, mediatest.Video(t, 6, 320, 180)), packets(t, mediatest.Audio(t, 4))
	sources, _ := recording(t, list, sound, 75, 0)
	_, path := clip(t, sources, 0, 6*fmp4.VideoRate)
	mediatest.Decode(t, path)
	p := mediatest.Probe(t, path)
	if len(p.Streams) != 2 || p.Streams[1].Start != "1.500000" {
		t.Errorf("streams: %+v", p.Streams)
	}
}

func TestWithoutAudio(t *testing.T) {
	t.Parallel()
	file := mediatest.Video(t, 4, 320, 180)
	sources, _ := recording(t, units(t, file), nil, 0, 0)
	c, path := clip(t, sources, picture, 3*fmp4.VideoRate)
	checkClip(t, c, path, mediatest.Sums(t, file)[1:75], "2.960000")
}

// A gap in the audio is as long in the clip.
func TestAudioGap(t *testing.T) {
	t.Parallel()
	list, sound := units(t, mediatest.Video(t, 6, 320, 180)), packets(t, mediatest.Audio(t, 6))
	sources, _ := recording(t, list, sound, 0, 0)
	src, _ := segment(t, sources[1].Init, 2, fmp4.Run{Start: 2 * fmp4.VideoRate, Samples: video(list[50:100])}, fmp4.Run{})
	sources[1] = src
	_, path := clip(t, sources, 0, 6*fmp4.VideoRate)
	mediatest.Decode(t, path)
	if p := mediatest.Probe(t, path); p.Streams[1].Duration != "6.000000" {
		t.Errorf("streams: %+v", p.Streams)
	}
}

func video(list []fmp4.Unit) (samples []fmp4.Sample) {
	for _, u := range list {
		samples = append(samples, fmp4.Sample{Data: u.Data, Key: u.Key, Duration: picture})
	}
	return samples
}

func TestSizeChanges(t *testing.T) {
	t.Parallel()
	small, large := mediatest.Video(t, 2, 320, 180), mediatest.Video(t, 4, 640, 360)
	first, _ := recording(t, units(t, small), nil, 0, 0)
	second, _ := recording(t, units(t, large), nil, 0, 2*fmp4.VideoRate)
	c, path := clip(t, slices.Concat(first, second), 10*picture, 100*picture)
	if c.Width != 640 || c.Height != 360 {
		t.Errorf("size %dx%d", c.Width, c.Height)
	}
	if p := mediatest.Probe(t, path); p.Format.Duration != "3.600000" {
		t.Errorf("lasts %s", p.Format.Duration)
	}
	mediatest.Decode(t, path)
	// Sums are of the size of the first picture: what is after the change is scaled.
	if got, want := mediatest.Sums(t, path), mediatest.Sums(t, small)[10:]; len(got) != 90 || !slices.Equal(got[:40], want) {
		t.Errorf("%d pictures", len(got))
	}
	// From the change on there is nothing else.
	c, path = clip(t, slices.Concat(first, second), 50*picture, 100*picture)
	checkClip(t, c, path, mediatest.Sums(t, large)[:50], "2.000000")
}

// hole is data of any length, of which a clip is made that is longer than 4 GiB.
type hole struct{}

func (hole) Close() error                          { return nil }
func (hole) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }

func TestLongClipHasWideOffsets(t *testing.T) {
	t.Parallel()
	p, err := fmp4.NewParameters([][]byte{{0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe9, 0xb8, 0x08, 0x08, 0x0a, 0x00}}, [][]byte{{0x68, 0xce, 0x3c, 0x80}})
	if err != nil {
		t.Fatal(err)
	}
	var sources []fmp4.Source
	for i := range 5 {
		f := &fmp4.Fragment{Video: fmp4.Index{Start: uint64(i * picture), Samples: []fmp4.Entry{{Size: 1 << 30, Duration: picture, Key: true}}}}
		sources = append(sources, fmp4.Source{Init: &fmp4.Init{Video: p}, Fragment: f, Open: func() (fmp4.Data, error) { return hole{}, nil }})
	}
	c, err := fmp4.NewClip(sources, 0, 5*picture)
	if err != nil || c.Size < 5<<30 {
		t.Fatalf("clip %+v, %v", c, err)
	}
	var b prefix
	if _, err := c.WriteTo(&b); err == nil || !bytes.Contains(b, []byte("co64")) || bytes.Contains(b, []byte("stco")) {
		t.Errorf("wrote %v", err)
	}
}

// prefix takes the first bytes.
type prefix []byte

func (p *prefix) Write(b []byte) (int, error) {
	if len(*p) > 1<<16 {
		return 0, io.ErrShortWrite
	}
	*p = append(*p, b...)
	return len(b), nil
}

func TestParameters(t *testing.T) {
	t.Parallel()
	mediatest.Need(t)
	for _, row := range []struct {
		profile, format string
		width, height   int
	}{{"baseline", "yuv420p", 1920, 1080}, {"high", "yuv420p", 646, 364}, {"high422", "yuv422p", 320, 180}, {"high444", "yuv444p", 642, 362}} {
		file := t.TempDir() + "/one.h264"
		mediatest.Run(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("color=size=%dx%d:rate=25", row.width, row.height), "-frames:v", "1",
			"-c:v", "libx264", "-threads", "1", "-preset", "ultrafast", "-profile:v", row.profile, "-pix_fmt", row.format, "-f", "h264", file)
		u := units(t, file)
		if len(u) != 1 || !u[0].Key {
			t.Fatalf("%v: units %+v", row, u)
		}
		p, err := fmp4.NewParameters(u[0].SPS, u[0].PPS)
		if err != nil || p.Width != row.width || p.Height != row.height {
			t.Errorf("%v: %dx%d, %v", row, p.Width, p.Height, err)
		}
	}
	for _, bad := range [][][]byte{nil, {{0x67}}, {{0x67, 0x42, 0, 0}}, {make([]byte, 5000)}, {{0x67, 0x42, 0, 0, 0, 0, 0, 0, 0, 0}}} {
		if _, err := fmp4.NewParameters(bad, [][]byte{{0x68, 0xce}}); !errors.Is(err, fmp4.ErrParameters) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	fua := func(flags byte, body string) []byte { return append([]byte{0x7c, flags | 5}, body...) }
	for name, row := range map[string]struct {
		do   func(push func(uint32, []byte), u *fmp4.Units)
		want string
	}{
		"sets apart from the picture": {func(push func(uint32, []byte), _ *fmp4.Units) {
			push(1, []byte("\x67sps"))
			push(1, []byte("\x68pps"))
			push(1, []byte("\x06sei"))
			push(1, []byte("\x65key"))
			push(2, []byte("\x41delta"))
		}, "1 key 1 1 8, 2 0 0 10"},
		"in fragments": {func(push func(uint32, []byte), _ *fmp4.Units) {
			push(1, fua(0x80, "ab"))
			push(1, fua(0, "cd"))
			push(1, nil)
			push(1, fua(0x40, "ef"))
		}, "1 key 0 0 11"},
		"a missing packet costs both": {func(push func(uint32, []byte), u *fmp4.Units) {
			push(1, []byte("\x41delta"))
			push(2, fua(0x80, "ab"))
			u.Lose()
			push(3, fua(0x40, "ef"))
			push(4, []byte("\x41delta"))
		}, "1 0 0 10, lost, lost, 4 0 0 10"},
		"too large": {func(push func(uint32, []byte), _ *fmp4.Units) {
			for range 100 {
				push(1, fua(0, "ab"))
			}
			push(2, []byte("\x65key"))
		}, "lost, 2 key 0 0 8"},
		"garbage": {func(push func(uint32, []byte), _ *fmp4.Units) {
			push(1, []byte{0xff, 0xff})
			push(2, []byte{0x78, 0xff, 0xff, 0})
		}, "lost, lost"},
		"nothing": {func(func(uint32, []byte), *fmp4.Units) {}, ""},
	} {
		u := fmp4.Units{Max: 100}
		var got []string
		take := func(unit *fmp4.Unit, lost bool) {
			if lost {
				got = append(got, "lost")
			}
			if unit != nil {
				key := ""
				if unit.Key {
					key = " key"
				}
				got = append(got, fmt.Sprintf("%d%s %d %d %d", unit.Timestamp, key, len(unit.SPS), len(unit.PPS), len(unit.Data)))
			}
		}
		row.do(func(ts uint32, b []byte) { take(u.Push(ts, b)) }, &u)
		take(u.Flush())
		if strings.Join(got, ", ") != row.want {
			t.Errorf("%s: %v, want %s", name, got, row.want)
		}
	}
}

func FuzzReadFragment(f *testing.F) {
	var b bytes.Buffer
	run := fmp4.Run{Samples: []fmp4.Sample{{Data: []byte("abc"), Duration: 1, Key: true}, {Data: []byte("d"), Duration: 2}}}
	if _, err := fmp4.WriteSegment(&b, 1, run, run); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:60])
	f.Fuzz(func(_ *testing.T, b []byte) {
		fragment, err := fmp4.ReadFragment(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		c, err := fmp4.NewClip([]fmp4.Source{{
			Init: &fmp4.Init{}, Fragment: &fragment, Open: func() (fmp4.Data, error) { return memory{bytes.NewReader(b)}, nil },
		}}, 0, 1<<40)
		if err == nil {
			_, _ = c.WriteTo(io.Discard)
		}
	})
}

func FuzzParseInit(f *testing.F) {
	p, err := fmp4.NewParameters([][]byte{{0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe9, 0xb8, 0x08, 0x08, 0x0a, 0x00}}, [][]byte{{0x68, 0xce, 0x3c, 0x80}})
	if err != nil {
		f.Fatal(err)
	}
	init := fmp4.Init{Video: p, Channels: 2}
	f.Add(init.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if init, err := fmp4.ParseInit(b); err == nil {
			if _, err := fmp4.ParseInit(init.Bytes()); err != nil {
				t.Errorf("what was read can't be read again: %v", err)
			}
		}
	})
}

func FuzzUnits(f *testing.F) {
	f.Add([]byte("\x67\x42\xc0\x1f\xda\x01"), []byte("\x7c\x85abc"))
	f.Fuzz(func(_ *testing.T, a, b []byte) {
		u := fmp4.Units{Max: 1000}
		u.Push(1, a)
		if unit, _ := u.Push(2, b); unit != nil {
			_, _ = fmp4.NewParameters(unit.SPS, append(unit.PPS, []byte{1, 2}))
		}
		u.Flush()
		fmp4.OpusDuration(a)
	})
}
