package fmp4

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Bounds of parameter sets.
const (
	maxParameterSets = 8
	maxParameterSet  = 1024
	maxPictureSide   = 16384
)

// ErrParameters means that H.264 parameter sets can't be used.
var ErrParameters = errors.New("unusable H.264 parameter sets")

// Parameters are what a decoder has to know before the first picture.
type Parameters struct {
	SPS, PPS [][]byte
	Width    int // of the picture shown
	Height   int

	profile, compatibility, level   uint8
	chroma, lumaDepth, chromaDepth8 uint8 // depths less 8
}

// NewParameters checks parameter sets and reads the picture's size from the first.
func NewParameters(sps, pps [][]byte) (Parameters, error) {
	p := Parameters{SPS: sps, PPS: pps}
	if len(sps) == 0 || len(pps) == 0 || len(sps) > maxParameterSets || len(pps) > maxParameterSets {
		return p, fmt.Errorf("%w: %d of sequences, %d of pictures", ErrParameters, len(sps), len(pps))
	}
	for _, set := range slices.Concat(sps, pps) {
		if len(set) > maxParameterSet || len(set) < 2 {
			return p, fmt.Errorf("%w: a set of %d bytes", ErrParameters, len(set))
		}
	}
	return p, p.parse(sps[0])
}

// Same reports whether a decoder needs not be told of others.
func (p *Parameters) Same(o *Parameters) bool {
	return slices.EqualFunc(p.SPS, o.SPS, bytes.Equal) && slices.EqualFunc(p.PPS, o.PPS, bytes.Equal)
}

// parse reads a sequence parameter set (H.264, 7.3.2.1.1).
func (p *Parameters) parse(sps []byte) error {
	if len(sps) < 4 {
		return fmt.Errorf("%w: a sequence set of %d bytes", ErrParameters, len(sps))
	}
	p.profile, p.compatibility, p.level = sps[1], sps[2], sps[3]
	r := bits{b: unescape(sps[4:])}
	r.ue() // seq_parameter_set_id
	p.chroma = 1
	separate := uint32(0)
	if highProfile(p.profile) {
		p.chroma = uint8(min(r.ue(), 4))
		if p.chroma == 3 {
			separate = r.read(1)
		}
		p.lumaDepth, p.chromaDepth8 = uint8(min(r.ue(), 7)), uint8(min(r.ue(), 7))
		r.read(1) // qpprime_y_zero_transform_bypass_flag
		if r.read(1) == 1 {
			r.scalingLists(p.chroma)
		}
	}
	r.ue() // log2_max_frame_num_minus4
	switch r.ue() {
	case 0:
		r.ue() // log2_max_pic_order_cnt_lsb_minus4
	case 1:
		r.read(1) // delta_pic_order_always_zero_flag
		r.ue()    // offset_for_non_ref_pic
		r.ue()    // offset_for_top_to_bottom_field
		for n := min(r.ue(), 255); n > 0 && !r.over; n-- {
			r.ue()
		}
	}
	r.ue()    // max_num_ref_frames
	r.read(1) // gaps_in_frame_num_value_allowed_flag
	width, height := uint64(r.ue())+1, uint64(r.ue())+1
	frames := r.read(1) // frame_mbs_only_flag
	if frames == 0 {
		r.read(1) // mb_adaptive_frame_field_flag
	}
	r.read(1) // direct_8x8_inference_flag
	var left, right, top, bottom uint64
	if r.read(1) == 1 {
		left, right, top, bottom = uint64(r.ue()), uint64(r.ue()), uint64(r.ue()), uint64(r.ue())
	}
	unitX, unitY := uint64(1), uint64(2-frames)
	if separate == 0 && (p.chroma == 1 || p.chroma == 2) {
		unitX = 2
		if p.chroma == 1 {
			unitY *= 2
		}
	}
	width, height = 16*width, 16*height*uint64(2-frames)
	cutX, cutY := unitX*(left+right), unitY*(top+bottom)
	if r.over || width > maxPictureSide || height > maxPictureSide || cutX >= width || cutY >= height {
		return fmt.Errorf("%w: no picture size", ErrParameters)
	}
	p.Width, p.Height = int(width-cutX), int(height-cutY)
	return nil
}

func highProfile(profile uint8) bool {
	return slices.Contains([]uint8{100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}, profile)
}

// appendTo writes an AVCDecoderConfigurationRecord (ISO 14496-15, 5.3.3.1).
func (p *Parameters) appendTo(w *boxes) {
	w.u8(1, p.profile, p.compatibility, p.level, 0xff, 0xe0|uint8(len(p.SPS)))
	for _, set := range p.SPS {
		w.u16(uint16(len(set)))
		w.bytes(set)
	}
	w.u8(uint8(len(p.PPS)))
	for _, set := range p.PPS {
		w.u16(uint16(len(set)))
		w.bytes(set)
	}
	if p.profile == 100 || p.profile == 110 || p.profile == 122 || p.profile == 144 {
		w.u8(0xfc|p.chroma, 0xf8|p.lumaDepth, 0xf8|p.chromaDepth8, 0)
	}
}

func parseConfiguration(b []byte) (Parameters, error) {
	r := reader{b: b}
	r.take(5)
	sets := func(count int) (list [][]byte) {
		for i := 0; i < count && !r.over; i++ {
			if set := r.take(int(r.u16())); !r.over {
				list = append(list, bytes.Clone(set))
			}
		}
		return list
	}
	sps := sets(int(r.u8() & 0x1f))
	pps := sets(int(r.u8()))
	if r.over {
		return Parameters{}, malformed("avcC is cut off")
	}
	return NewParameters(sps, pps)
}

// unescape removes the bytes that keep start codes out of a NAL unit.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}

// bits are read from the highest on.
type bits struct {
	b    []byte
	at   int
	over bool
}

func (r *bits) read(n int) (v uint32) {
	for range n {
		if r.at>>3 >= len(r.b) {
			r.over = true
			return 0
		}
		v = v<<1 | uint32(r.b[r.at>>3]>>(7-r.at&7)&1)
		r.at++
	}
	return v
}

// ue reads an Exp-Golomb number.
func (r *bits) ue() uint32 {
	zeros := 0
	for r.read(1) == 0 {
		if zeros++; r.over || zeros > 31 {
			r.over = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.read(zeros)
}

func (r *bits) se() int {
	v := int(r.ue())
	if v&1 == 1 {
		return (v + 1) / 2
	}
	return -v / 2
}

func (r *bits) scalingLists(chroma uint8) {
	count := 8
	if chroma == 3 {
		count = 12
	}
	for i := range count {
		if r.read(1) == 0 {
			continue
		}
		size := 16
		if i >= 6 {
			size = 64
		}
		for last, next := 8, 8; size > 0 && !r.over; size-- {
			if next != 0 {
				next = (last + r.se() + 256) % 256
			}
			if next != 0 {
				last = next
			}
		}
	}
}
