package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	adaID   = protocol.UserID(protocol.NewID[struct{}]())
	adaCall = protocol.Caller{UserID: adaID, Session: protocol.SessionID(protocol.NewID[struct{}]())}
)

// testGate lets "good" in as ada; the gate itself is tested in its package and
// in session_test.go.
type testGate struct{ Gate }

func (testGate) Authenticate(_ context.Context, token string) (protocol.Caller, error) {
	switch token {
	case "good":
		return adaCall, nil
	case "revoked":
		return protocol.Caller{}, protocol.Unauthorized("Token has been revoked")
	case "broken":
		return protocol.Caller{}, errors.New("database is away")
	}
	return protocol.Caller{}, protocol.ErrUnauthorized
}

func (testGate) ReadAccess(token string) (protocol.Caller, time.Time, error) {
	if token == "good" {
		return adaCall, time.Time{}, nil
	}
	return protocol.Caller{}, time.Time{}, errors.New("not valid")
}

// seen is what reached the operations.
type seen struct {
	op     *protocol.Operation
	caller protocol.Caller
	in     protocol.Input
	ctx    context.Context
}

// start serves cfg on a loopback address until the test ends. Operations answer
// what reply says.
func start(t testing.TB, cfg Config, reply func(seen) (any, error)) string {
	t.Helper()
	if cfg.Do == nil {
		cfg.Do = func(ctx context.Context, op *protocol.Operation, caller protocol.Caller, in protocol.Input) (any, error) {
			if reply == nil {
				return nil, nil
			}
			return reply(seen{op, caller, in, ctx})
		}
	}
	if cfg.Gate == nil {
		cfg.Gate = testGate{}
	}
	s := New(cfg)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

// answer is a response read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// call sends one request; header lines have the form "Name: value".
func call(t testing.TB, addr, method, target, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+addr+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

var transport = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 32}

const (
	good    = "Authorization: Bearer good"
	someID  = "0b9e6c1a-3f4d-4b7e-9a55-0c6f2f1f9a10"
	unauth  = `{"message":"Unauthorized","statusCode":401}`
	created = `{"id":"x"}`
)

func TestConventions(t *testing.T) {
	addr := start(t, Config{NoRateLimits: true, CORSOrigins: []string{"https://a.test", "null"}}, func(s seen) (any, error) {
		switch s.op.Name {
		case "community.create":
			return json.RawMessage(created), nil
		case "community.get":
			return nil, protocol.NotFound("Community not found")
		case "reaction.add":
			return nil, protocol.Invalid([]protocol.FieldError{{Field: "a", Rule: "isString", Message: "a must be a string"}, {Field: "b", Message: "b"}})
		case "member.add":
			return nil, protocol.Conflict("User is already a member of this community")
		case "message.get":
			return nil, protocol.ErrForbidden
		case "message.edit":
			return nil, errors.New("secret")
		case "channel.list":
			return nil, protocol.ErrBadPathUUID
		case "member.list":
			panic("at the " + "disco")
		case "message.list":
			return json.RawMessage(`{"messages":[]}`), nil
		case "community.mine":
			return &[]protocol.Community{{Name: "<&>"}}, nil
		case "channel.get":
			return nil, &protocol.Error{Code: protocol.CodeUnavailable, Message: "later", RetryAfter: 1500 * time.Millisecond}
		case "presence.get":
			return &protocol.PresenceOf{UserID: s.in.Path["userId"] + "|" + s.in.Query["a"]}, nil
		}
		return nil, nil
	})
	big := `{"x":"` + strings.Repeat("x", 102400) + `"}`
	tests := []struct {
		name   string
		method string
		target string
		body   string
		header []string
		status int
		want   string // body
	}{
		{"created", "POST", "/api/community", `{}`, []string{good}, 201, created},
		{"any case, one slash", "POST", "/API/Community/", `{}`, []string{good}, 201, created},
		{"two slashes", "POST", "/api/community//", `{}`, []string{good}, 404, `{"message":"Cannot POST /api/community//","error":"Not Found","statusCode":404}`},
		{"no content", "DELETE", "/api/messages/" + someID, ``, []string{good}, 204, ``},
		{"empty answer", "GET", "/api/invite/public/x", ``, nil, 200, ``},
		{"fixed before parameter", "DELETE", "/api/messages/reactions", `{"messageId":"x"}`, []string{good}, 200, ``},
		{"parameter is decoded", "GET", "/api/presence/user/a%2Fb%20c?a=1&a=2", ``, []string{good}, 200, `{"userId":"a/b c|2","isOnline":false}`},
		{"HEAD is GET", "HEAD", "/api/community/mine", ``, []string{good}, 200, ``},
		{"no HTML escapes", "GET", "/api/community/mine", ``, []string{good}, 200,
			`[{"id":"00000000-0000-0000-0000-000000000000","name":"<&>","createdAt":"1970-01-01T00:00:00.000Z","avatar":null,"banner":null,"description":null}]`},
		{"unknown route", "GET", "/api/nope?x=1&y=%20", ``, []string{good}, 404, `{"message":"Cannot GET /api/nope?x=1\u0026y=%20","error":"Not Found","statusCode":404}`},
		{"unknown route, nobody", "GET", "/nope", ``, nil, 404, `{"message":"Cannot GET /nope","error":"Not Found","statusCode":404}`},
		{"unknown method", "PUT", "/api/auth/login", `{}`, nil, 404, `{"message":"Cannot PUT /api/auth/login","error":"Not Found","statusCode":404}`},
		{"body before route", "POST", "/api/nope", `{bad`, nil, 400, `{"message":"invalid character 'b' looking for beginning of object key string in JSON at position 2","error":"Bad Request","statusCode":400}`},
		{"body before token", "POST", "/api/community", `{"a":`, nil, 400, `{"message":"Unexpected end of JSON input","error":"Bad Request","statusCode":400}`},
		{"body is a text", "POST", "/api/community", `"x"`, []string{good}, 400, `{"message":"Unexpected token \"\\\"\", the body must be a JSON object or array","error":"Bad Request","statusCode":400}`},
		{"body is a list", "POST", "/api/community", `[]`, []string{good}, 201, created},
		{"body of another type", "POST", "/api/community", `<x/>`, []string{good, "Content-Type: text/xml"}, 201, created},
		{"body is spaces", "POST", "/api/community", `  `, []string{good}, 201, created},
		{"body too large", "POST", "/api/community", big, nil, 413, `{"message":"request entity too large","statusCode":413}`},
		{"body too deep", "POST", "/api/community", strings.Repeat("[", 50000) + strings.Repeat("]", 50000), nil, 400, `{"message":"JSON is nested too deep","error":"Bad Request","statusCode":400}`},
		{"foreign charset", "POST", "/api/community", `{}`, []string{good, "Content-Type: application/json; charset=utf-16"}, 400, `{"message":"unsupported charset \"utf-16\"","error":"Bad Request","statusCode":400}`},
		{"body on GET", "GET", "/api/community/" + someID, `{"a":1}`, []string{good}, 404, `{"message":"Community not found","error":"Not Found","statusCode":404}`},
		{"no token", "POST", "/api/community", `{}`, nil, 401, unauth},
		{"bad token", "POST", "/api/community", `{}`, []string{"Authorization: Bearer x"}, 401, unauth},
		{"scheme in any case", "POST", "/api/community", `{}`, []string{"Authorization: bEARER good"}, 201, created},
		{"cookie", "POST", "/api/community", `{}`, []string{"Cookie: a=b; access_token=good"}, 201, created},
		{"bearer beats cookie", "POST", "/api/community", `{}`, []string{"Authorization: Bearer x", "Cookie: access_token=good"}, 401, unauth},
		{"other scheme leaves the cookie", "POST", "/api/community", `{}`, []string{"Authorization: good", "Cookie: access_token=good"}, 201, created},
		{"explained 401", "POST", "/api/community", `{}`, []string{"Authorization: Bearer revoked"}, 401, `{"message":"Token has been revoked","error":"Unauthorized","statusCode":401}`},
		{"gate in trouble", "POST", "/api/community", `{}`, []string{"Authorization: Bearer broken"}, 503,
			`{"message":"Service temporarily unavailable, please retry","error":"Service Unavailable","statusCode":503}`},
		{"validation", "POST", "/api/messages/reactions", `{}`, []string{good}, 400, `{"message":["a must be a string","b"],"error":"Bad Request","statusCode":400}`},
		{"conflict", "POST", "/api/membership", `{}`, []string{good}, 409, `{"message":"User is already a member of this community","error":"Conflict","statusCode":409}`},
		{"forbidden", "GET", "/api/messages/" + someID, ``, []string{good}, 403, `{"message":"Forbidden resource","error":"Forbidden","statusCode":403}`},
		{"bad path uuid", "GET", "/api/channels/community/x", ``, []string{good}, 400, `{"message":"Validation failed (uuid is expected)","error":"Bad Request","statusCode":400}`},
		{"internal", "PATCH", "/api/messages/" + someID, `{}`, []string{good}, 500, `{"message":"Internal server error","statusCode":500}`},
		{"panic", "GET", "/api/membership/community/" + someID, ``, []string{good}, 500, `{"message":"Internal server error","statusCode":500}`},
		{"sessions without a database", "GET", "/api/auth/sessions", ``, []string{good}, 503, `{"message":"Service temporarily unavailable, please retry","error":"Service Unavailable","statusCode":503}`},
		{"hello", "GET", "/api", ``, nil, 200, `Hello World!`},
		{"alive", "GET", "/healthz", ``, nil, 200, "ok\n"},
		{"ready", "GET", "/readyz", ``, nil, 200, "ok\n"},
		{"health", "GET", "/api/health", ``, nil, 200, `{"status":"ok","info":{},"error":{},"details":{}}`},
		{"polling", "GET", "/socket.io/?EIO=4&transport=polling", ``, nil, 404, `{"message":"Cannot GET /socket.io/?EIO=4\u0026transport=polling","error":"Not Found","statusCode":404}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := call(t, addr, tt.method, tt.target, tt.body, tt.header...)
			if got.status != tt.status || got.body != tt.want {
				t.Errorf("%s %s = %d %s\nwant %d %s", tt.method, tt.target, got.status, got.body, tt.status, tt.want)
			}
			for name := range securityHeaders {
				if got.header.Get(name) == "" {
					t.Errorf("header %s is missing", name)
				}
			}
			if got.header.Get("X-Powered-By")+got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("a header that must not be there")
			}
			if len(got.header.Get("X-Request-Id")) != 36 {
				t.Errorf("request id = %q", got.header.Get("X-Request-Id"))
			}
			switch kind := got.header.Get("Content-Type"); {
			case tt.want == "" && tt.method != "HEAD" && kind != "":
				t.Errorf("an empty answer has content type %q", kind)
			case strings.HasPrefix(tt.want, "{") && kind != "application/json; charset=utf-8":
				t.Errorf("content type = %q", kind)
			}
		})
	}
	if got := call(t, addr, "GET", "/api/channels/"+someID, "", good); got.status != 503 || got.header.Get("Retry-After") != "2" {
		t.Errorf("retryable = %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	if got := call(t, addr, "GET", "/api/invite/public/x", ""); got.header.Get("Content-Length") != "0" {
		t.Errorf("empty answer has length %q", got.header.Get("Content-Length"))
	}
}

func TestForms(t *testing.T) {
	var got protocol.Input
	addr := start(t, Config{NoRateLimits: true}, func(s seen) (any, error) { got = s.in; return nil, nil })
	call(t, addr, "POST", "/api/users", "username=a%20b&code=&list=1&list=2&one[]=x", "Content-Type: application/x-www-form-urlencoded")
	if want := `{"code":"","list":["1","2"],"one":["x"],"username":"a b"}`; string(got.Body) != want {
		t.Errorf("body = %s, want %s", got.Body, want)
	}
}

func TestCallerAndRequestID(t *testing.T) {
	var got seen
	trust, err := ParseTrustProxy("loopback")
	if err != nil {
		t.Fatal(err)
	}
	addr := start(t, Config{NoRateLimits: true, TrustProxy: trust}, func(s seen) (any, error) { got = s; return nil, nil })
	a := call(t, addr, "GET", "/api/community/mine", "", good, "X-Forwarded-For: 9.9.9.9, 203.0.113.7", "User-Agent: tester", "X-Request-Id: proxy-1")
	if got.caller.UserID != adaID || got.caller.Address != "203.0.113.7" || got.caller.Agent != "tester" {
		t.Errorf("caller = %+v", got.caller)
	}
	if protocol.RequestID(got.ctx) != "proxy-1" || a.header.Get("X-Request-Id") != "proxy-1" {
		t.Errorf("request id = %q, answered %q", protocol.RequestID(got.ctx), a.header.Get("X-Request-Id"))
	}
	if a := call(t, addr, "GET", "/api", "", "X-Request-Id: a\"b"); a.header.Get("X-Request-Id") == `a"b` {
		t.Error("a hostile request id was taken over")
	}
}

func TestCORS(t *testing.T) {
	addr := start(t, Config{NoRateLimits: true, CORSOrigins: ParseOrigins(" https://a.test , null,", true)}, nil)
	for origin, want := range map[string]string{"https://a.test": "https://a.test", "null": "null", "https://evil.test": "", "https://a.test.evil.test": ""} {
		for _, target := range []string{"/api", "/api/nope", "/api/community"} {
			a := call(t, addr, "GET", target, "", "Origin: "+origin)
			if got := a.header.Get("Access-Control-Allow-Origin"); got != want || a.header.Get("Access-Control-Allow-Credentials") != "true" || a.header.Get("Vary") != "Origin" {
				t.Errorf("%s %s: allow-origin = %q, want %q; %v", origin, target, got, want, a.header)
			}
		}
	}
	a := call(t, addr, "OPTIONS", "/anything", "", "Origin: https://a.test", "Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: authorization,content-type")
	if a.status != 204 || a.header.Get("Access-Control-Allow-Methods") != "GET,HEAD,PUT,PATCH,POST,DELETE" ||
		a.header.Get("Access-Control-Allow-Headers") != "authorization,content-type" || a.header.Get("Access-Control-Allow-Origin") != "https://a.test" ||
		a.header.Get("Access-Control-Max-Age") != "" {
		t.Errorf("preflight = %d %v", a.status, a.header)
	}
	if got := ParseOrigins("", false); len(got) != 1 || got[0] != DefaultOrigin {
		t.Errorf("origins without configuration = %q", got)
	}
	if got := ParseOrigins("", true); len(got) != 0 {
		t.Errorf("origins of an empty configuration = %q", got)
	}
}

func TestEntityTags(t *testing.T) {
	addr := start(t, Config{NoRateLimits: true}, func(seen) (any, error) { return json.RawMessage(`{"messages":[]}`), nil })
	target := "/api/messages/channel/" + someID
	first := call(t, addr, "GET", target, "", good)
	tag := first.header.Get("Etag")
	if !strings.HasPrefix(tag, `W/"`) || first.body == "" {
		t.Fatalf("tag = %q", tag)
	}
	for _, tt := range []struct {
		header []string
		status int
	}{
		{[]string{"If-None-Match: " + tag}, 304},
		{[]string{"If-None-Match: " + strings.TrimPrefix(tag, "W/")}, 304},
		{[]string{`If-None-Match: "x", ` + tag}, 304},
		{[]string{"If-None-Match: *"}, 304},
		{[]string{`If-None-Match: "x"`}, 200},
		{[]string{"If-None-Match: " + tag, "Cache-Control: no-cache"}, 200},
	} {
		a := call(t, addr, "GET", target, "", append(tt.header, good)...)
		if a.status != tt.status || a.header.Get("Etag") != tag || tt.status == 304 && a.body != "" {
			t.Errorf("%v = %d %q", tt.header, a.status, a.body)
		}
	}
}

func TestLongRequestLine(t *testing.T) {
	var got protocol.Input
	addr := start(t, Config{NoRateLimits: true}, func(s seen) (any, error) { got = s.in; return nil, nil })
	long := strings.Repeat("x", 128<<10-100)
	if a := call(t, addr, "GET", "/api/presence/user/"+long, "", good); a.status != 200 || got.Path["userId"] != long {
		t.Errorf("status = %d, %d bytes arrived", a.status, len(got.Path["userId"]))
	}
}

func TestHealth(t *testing.T) {
	down := errors.New("away")
	var ready error
	addr := start(t, Config{
		Health: []HealthPart{
			{"database", func(context.Context) error { return nil }},
			{"redis", func(context.Context) error { return down }},
		},
		Ready:    func(context.Context) error { return ready },
		Instance: func(context.Context) InstanceInfo { return InstanceInfo{Name: "Home"} },
	}, nil)
	a := call(t, addr, "GET", "/api/health", "")
	want := `{"status":"error","instanceName":"Home","info":{"database":{"status":"up"}},"error":{"redis":{"status":"down"}},"details":{"database":{"status":"up"},"redis":{"status":"down"}}}`
	if a.status != 503 || a.body != want || a.header.Get("Cache-Control") != "no-cache, no-store, must-revalidate" {
		t.Errorf("health = %d %s %v", a.status, a.body, a.header)
	}
	ready = errors.New("joining")
	if a := call(t, addr, "GET", "/readyz", ""); a.status != 503 || a.body != "not ready\n" {
		t.Errorf("ready = %d %q", a.status, a.body)
	}
}

func TestFrontPage(t *testing.T) {
	info := InstanceInfo{Name: `<script>alert(1)</script>`, NeedsSetup: true}
	now := time.Now()
	addr := start(t, Config{Version: "1.2.3", Now: func() time.Time { return now }, Instance: func(context.Context) InstanceInfo { return info }}, nil)
	a := call(t, addr, "GET", "/", "")
	if a.status != 200 || a.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("front page = %d %v", a.status, a.header)
	}
	for text, want := range map[string]bool{"<script>": false, "not set up yet": true, "1.2.3": true, "http://" + addr + "/api": true, "/socket.io/": true, "src=": false} {
		if strings.Contains(a.body, text) != want {
			t.Errorf("page has %q: %v, want %v", text, !want, want)
		}
	}
	info.NeedsSetup = false
	now = now.Add(probeEvery)
	if a := call(t, addr, "GET", "/", ""); strings.Contains(a.body, "not set up yet") {
		t.Error("the page of an instance that is set up asks for set-up")
	}
}

func TestRoutes(t *testing.T) {
	addr := start(t, Config{NoRateLimits: true, Routes: []Route{
		{Method: "POST", Path: "/api/file/{id}", Authenticated: true, RawBody: true, Handler: func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %d %v %v", Param(r, "id"), len(b), err, CallerOf(r).UserID == adaID)
		}},
	}}, nil)
	if a := call(t, addr, "POST", "/api/file/f1", strings.Repeat("x", 200000), good); a.body != "f1 200000 <nil> true" {
		t.Errorf("route = %d %q", a.status, a.body)
	}
	if a := call(t, addr, "POST", "/api/file/f1", "x"); a.status != 401 {
		t.Errorf("route without token = %d", a.status)
	}
}

// A request that is not finished keeps neither a worker nor the shutdown for ever:
// an aborted body is an error, not a hang.
func TestAbortedBody(t *testing.T) {
	addr := start(t, Config{NoRateLimits: true}, nil)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(c, "POST /api/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\"")
	_ = c.(*net.TCPConn).CloseWrite()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("status = %d", res.StatusCode)
	}
	_ = res.Body.Close()
	_ = c.Close()
}

// FuzzRouter: whatever the path, looking it up neither panics nor finds a route
// whose parameters are not all there.
func FuzzRouter(f *testing.F) {
	for _, path := range []string{"/", "", "/api", "/api/messages/" + someID, "//", "/api//", "/%2f/%zz", "/API/Users/%00", strings.Repeat("/a", 50), "*", "/{id}"} {
		f.Add("GET", path)
	}
	s := New(Config{})
	f.Fuzz(func(t *testing.T, method, path string) {
		r, params := s.router.find(method, path)
		if r != nil && len(params) != len(r.params) {
			t.Errorf("%s %q: parameters = %v, want %v", method, path, params, r.params)
		}
	})
}
