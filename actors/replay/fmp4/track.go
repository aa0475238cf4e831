package fmp4

import "slices"

// track is what a trak box tells. Without samples it is that of an initialisation
// segment.
type track struct {
	number   uint32
	rate     uint32
	video    []*Parameters // descriptions of pictures
	channels int           // of audio
	samples  []sample
	chunks   []*chunk
	delay    uint64 // before the first sample is shown, in VideoRate
	skip     uint64 // of the first samples, in rate
	shown    uint64 // in VideoRate
}

func (t *track) duration() (sum uint64) {
	for i := range t.samples {
		sum += uint64(t.samples[i].duration)
	}
	return sum
}

// trak writes a track whose chunks are behind base bytes.
func trak(w *boxes, t *track, base int64, wide bool) {
	w.begin("trak")
	trackHeader(w, t)
	if len(t.samples) > 0 {
		editList(w, t)
	}
	w.begin("mdia")
	w.full("mdhd", 0, 0)
	w.u32(0, 0, t.rate, uint32(t.duration()))
	w.u16(0x55c4)
	w.u16(0)
	w.end()
	w.full("hdlr", 0, 0)
	w.u32(0)
	if t.channels > 0 {
		w.text("soun")
	} else {
		w.text("vide")
	}
	w.zeros(13)
	w.end()
	w.begin("minf")
	if t.channels > 0 {
		w.full("smhd", 0, 0)
		w.zeros(4)
	} else {
		w.full("vmhd", 0, 1)
		w.zeros(8)
	}
	w.end()
	w.begin("dinf")
	w.full("dref", 0, 0)
	w.u32(1)
	w.full("url ", 0, 1)
	w.end()
	w.end()
	w.end()
	w.begin("stbl")
	sampleDescriptions(w, t)
	sampleTables(w, t, base, wide)
	w.end()
	w.end()
	w.end()
	w.end()
}

func trackHeader(w *boxes, t *track) {
	w.full("tkhd", 0, 3)
	w.u32(0, 0, t.number, 0, uint32(t.delay+t.shown))
	w.zeros(12)
	if t.channels > 0 {
		w.u16(0x100)
	} else {
		w.u16(0)
	}
	w.u16(0)
	w.matrix()
	var width, height int
	for _, p := range t.video {
		width, height = max(width, p.Width), max(height, p.Height)
	}
	w.u32(uint32(width)<<16, uint32(height)<<16)
	w.end()
}

func editList(w *boxes, t *track) {
	w.begin("edts")
	w.full("elst", 0, 0)
	if t.delay > 0 {
		w.u32(2, uint32(t.delay), 0xffffffff, 0x10000)
	} else {
		w.u32(1)
	}
	w.u32(uint32(t.shown), uint32(t.skip), 0x10000)
	w.end()
	w.end()
}

func sampleTables(w *boxes, t *track, base int64, wide bool) {
	times := runs(t.samples, func(s *sample) uint32 { return s.duration })
	w.full("stts", 0, 0)
	w.u32(uint32(len(times)))
	for _, r := range times {
		w.u32(r.count, r.value)
	}
	w.end()
	if t.channels == 0 && len(t.samples) > 0 {
		var keys []uint32
		for i := range t.samples {
			if t.samples[i].key {
				keys = append(keys, uint32(i+1))
			}
		}
		w.full("stss", 0, 0)
		w.u32(uint32(len(keys)))
		w.u32(keys...)
		w.end()
	}
	w.full("stsc", 0, 0)
	first := firsts(t.chunks)
	w.u32(uint32(len(first)))
	for _, i := range first {
		w.u32(uint32(i+1), t.chunks[i].samples, t.chunks[i].description)
	}
	w.end()
	w.full("stsz", 0, 0)
	w.u32(0, uint32(len(t.samples)))
	for i := range t.samples {
		w.u32(t.samples[i].size)
	}
	w.end()
	if wide {
		w.full("co64", 0, 0)
	} else {
		w.full("stco", 0, 0)
	}
	w.u32(uint32(len(t.chunks)))
	for _, c := range t.chunks {
		if wide {
			w.u64(uint64(base + c.at))
		} else {
			w.u32(uint32(base + c.at))
		}
	}
	w.end()
}

// firsts are the chunks that are not like the one before.
func firsts(chunks []*chunk) (list []int) {
	for i, c := range chunks {
		if i == 0 || c.samples != chunks[i-1].samples || c.description != chunks[i-1].description {
			list = append(list, i)
		}
	}
	return list
}

type run struct{ count, value uint32 }

func runs(samples []sample, value func(*sample) uint32) (list []run) {
	for i := range samples {
		v := value(&samples[i])
		if n := len(list); n > 0 && list[n-1].value == v {
			list[n-1].count++
		} else {
			list = append(list, run{1, v})
		}
	}
	return slices.Clip(list)
}
