package httpapi_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/rookery-chat/rookery/actors/gate"
	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/httpapi"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

const (
	chrome   = "Mozilla/5.0 (Windows NT 10.0) Chrome/120"
	firefox  = "Mozilla/5.0 (Macintosh; Intel Mac OS X) Firefox/120"
	electron = "Mozilla/5.0 (X11; Linux) Electron/30 Chrome/120"
	password = "Passw0rd!ada"
)

// house is the edge with a real gate, a real node and a real database, in which
// ada lives.
type house struct {
	t    testing.TB
	db   *persistence.DB
	gate *gate.Gate
	url  string
	ada  protocol.UserID

	mu    sync.Mutex
	clock time.Duration // how far ahead the house's clock is
	ended []protocol.EndSessions
}

func newHouse(t testing.TB) *house { return newHouseWith(t, httpapi.Config{NoRateLimits: true}) }

func newHouseWith(t testing.TB, cfg httpapi.Config) *house {
	t.Helper()
	h := &house{t: t, db: pgtest.New(t), ada: protocol.UserID(protocol.NewID[struct{}]())}
	node, err := cluster.Start(t.Context(), cluster.Config{Registry: cluster.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := node.Stop(ctx); err != nil {
			t.Errorf("stop node: %v", err)
		}
	})
	h.gate, err = gate.New(gate.Config{AccessSecret: []byte("access"), RefreshSecret: []byte("refresh"), DB: h.db, Node: node, Now: h.now})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := h.gate.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	h.exec(`INSERT INTO app_user (id, username, password_hash) VALUES ($1, 'ada', $2)`, h.ada, hash)
	cfg.DB, cfg.Gate, cfg.Now = h.db, h.gate, h.now
	cfg.Do = func(_ context.Context, _ *protocol.Operation, caller protocol.Caller, _ protocol.Input) (any, error) {
		return &protocol.Text{Message: caller.UserID.String()}, nil
	}
	cfg.EndSockets = func(_ context.Context, user protocol.UserID, end protocol.EndSessions) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if user == h.ada {
			h.ended = append(h.ended, end)
		}
		return nil
	}
	srv := httptest.NewServer(httpapi.New(cfg))
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.clock)
}

// later moves the house's clock on.
func (h *house) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock += d
}

func (h *house) closed() []protocol.EndSessions {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.ended
	h.ended = nil
	return list
}

func (h *house) exec(sql string, args ...any) {
	h.t.Helper()
	if _, err := h.db.Pool().Exec(context.Background(), sql, args...); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) count(sql string, args ...any) (n int) {
	h.t.Helper()
	if err := h.db.Pool().QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

// client is one browser or desktop app, with its cookies.
type client struct {
	h       *house
	agent   string
	cookies map[string]string
	bearer  string
}

func (h *house) client(agent string) *client {
	return &client{h: h, agent: agent, cookies: map[string]string{}}
}

type reply struct {
	status int
	body   string
	fields map[string]any
	set    []string
}

func (c *client) call(method, path, body string) reply {
	c.h.t.Helper()
	r, err := c.try(method, path, body)
	if err != nil {
		c.h.t.Fatal(err)
	}
	for _, line := range r.set {
		name, value, _ := strings.Cut(strings.SplitN(line, ";", 2)[0], "=")
		if c.cookies[name] = value; value == "" {
			delete(c.cookies, name)
		}
	}
	return r
}

// try leaves the cookies alone.
func (c *client) try(method, path, body string) (reply, error) {
	req, err := http.NewRequest(method, c.h.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("User-Agent", c.agent)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	for name, value := range c.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, err
	}
	r := reply{status: res.StatusCode, body: string(b), set: res.Header.Values("Set-Cookie")}
	_ = json.Unmarshal(b, &r.fields) // lists have no fields
	return r, nil
}

func (c *client) login() reply {
	c.h.t.Helper()
	r := c.call("POST", "/api/auth/login", fmt.Sprintf(`{"username":"ADA","password":%q}`, password))
	if r.status != 200 {
		c.h.t.Fatalf("login = %d %s", r.status, r.body)
	}
	return r
}

// in reports whether the client is let in.
func (c *client) in() bool {
	c.h.t.Helper()
	return c.call("GET", "/api/users/profile", "").status == 200
}

func explained(text string) string {
	return fmt.Sprintf(`{"message":%q,"error":"Unauthorized","statusCode":401}`, text)
}

const plain401 = `{"message":"Unauthorized","statusCode":401}`

func TestLogin(t *testing.T) {
	h := newHouse(t)
	web := h.client(chrome)
	r := web.login()
	if r.fields["refreshToken"] != nil || r.fields["accessToken"] == nil {
		t.Errorf("body of a browser = %s", r.body)
	}
	wants := []string{
		`^access_token=[\w-]+\.[\w-]+\.[\w-]+; Max-Age=3600; Path=/; Expires=\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT; HttpOnly; SameSite=Lax$`,
		`^refresh_token=[\w-]+\.[\w-]+\.[\w-]+; Max-Age=2592000; Path=/; Expires=\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT; HttpOnly; SameSite=Strict$`,
	}
	if len(r.set) != len(wants) {
		t.Fatalf("cookies = %q", r.set)
	}
	for i, want := range wants {
		if !regexp.MustCompile(want).MatchString(r.set[i]) {
			t.Errorf("cookie = %s, want %s", r.set[i], want)
		}
	}
	if !web.in() {
		t.Error("the cookie does not let in")
	}
	if r := h.client(electron).login(); r.fields["refreshToken"] == nil {
		t.Errorf("body of a desktop client = %s", r.body)
	}
	for _, body := range []string{
		``, `{}`, `[]`, `{"username":"ada"}`, `{"username":"ada","password":""}`, `{"username":1,"password":2}`, `{"username":null,"password":null}`,
		`{"username":"ada","password":"wrong"}`, `{"username":"nobody","password":"wrong"}`, `{"username":"a\u0000da","password":"x"}`,
		fmt.Sprintf(`{"username":"ada","password":%q}`, strings.Repeat("x", 5000)),
	} {
		if r := web.call("POST", "/api/auth/login", body); r.status != 401 || r.body != plain401 {
			t.Errorf("login with %.60s = %d %s", body, r.status, r.body)
		}
	}
	if r := web.call("POST", "/api/auth/login?username=ada&password="+password, `{}`); r.status != 401 {
		t.Errorf("credentials in the query string = %d", r.status)
	}
	if r := web.call("POST", "/api/auth/login", `{"username":`); r.status != 400 {
		t.Errorf("malformed body = %d", r.status)
	}
	h.exec(`UPDATE app_user SET banned = true WHERE id = $1`, h.ada)
	r = web.call("POST", "/api/auth/login", fmt.Sprintf(`{"username":"ada","password":%q}`, password))
	if r.status != 401 || r.body != explained("Account has been banned") {
		t.Errorf("banned = %d %s", r.status, r.body)
	}
}

func TestBcryptIsUpgradedAtLogin(t *testing.T) {
	h := newHouse(t)
	old, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	h.exec(`UPDATE app_user SET password_hash = $1`, string(old))
	h.client(chrome).login()
	if n := h.count(`SELECT count(*) FROM app_user WHERE password_hash LIKE '$argon2id$%'`); n != 1 {
		t.Error("the hash was not upgraded")
	}
	h.client(firefox).login()
}

func TestRefresh(t *testing.T) {
	h := newHouse(t)
	web, desktop := h.client(chrome), h.client(electron)
	if r := web.call("POST", "/api/auth/refresh", `{}`); r.body != explained("No refresh token provided") {
		t.Errorf("without a token = %d %s", r.status, r.body)
	}
	web.login()
	first := web.cookies["refresh_token"]
	r := web.call("POST", "/api/auth/refresh", `{}`)
	if r.status != 200 || r.fields["refreshToken"] != nil || len(r.set) != 2 || web.cookies["refresh_token"] == first || !web.in() {
		t.Errorf("refresh of a browser = %d %s", r.status, r.body)
	}
	token := desktop.login().fields["refreshToken"].(string)
	desktop.cookies = map[string]string{}
	r = desktop.call("POST", "/api/auth/refresh", fmt.Sprintf(`{"refreshToken":%q}`, token))
	if r.status != 200 || r.fields["refreshToken"] == nil || r.fields["refreshToken"] == token {
		t.Errorf("refresh of a desktop client = %d %s", r.status, r.body)
	}
	// The body counts for desktop clients only.
	other := h.client(firefox)
	if r := other.call("POST", "/api/auth/refresh", fmt.Sprintf(`{"refreshToken":%q}`, token)); r.body != explained("No refresh token provided") {
		t.Errorf("body of a browser = %d %s", r.status, r.body)
	}
	for name, bad := range map[string]string{"garbage": "garbage", "access token": web.cookies["access_token"], "nothing": "e30.e30.x"} {
		c := h.client(chrome)
		c.cookies["refresh_token"] = bad
		if r := c.call("POST", "/api/auth/refresh", ``); r.status != 401 || r.body != explained("Invalid refresh token") {
			t.Errorf("%s = %d %s", name, r.status, r.body)
		}
	}
	unknown, _, err := h.gate.IssueRefresh(h.ada) // well signed, never stored
	if err != nil {
		t.Fatal(err)
	}
	other.cookies["refresh_token"] = unknown
	if r := other.call("POST", "/api/auth/refresh", ``); r.body != explained("Invalid refresh token") {
		t.Errorf("without a row = %d %s", r.status, r.body)
	}
	h.exec(`UPDATE app_user SET banned = true WHERE id = $1`, h.ada)
	if r := web.call("POST", "/api/auth/refresh", ``); r.body != explained("Account has been banned") {
		t.Errorf("banned = %d %s", r.status, r.body)
	}
	h.exec(`DELETE FROM app_user WHERE id = $1`, h.ada)
	if r := web.call("POST", "/api/auth/refresh", ``); r.body != explained("Could not find user") {
		t.Errorf("deleted = %d %s", r.status, r.body)
	}
}

func TestReuseAfterGraceEndsTheSession(t *testing.T) {
	h := newHouse(t)
	web, thief := h.client(chrome), h.client(chrome)
	web.login()
	thief.cookies["refresh_token"] = web.cookies["refresh_token"]
	if r := web.call("POST", "/api/auth/refresh", ``); r.status != 200 {
		t.Fatalf("refresh = %d", r.status)
	}
	h.later(9 * time.Second)
	if r := thief.try2("POST", "/api/auth/refresh"); r.status != 200 {
		t.Errorf("reuse within the grace period = %d %s", r.status, r.body)
	}
	h.later(2 * time.Second)
	h.closed()
	if r := thief.try2("POST", "/api/auth/refresh"); r.status != 401 || r.body != explained("Invalid refresh token") {
		t.Errorf("reuse after the grace period = %d %s", r.status, r.body)
	}
	if n := h.count(`SELECT count(*) FROM refresh_token`); n != 0 {
		t.Errorf("%d refresh tokens of the family are left", n)
	}
	if r := web.call("GET", "/api/users/profile", ""); r.status != 401 || r.body != explained("Token has been revoked") {
		t.Errorf("access token of the family = %d %s", r.status, r.body)
	}
	if r := web.call("POST", "/api/auth/refresh", ``); r.status != 401 {
		t.Errorf("refresh token of the family = %d", r.status)
	}
	if ends := h.closed(); len(ends) != 1 || ends[0].Session.IsZero() {
		t.Errorf("sockets closed = %+v", ends)
	}
}

// try2 is call without cookies being kept, for who must not get new ones.
func (c *client) try2(method, path string) reply {
	c.h.t.Helper()
	r, err := c.try(method, path, "")
	if err != nil {
		c.h.t.Fatal(err)
	}
	return r
}

// Twenty refreshes with one token at once: tabs that share a cookie. One of them
// consumes the token, all get tokens of the one family that there is.
func TestParallelRefreshes(t *testing.T) {
	h := newHouse(t)
	web := h.client(chrome)
	web.login()
	replies := make([]reply, 20)
	var all sync.WaitGroup
	for i := range replies {
		all.Go(func() {
			var err error
			if replies[i], err = web.try("POST", "/api/auth/refresh", ""); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, r := range replies {
		if r.status != 200 {
			t.Errorf("refresh = %d %s", r.status, r.body)
		}
	}
	if n := h.count(`SELECT count(DISTINCT family_id) FROM refresh_token`); n != 1 {
		t.Errorf("%d families", n)
	}
	if n := h.count(`SELECT count(*) FROM refresh_token WHERE replaced_by IS NOT NULL`); n != 1 {
		t.Errorf("%d tokens were consumed, want the one", n)
	}
	web.bearer = replies[7].fields["accessToken"].(string)
	var list []protocol.Session
	if err := json.Unmarshal([]byte(web.call("GET", "/api/auth/sessions", "").body), &list); err != nil || len(list) != 1 || !list[0].IsCurrent {
		t.Errorf("sessions = %+v, %v", list, err)
	}
	// Ending the one session ends all twenty.
	if r := web.call("DELETE", "/api/auth/sessions/"+list[0].ID.String(), ""); r.status != 200 {
		t.Errorf("revoke = %d %s", r.status, r.body)
	}
	if n := h.count(`SELECT count(*) FROM refresh_token`); n != 0 {
		t.Errorf("%d refresh tokens are left", n)
	}
}

// A session that is ended while it is refreshed does not come back.
func TestLogoutAgainstRefreshes(t *testing.T) {
	h := newHouse(t)
	for range 5 {
		web := h.client(chrome)
		web.login()
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				if _, err := web.try("POST", "/api/auth/refresh", ""); err != nil {
					t.Error(err)
				}
			})
		}
		all.Go(func() {
			if r, err := web.try("POST", "/api/auth/logout", ""); err != nil || r.status != 201 {
				t.Errorf("logout = %d %s %v", r.status, r.body, err)
			}
		})
		all.Wait()
		if n := h.count(`SELECT count(*) FROM refresh_token`); n != 0 {
			t.Fatalf("%d refresh tokens came back", n)
		}
	}
}

// What is under way while an account is banned or gets another password brings
// no login about.
func TestEntryAgainstABan(t *testing.T) {
	h := newHouse(t)
	entry := func() persistence.RefreshToken {
		now := protocol.InstantOf(h.now())
		return persistence.RefreshToken{
			ID: protocol.AnyID(protocol.NewRandomID[struct{}]()), User: h.ada, Hash: sha256.Sum256([]byte(rand.Text())), At: now,
			Expires: now + 1e9, Device: "x", AccessFor: time.Hour, Session: protocol.SessionID(protocol.NewRandomID[struct{}]()),
		}
	}
	row, err := h.db.UserForLogin(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	first := entry()
	if ok, err := h.db.OpenSession(t.Context(), first, row.Hash); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := h.db.OpenSession(t.Context(), entry(), "another hash"); ok || err != nil {
		t.Errorf("a login with the password before: %v, %v", ok, err)
	}
	// A ban that has not committed yet: whoever comes meanwhile waits for it.
	tx, err := h.db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `UPDATE app_user SET banned = true WHERE id = $1`, h.ada); err != nil {
		t.Fatal(err)
	}
	type result struct {
		ok  bool
		err error
	}
	results := make(chan result, 2)
	go func() {
		ok, err := h.db.OpenSession(context.Background(), entry(), row.Hash)
		results <- result{ok, err}
	}()
	go func() {
		r, err := h.db.RotateSession(context.Background(), first.ID, first.Hash, entry())
		results <- result{r.Valid, err}
	}()
	for h.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) < 2 {
		runtime.Gosched()
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r := <-results; r.ok || r.err != nil {
			t.Errorf("entered a banned account: %+v", r)
		}
	}
}

func TestLogout(t *testing.T) {
	h := newHouse(t)
	if r := h.client(chrome).call("POST", "/api/auth/logout", ""); r.status != 401 || r.body != plain401 {
		t.Errorf("nobody = %d %s", r.status, r.body)
	}
	web := h.client(chrome)
	web.login()
	cookies := map[string]string{"access_token": web.cookies["access_token"], "refresh_token": web.cookies["refresh_token"]}
	r := web.call("POST", "/api/auth/logout", "")
	const gone = "=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
	if r.status != 201 || r.body != `{"message":"Logged out successfully"}` || len(r.set) != 2 || r.set[0] != "refresh_token"+gone || r.set[1] != "access_token"+gone {
		t.Errorf("logout = %d %s %q", r.status, r.body, r.set)
	}
	if ends := h.closed(); len(ends) != 1 {
		t.Errorf("sockets closed = %+v", ends)
	}
	web.cookies = cookies
	if r := web.call("GET", "/api/users/profile", ""); r.body != explained("Token has been revoked") {
		t.Errorf("access token afterwards = %d %s", r.status, r.body)
	}
	if r := web.call("POST", "/api/auth/refresh", ""); r.body != explained("Invalid refresh token") {
		t.Errorf("refresh token afterwards = %d %s", r.status, r.body)
	}

	bearer := h.client(firefox)
	bearer.bearer = bearer.login().fields["accessToken"].(string)
	bearer.cookies = map[string]string{}
	if r := bearer.call("POST", "/api/auth/logout", ""); r.status != 201 || len(r.set) != 1 {
		t.Errorf("bearer only = %d %q", r.status, r.set)
	}
	if n := h.count(`SELECT count(*) FROM refresh_token`); n != 0 {
		t.Errorf("%d refresh tokens of the session are left", n)
	}

	for _, body := range []string{`{"refreshToken":"garbage"}`, `{"refreshToken":5}`} {
		c := h.client(firefox)
		c.bearer = c.login().fields["accessToken"].(string)
		c.cookies = map[string]string{}
		if r := c.call("POST", "/api/auth/logout", body); r.status != 201 || len(r.set) != 2 {
			t.Errorf("%s = %d %q", body, r.status, r.set)
		}
	}

	late := h.client(chrome)
	late.login()
	h.later(2 * time.Hour)
	if late.in() {
		t.Fatal("the access token has not expired")
	}
	if r := late.call("POST", "/api/auth/logout", ""); r.status != 201 {
		t.Errorf("with an expired access token = %d %s", r.status, r.body)
	}
	if n := h.count(`SELECT count(*) FROM refresh_token`); n != 0 {
		t.Errorf("%d refresh tokens are left", n)
	}
}

func TestSessions(t *testing.T) {
	h := newHouse(t)
	web, other, desktop := h.client(chrome), h.client(firefox), h.client(electron)
	for _, c := range []*client{web, other, desktop} {
		c.login()
		h.later(time.Second)
	}
	desktop.bearer = desktop.cookies["access_token"]
	desktop.cookies = map[string]string{} // desktop clients have none
	names := func(c *client) string {
		var list []protocol.Session
		r := c.call("GET", "/api/auth/sessions", "")
		if err := json.Unmarshal([]byte(r.body), &list); err != nil {
			t.Fatalf("sessions = %d %s", r.status, r.body)
		}
		var b bytes.Buffer
		for _, s := range list {
			mark := ""
			if s.IsCurrent {
				mark = "*"
			}
			if s.IPAddress == nil || *s.IPAddress != "127.0.0.1" || s.ExpiresAt <= s.CreatedAt || s.LastUsedAt < s.CreatedAt {
				t.Errorf("session = %+v", s)
			}
			b.WriteString(s.DeviceName + mark + "|")
		}
		return b.String()
	}
	if got, want := names(web), "Semaphore Chat Desktop (Linux)|Firefox on macOS|Chrome on Windows*|"; got != want {
		t.Errorf("sessions = %s, want %s", got, want)
	}
	if got, want := names(desktop), "Semaphore Chat Desktop (Linux)*|Firefox on macOS|Chrome on Windows|"; got != want {
		t.Errorf("sessions of a client without cookies = %s, want %s", got, want)
	}
	// The same device at the same address replaces its session; what it has open
	// goes on.
	again := h.client(firefox)
	h.closed()
	again.login()
	if r := other.call("GET", "/api/users/profile", ""); r.status != 200 {
		t.Errorf("access token of a replaced session = %d %s", r.status, r.body)
	}
	if closed := h.closed(); len(closed) != 0 {
		t.Errorf("sockets closed: %+v", closed)
	}
	if got, want := names(web), "Firefox on macOS|Semaphore Chat Desktop (Linux)|Chrome on Windows*|"; got != want {
		t.Errorf("sessions = %s, want %s", got, want)
	}
	if r := other.call("POST", "/api/auth/refresh", ""); r.status != 401 {
		t.Errorf("replaced session = %d", r.status)
	}

	if r := web.call("DELETE", "/api/auth/sessions/not-a-uuid", ""); r.status != 400 || !strings.Contains(r.body, "Validation failed (uuid is expected)") {
		t.Errorf("malformed id = %d %s", r.status, r.body)
	}
	foreign := protocol.UserID(protocol.NewID[struct{}]())
	h.exec(`INSERT INTO app_user (id, username, password_hash) VALUES ($1, 'bob', 'x')`, foreign)
	bob := h.client(chrome)
	token, err := h.gate.IssueAccess(foreign, "bob", "USER", protocol.SessionID(protocol.NewID[struct{}]()))
	if err != nil {
		t.Fatal(err)
	}
	bob.bearer = token
	var list []protocol.Session
	if err := json.Unmarshal([]byte(again.call("GET", "/api/auth/sessions", "").body), &list); err != nil {
		t.Fatal(err)
	}
	firefoxID := list[0].ID.String()
	for _, c := range []*client{bob, web} {
		id := firefoxID
		if c == web {
			id = "00000000-0000-4000-8000-000000000000"
		}
		if r := c.call("DELETE", "/api/auth/sessions/"+id, ""); r.status != 404 || r.body != `{"message":"Session not found","error":"Not Found","statusCode":404}` {
			t.Errorf("foreign or unknown session = %d %s", r.status, r.body)
		}
	}
	h.closed()
	if r := web.call("DELETE", "/api/auth/sessions/"+firefoxID, ""); r.status != 200 || r.body != `{"message":"Session revoked successfully"}` {
		t.Errorf("revoke = %d %s", r.status, r.body)
	}
	if again.in() || again.call("POST", "/api/auth/refresh", "").status != 401 || len(h.closed()) != 1 {
		t.Error("the revoked session lives on")
	}
	if r := web.call("DELETE", "/api/auth/sessions", ""); r.status != 200 || r.body != `{"message":"Revoked 1 session","revokedCount":1}` {
		t.Errorf("revoke others = %d %s", r.status, r.body)
	}
	if desktop.in() || !web.in() || len(h.closed()) != 1 {
		t.Error("the other session lives on, or the own one does not")
	}
	if r := web.call("DELETE", "/api/auth/sessions", ""); r.body != `{"message":"Revoked 0 sessions","revokedCount":0}` {
		t.Errorf("revoke others again = %d %s", r.status, r.body)
	}
}

func TestSweepSessions(t *testing.T) {
	h := newHouse(t)
	web := h.client(chrome)
	web.login()
	web.call("POST", "/api/auth/refresh", "")
	h.exec(`INSERT INTO revoked_token (id, user_id, expires_at) VALUES ($1, $2, now() - interval '1 minute')`, protocol.NewID[struct{}](), h.ada)
	sweep := func(after time.Duration) (rows int) {
		if err := h.db.SweepSessions(t.Context(), protocol.InstantOf(time.Now().Add(after))); err != nil {
			t.Fatal(err)
		}
		return h.count(`SELECT (SELECT count(*) FROM refresh_token) * 10 + (SELECT count(*) FROM revoked_token)`)
	}
	for after, want := range []struct {
		after time.Duration
		rows  int
	}{{0, 20}, {8 * 24 * time.Hour, 10}, {31 * 24 * time.Hour, 0}} {
		if got := sweep(want.after); got != want.rows {
			t.Errorf("step %d: rows = %d, want %d", after, got, want.rows)
		}
	}
}
