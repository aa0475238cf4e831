package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrFormat means that bytes are not what this package writes.
var ErrFormat = errors.New("not a segment of a recording")

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrFormat, what) }

// boxes are written one into another.
type boxes struct {
	b    []byte
	open []int // where the open ones start
}

func (w *boxes) begin(name string) {
	w.open = append(w.open, len(w.b))
	w.b = append(w.b, 0, 0, 0, 0)
	w.b = append(w.b, name...)
}

// full begins a box that has a version and flags.
func (w *boxes) full(name string, version uint8, flags uint32) {
	w.begin(name)
	w.u32(uint32(version)<<24 | flags)
}

func (w *boxes) end() {
	at := w.open[len(w.open)-1]
	w.open = w.open[:len(w.open)-1]
	binary.BigEndian.PutUint32(w.b[at:], uint32(len(w.b)-at))
}

func (w *boxes) u8(v ...uint8)   { w.b = append(w.b, v...) }
func (w *boxes) u16(v uint16)    { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *boxes) u64(v uint64)    { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *boxes) text(s string)   { w.b = append(w.b, s...) }
func (w *boxes) bytes(b []byte)  { w.b = append(w.b, b...) }
func (w *boxes) zeros(count int) { w.b = append(w.b, make([]byte, count)...) }

func (w *boxes) u32(v ...uint32) {
	for _, x := range v {
		w.b = binary.BigEndian.AppendUint32(w.b, x)
	}
}

func (w *boxes) matrix() { w.u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000) }

// next splits a list of boxes.
func next(b []byte) (name string, body, rest []byte, err error) {
	if len(b) < 8 {
		return "", nil, nil, malformed("a box is cut off")
	}
	size := binary.BigEndian.Uint32(b)
	if size < 8 || uint64(size) > uint64(len(b)) {
		return "", nil, nil, malformed("a box is longer than what it is in")
	}
	return string(b[4:8]), b[8:size], b[size:], nil
}

// each calls back with every box of a list.
func each(b []byte, do func(name string, body []byte) error) error {
	for len(b) > 0 {
		name, body, rest, err := next(b)
		if err != nil {
			return err
		}
		if err := do(name, body); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// find goes down a path of boxes.
func find(b []byte, path ...string) ([]byte, error) {
	for _, want := range path {
		var found []byte
		err := each(b, func(name string, body []byte) error {
			if name == want && found == nil {
				found = body
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if found == nil {
			return nil, malformed("there is no " + want)
		}
		b = found
	}
	return b, nil
}

// reader reads numbers; it is over at the first that is missing.
type reader struct {
	b    []byte
	over bool
}

func (r *reader) take(n int) []byte {
	if r.over || n > len(r.b) {
		r.over = true
		return make([]byte, min(n, 8))
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() uint8   { return r.take(1)[0] }
func (r *reader) u16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }
