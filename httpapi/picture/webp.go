package picture

import "encoding/binary"

const (
	riffHead = 12
	riffPart = 8 // type and length of a chunk
	xmpFlag  = 0x04
)

// webpKept are the chunks that show something (RFC 9649).
//
//nolint:gocritic // a name has four characters
var webpKept = map[string]bool{"VP8 ": true, "VP8L": true, "ALPH": true, "ANIM": true, "ANMF": true, "ICCP": true}

func webpStart(r *Reader) error {
	b, err := r.in.Peek(riffHead)
	if err != nil {
		return orFormat(err)
	}
	size := int64(binary.LittleEndian.Uint32(b[4:8]))
	if string(b[:4]) != "RIFF" || string(b[8:12]) != "WEBP" || size < 4 {
		return ErrFormat
	}
	r.plain, r.left, r.step = riffHead, size-4, webpChunk
	return nil
}

// webpChunk keeps the length of everything.
func webpChunk(r *Reader) error {
	if r.left < riffPart {
		r.blank, r.left, r.step = r.left, 0, finish
		return nil
	}
	b, err := r.in.Peek(riffPart)
	if err != nil {
		return r.rest(b, err)
	}
	kind, n := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:8]))
	size := min(riffPart+n+n&1, r.left)
	r.left -= size
	switch {
	case webpKept[kind]:
		r.plain = size
	case kind == "VP8X" && n > 0 && size > riffPart:
		return r.webpFlags(size)
	case kind == "EXIF" && !r.turned:
		return r.webpEXIF(size)
	default:
		r.out = append([]byte("JUNK"), b[4:8]...)
		return r.webpBlank(riffPart, size)
	}
	return nil
}

// webpFlags takes back that there is XMP.
func (r *Reader) webpFlags(size int64) error {
	b, err := r.in.Peek(riffPart + 1)
	if err != nil {
		return r.rest(b, err)
	}
	r.out = append(r.out, b...)
	r.out[riffPart] &^= xmpFlag
	r.plain = size - riffPart - 1
	return r.skip(riffPart + 1)
}

// webpEXIF leaves a chunk where one was announced.
func (r *Reader) webpEXIF(size int64) error {
	b, _ := r.in.Peek(int(min(size, bufferSize))) // of a part that ends too early what is there
	// Some write the mark of JPEG before it.
	tiff := b[riffPart:]
	if len(tiff) >= len(exifMark) && string(tiff[:len(exifMark)]) == string(exifMark) {
		tiff = tiff[len(exifMark):]
	}
	exif := exifOf(max(1, r.turn(tiff)))
	r.turned = true
	r.out = append(r.out, b[:riffPart]...)
	if len(b)-riffPart >= len(exif) {
		r.out = append(r.out, exif...)
	}
	return r.webpBlank(int64(len(r.out)), size)
}

// webpBlank goes past what is written anew and leaves zeros for the others.
func (r *Reader) webpBlank(done, size int64) error {
	r.blank = size - done
	return r.skip(done)
}
