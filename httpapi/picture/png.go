package picture

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	pngSignature = "\x89PNG\r\n\x1a\n"
	pngHead      = 8 // length and type of a chunk
	pngFrame     = 12
)

// pngKept are the chunks that show something (W3C PNG, third edition): the
// picture, its frames, its colours and its shape.
var pngKept = map[string]bool{
	"IHDR": true, "PLTE": true, "IDAT": true, "IEND": true,
	"acTL": true, "fcTL": true, "fdAT": true,
	"tRNS": true, "cHRM": true, "gAMA": true, "iCCP": true, "sBIT": true, "sRGB": true, "cICP": true, "mDCV": true, "cLLI": true,
	"bKGD": true, "hIST": true, "pHYs": true, "sPLT": true,
}

func pngStart(r *Reader) error {
	b, err := r.in.Peek(len(pngSignature))
	if err != nil {
		return orFormat(err)
	}
	if string(b) != pngSignature {
		return ErrFormat
	}
	r.plain, r.step = int64(len(b)), pngChunk
	return nil
}

func pngChunk(r *Reader) error {
	b, err := r.in.Peek(pngHead)
	if err != nil {
		return r.rest(b, err)
	}
	n, kind := binary.BigEndian.Uint32(b), string(b[4:8])
	if n >= 1<<31 || !letters(kind) {
		return ErrFormat
	}
	size := int64(n) + pngFrame
	switch {
	case kind == "IEND":
		r.plain, r.step = size, finish
		return nil
	case pngKept[kind]:
		r.plain = size
		return nil
	case kind != "eXIf":
		return r.skip(size)
	}
	b, _ = r.in.Peek(int(min(pngHead+int64(n), bufferSize))) // of a part that ends too early what is there
	if o := r.turn(b[pngHead:]); o != 0 {
		r.out = pngChunkOf(kind, exifOf(o))
	}
	return r.skip(size)
}

func pngChunkOf(kind string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body))) // #nosec G115 -- EXIF of our own
	b = append(append(b, kind...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

func letters(s string) bool {
	for _, c := range []byte(s) {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return false
		}
	}
	return true
}
