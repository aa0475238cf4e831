package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	be "encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/persistence/s3test"
	"github.com/rookery-chat/rookery/protocol"
)

// pixel is a PNG of one pixel.
var pixel = func() []byte {
	b, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
	if err != nil {
		panic(err)
	}
	return b
}()

// uploadBody is a form as the client sends it: the file first.
func uploadBody(part, name, mimeType string, content io.Reader, fields map[string]any) (body io.Reader, contentType string) {
	var head, tail bytes.Buffer
	w := multipart.NewWriter(&head)
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", fmt.Sprintf(`form-data; name="%s"; filename="%s"`, part, name))
	if mimeType != "" {
		h.Set("Content-Type", mimeType)
	}
	_, _ = w.CreatePart(h) // a buffer takes everything
	w2 := multipart.NewWriter(&tail)
	_ = w2.SetBoundary(w.Boundary())
	tail.WriteString("\r\n")
	for name, v := range fields {
		_ = w2.WriteField(name, fmt.Sprint(v))
	}
	_ = w2.Close()
	return io.MultiReader(&head, content, &tail), w.FormDataContentType()
}

// uploader uploads as a user.
type uploader struct {
	t     *testing.T
	n     *node
	token string
}

func (u uploader) try(name, mimeType string, content io.Reader, fields map[string]any) answer {
	u.t.Helper()
	body, kind := uploadBody("file", name, mimeType, content, fields)
	return u.send(body, kind)
}

func (u uploader) send(body io.Reader, kind string) answer {
	u.t.Helper()
	req, err := http.NewRequestWithContext(within(u.t), "POST", u.n.url()+"/api/file-upload", body)
	if err != nil {
		u.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if u.token != "" {
		req.Header.Set("Authorization", "Bearer "+u.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	return answer{res.StatusCode, string(text)}
}

// must is an upload that has to succeed.
func (u uploader) must(name, mimeType string, content []byte, fields map[string]any) protocol.File {
	u.t.Helper()
	a := u.try(name, mimeType, bytes.NewReader(content), fields)
	var f protocol.File
	if err := json.Unmarshal([]byte(a.body), &f); err != nil || a.status != http.StatusCreated {
		u.t.Fatalf("upload %s: %s", name, a)
	}
	return f
}

// stored is what lies in the directory for files of a node, finished or not.
func (n *node) stored() []string {
	return filesUnder(filepath.Join(n.data, uploadsDir))
}

func filesUnder(dir string) []string {
	var paths []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, path)
		}
		return nil
	})
	return paths
}

// used is what a user has of his quota, and how many files.
func (g *stage) used(t *testing.T, user string) (bytes int64, files int) {
	t.Helper()
	err := g.db.QueryRow(within(t), `SELECT storage_used_bytes, (SELECT count(*) FROM file WHERE uploaded_by = $1::uuid AND deleted_at IS NULL)
		FROM app_user WHERE id = $1::uuid`, user).Scan(&bytes, &files)
	if err != nil {
		t.Fatal(err)
	}
	return bytes, files
}

func (g *stage) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := g.db.Exec(within(t), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// zeros are n bytes of nothing.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func padded(head []byte, n int64) io.Reader {
	return io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, n-int64(len(head))))
}

// header is the beginning of a PNG with a size of its own.
func header(width, height uint32) []byte {
	chunk := be.BigEndian.AppendUint32([]byte("IHDR"), width)
	chunk = append(be.BigEndian.AppendUint32(chunk, height), 8, 6, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), chunk...)
	return be.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(chunk))
}

var mp4 = []byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom")

const mib = 1 << 20

// TestFileUploads holds every check of an upload against its text. Whatever is
// refused leaves nothing behind.
func TestFileUploads(t *testing.T) {
	url := pgtest.URL(t)
	n := startNode(t, "--database-url", url)
	testUploads(t, newStage(t, url, n), n, n.stored)
}

func testUploads(t *testing.T, g *stage, n *node, stored func() []string) {
	t.Helper()
	s := g.newScene(t, personaOf('m'))
	u := uploader{t, n, s.token}
	avatar := map[string]any{"resourceType": "USER_AVATAR", "resourceId": s.vars["me"]}
	attachment := map[string]any{"resourceType": "MESSAGE_ATTACHMENT", "resourceId": s.vars["own"]}
	for _, tt := range []struct {
		name, file, mime string
		content          io.Reader
		fields           map[string]any
		status           int
		text             string
	}{
		{"no picture", "a.html", "image/png", strings.NewReader("<html><script>alert(1)</script>"), attachment, 422,
			"Invalid file type. Images (25MB), Videos (500MB), Documents/Archives (100MB), Audio (50MB)"},
		{"a program", "a.txt", "text/plain", strings.NewReader("\x7fELF\x02\x01\x01\x00\x00\x00"), attachment, 422,
			"Invalid file type. Images (25MB), Videos (500MB), Documents/Archives (100MB), Audio (50MB)"},
		{"half a picture", "a.png", "image/png", bytes.NewReader(pixel[:16]), avatar, 422, "Invalid file type. Images only (JPEG, PNG, GIF, WebP), max 10MB"},
		{"bomb", "a.png", "image/png", bytes.NewReader(header(60_000, 60_000)), avatar, 422,
			"Image too large (60000 x 60000 pixels). Maximum allowed is 96 megapixels"},
		{"too large for its type", "a.png", "image/png", padded(pixel, 26*mib), attachment, 422,
			"File too large (26.00MB). Maximum allowed size for image/png is 25.00MB"},
		{"another type", "a.woff", "font/woff", strings.NewReader("wOFF"), attachment, 422,
			"Validation failed (current file type is font/woff, expected type is /^(image|video|audio|application|text)/)"},
		{"no resource type", "a.png", "image/png", bytes.NewReader(pixel), nil, 400,
			"resourceType must be one of the following values: USER_AVATAR, USER_BANNER, COMMUNITY_BANNER, COMMUNITY_AVATAR, MESSAGE_ATTACHMENT, CUSTOM_EMOJI, REPLAY_CLIP"},
		{"no such resource type", "a.png", "image/png", bytes.NewReader(pixel), map[string]any{"resourceType": "X"}, 400, "resourceType must be one of"},
		{"no id", "a.png", "image/png", bytes.NewReader(pixel), map[string]any{"resourceType": "USER_AVATAR", "resourceId": "x"}, 400, "resourceId must be a UUID"},
		{"NUL", "a.png", "image/png", bytes.NewReader(pixel), map[string]any{"resourceType": "USER_AVATAR", "resourceId": "\x00"}, 400, "NUL"},
		{"too large for the resource", "a.png", "image/png", padded(pixel, 11*mib), avatar, 422,
			"File too large (11.00MB). Maximum allowed size is 10.00MB for USER_AVATAR"},
		{"type of another resource", "a.pdf", "application/pdf", strings.NewReader("%PDF-1.7"), avatar, 422,
			"Invalid file type. Images only (JPEG, PNG, GIF, WebP), max 10MB"},
		{"clip", "a.mp4", "video/mp4", bytes.NewReader(mp4), map[string]any{"resourceType": "REPLAY_CLIP"}, 422, "Invalid resource type: REPLAY_CLIP"},
		{"message of nobody", "a.png", "image/png", bytes.NewReader(pixel),
			map[string]any{"resourceType": "MESSAGE_ATTACHMENT", "resourceId": newID().String()}, 403, "Forbidden resource"},
	} {
		refuses(t, g, s, stored, tt.name, tt.status, tt.text, func() answer { return u.try(tt.file, tt.mime, tt.content, tt.fields) })
	}

	form := func(parts ...string) (io.Reader, string) {
		return strings.NewReader("--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"), "multipart/form-data; boundary=b"
	}
	field := func(name, value string) string {
		return "Content-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value
	}
	file := func(name string) string {
		return "Content-Disposition: form-data; name=\"" + name + "\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n" + string(pixel)
	}
	raw := func(body io.Reader, kind string) func() answer { return func() answer { return u.send(body, kind) } }
	refuses(t, g, s, stored, "JSON", 422, "File is required", raw(strings.NewReader(`{"resourceType":"USER_AVATAR"}`), "application/json"))
	refuses(t, g, s, stored, "no file", 422, "File is required", raw(form(field("resourceType", "USER_AVATAR"))))
	refuses(t, g, s, stored, "a file elsewhere", 400, "Unexpected field", raw(form(file("other"))))
	refuses(t, g, s, stored, "two files", 400, "Unexpected field", raw(form(file("file"), file("file"))))
	refuses(t, g, s, stored, "a long field", 400, "Field value too long", raw(form(file("file"), field("resourceId", strings.Repeat("x", 5000)))))
	refuses(t, g, s, stored, "many parts", 400, "Too many parts", raw(form(slices.Repeat([]string{field("a", "b")}, 20)...)))
	refuses(t, g, s, stored, "no end", 400, "request aborted", raw(strings.NewReader("--b\r\n"+file("file")), "multipart/form-data; boundary=b"))
	refuses(t, g, s, stored, "long headers", 400, "not well-formed", raw(form("X: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")))
	refuses(t, g, s, stored, "no boundary", 400, "not well-formed", raw(strings.NewReader("x"), "multipart/form-data"))

	g.exec(t, `UPDATE instance_settings SET max_file_size_bytes = 1048576`)
	refuses(t, g, s, stored, "instance limit", 413, "File exceeds maximum size of 1.0 MB", func() answer {
		return u.try("a.png", "image/png", padded(pixel, 2*mib), avatar)
	})
	g.exec(t, `UPDATE instance_settings SET max_file_size_bytes = 524288000`)
	g.exec(t, `UPDATE app_user SET storage_quota_bytes = storage_used_bytes + 10 WHERE id = $1::uuid`, s.vars["me"])
	refuses(t, g, s, stored, "quota", 413, "Upload would exceed storage quota. 10.0 B remaining", func() answer {
		return u.try("a.png", "image/png", bytes.NewReader(pixel), avatar)
	})
	g.exec(t, `UPDATE app_user SET storage_quota_bytes = DEFAULT WHERE id = $1::uuid`, s.vars["me"])

	for _, tt := range []struct{ sent, want, mime, stored, kind string }{
		{"Übersicht – 日本.png", "Übersicht – 日本.png", "image/png", "image/png", "IMAGE"},
		{`..\\..\\evil.png`, "evil.png", "IMAGE/PNG; x=y", "image/png", "IMAGE"},
		{"../../etc/passwd", "passwd", "image/jpg", "", ""},
		{"ab\u202egnp.png", "abgnp.png", "image/png", "image/png", "IMAGE"},
		{strings.Repeat("ä", 300) + ".png", strings.Repeat("ä", 251) + ".png", "image/png", "image/png", "IMAGE"},
		{"unknown", "unknown", "", "image/png", "IMAGE"},
	} {
		if tt.stored == "" {
			refuses(t, g, s, stored, tt.sent, 422, "Invalid file type", func() answer { return u.try(tt.sent, tt.mime, bytes.NewReader(pixel), avatar) })
			continue
		}
		before, _ := g.used(t, s.vars["me"])
		f := u.must(tt.sent, tt.mime, pixel, avatar)
		sum := sha256.Sum256(pixel)
		if f.Filename != tt.want || f.MimeType != tt.stored || f.FileType != tt.kind || f.Size != int64(len(pixel)) || f.Checksum != hex.EncodeToString(sum[:]) {
			t.Errorf("%q became %+v", tt.sent, f)
		}
		if after, _ := g.used(t, s.vars["me"]); after != before+int64(len(pixel)) {
			t.Errorf("%q counts %d bytes", tt.sent, after-before)
		}
	}
	if a := u.try("empty.txt", "text/plain", strings.NewReader(""), attachment); a.status != 201 {
		t.Errorf("an empty file: %s", a)
	}
	f := u.must("a.png", "image/png", pixel, avatar)
	before, _ := g.used(t, s.vars["me"])
	res := fetch(t, "DELETE", n.url()+"/api/file-upload/"+f.ID.String(), s.token)
	if after, _ := g.used(t, s.vars["me"]); res.StatusCode != http.StatusOK || after != before-int64(len(pixel)) {
		t.Errorf("deletion: %d, %d bytes given back", res.StatusCode, before-after)
	}
	for _, method := range []string{"DELETE /api/file-upload/", "GET /api/file/"} {
		verb, path, _ := strings.Cut(method, " ")
		if res := fetch(t, verb, n.url()+path+f.ID.String(), s.token); res.StatusCode != http.StatusNotFound || !strings.Contains(res.body, "File not found") {
			t.Errorf("%s of a deleted file: %d %s", method, res.StatusCode, res.body)
		}
	}
	for _, line := range n.problems() {
		t.Errorf("server logged %s", line)
	}
}

// refuses holds a refusal against its text, and looks for what it left.
func refuses(t *testing.T, g *stage, s *scene, stored func() []string, name string, status int, text string, do func() answer) {
	t.Helper()
	before := stored()
	bytesBefore, filesBefore := g.used(t, s.vars["me"])
	a := do()
	var body struct {
		Message    any
		Error      string
		StatusCode int
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != status || body.StatusCode != status ||
		!strings.Contains(fmt.Sprint(body.Message), text) || body.Error != http.StatusText(status) && status != 413 {
		t.Errorf("%s: %s, want %d %s", name, a, status, text)
	}
	if status == 413 && body.Error != "Payload Too Large" {
		t.Errorf("%s: error is %q", name, body.Error)
	}
	if after := stored(); len(after) != len(before) {
		t.Errorf("%s left %d files behind: %q", name, len(after)-len(before), after)
	}
	if bytesAfter, filesAfter := g.used(t, s.vars["me"]); bytesAfter != bytesBefore || filesAfter != filesBefore {
		t.Errorf("%s: %d bytes in %d files became %d in %d", name, bytesBefore, filesBefore, bytesAfter, filesAfter)
	}
}

// fetched is an answer that was read.
type fetched struct {
	*http.Response
	body string
}

// fetch sends one request; header lines have the form "Name: value".
func fetch(t *testing.T, method, url, token string, header ...string) fetched {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fetched{res, string(body)}
}

// TestFileServing holds every way of asking for a file against RFC 9110 and the
// contract.
func TestFileServing(t *testing.T) {
	url := pgtest.URL(t)
	n := startNode(t, "--database-url", url)
	testServing(t, newStage(t, url, n), n, func(path string) {
		t.Helper()
		g, err := filepath.Glob(filepath.Join(n.data, uploadsDir, path))
		if err != nil || len(g) != 1 {
			t.Fatal(g, err)
		}
		remove(t, g[0])
	})
}

// TestFilesInBucket holds the same over an S3 server.
func TestFilesInBucket(t *testing.T) {
	bucket, dir := s3test.Start(t)
	url := pgtest.URL(t)
	n := startNode(t, "--database-url", url, "--blob-url", bucket)
	g := newStage(t, url, n)
	t.Run("uploads", func(t *testing.T) {
		testUploads(t, g, n, func() []string {
			if left := n.stored(); len(left) > 0 {
				t.Errorf("on disk are %q", left)
			}
			return filesUnder(dir)
		})
	})
	t.Run("serving", func(t *testing.T) {
		testServing(t, g, n, func(path string) { remove(t, filepath.Join(dir, path)) })
	})
}

func testServing(t *testing.T, g *stage, n *node, lose func(path string)) {
	t.Helper()
	s := g.newScene(t, personaOf('m'))
	u := uploader{t, n, s.token}
	content := make([]byte, 1000)
	_, _ = rand.Read(content)
	content = append([]byte("text \xc3\xa4 "), []byte(hex.EncodeToString(content))...)
	content = content[:1000]
	attachment := map[string]any{"resourceType": "MESSAGE_ATTACHMENT", "resourceId": s.vars["own"]}
	f := u.must("a 'b' ü.txt", "text/plain", content, attachment)
	at := n.url() + "/api/file/" + f.ID.String()
	tag := `"` + f.Checksum + `"`
	part := func(a, b int) string { return string(content[a : b+1]) }
	for _, tt := range []struct {
		name, method string
		header       []string
		status       int
		body         string
		want         []string // header lines; "Name:" must be missing
	}{
		{"whole", "GET", nil, 200, string(content), []string{"Content-Length: 1000", "Accept-Ranges: bytes", "Content-Type: text/plain", "Etag: " + tag,
			"Cache-Control: private, max-age=31536000, immutable", "Cross-Origin-Resource-Policy: cross-origin", "X-Content-Type-Options: nosniff",
			"Content-Security-Policy: sandbox", `Content-Disposition: inline; filename="a 'b' ü.txt"; filename*=UTF-8''a%20%27b%27%20%C3%BC.txt`}},
		{"head", "HEAD", nil, 200, "", []string{"Content-Length: 1000", "Etag: " + tag}},
		{"head of a range", "HEAD", []string{"Range: bytes=0-9"}, 206, "", []string{"Content-Length: 10", "Content-Range: bytes 0-9/1000"}},
		{"range", "GET", []string{"Range: bytes=10-19"}, 206, part(10, 19), []string{"Content-Range: bytes 10-19/1000", "Content-Length: 10"}},
		{"unit in capitals", "GET", []string{"Range: BYTES=10-19"}, 206, part(10, 19), nil},
		{"to the end", "GET", []string{"Range: bytes=990-"}, 206, part(990, 999), []string{"Content-Range: bytes 990-999/1000"}},
		{"beyond the end", "GET", []string{"Range: bytes=990-5000"}, 206, part(990, 999), []string{"Content-Range: bytes 990-999/1000"}},
		{"suffix", "GET", []string{"Range: bytes=-5"}, 206, part(995, 999), []string{"Content-Range: bytes 995-999/1000"}},
		{"a long suffix", "GET", []string{"Range: bytes=-5000"}, 206, string(content), []string{"Content-Range: bytes 0-999/1000"}},
		{"one byte", "GET", []string{"Range: bytes=0-0"}, 206, part(0, 0), nil},
		{"behind the end", "GET", []string{"Range: bytes=1000-"}, 416, "", []string{"Content-Range: bytes */1000", "Content-Length: 0", "Content-Type:", "Content-Disposition:"}},
		{"backwards", "GET", []string{"Range: bytes=20-10"}, 416, "", []string{"Content-Range: bytes */1000"}},
		{"another unit", "GET", []string{"Range: items=0-5"}, 200, string(content), nil},
		{"nonsense", "GET", []string{"Range: bytes=a-b"}, 200, string(content), nil},
		{"too many", "GET", []string{"Range: bytes=" + strings.TrimSuffix(strings.Repeat("0-1,", 50), ",")}, 200, string(content), nil},
		{"twice", "GET", []string{"Range: bytes=0-1", "Range: bytes=5-6"}, 200, string(content), nil},
		{"if it is the same", "GET", []string{"Range: bytes=0-1", "If-Range: " + tag}, 206, part(0, 1), nil},
		{"if it were another", "GET", []string{"Range: bytes=0-1", `If-Range: "x"`}, 200, string(content), nil},
		{"if it were weak", "GET", []string{"Range: bytes=0-1", "If-Range: W/" + tag}, 200, string(content), nil},
		{"known", "GET", []string{"If-None-Match: " + tag}, 304, "", []string{"Etag: " + tag, "Cache-Control: private, max-age=31536000, immutable"}},
		{"known among others", "GET", []string{`If-None-Match: "x", W/` + tag}, 304, "", nil},
		{"known, and a range", "GET", []string{"If-None-Match: " + tag, "Range: bytes=0-1"}, 304, "", nil},
		{"unknown", "GET", []string{`If-None-Match: "x"`}, 200, string(content), nil},
		{"wrong condition", "GET", []string{`If-Match: "x"`}, 412, "", nil},
	} {
		res := fetch(t, tt.method, at, s.token, tt.header...)
		if res.StatusCode != tt.status || res.body != tt.body {
			t.Errorf("%s: %d with %d bytes, want %d with %d", tt.name, res.StatusCode, len(res.body), tt.status, len(tt.body))
		}
		for _, line := range tt.want {
			name, value, given := strings.Cut(line, ": ")
			if got := res.Header.Get(strings.TrimSuffix(name, ":")); got != value || !given && got != "" {
				t.Errorf("%s: %s is %q", tt.name, line, got)
			}
		}
	}
	several(t, fetch(t, "GET", at, s.token, "Range: bytes=0-4, 10-14,-3"), []string{part(0, 4), part(10, 14), part(997, 999)})

	svg := u.must("a.svg", "image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), attachment)
	if res := fetch(t, "GET", n.url()+"/api/file/"+svg.ID.String(), s.token); !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment;") {
		t.Errorf("SVG is %v", res.Header)
	}
	if res := fetch(t, "GET", at+"/thumbnail", s.token); res.StatusCode != http.StatusNotFound || !strings.Contains(res.body, "No thumbnail available for this file") {
		t.Errorf("thumbnail: %d %s", res.StatusCode, res.body)
	}
	meta := fetch(t, "GET", at+"/metadata", s.token)
	if want := `{"id":"` + f.ID.String() + `","filename":"a 'b' ü.txt","mimeType":"text/plain","fileType":"DOCUMENT","size":1000,"hasThumbnail":false}`; meta.body != want {
		t.Errorf("metadata: %s, want %s", meta.body, want)
	}
	testFileAuth(t, g, n, s, f)

	var path string
	if err := g.db.QueryRow(within(t), `SELECT storage_path FROM file WHERE id = $1`, f.ID).Scan(&path); err != nil {
		t.Fatal(err)
	}
	lose(path)
	for _, method := range []string{"GET", "HEAD"} {
		if res := fetch(t, method, at, s.token); res.StatusCode != http.StatusNotFound || method == "GET" && !strings.Contains(res.body, "File not found") {
			t.Errorf("%s of lost bytes: %d %s", method, res.StatusCode, res.body)
		}
	}
	g.exec(t, `UPDATE file SET storage_type = 'AZURE_BLOB' WHERE id = $1`, f.ID)
	if res := fetch(t, "GET", at, s.token); res.StatusCode != http.StatusNotImplemented || !strings.Contains(res.body, "Only local file storage is supported at this time") {
		t.Errorf("bytes elsewhere: %d %s", res.StatusCode, res.body)
	}
	for _, line := range n.problems() {
		t.Errorf("server logged %s", line)
	}
}

// several reads an answer with several ranges.
func several(t *testing.T, res fetched, want []string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" || res.StatusCode != http.StatusPartialContent {
		t.Fatalf("several ranges: %d %s", res.StatusCode, kind)
	}
	parts := multipart.NewReader(strings.NewReader(res.body), params["boundary"])
	for _, w := range want {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(p); err != nil || string(b) != w || p.Header.Get("Content-Range") == "" || p.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("a part is %q %v, want %q", b, p.Header, w)
		}
	}
}

// testFileAuth tries the ways to say who asks, in the contract's order.
func testFileAuth(t *testing.T, g *stage, n *node, s *scene, f protocol.File) {
	t.Helper()
	at := n.url() + "/api/file/" + f.ID.String()
	res := fetch(t, "GET", at+"/signed-url", s.token)
	var link protocol.SignedURL
	if err := json.Unmarshal([]byte(res.body), &link); err != nil || !strings.HasPrefix(link.URL, "/api/file/"+f.ID.String()+"?sig=") {
		t.Fatalf("link: %s", res.body)
	}
	if left := time.Until(link.ExpiresAt.Time()); left < 50*time.Minute || left > time.Hour {
		t.Errorf("the link is good for %v", left)
	}
	_, query, _ := strings.Cut(link.URL, "?")
	with := func(name, value string) string {
		var list []string
		for p := range strings.SplitSeq(query, "&") {
			key, old, _ := strings.Cut(p, "=")
			switch {
			case key != name:
				list = append(list, p)
			case value != "":
				list = append(list, key+"="+value)
			default:
				_ = old
			}
		}
		return "?" + strings.Join(list, "&")
	}
	stranger := g.token(t, s.id("stranger"), newID())
	for _, tt := range []struct {
		name, query, token string
		header             []string
		status             int
		text               string
	}{
		{"nothing", "", "", nil, 401, `{"message":"Authentication required","error":"Unauthorized","statusCode":401}`},
		{"a bad token", "", "x.y.z", nil, 401, "Authentication required"},
		{"a bad token and a cookie", "", "x.y.z", []string{"Cookie: access_token=" + s.token}, 200, ""},
		{"cookie", "", "", []string{"Cookie: access_token=" + s.token}, 200, ""},
		{"no token in the query", "?token=" + s.token, "", nil, 401, "Authentication required"},
		{"link", "?" + query, "", nil, 200, ""},
		{"link before token", "?" + query, stranger, nil, 200, ""},
		{"half a link", with("sig", ""), s.token, nil, 401, "Missing signed URL parameters"},
		{"link without user", with("uid", ""), s.token, nil, 401, "Missing signed URL parameters"},
		{"link without end", with("exp", ""), s.token, nil, 401, "Missing signed URL parameters"},
		{"no number", with("exp", "soon"), s.token, nil, 401, "Invalid signed URL"},
		{"another end", with("exp", strconv.FormatInt(time.Now().Unix()+7200, 10)), s.token, nil, 401, "Invalid or expired signed URL"},
		{"over", with("exp", strconv.FormatInt(time.Now().Unix()-10, 10)), s.token, nil, 401, "Invalid or expired signed URL"},
		{"another user", with("uid", s.vars["target"]), s.token, nil, 401, "Invalid or expired signed URL"},
		{"another signature", with("sig", strings.Repeat("0", 64)), s.token, nil, 401, "Invalid or expired signed URL"},
		{"who may not", "", stranger, nil, 403, "You must be a member of this community to access this file"},
	} {
		for _, path := range []string{"", "/metadata"} {
			res := fetch(t, "GET", at+path+tt.query, tt.token, tt.header...)
			if res.StatusCode != tt.status || !strings.Contains(res.body, tt.text) {
				t.Errorf("%s%s: %d %.200s, want %d %s", tt.name, path, res.StatusCode, res.body, tt.status, tt.text)
			}
		}
	}
	other := strings.ReplaceAll(link.URL, f.ID.String(), s.vars["foreignAvatar"])
	if res := fetch(t, "GET", n.url()+other, ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a link to another file: %d", res.StatusCode)
	}
	g.exec(t, `UPDATE app_user SET banned = true WHERE id = $1::uuid`, s.vars["me"])
	if res := fetch(t, "GET", n.url()+link.URL, ""); res.StatusCode != http.StatusUnauthorized || !strings.Contains(res.body, "User not found or banned") {
		t.Errorf("link of a banned user: %d %s", res.StatusCode, res.body)
	}
	g.exec(t, `UPDATE app_user SET banned = false WHERE id = $1::uuid`, s.vars["me"])
}

// TestFileRightsEnd holds that who is put out has no file any more with the
// moderator's answer, also by a link that he had.
func TestFileRightsEnd(t *testing.T) {
	url := pgtest.URL(t)
	nodes := startCluster(t, url, 2, "--files", t.TempDir())
	g := newStage(t, url, nodes...)
	s := g.newScene(t, personaOf('A'))
	target := g.token(t, s.id("target"), newID())
	u := uploader{t, nodes[0], target}
	links := map[string]string{}
	sees := func(name string, status int, text string) {
		t.Helper()
		for i, n := range nodes {
			if res := fetch(t, "GET", n.url()+links[name], ""); res.StatusCode != status || !strings.Contains(res.body, text) {
				t.Errorf("%s through node %d: %d %.200s, want %d", name, i, res.StatusCode, res.body, status)
			}
		}
	}
	for _, name := range []string{"message", "secret", "direct"} {
		f := u.must(name+".png", "image/png", pixel, map[string]any{"resourceType": "MESSAGE_ATTACHMENT", "resourceId": s.vars[name]})
		var link protocol.SignedURL
		if err := json.Unmarshal([]byte(fetch(t, "GET", nodes[1].url()+"/api/file/"+f.ID.String()+"/signed-url", target).body), &link); err != nil {
			t.Fatal(err)
		}
		links[name] = link.URL
		sees(name, 200, string(pixel))
	}
	for name, refused := range map[string]struct{ who, text string }{
		"secret": {"witness", "You must be a member of this private channel to access this file"},
		"direct": {"stranger", "You must be a member of this conversation to access this file"},
	} {
		path, _, _ := strings.Cut(links[name], "?")
		if res := fetch(t, "GET", nodes[1].url()+path, g.token(t, s.id(refused.who), newID())); res.StatusCode != http.StatusForbidden || !strings.Contains(res.body, refused.text) {
			t.Errorf("%s as somebody else: %d %s", name, res.StatusCode, res.body)
		}
	}
	admin := nodes[0].api().As(g.token(t, s.id("founder"), newID()))
	if err := admin.Call(within(t), "DELETE", "/api/channel-membership/channel/"+s.vars["hidden"]+"/user/"+s.vars["target"], nil, nil); err != nil {
		t.Fatal(err)
	}
	sees("secret", 403, "You must be a member of this private channel to access this file")
	sees("message", 200, "")
	if err := admin.Call(within(t), "POST", "/api/moderation/kick/"+s.vars["community"]+"/"+s.vars["target"], map[string]any{}, nil); err != nil {
		t.Fatal(err)
	}
	sees("message", 403, "You must be a member of this community to access this file")
	sees("direct", 200, "")
	if err := nodes[1].api().As(target).Call(within(t), "DELETE", "/api/direct-messages/"+s.vars["dm"]+"/members/me", nil, nil); err != nil {
		t.Fatal(err)
	}
	sees("direct", 403, "You must be a member of this conversation to access this file")
}

// TestFileQuotaAtOnce uploads a hundred files at the same time where there is
// room for ten.
func TestFileQuotaAtOnce(t *testing.T) {
	url := pgtest.URL(t)
	nodes := startCluster(t, url, 2, "--files", t.TempDir())
	g := newStage(t, url, nodes...)
	s := g.newScene(t, personaOf('m'))
	g.exec(t, `UPDATE app_user SET storage_quota_bytes = $2 WHERE id = $1::uuid`, s.vars["me"], 10*len(pixel))
	var mu sync.Mutex
	count := map[int]int{}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			a := uploader{t, nodes[i%2], s.token}.try("a.png", "image/png", bytes.NewReader(pixel), map[string]any{"resourceType": "USER_AVATAR", "resourceId": s.vars["me"]})
			mu.Lock()
			defer mu.Unlock()
			count[a.status]++
		})
	}
	all.Wait()
	used, files := g.used(t, s.vars["me"])
	if count[201] != 10 || count[413] != 90 || used != int64(10*len(pixel)) || files != 13 { // with the scene's own, which are empty
		t.Errorf("answers %v, %d bytes used by %d files", count, used, files)
	}
}

// TestFileAborted has clients go away in the middle.
func TestFileAborted(t *testing.T) {
	url := pgtest.URL(t)
	n := startNode(t, "--database-url", url)
	g := newStage(t, url, n)
	s := g.newScene(t, personaOf('m'))
	for range 3 {
		c, err := net.Dial("tcp", n.addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /api/file-upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 10000000\r\n\r\n"+
			"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\nContent-Type: video/mp4\r\n\r\n%s", s.token, mp4)
		_, _ = c.Write(make([]byte, 1<<20))
		await(t, "something is stored", func() bool { return len(n.stored()) > 0 })
		_ = c.Close()
		await(t, "nothing is left", func() bool { return len(n.stored()) == 0 })
	}
	if used, _ := g.used(t, s.vars["me"]); used != 0 {
		t.Errorf("%d bytes are used", used)
	}
}

// TestFileMemory holds that memory is flat while a large file goes up and down.
func TestFileMemory(t *testing.T) {
	size := int64(500 * mib)
	if testing.Short() {
		size = 100 * mib
	}
	url := pgtest.URL(t)
	n := startNode(t, "--database-url", url)
	g := newStage(t, url, n)
	s := g.newScene(t, personaOf('m'))
	u := uploader{t, n, s.token}
	message := map[string]any{"resourceType": "MESSAGE_ATTACHMENT", "resourceId": s.vars["own"]}
	u.must("a.png", "image/png", pixel, message) // everything is warm
	peak := watchMemory(t, n)
	start := time.Now()
	a := u.try("a.mp4", "video/mp4", padded(mp4, size), message)
	var f protocol.File
	if err := json.Unmarshal([]byte(a.body), &f); err != nil || a.status != 201 || f.Size != size {
		t.Fatalf("upload: %s", a)
	}
	up, upTook := peak(), time.Since(start)
	peak = watchMemory(t, n)
	start = time.Now()
	req, err := http.NewRequestWithContext(within(t), "GET", n.url()+"/api/file/"+f.ID.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.Copy(io.Discard, res.Body)
	if err != nil || got != size {
		t.Fatalf("read %d bytes, %v", got, err)
	}
	down := peak()
	t.Logf("%d MiB up in %v with %d KiB more memory, down in %v with %d KiB more", size/mib, upTook.Round(time.Millisecond), up, time.Since(start).Round(time.Millisecond), down)
	if limit := int64(48 << 10); up > limit || down > limit {
		t.Errorf("memory grew by %d KiB and %d KiB", up, down)
	}
}

// watchMemory looks at the memory of a server until the function is called, which
// tells by how much it was more at most, in KiB.
func watchMemory(t *testing.T, n *node) func() int64 {
	t.Helper()
	before := rss(t, n)
	top, stop, stopped := before, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				top = max(top, rss(t, n))
			}
		}
	}()
	return func() int64 {
		close(stop)
		<-stopped
		return top - before
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
