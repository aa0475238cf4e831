package replay

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/rookery-chat/rookery/actors/replay/fmp4"
)

var (
	sps = []byte{0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe9, 0xb8, 0x08, 0x08, 0x0a, 0x00}
	pps = []byte{0x68, 0xce, 0x3c, 0x80}
)

// sender sends pictures and packets of 20 ms to a mux, a picture each 40 ms.
type sender struct {
	m      *mux
	number uint32
	now    time.Time
	pieces []piece
}

func newSender() *sender {
	s := &sender{now: time.Unix(1e9, 0)}
	s.m = newMux(time.Second, func(p piece) { s.pieces = append(s.pieces, p) })
	return s
}

func (s *sender) send(count int, keys func(i int) bool) {
	for i := range count {
		u := &fmp4.Unit{Timestamp: s.number * 3600, Data: []byte("picture")}
		if keys(i) {
			u.Key, u.SPS, u.PPS = true, [][]byte{sps}, [][]byte{pps}
		}
		s.m.picture(u, s.now)
		for half := range uint32(2) {
			s.m.packet((2*s.number+half)*960, []byte{0x78}, s.now) // 20 ms of CELT
		}
		s.number++
		s.now = s.now.Add(40 * time.Millisecond)
	}
}

func every(n int) func(int) bool { return func(i int) bool { return i%n == 0 } }

// lengths are those of the segments in pictures; each has to follow the one before.
func (s *sender) lengths(t *testing.T) (list []int) {
	t.Helper()
	end := uint64(0)
	for _, p := range s.pieces {
		if p.video.Start != end {
			t.Errorf("a segment starts at %d, not at %d", p.video.Start, end)
		}
		for _, v := range p.video.Samples {
			end += uint64(v.Duration)
		}
		list = append(list, int(end-p.video.Start)/3600)
	}
	return list
}

func TestSegmentsEndAtKeyFrames(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		do   func(s *sender)
		want []int
	}{
		"near the target":   {func(s *sender) { s.send(101, every(24)) }, []int{24, 24, 24, 24}},
		"at a later one":    {func(s *sender) { s.send(101, every(30)) }, []int{30, 30, 30}},
		"without them":      {func(s *sender) { s.send(101, func(i int) bool { return i == 0 }) }, []int{38, 38}},
		"none at the start": {func(s *sender) { s.send(90, func(i int) bool { return i == 10 || i == 40 }) }, []int{30, 38}},
		"lost pictures": {func(s *sender) {
			s.send(10, every(25))
			s.m.lost()
			s.send(30, func(i int) bool { return i == 20 })
			s.send(1, every(1))
		}, []int{30}},
		"a pause": {func(s *sender) {
			s.send(10, every(25))
			s.m.pause(s.now)
			s.number += 1000
			s.now = s.now.Add(40 * time.Second)
			s.send(26, every(25))
		}, []int{10, 25}},
		"a clock that jumps back": {func(s *sender) {
			s.send(10, every(25))
			s.number = 2
			s.send(26, every(25))
		}, []int{10, 25}},
		"a clock that jumps far": {func(s *sender) {
			s.send(10, every(25))
			s.number += 10000
			s.send(26, every(25))
		}, []int{10, 25}},
	} {
		s := newSender()
		row.do(s)
		if got := s.lengths(t); !slices.Equal(got, row.want) {
			t.Errorf("%s: segments of %v pictures, want %v", name, got, row.want)
		}
	}
}

// A report of the sender sets audio right, and it stays in step after a pause.
func TestAudioFollowsReports(t *testing.T) {
	t.Parallel()
	s := newSender()
	s.send(1, every(1))
	const ntp = 3900000000 << 32
	s.m.videoClock.report(0, ntp)
	s.m.audioClock.report(0, ntp+1<<31) // what sounds half a second later
	s.send(60, every(25))
	if start := s.pieces[0].audio.Start; start != fmp4.AudioRate/2 {
		t.Errorf("audio starts at %d", start)
	}
	end := s.pieces[0].audio.Start
	for _, a := range s.pieces[0].audio.Samples {
		end += uint64(a.Duration)
	}
	if next := s.pieces[1].audio.Start; next != end {
		t.Errorf("audio goes on at %d, not at %d", next, end)
	}
}

func TestKeyFramesAreAskedFor(t *testing.T) {
	t.Parallel()
	s := newSender()
	if !s.m.wantsKey(s.now) || s.m.wantsKey(s.now) {
		t.Error("at the start: once")
	}
	s.send(10, every(25))
	if s.m.wantsKey(s.now.Add(pliEvery / 10)) {
		t.Error("in the middle of a segment")
	}
	if !s.m.wantsKey(s.now.Add(2 * pliEvery)) {
		t.Error("not when a segment is long enough")
	}
	s.m.lost()
	if !s.m.wantsKey(s.now.Add(4 * pliEvery)) {
		t.Error("not after a loss")
	}
}

func TestReorder(t *testing.T) {
	t.Parallel()
	var r reorder
	var got []uint16
	gaps := 0
	push := func(numbers ...uint16) {
		for _, n := range numbers {
			r.push(&rtp.Packet{Header: rtp.Header{SequenceNumber: n}}, func(p *rtp.Packet, gap bool) {
				got = append(got, p.SequenceNumber)
				if gap {
					gaps++
				}
			})
		}
	}
	push(65534, 0, 65535, 65535, 1, 3)
	if len(got) != 4 || got[3] != 1 || gaps != 0 {
		t.Fatalf("got %v, %d gaps", got, gaps)
	}
	for n := uint16(4); n < 4+window; n++ {
		push(n)
	}
	if gaps != 1 || got[4] != 3 || len(r.held) != 0 {
		t.Errorf("got %d packets, %d gaps, %d are held", len(got), gaps, len(r.held))
	}
	push(30000)
	if gaps != 2 || got[len(got)-1] != 30000 {
		t.Errorf("another beginning: %v", got[len(got)-1])
	}
}
