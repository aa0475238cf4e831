package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// Markers of ITU-T T.81, table B.1.
const (
	markTEM   = 0x01
	markRST0  = 0xd0
	markRST7  = 0xd7
	markSOF0  = 0xc0
	markSOI   = 0xd8
	markEOI   = 0xd9
	markSOS   = 0xda
	markAPP0  = 0xe0
	markAPP1  = 0xe1
	markAPP2  = 0xe2
	markAPP14 = 0xee
)

func jpegStart(r *Reader) error {
	b, err := r.in.Peek(2)
	if err != nil {
		return orFormat(err)
	}
	if b[0] != 0xff || b[1] != markSOI {
		return ErrFormat
	}
	r.plain, r.step = 2, jpegSegment
	return nil
}

// orFormat makes of an end that comes too early one that is no picture.
func orFormat(err error) error {
	if errors.Is(err, io.EOF) {
		return ErrFormat
	}
	return err
}

// jpegSegment takes a marker and what belongs to it. Bytes before a marker mean
// nothing to a decoder and go.
func jpegSegment(r *Reader) error {
	mark, last := byte(0), byte(0)
	for mark == 0 || mark == 0xff || last != 0xff {
		last = mark
		var err error
		if mark, err = r.in.ReadByte(); err != nil {
			return err
		}
	}
	switch {
	case mark == markEOI:
		r.out, r.step = []byte{0xff, markEOI}, finish
		return nil
	case mark == markTEM, mark >= markRST0 && mark <= markRST7:
		r.out = []byte{0xff, mark}
		return nil
	case mark == markSOI: // nothing comes of a second one
		return nil
	}
	b, err := r.in.Peek(2)
	if err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint16(b))
	if n < 2 {
		return ErrFormat
	}
	if mark >= markAPP0 || mark < markSOF0 {
		return r.jpegExtra(mark, n)
	}
	r.out, r.plain = []byte{0xff, mark}, int64(n)
	if mark == markSOS {
		r.step = jpegScan
	}
	return nil
}

var (
	jfifMark  = []byte("JFIF\x00")
	iccMark   = []byte("ICC_PROFILE\x00")
	adobeMark = []byte("Adobe")
)

// Lengths of segments of applications, with the two bytes that tell it.
const (
	jfifSize  = 16 // without the small copy that may follow
	adobeSize = 14
)

// jpegExtra takes a segment that is for applications, of which n bytes are left
// with its length, and keeps what decoders look at.
func (r *Reader) jpegExtra(mark byte, n int) error {
	b, err := r.in.Peek(n)
	if err != nil {
		return err
	}
	body := b[2:]
	switch {
	case mark == markAPP0 && n >= jfifSize && bytes.HasPrefix(body, jfifMark):
		r.out = append([]byte{0xff, mark, 0, jfifSize}, body[:jfifSize-2]...)
		r.out[len(r.out)-2], r.out[len(r.out)-1] = 0, 0 // width and height of the copy
	case mark == markAPP1 && bytes.HasPrefix(body, exifMark):
		if o := r.turn(body[len(exifMark):]); o != 0 {
			exif := append(bytes.Clone(exifMark), exifOf(o)...)
			r.out = append([]byte{0xff, mark, 0, byte(len(exif) + 2)}, exif...)
		}
	case mark == markAPP2 && bytes.HasPrefix(body, iccMark):
		r.out, r.plain = []byte{0xff, mark}, int64(n)
		return nil
	case mark == markAPP14 && n >= adobeSize && bytes.HasPrefix(body, adobeMark):
		r.out = append([]byte{0xff, mark, 0, adobeSize}, body[:adobeSize-2]...)
	}
	return r.skip(int64(n))
}

// jpegScan passes coded data on, up to the next marker that is none of its own.
func jpegScan(r *Reader) error {
	b, err := r.in.Peek(2)
	if err != nil {
		return r.rest(b, err)
	}
	b, _ = r.in.Peek(r.in.Buffered()) // more than was asked for may be there
	i := 0
	for i < len(b)-1 {
		at := bytes.IndexByte(b[i:len(b)-1], 0xff)
		if at < 0 {
			i = len(b) - 1
			break
		}
		i += at
		if next := b[i+1]; next != 0 && next != 0xff && (next < markRST0 || next > markRST7) {
			r.step = jpegSegment
			break
		} else if next == 0xff { // fills up; what follows is looked at again
			i++
		} else {
			i += 2
		}
	}
	r.plain = int64(min(i, len(b)))
	return nil
}
