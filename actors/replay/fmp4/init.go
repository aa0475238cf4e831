package fmp4

import "encoding/binary"

// Clocks of the tracks.
const (
	VideoRate = 90000
	AudioRate = 48000
)

// Numbers of the tracks.
const (
	videoTrack = 1
	audioTrack = 2
)

// Init is what a player has to know before the first segment.
type Init struct {
	Video    Parameters
	Channels int // of audio; 0: there is none
}

// Bytes is the initialisation segment.
func (i *Init) Bytes() []byte {
	var w boxes
	w.begin("ftyp")
	w.text("iso6")
	w.u32(0)
	w.text("iso6mp41dashhlsf")
	w.end()
	w.begin("moov")
	movieHeader(&w, 0)
	trak(&w, &track{number: videoTrack, rate: VideoRate, video: []*Parameters{&i.Video}}, 0, false)
	if i.Channels > 0 {
		trak(&w, &track{number: audioTrack, rate: AudioRate, channels: i.Channels}, 0, false)
	}
	w.begin("mvex")
	trex(&w, videoTrack)
	if i.Channels > 0 {
		trex(&w, audioTrack)
	}
	w.end()
	w.end()
	return w.b
}

func trex(w *boxes, track uint32) {
	w.full("trex", 0, 0)
	w.u32(track, 1, 0, 0, 0)
	w.end()
}

func movieHeader(w *boxes, duration uint32) {
	w.full("mvhd", 0, 0)
	w.u32(0, 0, VideoRate, duration, 0x10000)
	w.u16(0x100)
	w.zeros(10)
	w.matrix()
	w.zeros(24)
	w.u32(audioTrack + 1)
	w.end()
}

func sampleDescriptions(w *boxes, t *track) {
	w.full("stsd", 0, 0)
	if t.channels > 0 {
		w.u32(1)
		opusEntry(w, t.channels)
	} else {
		w.u32(uint32(len(t.video)))
		for _, p := range t.video {
			avcEntry(w, p)
		}
	}
	w.end()
}

func avcEntry(w *boxes, p *Parameters) {
	w.begin("avc1")
	w.zeros(6)
	w.u16(1)
	w.zeros(16)
	w.u16(uint16(p.Width))
	w.u16(uint16(p.Height))
	w.u32(0x480000, 0x480000, 0)
	w.u16(1)
	w.zeros(32)
	w.u16(0x18)
	w.u16(0xffff)
	w.begin("avcC")
	p.appendTo(w)
	w.end()
	w.end()
}

// opusEntry is as "Encapsulation of Opus in ISO Base Media File Format" has it.
func opusEntry(w *boxes, channels int) {
	w.begin("Opus")
	w.zeros(6)
	w.u16(1)
	w.zeros(8)
	w.u16(uint16(channels))
	w.u16(16)
	w.zeros(4)
	w.u32(AudioRate << 16)
	w.begin("dOps")
	w.u8(0, uint8(channels))
	w.u16(0) // nothing to skip: a recording starts in the middle of a stream
	w.u32(AudioRate)
	w.u16(0)
	w.u8(0)
	w.end()
	w.end()
}

// Sizes of sample entries before the boxes in them.
const (
	stsdHead  = 8
	videoHead = 78
	audioHead = 28
)

// ParseInit reads an initialisation segment.
func ParseInit(b []byte) (Init, error) {
	var init Init
	moov, err := find(b, "moov")
	if err != nil {
		return init, err
	}
	err = each(moov, func(name string, body []byte) error {
		if name != "trak" {
			return nil
		}
		stsd, err := find(body, "mdia", "minf", "stbl", "stsd")
		if err != nil {
			return err
		}
		if len(stsd) < stsdHead || binary.BigEndian.Uint32(stsd[4:]) != 1 {
			return malformed("not one sample description")
		}
		kind, entry, _, err := next(stsd[stsdHead:])
		switch {
		case err != nil:
			return err
		case kind == "avc1" && len(entry) > videoHead:
			avcC, err := find(entry[videoHead:], "avcC")
			if err != nil {
				return err
			}
			init.Video, err = parseConfiguration(avcC)
			return err
		case kind == "Opus" && len(entry) > audioHead:
			dOps, err := find(entry[audioHead:], "dOps")
			if err == nil && (len(dOps) < 2 || dOps[1] == 0 || dOps[1] > 2) {
				err = malformed("channels of Opus")
			}
			if err == nil {
				init.Channels = int(dOps[1])
			}
			return err
		}
		return malformed("a sample of kind " + kind)
	})
	if err == nil && len(init.Video.SPS) == 0 {
		err = malformed("no video")
	}
	return init, err
}
