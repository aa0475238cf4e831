package picture

// Blocks of GIF89a.
const (
	gifHead      = 13
	gifImage     = 0x2c
	gifExtension = 0x21
	gifTrailer   = 0x3b
	gifControl   = 0xf9
	gifApp       = 0xff

	gifImageHead = 10
	gifAppHead   = 14
)

// gifKept are the applications whose blocks browsers look at: how often frames are
// repeated, and colours.
var gifKept = map[string]bool{"NETSCAPE2.0": true, "ANIMEXTS1.0": true, "ICCRGBG1012": true}

func gifStart(r *Reader) error {
	b, err := r.in.Peek(gifHead)
	if err != nil {
		return orFormat(err)
	}
	if s := string(b[:6]); s != "GIF87a" && s != "GIF89a" {
		return ErrFormat
	}
	r.plain, r.step = gifHead+palette(b[10]), gifBlock
	return nil
}

// palette is how long the table of colours is that flags tell of.
func palette(flags byte) int64 {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

// gifBlock takes one block. What is none ends the picture, as it does for
// decoders.
func gifBlock(r *Reader) error {
	b, err := r.in.Peek(2)
	if len(b) == 0 {
		return err
	}
	switch {
	case b[0] == 0: // an empty block too many
		return r.skip(1)
	case b[0] == gifImage:
		head, err := r.in.Peek(gifImageHead)
		if err != nil {
			return r.rest(head, err)
		}
		r.plain, r.step = gifImageHead+palette(head[9])+1, gifKeep // with the size of codes
	case b[0] == gifExtension && err == nil:
		return r.gifExtra(b[1])
	default:
		r.out, r.step = []byte{gifTrailer}, finish
	}
	return nil
}

func (r *Reader) gifExtra(label byte) error {
	r.step = gifDrop
	switch label {
	case gifControl:
		r.plain, r.step = 2, gifKeep
		return nil
	case gifApp:
		b, err := r.in.Peek(gifAppHead)
		if err != nil {
			return err
		}
		if gifKept[string(b[3:])] {
			r.plain, r.step = 2, gifKeep
			return nil
		}
	}
	return r.skip(2)
}

// gifKeep passes the pieces of a block on, up to the empty one that ends it.
func gifKeep(r *Reader) error {
	b, err := r.in.Peek(1)
	if err != nil {
		return err
	}
	r.plain = 1 + int64(b[0])
	if b[0] == 0 {
		r.step = gifBlock
	}
	return nil
}

func gifDrop(r *Reader) error {
	n, err := r.in.ReadByte()
	if err != nil {
		return err
	}
	if n == 0 {
		r.step = gifBlock
		return nil
	}
	return r.skip(int64(n))
}
