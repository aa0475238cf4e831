package httpapi

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/rookery-chat/rookery/protocol"
)

// maxPooled keeps buffers that one large answer has blown up out of the pool.
const maxPooled = 64 << 10

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// writeReply writes what an operation answered.
func writeReply(w http.ResponseWriter, r *http.Request, status int, reply any) error {
	if reply == nil || status == http.StatusNoContent {
		w.WriteHeader(status)
		return nil
	}
	if raw, ok := reply.(json.RawMessage); ok {
		writeJSON(w, r, status, raw)
		return nil
	}
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer func() {
		if buf.Cap() <= maxPooled {
			buffers.Put(buf)
		}
	}()
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(reply); err != nil {
		return err
	}
	writeJSON(w, r, status, bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
	return nil
}

// writeJSON writes an encoded body; a GET that has it already gets 304.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	h := w.Header()
	if status == http.StatusOK && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		tag := entityTag(body)
		h["Etag"] = []string{tag}
		if matches(r, tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone: nobody to tell
	}
}

func entityTag(body []byte) string {
	b := make([]byte, 0, 40)
	b = append(b, `W/"`...)
	b = strconv.AppendInt(b, int64(len(body)), 16)
	b = append(b, '-')
	b = strconv.AppendUint(b, xxhash.Sum64(body), 36)
	return string(append(b, '"'))
}

// matches reports whether the client has this entity: weak comparison (RFC 9110,
// 13.1.2), unless it asks for a fresh one.
func matches(r *http.Request, tag string) bool {
	have := r.Header.Get("If-None-Match")
	if have == "" || strings.Contains(r.Header.Get("Cache-Control"), "no-cache") {
		return false
	}
	tag = strings.TrimPrefix(tag, "W/")
	for item := range strings.SplitSeq(have, ",") {
		item = strings.TrimSpace(item)
		if item == "*" || strings.TrimPrefix(item, "W/") == tag {
			return true
		}
	}
	return false
}

// writeError writes a failure in the shape of the contract.
func writeError(w http.ResponseWriter, e *protocol.Error) {
	h := w.Header()
	body := e.HTTPBody()
	if e.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds())))}
	}
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(e.Status())
	_, _ = w.Write(body) // the client is gone: nobody to tell
}
