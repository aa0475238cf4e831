package picture

import (
	"bufio"
	"errors"
	"io"
)

// ErrFormat says that the bytes are not a picture of the type that they should be.
var ErrFormat = errors.New("not a picture of its type")

// bufferSize is the largest segment of a JPEG and what stands before it.
const bufferSize = 64<<10 + 16

// Reader reads a picture without what it tells about people.
type Reader struct {
	in   *bufio.Reader
	step func(*Reader) error // looks at what comes next

	out   []byte // comes first
	plain int64  // then so many bytes as they are
	blank int64  // then so many zeros instead of what is there
	err   error  // then this

	turned bool  // the orientation is written
	left   int64 // of a RIFF container
}

// Strip reads a picture of a media type; nil: of the type nothing is taken out. What
// lies behind the picture is read too, and dropped.
func Strip(mimeType string, in io.Reader) *Reader {
	r := &Reader{}
	switch mimeType {
	case "image/jpeg", "image/jpg":
		r.step = jpegStart
	case "image/png":
		r.step = pngStart
	case "image/webp":
		r.step = webpStart
	case "image/gif":
		r.step = gifStart
	default:
		return nil
	}
	r.in = bufio.NewReaderSize(in, bufferSize)
	return r
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		switch {
		case len(r.out) > 0:
			n := copy(p, r.out)
			r.out = r.out[n:]
			return n, nil
		case r.plain > 0:
			n, err := r.in.Read(p[:min(int64(len(p)), r.plain)])
			r.plain -= int64(n)
			if err != nil {
				r.plain, r.blank, r.err = 0, 0, err
			}
			if n > 0 {
				return n, nil
			}
		case r.blank > 0:
			n, err := r.in.Discard(int(min(int64(len(p)), r.blank)))
			clear(p[:n])
			r.blank -= int64(n)
			if err != nil {
				r.blank, r.err = 0, err
			}
			if n > 0 {
				return n, nil
			}
		case r.err != nil:
			return 0, r.err
		default:
			r.err = r.step(r)
		}
	}
}

// skip drops n bytes.
func (r *Reader) skip(n int64) error {
	_, err := io.CopyN(io.Discard, r.in, n)
	return err
}

// rest passes on what is left of a picture that ends too early.
func (r *Reader) rest(b []byte, err error) error {
	r.plain, r.step = int64(len(b)), func(*Reader) error { return err }
	return nil
}

// finish drops what lies behind the picture.
func finish(r *Reader) error {
	if _, err := io.Copy(io.Discard, r.in); err != nil {
		return err
	}
	return io.EOF
}

// orientation looks for the orientation in EXIF, which has the form of a TIFF: 1
// to 8; 0: it says nothing, or nothing that is understood.
func orientation(tiff []byte) byte {
	if len(tiff) < 8 {
		return 0
	}
	num := func(b []byte) (n uint32) {
		for i := range b {
			if tiff[0] == 'M' {
				n = n<<8 | uint32(b[i])
			} else {
				n |= uint32(b[i]) << (8 * i)
			}
		}
		return n
	}
	if s := string(tiff[:2]); s != "II" && s != "MM" || num(tiff[2:4]) != 42 {
		return 0
	}
	at := int64(num(tiff[4:8]))
	if at > int64(len(tiff))-2 {
		return 0
	}
	entries := tiff[at+2:]
	for range num(tiff[at : at+2]) {
		if len(entries) < 12 {
			return 0
		}
		e := entries[:12]
		entries = entries[12:]
		if num(e[:2]) != 0x0112 {
			continue
		}
		var v uint32
		switch num(e[2:4]) {
		case 3: // SHORT
			v = num(e[8:10])
		case 4: // LONG
			v = num(e[8:12])
		}
		if v >= 1 && v <= 8 {
			return byte(v)
		}
		return 0
	}
	return 0
}

// exifOf is EXIF that tells the orientation and nothing else.
func exifOf(orientation byte) []byte {
	return []byte{
		'M', 'M', 0, 42, 0, 0, 0, 8, // a TIFF; its directory is at 8
		0, 1, // with one entry:
		0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0,
		0, 0, 0, 0, // no further directory
	}
}

// turn is the orientation that is to be written for EXIF: only the first one that
// says something counts. 0: none.
func (r *Reader) turn(tiff []byte) byte {
	o := orientation(tiff)
	if o <= 1 || r.turned {
		return 0
	}
	r.turned = true
	return o
}

var exifMark = []byte("Exif\x00\x00")
