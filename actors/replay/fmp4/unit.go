package fmp4

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/pion/rtp/codecs"
)

// Types of NAL units (H.264, table 7-1).
const (
	nalIDR = 5
	nalSEI = 6
	nalSPS = 7
	nalPPS = 8
	nalAUD = 9
	nalEnd = 12 // end of sequence, of stream, and filler
)

// Unit is a picture: everything that has one RTP timestamp.
type Unit struct {
	Timestamp uint32
	Key       bool
	SPS, PPS  [][]byte // as far as they came with it
	Data      []byte   // NAL units with their lengths in front, without parameter sets
}

// Units makes pictures of RTP payloads that come in order. A picture ends where the
// timestamp changes: the marker bit comes too early with some senders, which then send
// a key frame and its parameter sets apart.
type Units struct {
	Max int // bytes of a picture; more of them are lost

	unit    Unit
	packet  codecs.H264Packet
	size    int
	started bool
	damaged bool
	missing bool // packets before the next one
}

// Push adds a payload. It returns the picture that ended before it, if any, and
// whether one was lost.
func (u *Units) Push(timestamp uint32, payload []byte) (done *Unit, lost bool) {
	if len(payload) == 0 {
		return nil, false // padding
	}
	if u.started && timestamp != u.unit.Timestamp {
		done, lost = u.Flush()
	}
	if !u.started {
		u.started = true
		u.unit.Timestamp = timestamp
	}
	if u.missing { // they may be of this picture
		u.missing = false
		u.damage()
	}
	if u.damaged {
		return done, lost
	}
	u.packet.IsAVC = true
	if u.size += len(payload); u.size > u.Max {
		u.damage()
		return done, lost
	}
	nals, err := (&u.packet).Unmarshal(payload)
	if err != nil || !u.add(nals) {
		u.damage()
	}
	return done, lost
}

// Lose tells that packets are missing before the next one.
func (u *Units) Lose() {
	u.missing = true
	u.damage()
}

// Flush ends the picture at hand.
func (u *Units) Flush() (done *Unit, lost bool) {
	if !u.started {
		u.reset()
		return nil, false
	}
	unit, damaged := u.unit, u.damaged
	u.reset()
	if damaged {
		return nil, true
	}
	if len(unit.Data) == 0 && len(unit.SPS) == 0 {
		return nil, false
	}
	return &unit, false
}

func (u *Units) damage() {
	u.damaged = true
	u.packet = codecs.H264Packet{}
	u.unit.Data, u.unit.SPS, u.unit.PPS = nil, nil, nil
}

func (u *Units) reset() {
	u.unit, u.size, u.started, u.damaged = Unit{}, 0, false, false
	u.packet = codecs.H264Packet{}
}

// add sorts NAL units.
func (u *Units) add(nals []byte) bool {
	for len(nals) >= 4 {
		size := binary.BigEndian.Uint32(nals)
		if uint64(size) > uint64(len(nals)-4) {
			return false
		}
		nal := nals[4 : 4+size]
		if size > 0 {
			u.sort(nal, nals[:4+size])
		}
		nals = nals[4+size:]
	}
	return len(nals) == 0
}

func (u *Units) sort(nal, withLength []byte) {
	switch kind := nal[0] & 0x1f; {
	case kind == nalSPS:
		u.unit.SPS = addSet(u.unit.SPS, nal)
	case kind == nalPPS:
		u.unit.PPS = addSet(u.unit.PPS, nal)
	case kind == nalSEI, kind >= nalAUD && kind <= nalEnd:
	default:
		u.unit.Key = u.unit.Key || kind == nalIDR
		u.unit.Data = append(u.unit.Data, withLength...)
	}
}

func addSet(sets [][]byte, set []byte) [][]byte {
	if len(sets) > maxParameterSets || slices.ContainsFunc(sets, func(b []byte) bool { return bytes.Equal(b, set) }) {
		return sets
	}
	return append(sets, bytes.Clone(set))
}

// OpusDuration is how long a packet sounds, in 1/48000 s (RFC 6716, 3.1).
func OpusDuration(packet []byte) uint32 {
	if len(packet) == 0 {
		return 0
	}
	config := packet[0] >> 3
	var frame uint32
	switch {
	case config < 12: // SILK
		frame = []uint32{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid
		frame = []uint32{480, 960}[config&1]
	default: // CELT
		frame = 120 << (config & 3)
	}
	switch packet[0] & 3 {
	case 0:
		return frame
	case 1, 2:
		return 2 * frame
	}
	if len(packet) < 2 {
		return frame
	}
	return min(frame*uint32(packet[1]&0x3f), 5760)
}
