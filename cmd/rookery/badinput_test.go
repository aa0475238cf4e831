package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// target is a valid request that mutations start from. creates names the table
// that gets one row for each success.
type target struct {
	method, path string
	body         map[string]any
	creates      string
}

// TestBadInput throws mutations of every valid request, forged tokens and
// broken frames at a server: never a 5xx, never a panic, nothing changed that
// was refused, and in the end the server is as small as before.
func TestBadInput(t *testing.T) {
	pg := pgtest.NewServer(t)
	n := startNode(t, "--database-url", pg.URL())
	w := newWorkload(t, n, 3)
	ctx := within(t)
	api := n.api().As(w.owner.Token)
	var message struct{ ID string }
	if err := api.Call(ctx, "POST", "/api/messages", load.Body(w.owner.General, "victim"), &message); err != nil {
		t.Fatal(err)
	}
	_, outsider, err := n.api().Register(ctx, "outsider", outsiderInvite(t, api))
	if err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(ctx, pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(ctx))
	warm(t, n, w)
	goroutines, memory := goroutines(t, n), rss(t, n)

	t.Run("mutations", func(t *testing.T) {
		for _, target := range targets(w, message.ID) {
			for who, token := range map[string]string{"owner": w.owner.Token, "outsider": outsider} {
				mutate(t, n, db, target, who, token)
			}
		}
	})
	t.Run("tokens", func(t *testing.T) {
		claims := tokenClaims(t, w.owner.Token)
		// The key is the right one: the same claims pass while they have not expired.
		if err := n.api().As(signed(t, n, claims)).Call(within(t), "GET", "/api/users/profile", nil, nil); err != nil {
			t.Fatalf("a token signed here: %v", err)
		}
		for name, token := range forgedTokens(t, n, w.owner.Token) {
			if err := n.api().As(token).Call(within(t), "GET", "/api/users/profile", nil, nil); status(err) != 401 {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := load.Dial(within(t), n.addr, load.Options{Token: token}); err == nil || !strings.Contains(err.Error(), "AUTH_FAILED") {
				t.Errorf("%s on a socket: %v", name, err)
			}
		}
	})
	t.Run("frames", func(t *testing.T) { badFrames(t, n, w.owner.Token) })
	t.Run("events", func(t *testing.T) { badEvents(t, n, db, w, outsider) })

	var kept struct{ Spans []struct{ Text string } }
	if err := api.Call(within(t), "GET", "/api/messages/"+message.ID, nil, &kept); err != nil {
		t.Errorf("the victim is gone: %v", err)
	}
	// Scheduled work starts a dozen of its own some seconds after the server; what
	// leaks with requests would be thousands.
	await(t, "goroutines return to where they were", func() bool { return countGoroutines(t, n) <= goroutines+30 })
	if now := rss(t, n); now > memory+200<<10 {
		t.Errorf("memory grew from %d to %d KiB", memory, now)
	}
	for _, line := range n.problems() {
		t.Errorf("server logged %s", line)
	}
}

func targets(w *workload, message string) []target {
	o := w.owner
	return []target{
		{"POST", "/api/auth/login", map[string]any{"username": "owner", "password": load.Password}, ""},
		{"POST", "/api/auth/refresh", map[string]any{"refreshToken": "x"}, ""},
		{"GET", "/api/auth/sessions", nil, ""},
		{"PATCH", "/api/account/password", map[string]any{"currentPassword": "wrong", "newPassword": "longenough"}, ""},
		{"DELETE", "/api/account", map[string]any{"currentPassword": "wrong"}, ""},
		{"POST", "/api/account/password-reset", map[string]any{"token": "x", "newPassword": "longenough"}, ""},
		{"POST", "/api/users/admin/" + message + "/password-reset", nil, ""},
		{"POST", "/api/users", map[string]any{"code": "nocode", "username": "someone", "password": "longenough", "email": "a@b.example"}, "app_user"},
		{"POST", "/api/onboarding/setup", map[string]any{"adminUsername": "second", "adminPassword": "longenough", "instanceName": "x", "setupToken": "x"}, "app_user"},
		{"GET", "/api/users/profile", nil, ""},
		{"PATCH", "/api/users/profile", map[string]any{"displayName": "d", "avatar": "", "banner": o.UserID, "bio": "b", "status": "s"}, ""},
		{"GET", "/api/users/" + o.UserID, nil, ""},
		{"GET", "/api/users/search?q=own&limit=5&communityId=" + o.Community, nil, ""},
		{"GET", "/api/users?limit=5&continuationToken=" + o.UserID, nil, ""},
		{"GET", "/api/users/admin/list?limit=5&banned=false&role=USER&search=x&continuationToken=" + o.UserID, nil, ""},
		{"POST", "/api/users/block/" + message, nil, ""},
		{"DELETE", "/api/users/block/" + message, nil, ""},
		{"POST", "/api/friends/request/" + message, nil, ""},
		{"POST", "/api/friends/accept/" + message, nil, ""},
		{"DELETE", "/api/friends/decline/" + message, nil, ""},
		{"DELETE", "/api/friends/cancel/" + message, nil, ""},
		{"DELETE", "/api/friends/" + message, nil, ""},
		{"PATCH", "/api/appearance-settings", map[string]any{"themeMode": "light", "accentColor": "rose", "intensity": "vibrant"}, ""},
		{"PATCH", "/api/users/admin/" + o.UserID + "/role", map[string]any{"role": "OWNER"}, ""},
		{"POST", "/api/community", map[string]any{"name": "c", "description": "d"}, "community"},
		{"GET", "/api/community/" + o.Community, nil, ""},
		{"PATCH", "/api/community/" + o.Community, map[string]any{"name": "renamed", "description": "d", "avatar": nil, "banner": nil}, ""},
		{"GET", "/api/community/admin/list?limit=5&continuationToken=&search=x", nil, ""},
		{"DELETE", "/api/community/admin/" + o.UserID, nil, ""}, // names no community
		{"GET", "/api/community/mine", nil, ""},
		{"POST", "/api/channels", map[string]any{"name": "n", "communityId": o.Community, "type": "TEXT", "isPrivate": false, "slowmodeSeconds": 0}, "channel"},
		{"GET", "/api/channels/community/" + o.Community, nil, ""},
		{"GET", "/api/channels/" + o.General, nil, ""},
		{"PATCH", "/api/channels/" + o.General, map[string]any{"name": "general", "position": 1, "slowmodeSeconds": 0, "isPrivate": false}, ""},
		{"POST", "/api/channels/" + o.General + "/move-up", map[string]any{"communityId": o.Community}, ""},
		{"POST", "/api/channel-membership", map[string]any{"userId": o.UserID, "channelId": o.General}, ""},
		{"DELETE", "/api/channel-membership/channel/" + o.General + "/user/" + o.UserID, nil, ""},
		{"DELETE", "/api/channel-membership/leave/" + o.General, nil, ""},
		{"POST", "/api/invite", map[string]any{"communityIds": []any{o.Community}, "maxUses": 3, "validUntil": "2030-01-01T00:00:00Z"}, "instance_invite"},
		{"GET", "/api/invite/public/" + o.Invite, nil, ""},
		{"GET", "/api/invite/" + o.Invite, nil, ""},
		{"DELETE", "/api/invite/nothing", nil, ""},
		{"PATCH", "/api/instance/settings", map[string]any{"name": "n", "description": "d", "registrationMode": "INVITE_ONLY",
			"defaultStorageQuotaBytes": 53687091200, "maxFileSizeBytes": "524288000"}, ""},
		{"PATCH", "/api/storage/settings", map[string]any{"defaultStorageQuotaBytes": 53687091200, "maxFileSizeBytes": 524288000}, ""},
		{"GET", "/api/storage/users?skip=0&take=20&minPercentUsed=0", nil, ""},
		{"PATCH", "/api/storage/users/" + o.UserID + "/quota", map[string]any{"quotaBytes": 53687091200}, ""},
		{"POST", "/api/storage/users/" + o.UserID + "/recalculate", nil, ""},
		{"POST", "/api/membership", map[string]any{"userId": o.UserID, "communityId": o.Community}, "membership"},
		{"GET", "/api/membership/community/" + o.Community, nil, ""},
		{"GET", "/api/membership/community/" + o.Community + "/search?query=a&limit=3", nil, ""},
		{"DELETE", "/api/membership/community/" + o.Community + "/user/" + o.Community, nil, ""}, // names no member
		{"DELETE", "/api/membership/leave/" + o.UserID, nil, ""},                                 // names no community
		{"POST", "/api/messages", load.Body(o.General, "hello"), "message"},
		{"GET", "/api/messages/channel/" + o.General + "?limit=25&continuationToken=&direction=older", nil, ""},
		{"GET", "/api/messages/" + message, nil, ""},
		{"GET", "/api/messages/channel/" + o.General + "/around/" + message + "?limit=25", nil, ""},
		{"GET", "/api/messages/group/" + o.General + "/around/" + message + "?limit=25", nil, ""},
		{"POST", "/api/messages/" + message + "/attachments", map[string]any{"fileId": o.General}, ""},
		{"GET", "/api/messages/search/group/" + o.General + "?q=hello", nil, ""},
		{"GET", "/api/messages/search/channel/" + o.General + "?q=hello&limit=5&offset=0&authorId=&hasAttachment=false&fileType=IMAGE&before=2030-01-01", nil, ""},
		{"GET", "/api/messages/search/community/" + o.Community + "?q=hello&limit=5&offset=0&channelId=&after=2020-01-01T00:00:00Z", nil, ""},
		{"PATCH", "/api/messages/" + message, map[string]any{"spans": []any{map[string]any{"type": "PLAINTEXT", "text": "e"}}, "attachments": []any{}}, ""},
		{"POST", "/api/messages/reactions", map[string]any{"messageId": message, "emoji": "x"}, ""},
		{"DELETE", "/api/messages/reactions", map[string]any{"messageId": message, "emoji": "x"}, ""},
		{"GET", "/api/presence/user/" + o.UserID, nil, ""},
		{"POST", "/api/moderation/ban/" + o.Community + "/" + o.UserID, map[string]any{"reason": "r", "expiresAt": "2030-01-01T00:00:00Z"}, ""},
		{"DELETE", "/api/moderation/ban/" + o.Community + "/" + o.UserID, map[string]any{"reason": "r"}, ""},
		{"POST", "/api/moderation/kick/" + o.Community + "/" + o.UserID, map[string]any{"reason": "r"}, ""},
		{"POST", "/api/moderation/timeout/" + o.Community + "/" + o.UserID, map[string]any{"durationSeconds": 60, "reason": "r"}, ""},
		{"DELETE", "/api/moderation/timeout/" + o.Community + "/" + o.UserID, map[string]any{"reason": "r"}, ""},
		{"GET", "/api/moderation/logs/" + o.Community + "?limit=5&offset=0&action=KICK_USER", nil, ""},
		{"POST", "/api/moderation/pin/" + message, map[string]any{"reason": "r"}, ""},
		{"DELETE", "/api/moderation/pin/" + message, map[string]any{"reason": "r"}, ""},
		{"DELETE", "/api/moderation/message/" + o.UserID, map[string]any{"reason": "r"}, ""},
		{"GET", "/api/moderation/pins/" + o.General, nil, ""},
		{"POST", "/api/alias-groups/community/" + o.Community, map[string]any{"name": "birds", "memberIds": []any{o.UserID}}, ""},
		{"PUT", "/api/alias-groups/" + o.UserID, map[string]any{"name": "birds"}, ""},
		{"DELETE", "/api/alias-groups/" + o.UserID, nil, ""},
		{"POST", "/api/alias-groups/" + o.UserID + "/members", map[string]any{"userId": o.UserID}, ""},
		{"PUT", "/api/alias-groups/" + o.UserID + "/members", map[string]any{"memberIds": []any{o.UserID}}, ""},
		{"DELETE", "/api/alias-groups/" + o.UserID + "/members/" + o.UserID, nil, ""},
		{"POST", "/api/roles/community/" + o.Community, map[string]any{"name": "VIP", "actions": []any{"READ_MEMBER"}}, ""},
		{"PUT", "/api/roles/community/" + o.Community + "/" + o.UserID, map[string]any{"name": "VIP", "actions": []any{"READ_MEMBER"}}, ""},
		{"DELETE", "/api/roles/community/" + o.Community + "/" + o.UserID, nil, ""},
		{"POST", "/api/roles/community/" + o.Community + "/reset-defaults", map[string]any{}, ""},
		{"POST", "/api/roles/community/" + o.Community + "/assign", map[string]any{"userId": o.UserID, "roleId": o.UserID}, ""},
		{"DELETE", "/api/roles/community/" + o.Community + "/users/" + o.UserID + "/roles/" + o.UserID, nil, ""},
		{"POST", "/api/roles/instance", map[string]any{"name": "Auditor", "actions": []any{"READ_USER"}}, ""},
		{"PUT", "/api/roles/instance/" + o.UserID, map[string]any{"name": "Auditor", "actions": []any{"READ_USER"}}, ""},
		{"DELETE", "/api/roles/instance/" + o.UserID, nil, ""},
		{"POST", "/api/roles/instance/" + o.UserID + "/assign", map[string]any{"userId": o.UserID}, ""},
		{"DELETE", "/api/roles/instance/" + o.UserID + "/users/" + o.UserID, nil, ""},
	}
}

// mutate sends many random changes of one request and compares the number of
// successes with the number of new rows.
func mutate(t *testing.T, n *node, db *pgx.Conn, target target, who, token string) {
	t.Helper()
	const tries = 1000
	rows := map[string]int{}
	tables := []string{"app_user", "community", "channel", "membership", "instance_invite", "message"}
	for _, table := range tables {
		rows[table] = count(t, db, table)
	}
	var mu sync.Mutex
	successes := 0
	work := make(chan uint64)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for seed := range work {
				code, text := request(n, target, token, rand.New(rand.NewPCG(seed, 7)))
				if code >= 500 || code == 0 {
					t.Errorf("%s %s as %s, seed %d: %d %s", target.method, target.path, who, seed, code, text)
				}
				if code >= 200 && code < 300 {
					mu.Lock()
					successes++
					mu.Unlock()
				}
			}
		})
	}
	for seed := range uint64(tries) {
		work <- seed
	}
	close(work)
	all.Wait()
	for _, table := range tables {
		want := rows[table]
		got := count(t, db, table)
		switch {
		case table == target.creates:
			want += successes
		case target.creates == "community" && (table == "channel" || table == "membership"):
			want += successes
		}
		if got != want {
			t.Errorf("%s %s as %s: %s has %d rows, want %d (%d successes)", target.method, target.path, who, table, got, want, successes)
		}
	}
}

func count(t *testing.T, db *pgx.Conn, table string) int {
	t.Helper()
	var n int
	if err := db.QueryRow(within(t), "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize()).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func request(n *node, target target, token string, r *rand.Rand) (int, string) {
	path := target.path
	if r.IntN(3) == 0 || target.body == nil {
		path = mutatePath(path, r)
	}
	var body io.Reader
	if target.body != nil {
		body = bytes.NewReader(mutateBody(target.body, r))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, target.method, n.url()+path, body)
	if err != nil {
		return 400, "not a request at all"
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", []string{"application/json", "application/json", "application/json", "text/plain", "application/x-www-form-urlencoded", ""}[r.IntN(6)])
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	if res.StatusCode >= 400 && target.method != "HEAD" {
		var e struct {
			StatusCode int
			Message    any
		}
		if json.Unmarshal(text, &e) != nil || e.StatusCode != res.StatusCode || e.Message == nil {
			return 0, "not an error body: " + string(text)
		}
	}
	return res.StatusCode, string(text)
}

func mutatePath(path string, r *rand.Rand) string {
	parts := strings.Split(path, "/")
	i := 2 + r.IntN(len(parts)-2)
	parts[i] = []string{"", "x", "%00", "%zz", "..", "0", "00000000-0000-4000-8000-000000000000", url.PathEscape("'; drop table message; --"),
		strings.Repeat("a", 3000), "%F0%9F%8E%89", "null", "{id}", parts[i] + "/", strings.ToUpper(parts[i])}[r.IntN(14)]
	query := []string{"", "", "?limit=abc", "?limit=-1", "?limit=99999999999999999999", "?limit=1.5", "?limit=", "?continuationToken=x", "?continuationToken=%00",
		"?continuationToken=00000000-0000-8000-8000-000000000000", "?limit=5&limit=6", "?direction=sideways"}[r.IntN(12)]
	joined := strings.Join(parts, "/")
	if at := strings.IndexByte(joined, '?'); at >= 0 && query != "" {
		joined = joined[:at]
	}
	return joined + query
}

// strange values that fields get.
var strange = []any{nil, true, 0, -1, 1.5, 1e300, "", "x", "\x00", strings.Repeat("y", 50_000), []any{}, []any{nil}, map[string]any{}, map[string]any{"a": map[string]any{"b": 1}},
	"00000000-0000-4000-8000-000000000000", "not-a-uuid", "\u202e\ufeff", "9999-99-99", []any{[]any{[]any{}}}, 9007199254740993, "💥"}

func mutateBody(body map[string]any, r *rand.Rand) []byte {
	changed := map[string]any{}
	for k, v := range body {
		changed[k] = v
	}
	for range 1 + r.IntN(2) {
		keys := make([]string, 0, len(changed))
		for k := range changed {
			keys = append(keys, k)
		}
		if len(keys) == 0 {
			break
		}
		k := keys[r.IntN(len(keys))]
		switch r.IntN(5) {
		case 0:
			delete(changed, k)
		case 1:
			changed[fmt.Sprint("extra", r.IntN(10))] = strange[r.IntN(len(strange))]
		case 2:
			if list, ok := changed[k].([]map[string]string); ok && len(list) > 0 {
				span := map[string]any{"type": "PLAINTEXT", "text": "x"}
				span[[]string{"type", "text", "userId", "aliasId", "specialKind", "communityId", "id"}[r.IntN(7)]] = strange[r.IntN(len(strange))]
				changed[k] = []any{span}
				break
			}
			fallthrough
		default:
			changed[k] = strange[r.IntN(len(strange))]
		}
	}
	raw, err := json.Marshal(changed)
	if err != nil {
		return []byte("{")
	}
	switch r.IntN(10) {
	case 0: // cut off
		return raw[:r.IntN(len(raw))]
	case 1: // a byte flipped
		raw[r.IntN(len(raw))] ^= byte(1 + r.IntN(255))
	case 2: // another top level
		return [][]byte{[]byte("null"), []byte("[]"), []byte(`"text"`), []byte("17"), []byte(strings.Repeat("[", 5000)), bytes.Repeat([]byte("a"), 200_000)}[r.IntN(6)]
	}
	return raw
}

// forgedTokens are tokens that must not pass, made from a good one. The expired
// one is signed with the server's own key.
func forgedTokens(t *testing.T, n *node, good string) map[string]string {
	t.Helper()
	parts := strings.Split(good, ".")
	c := tokenClaims(t, good)
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	c["role"] = "OWNER"
	c["exp"] = time.Now().Add(24 * time.Hour).Unix()
	longer, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	c["role"] = "USER"
	c["exp"] = time.Now().Add(-time.Second).Unix()
	return map[string]string{
		"expired":             signed(t, n, c),
		"alg none":            part(`{"alg":"none","typ":"JWT"}`) + "." + parts[1] + ".",
		"alg None":            part(`{"alg":"None","typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"alg HS512":           part(`{"alg":"HS512","typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"alg RS256":           part(`{"alg":"RS256","typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"no signature":        parts[0] + "." + parts[1] + ".",
		"changed claims":      parts[0] + "." + part(string(longer)) + "." + parts[2],
		"two parts":           parts[0] + "." + parts[1],
		"garbage":             "garbage",
		"very long":           strings.Repeat("a", 7000),
		"signature of others": parts[0] + "." + parts[1] + "." + part(strings.Repeat("x", 32)),
	}
}

// tokenClaims reads the claims of a token without checking it.
func tokenClaims(t *testing.T, token string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// signed makes a token with the key of the server's access tokens.
func signed(t *testing.T, n *node, claims map[string]any) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(n.data, secretsFile))
	if err != nil {
		t.Fatal(err)
	}
	var s secrets
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims)).SignedString([]byte(s.Access))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// badFrames opens sockets and breaks the rules of every layer on them. The
// server must close each of them.
func badFrames(t *testing.T, n *node, token string) {
	t.Helper()
	auth := `40{"token":"Bearer ` + token + `"}`
	text := func(s string) []byte { return ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(s)))) }
	for name, frames := range map[string][][]byte{
		"unmasked":             {ws.MustCompileFrame(ws.NewTextFrame([]byte(auth)))},
		"binary":               {text(auth), ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame([]byte("x"))))},
		"not UTF-8":            {text("42\xff\xfe")},
		"event before connect": {text(`42["subscribeAll"]`)},
		"unknown packet":       {text(auth), text("9")},
		"undecodable event":    {text(auth), text(`42["x"`)},
		"event not an array":   {text(auth), text(`42{"x":1}`)},
		"huge frame":           {{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}},
		"reserved bits":        {{0xf1, 0x80, 1, 2, 3, 4}},
		"reserved opcode":      {{0x83, 0x80, 1, 2, 3, 4}},
		"lone continuation":    {{0x80, 0x80, 1, 2, 3, 4}},
		"two megabytes":        {text(auth), text(`42["sendMessage",{"x":"` + strings.Repeat("x", 2_000_000) + `"}]`)},
	} {
		for _, path := range []string{"/socket.io/?EIO=4&transport=websocket", "/ws"} {
			conn, _, _, err := ws.Dial(within(t), "ws://"+n.addr+path)
			if err != nil {
				t.Fatalf("%s %s: %v", name, path, err)
			}
			for _, f := range frames {
				if _, err := conn.Write(f); err != nil {
					break // closed already
				}
			}
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("%s on %s: the server keeps the socket", name, path)
			}
			conn.Close()
		}
	}
}

// badEvents sends strange payloads of every event on a good socket: it stays
// open, and nothing changes.
func badEvents(t *testing.T, n *node, db *pgx.Conn, w *workload, outsider string) {
	t.Helper()
	before := count(t, db, "message")
	r := rand.New(rand.NewPCG(1, 2))
	for _, token := range []string{w.owner.Token, outsider} {
		var exceptions sync.Map
		s, err := load.Dial(within(t), n.addr, load.Options{Token: token, OnEvent: func(name string, payload json.RawMessage) {
			if name == "exception" {
				exceptions.Store(string(payload), true)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			name := []string{"sendMessage", "addReaction", "removeReaction", "typingStart", "typingStop", "presenceOnline", "subscribeAll", "nope", ""}[r.IntN(9)]
			payload := strange[r.IntN(len(strange))]
			if r.IntN(3) == 0 {
				payload = map[string]any{"channelId": strange[r.IntN(len(strange))], "messageId": strange[r.IntN(len(strange))], "spans": strange[r.IntN(len(strange))], "emoji": strange[r.IntN(len(strange))]}
			}
			if err := s.Emit(name, payload); err != nil {
				t.Fatalf("the socket ended: %v", err)
			}
		}
		if ack, err := s.Ask(within(t), "presenceOnline", nil); err != nil || string(ack) != `"ACK"` {
			t.Errorf("after strange events: %s %v", ack, err)
		}
		exceptions.Range(func(payload, _ any) bool {
			if strings.Contains(payload.(string), "Internal server error") {
				t.Errorf("exception %s", payload)
			}
			return true
		})
		s.Close()
	}
	if after := count(t, db, "message"); after != before {
		t.Errorf("%d messages became %d", before, after)
	}
}

// warm does everything once, so that what stays for good is there before the
// comparison.
func warm(t *testing.T, n *node, w *workload) {
	t.Helper()
	for range 20 {
		s, err := load.Dial(within(t), n.addr, load.Options{Token: w.owner.Token})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
}

// goroutines waits until their number does not fall any more.
func goroutines(t *testing.T, n *node) int {
	t.Helper()
	last := 0
	await(t, "goroutines settle", func() bool {
		now := countGoroutines(t, n)
		same := now == last
		last = now
		return same
	})
	return last
}

func countGoroutines(t *testing.T, n *node) int {
	t.Helper()
	f, err := n.figures()
	if err != nil {
		t.Fatal(err)
	}
	return f.Goroutines
}
