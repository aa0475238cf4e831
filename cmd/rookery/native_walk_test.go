package main

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// byHTTP are the rows that can't be called over the native protocol.
var byHTTP = map[string]string{
	"file.upload":    "the body is a stream of bytes, up to 500 MB",
	"file.get":       "the answer is a stream of bytes",
	"file.thumbnail": "the answer is a picture",
	"account.export": "the answer is an archive of any size",
}

// otherwise are the rows that answer in another shape than over REST, with the
// one that they have.
var otherwise = map[string]struct{ shape, reason string }{
	"message.send":      {`{"id":"","sentAt":"","seq":0}`, "the message itself comes as event"},
	"thread.reply":      {`{"id":"","sentAt":"","seq":0}`, "the message itself comes as event"},
	"dm.send":           {`{"id":"","sentAt":"","seq":0}`, "there is no REST form"},
	"presence.bulk":     {`{"presence":{"any id":false}}`, "who asks over a socket is online himself"},
	"session.login":     {`{"accessToken":"","refreshToken":""}`, "there is no cookie for the refresh token"},
	"session.refresh":   {"", "the refresh token is asked for in the body, not in a cookie"},
	"account.password":  {`{"accessToken":"","refreshToken":""}`, "there is no cookie for the refresh token"},
	"session.logout":    {"closed", "it ends the socket"},
	"account.delete":    {"closed", "it ends the socket"},
	"account.resetLink": {`{"expiresAt":"","token":"","url":""}`, "the url is a path"},
}

// TestNativeWalk calls every row of the operations table over the native
// protocol as somebody who may, and holds the answer against the one that REST
// gives to the same person in a scene like his: the status, and the shape of the
// body.
func TestNativeWalk(t *testing.T) {
	rows := readMatrix(t)
	url := pgtest.URL(t)
	nodes := []*node{startNode(t, "--database-url", url, "--debug-panel")}
	g := newStage(t, url, nodes...)
	t.Run("rows", func(t *testing.T) {
		for _, op := range protocol.Operations() {
			r, p := someoneWho(t, rows, op)
			t.Run(op.Name, func(t *testing.T) {
				t.Parallel()
				r.walk(t, g, p)
			})
		}
	})
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("server logged %s", line)
		}
	}
}

// someoneWho finds the line by which a row succeeds, and for whom. Of a row that
// never succeeds the first line is taken.
func someoneWho(t *testing.T, rows []row, op *protocol.Operation) (row, persona) {
	t.Helper()
	var first *row
	for i := range rows {
		r := &rows[i]
		if r.op != op {
			continue
		}
		if first == nil {
			first = r
		}
		if r.status >= 300 {
			continue
		}
		for _, p := range r.allowed() {
			if p != anonymous {
				return *r, p
			}
		}
	}
	if first == nil {
		t.Fatalf("%s has no line in the matrix", op.Name)
	}
	return *first, personaOf('O')
}

func (r row) walk(t *testing.T, g *stage, p persona) {
	there := g.newScene(t, p)
	client := dialNative(t, g.nodes[0], there.token)
	client.until("ready", func(f frame) bool { return f.Ev == "ready" })
	client.send(map[string]any{"id": 1, "op": r.op.Name, "d": there.fill(t, r.request)})
	f, closed := client.replyOrClose(1)
	native := shapeOf(t, f.OK)
	if closed {
		native = "closed"
	}
	other, differs := otherwise[r.op.Name]
	switch reason := byHTTP[r.op.Name]; {
	case (reason != "") != r.op.RESTOnly:
		t.Errorf("the row says RESTOnly %v, the test %q", r.op.RESTOnly, reason)
	case reason != "":
		if f.Err == nil || f.Err.Code != "unknown_op" {
			t.Errorf("%+v, want unknown_op: %s", f, reason)
		}
		return
	case f.Err != nil && (f.Err.Code == "unknown_op" || f.Err.Status >= 500 || f.Err.Code == "invalid"):
		t.Fatalf("%+v", f.Err)
	}
	if differs && other.shape != "" {
		if f.Err != nil || native != other.shape && (other.shape != "closed" || native != "null") {
			t.Errorf("%s %+v, want %s because %s", native, f.Err, other.shape, other.reason)
		}
		return
	}
	if r.op.Path == "" {
		t.Fatalf("it has no REST form: its shape belongs into the list")
	}
	here := g.newScene(t, p)
	rest, err := call{r.op, here.fill(t, r.request)}.rest(within(t), g.nodes[0], here.token)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case f.Err != nil && f.Err.Status != rest.status:
		t.Errorf("native %+v, REST %s", f.Err, rest)
	case f.Err == nil && rest.status != r.op.SuccessStatus():
		t.Errorf("native %s, REST %s", f.OK, rest)
	case f.Err != nil && !differs:
		var said failure
		if err := json.Unmarshal([]byte(rest.body), &said); err != nil || said.Message != any(f.Err.Message) {
			t.Errorf("native %+v, REST %s", f.Err, rest)
		}
	case f.Err == nil:
		if want := shapeOf(t, json.RawMessage(rest.body)); !agree(parsed(t, native), parsed(t, want)) {
			t.Errorf("native answers %s\nREST           %s", native, want)
		}
	}
	if rest.status >= 300 && r.status < 300 && len(r.allowed()) > 0 {
		t.Errorf("nobody succeeds: %s", rest)
	}
}

// replyOrClose waits for a reply, or the end of the connection with 4004.
func (c *nativeClient) replyOrClose(id int64) (f frame, closed bool) {
	c.t.Helper()
	for {
		f, code := c.nextOrClose()
		switch {
		case code == 4004:
			return f, true
		case code != 0:
			c.t.Fatalf("closed with %d", code)
		case f.ID == id:
			return f, false
		}
	}
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// shapeOf is JSON with every value replaced by the empty one of its type, all
// items of a list joined in one, and keys that are ids by one: two scenes of the
// same making have the same.
func shapeOf(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	if len(raw) == 0 {
		return "null"
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	text, err := json.Marshal(emptied(v))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func emptied(v any) any {
	switch v := v.(type) {
	case string:
		return ""
	case float64:
		return 0
	case bool:
		return false
	case []any:
		var all any
		for _, item := range v {
			all = joined(all, emptied(item))
		}
		if all == nil {
			return []any{}
		}
		return []any{all}
	case map[string]any:
		out := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			name := k
			if uuid.MatchString(k) {
				name = "any id"
			}
			out[name] = joined(out[name], emptied(v[k]))
		}
		return out
	default:
		return nil
	}
}

func parsed(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// agree reports whether two shapes may be of the same thing: null and the empty
// list are of any.
func agree(a, b any) bool {
	switch x := a.(type) {
	case nil:
		return true
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return b == nil
		}
		for k, v := range x {
			w, has := y[k]
			if !has || !agree(v, w) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		return b == nil || ok && (len(x) == 0 || len(y) == 0 || agree(x[0], y[0]))
	default:
		return b == nil || a == b
	}
}

// joined is the shape of things that may have either of two shapes.
func joined(a, b any) any {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			return a
		}
		for k, v := range y {
			x[k] = joined(x[k], v)
		}
		return x
	case []any:
		y, ok := b.([]any)
		switch {
		case !ok || len(y) == 0:
			return a
		case len(x) == 0:
			return b
		}
		return []any{joined(x[0], y[0])}
	}
	return a
}

// The description says of every exception that it is one.
func TestNativeExceptionsAreDescribed(t *testing.T) {
	raw, err := os.ReadFile("../../protocol/rookeryws/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for name := range byHTTP {
		if !strings.Contains(text, name) {
			t.Errorf("%s is not described", name)
		}
	}
	for name := range otherwise {
		if !strings.Contains(text, name) {
			t.Errorf("%s is not described", name)
		}
	}
	for name := range maps.Keys(otherwise) {
		if !slices.ContainsFunc(protocol.Operations(), func(op *protocol.Operation) bool { return op.Name == name }) {
			t.Errorf("there is no %s", name)
		}
	}
}
