package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

// call is a request of a row: what the native protocol has in "d", path, query
// and body merged.
type call struct {
	op    *protocol.Operation
	input map[string]any
}

// answer is what came back.
type answer struct {
	status int
	body   string
}

func (a answer) String() string { return fmt.Sprint(a.status, " ", a.body) }

var variable = regexp.MustCompile(`\$[a-zA-Z]+(\.[a-z]+)?`)

// fill puts the scene's values into a request: $name, and $new for what must be
// unique.
func (s *scene) fill(t *testing.T, request string) map[string]any {
	t.Helper()
	filled := variable.ReplaceAllStringFunc(request, func(name string) string {
		if name == "$new" {
			return newID().String()[:8]
		}
		v, ok := s.vars[name[1:]]
		if !ok {
			t.Fatalf("no scene has %s", name)
		}
		return v
	})
	input := map[string]any{}
	if err := json.Unmarshal([]byte(filled), &input); err != nil {
		t.Fatalf("request %s: %v", filled, err)
	}
	return input
}

// rest sends the call over REST.
func (c call) rest(ctx context.Context, n *node, token string) (answer, error) {
	path, query, body := c.op.Path, url.Values{}, map[string]any{}
	tags := map[string]reflect.StructTag{}
	for i := range c.op.Request().NumField() {
		f := c.op.Request().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		tags[name] = f.Tag
	}
	for name, v := range c.input {
		switch {
		case tags[name].Get("path") != "":
			path = strings.ReplaceAll(path, "{"+tags[name].Get("path")+"}", url.PathEscape(fmt.Sprint(v)))
		case tags[name].Get("query") != "":
			query.Set(tags[name].Get("query"), fmt.Sprint(v))
		default:
			body[name] = v
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var content io.Reader
	contentType := "application/json"
	if c.op.Multipart != "" {
		content, contentType = multipartBody(c.op.Multipart, body)
	} else if len(body) > 0 {
		raw, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, c.op.Method, n.url()+path, content)
	if err != nil {
		return answer{}, err
	}
	if content != nil {
		req.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, string(text)}, err
}

// multipartBody is a small picture with fields behind it.
func multipartBody(part string, fields map[string]any) (body io.Reader, contentType string) {
	return uploadBody(part, "pixel.png", "image/png", bytes.NewReader(pixel), fields)
}

// native sends the call over the native websocket, on a connection of its own.
func (c call) native(t *testing.T, n *node, token string) answer {
	t.Helper()
	client := dialNative(t, n, token)
	defer client.conn.Close()
	if token == "" { // not even a connection
		client.closeCode()
		return answer{http.StatusUnauthorized, string(protocol.ErrUnauthorized.HTTPBody())}
	}
	client.until("ready", func(f frame) bool { return f.Ev == "ready" })
	f := client.call(1, c.op.Name, c.input)
	if f.Err != nil {
		body, err := json.Marshal(map[string]any{"message": f.Err.Message, "error": http.StatusText(f.Err.Status), "statusCode": f.Err.Status})
		if err != nil {
			t.Fatal(err)
		}
		return answer{f.Err.Status, string(body)}
	}
	return answer{c.op.SuccessStatus(), string(f.OK)}
}

// send takes the call's own way: REST if it has a path.
func (c call) send(t *testing.T, n *node, token string) answer {
	t.Helper()
	if c.op.Path == "" {
		return c.native(t, n, token)
	}
	a, err := c.rest(within(t), n, token)
	if err != nil {
		t.Fatalf("%s: %v", c.op.Name, err)
	}
	return a
}

// failure is the contract's body of a refusal.
type failure struct {
	Message    any
	Error      string
	StatusCode int
}

// refused tells what is wrong with a refusal; nothing if it is one of the
// contract. own: it has a text of its own.
func (a answer) refused(op *protocol.Operation, anonymous, own bool) string {
	var f failure
	if err := json.Unmarshal([]byte(a.body), &f); err != nil {
		return "is not a refusal"
	}
	switch {
	case f.StatusCode != a.status:
		return "has another status in its body"
	case anonymous && a.status == http.StatusUnauthorized:
		if !own && a.body != string(protocol.ErrUnauthorized.HTTPBody()) {
			return "is not the contract's 401"
		}
		return ""
	case anonymous, a.status != http.StatusForbidden && (a.status != http.StatusUnauthorized || !own):
		return "is not a refusal"
	case a.status == http.StatusForbidden && f.Error != "Forbidden":
		return "has another error word"
	case own == (f.Message == protocol.ErrForbidden.Message):
		return "is refused by another rule"
	}
	return ""
}
