package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"mime"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rookery-chat/rookery/actors/dispatch"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// nobody has no actors: pictures of users need none.
type nobody struct{}

func (nobody) Ask(context.Context, string, string, any) (any, error) {
	return nil, protocol.ErrUnavailable
}

// cabinet is an edge with a database and a directory for files.
type cabinet struct {
	t    *testing.T
	addr string
	dir  string
	db   *persistence.DB
	s    *Server
}

func newCabinet(t *testing.T) *cabinet {
	t.Helper()
	c := &cabinet{t: t, dir: t.TempDir(), db: pgtest.New(t)}
	blobs, err := persistence.OpenBlobs(t.Context(), persistence.BlobConfig{Dir: c.dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blobs.Close() })
	if _, err := c.db.Pool().Exec(t.Context(), `INSERT INTO app_user (id, username, password_hash) VALUES ($1, 'ada', 'x')`, adaCall.UserID); err != nil {
		t.Fatal(err)
	}
	key := protocol.FileSigner("key of links")
	ops := dispatch.New(dispatch.Config{Cluster: nobody{}, DB: c.db, Files: key})
	cfg := Config{Do: ops.Do, Gate: testGate{}, DB: c.db, Blobs: blobs, Files: key, NoRateLimits: true}
	c.s = New(cfg)
	c.s.uploadStep = time.Second
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = c.s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = c.s.Shutdown(ctx)
		<-done
	})
	c.addr = l.Addr().String()
	return c
}

// drawing is a PNG.
func drawing(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 20, 20))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// form is an upload as the client sends it: the file first.
func form(name, kind string, content []byte, fields string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name + "\"\r\nContent-Type: " + kind + "\r\n\r\n" + string(content) +
		"\r\n--b\r\nContent-Disposition: form-data; name=\"resourceType\"\r\n\r\n" + fields + "\r\n--b--\r\n"
}

func (c *cabinet) upload(body string) answer {
	return call(c.t, c.addr, "POST", "/api/file-upload", body, "Authorization: Bearer good", "Content-Type: multipart/form-data; boundary=b")
}

func (c *cabinet) files() (n int) {
	_ = filepath.WalkDir(c.dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return nil
	})
	return n
}

func (c *cabinet) used() (bytes int64) {
	c.t.Helper()
	if err := c.db.Pool().QueryRow(c.t.Context(), `SELECT storage_used_bytes FROM app_user WHERE id = $1`, adaCall.UserID).Scan(&bytes); err != nil {
		c.t.Fatal(err)
	}
	return bytes
}

func TestUpload(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	small := drawing(t)
	for _, tt := range []struct {
		name, body string
		status     int
		text       string
	}{
		{"another content", form("a.png", "image/png", []byte("<html>"), "USER_AVATAR"), 422, "Invalid file type. Images only (JPEG, PNG, GIF, WebP), max 10MB"},
		{"another picture", form("a.jpg", "image/jpeg", small, "USER_AVATAR"), 422, "Invalid file type. Images only (JPEG, PNG, GIF, WebP), max 10MB"},
		{"no end of a part", form("a.jpg", "image/jpeg", []byte("\xff\xd8\xff\xe1\x00\x01"), "USER_AVATAR"), 422, "Invalid file type. Images only (JPEG, PNG, GIF, WebP), max 10MB"},
		{"half a picture", form("a.png", "image/png", small[:20], "USER_AVATAR"), 422, "Invalid file type. Images only (JPEG, PNG, GIF, WebP), max 10MB"},
		{"another type", form("a", "font/woff", []byte("wOFF"), "USER_AVATAR"), 422,
			"Validation failed (current file type is font/woff, expected type is /^(image|video|audio|application|text)/)"},
		{"clip", form("a.png", "image/png", small, "REPLAY_CLIP"), 422, "Invalid resource type: REPLAY_CLIP"},
		{"no resource", form("a.png", "image/png", small, ""), 400, "resourceType must be one of the following values: USER_AVATAR, USER_BANNER, "},
		{"large", form("a.png", "image/png", append(small[:len(small):len(small)], make([]byte, 11<<20)...), "USER_AVATAR"), 422,
			"File too large (11.00MB). Maximum allowed size is 10.00MB for USER_AVATAR"},
		{"cut off", strings.TrimSuffix(form("a.png", "image/png", small, "USER_AVATAR"), "--b--\r\n"), 400, "request aborted"},
		{"no file", "--b--\r\n", 422, "File is required"},
	} {
		a := c.upload(tt.body)
		if a.status != tt.status || !strings.Contains(a.body, tt.text) || c.files() != 0 || c.used() != 0 {
			t.Errorf("%s: %d %s, %d files, %d bytes", tt.name, a.status, a.body, c.files(), c.used())
		}
	}
	a := c.upload(form("../ü\u202e.png", "image/png", small, "USER_AVATAR"))
	var f protocol.File
	if err := json.Unmarshal([]byte(a.body), &f); err != nil || a.status != 201 || f.Filename != "ü.png" || c.files() != 1 || c.used() != int64(len(small)) {
		t.Fatalf("upload: %d %s, %d files, %d bytes", a.status, a.body, c.files(), c.used())
	}
	if a := call(t, c.addr, "DELETE", "/api/file-upload/"+f.ID.String(), "", "Authorization: Bearer good"); a.status != 200 || c.used() != 0 {
		t.Errorf("deletion: %d %s, %d bytes", a.status, a.body, c.used())
	}
}

// Whatever a file is called, it is taken, under a name that can be shown.
func TestUploadNames(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	small := drawing(t)
	for _, tt := range []struct{ param, want string }{
		{`filename="a.png"`, "a.png"},
		{"filename=\"a\x01\x02b\x1f\x7f.png\"", "ab.png"},
		{"filename=\"a\x00b.png\"", "ab.png"},
		{"filename=\"a\tb.png\"", "ab.png"},
		{"filename=\"a\rb.png\"", "ab.png"},
		{"filename=\"a\u0085\u009fb.png\"", "ab.png"},
		{`filename="a%0D%0Ab.png"`, "a%0D%0Ab.png"},
		{`filename="a\"b.png"`, `a"b.png`},
		{`filename="a%22b.png"`, "a%22b.png"},
		{`filename="../../etc/passwd.png"`, "passwd.png"},
		{`filename="C:\\Users\\ada\\a.png"`, "a.png"},
		{`filename="/"`, "file"},
		{`filename=".."`, "file"},
		{`filename="   "`, "file"},
		{"filename=\"invoice\u202egnp.exe\"", "invoicegnp.exe"},
		{"filename=\"\u2067a\u2069\u200f.png\"", "a.png"},
		{"filename=\"\xff\xfe.png\"", "\uFFFD.png"},
		{`filename="` + strings.Repeat("日", 300) + `.png"`, strings.Repeat("日", 251) + ".png"},
		{`filename="` + strings.Repeat("x", 5000) + `"`, strings.Repeat("x", 255)},
		{"filename*=UTF-8''%C3%BC%20%01a.png", "ü a.png"},
		{"filename=\"plain.png\"; filename*=UTF-8''%E6%97%A5.png", "日.png"},
		{`filename*0="first "; filename*1="second.png"`, "first second.png"},
	} {
		body := strings.Replace(form("NAME", "image/png", small, "USER_AVATAR"), `filename="NAME"`, tt.param, 1)
		a := c.upload(body)
		var f protocol.File
		if err := json.Unmarshal([]byte(a.body), &f); err != nil || a.status != 201 || f.Filename != tt.want {
			t.Errorf("%q: %d %.300s, want %q", tt.param, a.status, a.body, tt.want)
			continue
		}
		a = call(t, c.addr, "GET", "/api/file/"+f.ID.String(), "", "Authorization: Bearer good")
		if _, params, err := mime.ParseMediaType(a.header.Get("Content-Disposition")); err != nil || params["filename"] != tt.want || a.body != string(small) {
			t.Errorf("%q is served as %q with %d bytes, %v", tt.want, params["filename"], len(a.body), err)
		}
	}
	for _, param := range []string{`filename=""`, "filename=\"\x01\"", `filename="a"b.png"`} {
		a := c.upload(strings.Replace(form("NAME", "image/png", small, "USER_AVATAR"), `filename="NAME"`, param, 1))
		if a.status != 422 && a.status != 400 {
			t.Errorf("%q: %d %s", param, a.status, a.body)
		}
	}
}

// Only headers of parts lose anything, however the body is cut into pieces.
func TestHeads(t *testing.T) {
	content := "\x00\x01\r\n--bc\r\nX: \x02\r\n\n--b\r\n\x03\r\n--b--x\r\n--b\x04\r\n" + strings.Repeat("\r\n--\x05", 10_000)
	sent := "--b\r\nA: x\x01y\tz\r\n\x02\r\n" + content + "\r\n--b\r\nB: \x7f\xc3\xa4\r\n\r\n" + content + "\r\n--b--\r\n\x06"
	want := "--b\r\nA: xy\tz\r\n\r\n" + content + "\r\n--b\r\nB: \xc3\xa4\r\n\r\n" + content + "\r\n--b--\r\n\x06"
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(sent), "bytes": iotest.OneByteReader(strings.NewReader(sent)), "halves": iotest.HalfReader(strings.NewReader(sent)),
	} {
		if got, err := io.ReadAll(newHeads(r, "b")); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v, want %d", name, len(got), err, len(want))
		}
	}
}

// What a picture tells beside what it shows is not stored, and does not count.
func TestUploadStripped(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 20, 20)), nil); err != nil {
		t.Fatal(err)
	}
	plain := b.Bytes()
	// A comment, and EXIF with the device and an orientation.
	exif := "Exif\x00\x00II*\x00\x08\x00\x00\x00\x02\x00\x0f\x01\x02\x00\x0a\x00\x00\x00\x26\x00\x00\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00Ada phone\x00"
	turned := "\xff\xe1\x00\x22Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
	sent := string(plain[:2]) + "\xff\xfe\x00\x06home\xff\xe1\x00" + string(rune(len(exif)+2)) + exif + string(plain[2:]) + "behind the end"
	want := string(plain[:2]) + turned + string(plain[2:])
	a := c.upload(form("a.jpg", "image/jpeg", []byte(sent), "USER_AVATAR"))
	var f protocol.File
	if err := json.Unmarshal([]byte(a.body), &f); err != nil || a.status != 201 {
		t.Fatalf("upload: %d %s", a.status, a.body)
	}
	sum := sha256.Sum256([]byte(want))
	if f.Size != int64(len(want)) || f.Checksum != hex.EncodeToString(sum[:]) || c.used() != f.Size {
		t.Errorf("%+v, %d bytes count, want %d", f, c.used(), len(want))
	}
	if a := call(t, c.addr, "GET", "/api/file/"+f.ID.String(), "", "Authorization: Bearer good"); a.body != want {
		t.Errorf("what is served is %q, want %q", a.body, want)
	}
}

// Of a hundred uploads at the same time as many succeed as there is room for.
func TestUploadQuotaAtOnce(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	small := drawing(t)
	if _, err := c.db.Pool().Exec(t.Context(), `UPDATE app_user SET storage_quota_bytes = $1`, 10*len(small)); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	count := map[int]int{}
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			a := c.upload(form("a.png", "image/png", small, "USER_AVATAR"))
			mu.Lock()
			defer mu.Unlock()
			count[a.status]++
		})
	}
	all.Wait()
	if count[201] != 10 || count[413] != 90 || c.used() != int64(10*len(small)) || c.files() != 10 {
		t.Errorf("answers %v, %d files, %d bytes of %d", count, c.files(), c.used(), 10*len(small))
	}
}

// Who stops sending is not waited for, and nothing of it stays.
func TestUploadSlow(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/file-upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Type: multipart/form-data; boundary=b\r\n"+
		"Content-Length: 1000000\r\n\r\n%s", strings.TrimSuffix(form("a.png", "image/png", drawing(t), ""), "\r\n--b--\r\n"))
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	answer := make([]byte, 12)
	if n, err := conn.Read(answer); err != nil || string(answer[:n]) != "HTTP/1.1 400" {
		t.Errorf("answer %q, %v", answer[:n], err)
	}
	if n := c.files(); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestServeFile(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	content := drawing(t)
	var f protocol.File
	if err := json.Unmarshal([]byte(c.upload(form(`a b.png`, "image/png", content, "USER_AVATAR")).body), &f); err != nil {
		t.Fatal(err)
	}
	size := len(content)
	tag := `"` + f.Checksum + `"`
	piece := func(a, b int) string { return string(content[a : b+1]) }
	for _, tt := range []struct {
		name   string
		header []string
		status int
		body   string
		want   string // Content-Range
	}{
		{"whole", nil, 200, string(content), ""},
		{"range", []string{"Range: bytes=10-19"}, 206, piece(10, 19), fmt.Sprintf("bytes 10-19/%d", size)},
		{"to the end", []string{fmt.Sprintf("Range: bytes=%d-", size-5)}, 206, piece(size-5, size-1), fmt.Sprintf("bytes %d-%d/%d", size-5, size-1, size)},
		{"suffix", []string{"Range: bytes=-5"}, 206, piece(size-5, size-1), fmt.Sprintf("bytes %d-%d/%d", size-5, size-1, size)},
		{"behind the end", []string{fmt.Sprintf("Range: bytes=%d-", size)}, 416, "", fmt.Sprintf("bytes */%d", size)},
		{"backwards", []string{"Range: bytes=20-10"}, 416, "", fmt.Sprintf("bytes */%d", size)},
		{"another unit", []string{"Range: items=0-5"}, 200, string(content), ""},
		{"too many", []string{"Range: bytes=" + strings.Repeat("0-1,", 50) + "0-1"}, 200, string(content), ""},
		{"if it is the same", []string{"Range: bytes=0-1", "If-Range: " + tag}, 206, piece(0, 1), fmt.Sprintf("bytes 0-1/%d", size)},
		{"if it were another", []string{"Range: bytes=0-1", `If-Range: "x"`}, 200, string(content), ""},
		{"known", []string{"If-None-Match: " + tag}, 304, "", ""},
		{"wrong condition", []string{`If-Match: "x"`}, 412, "", ""},
	} {
		a := call(t, c.addr, "GET", "/api/file/"+f.ID.String(), "", append(tt.header, "Authorization: Bearer good")...)
		if a.status != tt.status || a.body != tt.body || a.header.Get("Content-Range") != tt.want {
			t.Errorf("%s: %d with %d bytes, %v", tt.name, a.status, len(a.body), a.header)
		}
	}
	a := call(t, c.addr, "GET", "/api/file/"+f.ID.String(), "", "Authorization: Bearer good")
	for name, want := range map[string]string{
		"Content-Type": "image/png", "Etag": tag, "Cache-Control": "private, max-age=31536000, immutable", "Content-Security-Policy": "sandbox",
		"Content-Disposition": `inline; filename="a b.png"; filename*=UTF-8''a%20b.png`, "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Resource-Policy": "cross-origin", "Accept-Ranges": "bytes",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	several := call(t, c.addr, "GET", "/api/file/"+f.ID.String(), "", "Range: bytes=0-4, 10-14", "Authorization: Bearer good")
	if several.status != 206 || !strings.HasPrefix(several.header.Get("Content-Type"), "multipart/byteranges; boundary=") ||
		strings.Count(several.body, "Content-Range: bytes ") != 2 {
		t.Errorf("several ranges: %d %v", several.status, several.header)
	}
	var link protocol.SignedURL
	signed := call(t, c.addr, "GET", "/api/file/"+f.ID.String()+"/signed-url", "", "Authorization: Bearer good")
	if err := json.Unmarshal([]byte(signed.body), &link); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		target string
		status int
		text   string
	}{
		{link.URL, 200, ""},
		{strings.Replace(link.URL, "sig=", "sig=0", 1), 401, "Invalid or expired signed URL"},
		{strings.Replace(link.URL, "&uid=", "&u=", 1), 401, "Missing signed URL parameters"},
		{strings.Replace(link.URL, "exp=", "exp=x", 1), 401, "Invalid signed URL"},
		{"/api/file/" + f.ID.String(), 401, "Authentication required"},
	} {
		if a := call(t, c.addr, "GET", tt.target, ""); a.status != tt.status || !strings.Contains(a.body, tt.text) {
			t.Errorf("%s: %d %s", tt.target, a.status, a.body)
		}
	}
	if err := os.RemoveAll(c.dir); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "HEAD"} {
		if a := call(t, c.addr, method, "/api/file/"+f.ID.String(), "", "Authorization: Bearer good"); a.status != 404 {
			t.Errorf("%s of lost bytes: %d", method, a.status)
		}
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind, head string
		want       bool
	}{
		{"image/png", "\x89PNG\r\n\x1a\n", true}, {"image/jpeg", "\x89PNG\r\n\x1a\n", false}, {"image/gif", "GIF89a", true},
		{"image/webp", "RIFF\x00\x00\x00\x00WEBPVP8 ", true}, {"image/jpg", "\xff\xd8\xff\xe0", true},
		{"image/svg+xml", "<?xml version='1.0'?><svg xmlns='x'></svg>", true}, {"image/svg+xml", "<html></html>", false},
		{"video/mp4", "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00", true}, {"video/quicktime", "\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00", true},
		{"video/mp4", "#EXTM3U\n", false}, {"video/mp4", "\x00\x00\x00\x18ftypavif\x00\x00\x00\x00", false}, {"application/pdf", "%PDF-1.7", true},
		{"audio/mpeg", "ID3\x04", true}, {"audio/mpeg", "\xff\xfa\x90", true}, {"audio/mpeg", "MZ\x90", false},
		{"text/plain", "hello", true}, {"text/plain", "<script>", true}, {"text/plain", "\x00\x01\x02\x03\xff", false}, {"text/csv", "a,b\n1,2\n", true},
		{"application/zip", "PK\x03\x04", true}, {"application/zip", "hello", false}, {"application/x-compressed", "\x1f\x9d", true},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "PK\x03\x04", true},
	} {
		if got := fits(tt.kind, []byte(tt.head)); got != tt.want {
			t.Errorf("%s with %q: %v", tt.kind, tt.head, got)
		}
	}
}
