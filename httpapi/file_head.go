package httpapi

import (
	"bufio"
	"bytes"
	"io"
)

// headBuffer holds a line of a part's headers, with a name of 255 characters in
// any encoding.
const headBuffer = 16 << 10

// heads reads a multipart body with the control characters taken out of the
// headers of its parts: names of files have them, browsers send them as they are,
// and mime/multipart refuses the whole part. The content of parts is not touched:
// headers are only what follows a delimiter just as RFC 2046 and browsers write
// it; what is written otherwise passes as it came.
type heads struct {
	r         *bufio.Reader
	delimiter []byte // with the line ends around it
	begun     bool
	inside    bool // of headers

	out   []byte // comes first
	plain int    // then so many bytes as they are
	err   error  // then this
}

func newHeads(r io.Reader, boundary string) *heads {
	return &heads{r: bufio.NewReaderSize(r, headBuffer), delimiter: []byte("\r\n--" + boundary + "\r\n")}
}

func (h *heads) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		switch {
		case len(h.out) > 0:
			n := copy(p, h.out)
			h.out = h.out[n:]
			return n, nil
		case h.plain > 0:
			n, err := h.r.Read(p[:min(len(p), h.plain)])
			h.plain -= n
			return n, err
		case h.err != nil:
			return 0, h.err
		case !h.begun:
			h.begin()
		case h.inside:
			h.line()
		default:
			h.content()
		}
	}
}

// begin looks whether the first delimiter is where the body begins.
func (h *heads) begin() {
	h.begun = true
	first := h.delimiter[2:]
	if b, _ := h.r.Peek(len(first)); bytes.Equal(b, first) { // an error comes again
		h.plain, h.inside = len(first), true
	}
}

// line passes a header on; an empty one ends them.
func (h *heads) line() {
	line, err := h.r.ReadSlice('\n')
	h.out = bytes.Clone(line)
	if err != nil { // no end in sight
		h.inside = false
		if err != bufio.ErrBufferFull { //nolint:errorlint // never wrapped
			h.err = err
		}
		return
	}
	text := bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
	end := line[len(text):]
	clean := make([]byte, 0, len(line))
	for _, c := range text {
		if c >= ' ' && c != 0x7f || c == '\t' {
			clean = append(clean, c)
		}
	}
	h.inside = len(clean) > 0
	clean = append(clean, end...)
	h.out = clean
}

// content passes on what is before the next delimiter, and it.
func (h *heads) content() {
	b, err := h.r.Peek(len(h.delimiter))
	if err != nil {
		h.plain, h.err = len(b), err
		return
	}
	b, _ = h.r.Peek(h.r.Buffered()) // more may be there
	if at := bytes.Index(b, h.delimiter); at >= 0 {
		h.plain, h.inside = at+len(h.delimiter), true
		return
	}
	h.plain = len(b) - len(h.delimiter) + 1
}
