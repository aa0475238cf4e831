package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// Limits of bodies. maxDepth is far beyond what any request needs and far below
// what could hurt.
const (
	maxBody     = 102400
	maxDepth    = 100
	maxFields   = 1000 // of a form, as in the reference
	bodyTimeout = 30 * time.Second
)

// readBody reads the body of a request as JSON; nil when there is none, or one
// of a type that is not looked at.
func readBody(w http.ResponseWriter, r *http.Request) (json.RawMessage, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	form := false
	switch kind, params := mediaType(r); {
	case kind == "application/x-www-form-urlencoded":
		form = true
	case kind != "application/json":
		return nil, nil
	case params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8"):
		return nil, protocol.BadRequest(fmt.Sprintf("unsupported charset %q", params["charset"]))
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, protocol.BadRequest(fmt.Sprintf("unsupported content encoding %q", e))
	}
	body, err := readLimited(w, r)
	if err != nil {
		return nil, err
	}
	if form {
		return formJSON(body)
	}
	return checkJSON(body)
}

// mediaType is the type of a body, empty when the header makes no sense.
func mediaType(r *http.Request) (kind string, params map[string]string) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return "", nil
	}
	return kind, params
}

func readLimited(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, protocol.ErrTooLarge
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTimeout)) // without support the server's own timeouts hold
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	_ = rc.SetReadDeadline(time.Now().Add(readTimeout))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, protocol.ErrTooLarge
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, protocol.BadRequest("request aborted")
	case err != nil:
		return nil, protocol.BadRequest("request body could not be read")
	}
	return buf.Bytes(), nil
}

// checkJSON makes sure that a body is one JSON object or array, of reasonable
// depth.
func checkJSON(body []byte) (json.RawMessage, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if len(body) == 0 {
		return nil, nil
	}
	if body[0] != '{' && body[0] != '[' {
		return nil, malformed(fmt.Sprintf("Unexpected token %q, the body must be a JSON object or array", firstRune(body)))
	}
	if tooDeep(body) {
		return nil, malformed("JSON is nested too deep")
	}
	if !json.Valid(body) {
		var v any
		return nil, malformed(jsonFault(json.Unmarshal(body, &v)))
	}
	return body, nil
}

func malformed(text string) error {
	return &protocol.Error{Code: protocol.CodeMalformed, Message: text}
}

func jsonFault(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && syntax.Error() != "unexpected end of JSON input" {
		return fmt.Sprintf("%s in JSON at position %d", syntax.Error(), syntax.Offset)
	}
	return "Unexpected end of JSON input"
}

func firstRune(b []byte) string {
	for _, r := range string(b[:min(len(b), 4)]) {
		return string(r)
	}
	return ""
}

// tooDeep counts brackets outside of strings.
func tooDeep(b []byte) bool {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > maxDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// formJSON turns a form into the JSON object that it stands for: every value is
// a string, a repeated name a list.
func formJSON(body []byte) (json.RawMessage, error) {
	if bytes.Count(body, []byte("&")) >= maxFields {
		return nil, protocol.ErrTooLarge
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, protocol.BadRequest("form is not well-formed")
	}
	fields := make(map[string]any, len(form))
	for name, values := range form {
		name, list := strings.CutSuffix(name, "[]")
		if len(values) == 1 && !list {
			fields[name] = values[0]
		} else {
			fields[name] = values
		}
	}
	return json.Marshal(fields)
}
