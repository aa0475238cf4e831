package httpapi

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

const (
	// fileStep is how long a client may take for a piece of a file.
	fileStep = 30 * time.Second
	// maxRanges bounds the ranges of one request: each may be a request to a
	// bucket. Who asks for more gets the whole file.
	maxRanges = 16

	fileCache      = "private, max-age=31536000, immutable"
	thumbnailCache = "private, max-age=86400"
)

// served is what is sent of a file.
type served struct {
	kind, path  string // of the storage
	size        int64  // -1: not known
	mimeType    string
	tag         string // strong entity tag
	cache       string
	disposition string
	missing     error // what is said when the bytes are not there
}

func (s *Server) serveFile(x *exchange) error {
	g, err := s.grant(x, &protocol.FileGet.Operation)
	if err != nil {
		return err
	}
	f := &g.File
	how := "inline"
	if protocol.ActiveType(f.MimeType) {
		how = "attachment"
	}
	return s.sendFile(x, served{
		kind: f.StorageType, path: g.Path, size: f.Size, mimeType: f.MimeType, tag: `"` + f.Checksum + `"`,
		cache: fileCache, disposition: disposition(how, f.Filename), missing: protocol.ErrFileNotFound,
	})
}

// serveThumbnail sends the picture of a video. A file has one for ever.
func (s *Server) serveThumbnail(x *exchange) error {
	g, err := s.grant(x, &protocol.FileThumbnail.Operation)
	if err != nil {
		return err
	}
	return s.sendFile(x, served{
		kind: g.File.StorageType, path: g.Thumbnail, size: -1, mimeType: "image/jpeg", tag: `"` + g.File.Checksum + `-thumbnail"`,
		cache: thumbnailCache, missing: protocol.ErrNoThumbnail,
	})
}

// sendFile sends a file as RFC 9110 wants it: whole, in ranges, or not at all
// because the client has it. The answer is made by net/http; here is what the
// contract adds.
func (s *Server) sendFile(x *exchange, f served) error {
	h := x.w.Header()
	crossOrigin(h)
	r := x.r.Clone(x.r.Context())
	if matches(r, f.tag) {
		h["Etag"], h["Cache-Control"] = []string{f.tag}, []string{f.cache}
		x.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	first := limitRanges(r, f.size)
	content, err := s.openFile(x, &f, first)
	if err != nil {
		return err
	}
	defer func() { _ = content.close() }() // what went wrong is looked at below
	h["Content-Type"], h["Etag"], h["Cache-Control"] = []string{f.mimeType}, []string{f.tag}, []string{f.cache}
	h["Content-Security-Policy"] = []string{"sandbox"}
	if f.disposition != "" {
		h["Content-Disposition"] = []string{f.disposition}
	}
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		r.Header.Del(name) // judged above; files have no dates
	}
	w := &fileWriter{patient: patient{w: x.w, rc: http.NewResponseController(x.w), step: fileStep}, header: h, inner: x.w, size: f.size}
	http.ServeContent(w, r, "", time.Time{}, content)
	if err := content.close(); err != nil && x.r.Context().Err() == nil {
		x.log(slog.LevelWarn, "file was cut off", err)
		panic(http.ErrAbortHandler) // the client must not take half of it for the whole
	}
	return nil
}

// openFile finds the bytes and has them ready from an offset on.
func (s *Server) openFile(x *exchange, f *served, first int64) (*content, error) {
	ctx := x.r.Context()
	if f.size < 0 { // small, and nobody wrote down how large
		size, err := s.cfg.Blobs.Size(ctx, f.kind, f.path)
		if err != nil {
			return nil, noBlob(err, f.missing)
		}
		f.size = size
	}
	if x.r.Method == http.MethodHead {
		ok, err := s.cfg.Blobs.Exists(ctx, f.kind, f.path)
		if err == nil && !ok {
			err = f.missing
		}
		return &content{size: f.size}, err
	}
	if first < 0 || first >= f.size { // a bucket has nothing there, and says so before net/http does
		first = 0
	}
	r, err := s.cfg.Blobs.Open(ctx, f.kind, f.path, first, f.size)
	if err != nil {
		return nil, noBlob(err, f.missing)
	}
	return &content{r: r, size: f.size}, nil
}

func noBlob(err, missing error) error {
	if errors.Is(err, persistence.ErrNoBlob) {
		return missing
	}
	return err
}

// content is what net/http reads; it remembers why it could not. The goroutine
// that makes several ranges of it may outlive the answer.
type content struct {
	mu   sync.Mutex
	r    *persistence.BlobReader // nil: for HEAD, or closed
	size int64
	err  error
}

func (c *content) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.r == nil {
		return 0, io.ErrClosedPipe
	}
	n, err := c.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

func (c *content) Seek(offset int64, whence int) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.r != nil:
		return c.r.Seek(offset, whence)
	case whence == io.SeekEnd:
		offset += c.size
	}
	return offset, nil
}

// close ends reading and tells what went wrong.
func (c *content) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.r != nil {
		c.r.Close()
		c.r = nil
	}
	return c.err
}

// fileWriter gives each write its own deadline, and makes of a range that can't
// be satisfied the answer of the contract.
type fileWriter struct {
	patient
	header http.Header
	inner  http.ResponseWriter
	size   int64
	empty  bool
}

func (w *fileWriter) Header() http.Header { return w.header }

func (w *fileWriter) WriteHeader(status int) {
	if status == http.StatusRequestedRangeNotSatisfiable {
		w.empty = true
		w.header["Content-Range"] = []string{"bytes */" + strconv.FormatInt(w.size, 10)}
		w.header["Content-Length"] = []string{"0"}
		for _, name := range []string{"Content-Type", "Content-Disposition", "Cache-Control", "Etag"} {
			w.header.Del(name)
		}
	}
	w.inner.WriteHeader(status)
}

func (w *fileWriter) Write(b []byte) (int, error) {
	if w.empty {
		return len(b), nil
	}
	return w.patient.Write(b)
}

// rangesSyntax is ranges-specifier of RFC 9110, 14.1.1, with the unit that there
// is.
var rangesSyntax = regexp.MustCompile(`^(?i:bytes)=[ \t]*(?:,[ \t]*)*(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})(?:[ \t]*,[ \t]*(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})?)*[ \t]*$`)

// limitRanges takes ranges away that are not understood, or too many, so that the
// whole file is sent (RFC 9110, 14.2). It returns where the first one begins.
func limitRanges(r *http.Request, size int64) (first int64) {
	text := r.Header.Get("Range")
	if text == "" {
		return 0
	}
	if !rangesSyntax.MatchString(text) || strings.Count(text, ",") >= maxRanges || len(r.Header.Values("Range")) > 1 {
		r.Header.Del("Range")
		return 0
	}
	_, list, _ := strings.Cut(text, "=")
	r.Header.Set("Range", "bytes="+list)
	from, to, _ := strings.Cut(strings.Trim(strings.TrimLeft(list, ", \t"), " \t"), "-")
	to, _, _ = strings.Cut(to, ",")
	if from != "" {
		first, _ = strconv.ParseInt(from, 10, 64) // digits, by the syntax
		return first
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(to), 10, 64)
	return max(size-n, 0)
}
