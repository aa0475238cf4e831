package picture

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	_ "golang.org/x/image/webp" // decoded here
)

// secret must not come through.
const secret = "52.5N 13.4E, Ada's phone"

func painted(w, h int) *image.Paletted {
	m := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{color.Black, color.White, color.RGBA{200, 30, 60, 255}, color.RGBA{3, 200, 90, 255}})
	for i := range m.Pix {
		m.Pix[i] = byte(i * 7 / 5 % 4)
	}
	return m
}

// tiff is EXIF with an orientation between other entries.
func tiff(order binary.AppendByteOrder, orientation uint16) []byte {
	b := []byte("II")
	if order.AppendUint16(nil, 1)[0] == 0 {
		b = []byte("MM")
	}
	b = order.AppendUint32(order.AppendUint16(b, 42), 8)
	b = order.AppendUint16(b, 3)
	entry := func(tag, kind uint16, count, value uint32) {
		b = order.AppendUint32(order.AppendUint16(order.AppendUint16(b, tag), kind), count)
		if kind == 3 {
			b = append(order.AppendUint16(b, uint16(value)), 0, 0)
		} else {
			b = order.AppendUint32(b, value)
		}
	}
	entry(0x010f, 2, uint32(len(secret)), 50)
	entry(0x0112, 3, 1, uint32(orientation))
	entry(0x8825, 4, 1, 80)
	b = order.AppendUint32(b, 0)
	return append(append(b, secret...), bytes.Repeat([]byte{0x12}, 300)...)
}

func segment(mark byte, parts ...string) []byte {
	body := strings.Join(parts, "")
	return append([]byte{0xff, mark, byte((len(body) + 2) >> 8), byte(len(body) + 2)}, body...)
}

// insert puts parts behind the first n bytes.
func insert(b []byte, n int, parts ...[]byte) []byte {
	return slices.Concat(b[:n], bytes.Join(parts, nil), b[n:])
}

func jpegOf(t testing.TB, extra ...[]byte) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, painted(97, 61), nil); err != nil {
		t.Fatal(err)
	}
	return insert(b.Bytes(), 2, extra...)
}

func pngOf(t testing.TB, extra ...[]byte) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, painted(97, 61)); err != nil {
		t.Fatal(err)
	}
	return insert(b.Bytes(), 33, extra...)
}

func gifOf(t testing.TB, extra ...[]byte) []byte {
	var b bytes.Buffer
	m := painted(97, 61)
	all := &gif.GIF{Image: []*image.Paletted{m, m}, Delay: []int{3, 3}, Config: image.Config{ColorModel: m.Palette, Width: 97, Height: 61}}
	if err := gif.EncodeAll(&b, all); err != nil {
		t.Fatal(err)
	}
	return insert(b.Bytes(), 13+3*4, extra...)
}

func chunk(kind, body string) []byte { return pngChunkOf(kind, []byte(body)) }

func part(kind, body string) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(body)))
	return append(append(b, body...), make([]byte, len(body)%2)...)
}

// webpOf is a picture of one pixel between other chunks.
func webpOf(t testing.TB, before, after [][]byte) []byte {
	b, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		t.Fatal(err)
	}
	body := slices.Concat(part("VP8X", "\x2c\x00\x00\x00\x00\x00\x00\x00\x00\x00"), bytes.Join(before, nil), b[12:], bytes.Join(after, nil))
	return slices.Concat([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(len(body)+4)), []byte("WEBP"), body)
}

// blocks are pieces of a GIF extension.
func blocks(head string, text string) []byte {
	b := []byte(head)
	for piece := range slices.Chunk([]byte(text), 255) {
		b = append(append(b, byte(len(piece))), piece...)
	}
	return append(b, 0)
}

var (
	little = binary.LittleEndian
	big    = binary.BigEndian
	xmp    = "http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>" + secret + "</x:xmpmeta>"
)

// TestStrip holds that nothing that is told beside a picture comes through, that
// what is seen is the same, and that it lies as before.
func TestStrip(t *testing.T) {
	profile := "ICC_PROFILE\x00\x01\x01" + strings.Repeat("colour", 100)
	for _, tt := range []struct {
		name, mime string
		content    []byte
		keeps      string // what must be there
		turned     byte   // the orientation that is left; 0: none is said
	}{
		{"plain", "image/jpeg", jpegOf(t), "", 0},
		{"EXIF", "image/jpeg", jpegOf(t, segment(0xe1, "Exif\x00\x00", string(tiff(little, 6)))), "", 6},
		{"EXIF of the other order", "image/jpg", jpegOf(t, segment(0xe1, "Exif\x00\x00", string(tiff(big, 3)))), "", 3},
		{"EXIF upright", "image/jpeg", jpegOf(t, segment(0xe1, "Exif\x00\x00", string(tiff(big, 1)))), "", 0},
		{"EXIF, nonsense", "image/jpeg", jpegOf(t, segment(0xe1, "Exif\x00\x00", string(tiff(big, 77)))), "", 0},
		{"EXIF cut short", "image/jpeg", jpegOf(t, segment(0xe1, "Exif\x00\x00", string(tiff(big, 6)[:15]))), "", 0},
		{"EXIF twice", "image/jpeg", jpegOf(t, segment(0xe1, "Exif\x00\x00", string(tiff(little, 8))), segment(0xe1, "Exif\x00\x00", string(tiff(little, 3)))), "", 8},
		{"the largest segment", "image/jpeg", jpegOf(t, segment(0xe1, "Exif\x00\x00", string(tiff(little, 6)), strings.Repeat("x", 65533-6-len(tiff(little, 6))))), "", 6},
		{"XMP, comment, IPTC, MPF, maker", "image/jpeg", jpegOf(t, segment(0xe1, xmp), segment(0xfe, secret), segment(0xed, "Photoshop 3.0\x00", secret),
			segment(0xe2, "MPF\x00", secret), segment(0xef, secret)), "", 0},
		{"JFIF with a small copy", "image/jpeg", jpegOf(t, segment(0xe0, "JFIF\x00\x01\x02\x00\x00\x48\x00\x48\x03\x03", secret+"xxx"), segment(0xe0, "JFXX\x00", secret)),
			"JFIF\x00\x01\x02\x00\x00\x48\x00\x48\x00\x00", 0},
		{"colours", "image/jpeg", jpegOf(t, segment(0xe2, profile), segment(0xee, "Adobe\x00\x64\x00\x00\x00\x00\x01", secret)), profile, 0},
		{"fill bytes and nonsense between", "image/jpeg", jpegOf(t, []byte(secret+"\xff\xff\xff\xff"), segment(0xfe, secret)[1:]), "", 0},
		{"behind the end", "image/jpeg", append(jpegOf(t), jpegOf(t, segment(0xfe, secret))...), "", 0},

		{"plain", "image/png", pngOf(t), "", 0},
		{"text and time", "image/png", pngOf(t, chunk("tEXt", "Author\x00"+secret), chunk("iTXt", "XML:com.adobe.xmp\x00"+secret), chunk("zTXt", secret), chunk("tIME", "1234567"), chunk("prVt", secret)), "", 0},
		{"EXIF", "image/png", pngOf(t, chunk("eXIf", string(tiff(big, 5)))), "", 5},
		{"colours", "image/png", pngOf(t, chunk("gAMA", "\x00\x00\xb1\x8f"), chunk("pHYs", "123456789")), "gAMA", 0},
		{"behind the end", "image/png", append(pngOf(t), secret...), "", 0},

		{"plain", "image/webp", webpOf(t, nil, nil), "", 0},
		{"EXIF and XMP", "image/webp", webpOf(t, [][]byte{part("ICCP", "abc")}, [][]byte{part("EXIF", string(tiff(little, 7))), part("XMP ", secret+"!")}), "ICCP", 7},
		{"EXIF with a mark", "image/webp", webpOf(t, nil, [][]byte{part("EXIF", "Exif\x00\x00"+string(tiff(big, 2))), part("EXIF", secret)}), "", 2},
		{"others", "image/webp", append(webpOf(t, [][]byte{part("note", secret)}, [][]byte{part("EXIF", "short")}), secret...), "", 0},

		{"plain", "image/gif", gifOf(t), "NETSCAPE2.0", 0},
		{"comment, XMP, text", "image/gif", gifOf(t, blocks("\x21\xfe", strings.Repeat(secret, 30)), blocks("\x21\xff\x0bXMP DataXMP", secret), blocks("\x21\x01\x0c123456789abc", secret)), "NETSCAPE2.0", 0},
		{"behind the end", "image/gif", append(gifOf(t), secret...), "", 0},
	} {
		t.Run(tt.mime+" "+tt.name, func(t *testing.T) {
			for _, in := range []io.Reader{bytes.NewReader(tt.content), iotest.OneByteReader(bytes.NewReader(tt.content))} {
				got, err := io.ReadAll(Strip(tt.mime, in))
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(got, []byte(secret[:8])) || !bytes.Contains(got, []byte(tt.keeps)) {
					t.Errorf("what comes through is %q", got)
				}
				if bytes.Contains(got, []byte("\x12\x12\x12\x12")) {
					t.Error("more of EXIF than the orientation comes through")
				}
				at := bytes.Index(got, []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"))
				if turned := at >= 0 && got[at+19] > 1; turned != (tt.turned != 0) || turned && got[at+19] != tt.turned {
					t.Errorf("orientation at %d, want %d", at, tt.turned)
				}
				same(t, tt.content, got)
				again, err := io.ReadAll(Strip(tt.mime, bytes.NewReader(got)))
				if err != nil || !bytes.Equal(again, got) {
					t.Errorf("it is not at rest: %v", err)
				}
				if tt.name == "plain" && tt.mime != "image/webp" && !bytes.Equal(got, tt.content) {
					t.Error("a picture that tells nothing became another")
				}
			}
		})
	}
}

// same compares what is seen.
func same(t *testing.T, a, b []byte) {
	t.Helper()
	m, _, err := image.Decode(bytes.NewReader(a))
	if err != nil {
		t.Fatalf("the picture of the test: %v", err)
	}
	n, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("what came of it: %v", err)
	}
	if m.Bounds() != n.Bounds() {
		t.Fatalf("%v became %v", m.Bounds(), n.Bounds())
	}
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			if m.At(x, y) != n.At(x, y) {
				t.Fatalf("the pixel at %d, %d is another", x, y)
			}
		}
	}
	if g, err := gif.DecodeAll(bytes.NewReader(a)); err == nil {
		if h, err := gif.DecodeAll(bytes.NewReader(b)); err != nil || len(g.Image) != len(h.Image) || g.LoopCount != h.LoopCount || !slices.Equal(g.Delay, h.Delay) {
			t.Errorf("another animation: %v", err)
		}
	}
}

func TestStripRefuses(t *testing.T) {
	for mime, contents := range map[string][]string{
		"image/jpeg": {"", "\xff", "GIF89a", "\xff\xd8\xff\xe1\x00\x01"},
		"image/png":  {"", "\x89PNG", "\xff\xd8\xff\xe0", "\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR", "\x89PNG\r\n\x1a\n\x00\x00\x00\x01<htm"},
		"image/webp": {"", "RIFF", "RIFF\x08\x00\x00\x00WAVEfmt ", "RIFF\x00\x00\x00\x00WEBP"},
		"image/gif":  {"", "GIF89", "GIF90a\x00\x00\x00\x00\x00\x00\x00"},
	} {
		for _, content := range contents {
			if got, err := io.ReadAll(Strip(mime, strings.NewReader(content))); !errors.Is(err, ErrFormat) {
				t.Errorf("%s %q became %q, %v", mime, content, got, err)
			}
		}
	}
	broken := errors.New("gone")
	for mime, content := range map[string][]byte{"image/jpeg": jpegOf(t), "image/png": pngOf(t), "image/webp": webpOf(t, nil, nil), "image/gif": gifOf(t)} {
		for n := range content {
			in := io.MultiReader(bytes.NewReader(content[:n]), iotest.ErrReader(broken))
			if _, err := io.ReadAll(Strip(mime, in)); !errors.Is(err, broken) {
				t.Fatalf("%s cut off after %d: %v", mime, n, err)
			}
		}
	}
	if Strip("image/svg+xml", strings.NewReader("")) != nil || Strip("video/mp4", strings.NewReader("")) != nil {
		t.Error("others are read as pictures")
	}
}

func FuzzStrip(f *testing.F) {
	mimes := []string{"image/jpeg", "image/png", "image/webp", "image/gif"}
	f.Add(byte(0), jpegOf(f, segment(0xe1, "Exif\x00\x00", string(tiff(little, 6))), segment(0xfe, secret)))
	f.Add(byte(1), pngOf(f, chunk("eXIf", string(tiff(big, 5))), chunk("tEXt", secret)))
	f.Add(byte(2), webpOf(f, nil, [][]byte{part("EXIF", string(tiff(big, 2))), part("XMP ", secret)}))
	f.Add(byte(3), gifOf(f, blocks("\x21\xfe", secret)))
	f.Fuzz(func(t *testing.T, kind byte, content []byte) {
		mime := mimes[int(kind)%len(mimes)]
		got, err := io.ReadAll(Strip(mime, bytes.NewReader(content)))
		if err != nil && !errors.Is(err, ErrFormat) {
			t.Fatal(err)
		}
		if len(got) > len(content)+64 {
			t.Fatalf("%d bytes became %d", len(content), len(got))
		}
		if err != nil {
			return
		}
		again, err := io.ReadAll(Strip(mime, bytes.NewReader(got)))
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%x became %x and then %x, %v", content, got, again, err)
		}
		c, name, err := image.DecodeConfig(bytes.NewReader(content))
		if err != nil || c.Width*c.Height > 1<<14 || "image/"+name != mime {
			return
		}
		if _, _, err := image.Decode(bytes.NewReader(content)); err == nil {
			same(t, content, got)
		}
	})
}
