package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence/redistest"
	"github.com/rookery-chat/rookery/protocol"
)

// Both implementations count alike. Windows are long, so that no test depends
// on how fast it runs.
func TestLimiters(t *testing.T) {
	limits := []Limit{{"short", 2, time.Hour}, {"medium", 3, 2 * time.Hour}}
	for name, l := range map[string]limiter{
		"memory": newMemoryLimiter(),
		"redis":  sharedLimiter(redistest.New(t)),
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now().UnixMilli()
			for i, want := range []verdict{
				{-1, [maxLimits]bucketView{{1, 3600}, {2, 7200}}},
				{-1, [maxLimits]bucketView{{0, 3600}, {1, 7200}}},
				{0, [maxLimits]bucketView{{0, 3600}}},
				{0, [maxLimits]bucketView{{0, 3600}}},
			} {
				got := l.hit(t.Context(), "k", limits, now)
				for j := range got.buckets { // hours later is soon enough
					got.buckets[j].reset = (got.buckets[j].reset + 999_999) / 1_000_000 * 1_000_000 / 1000
					want.buckets[j].reset = (want.buckets[j].reset*1000 + 999_999) / 1_000_000 * 1_000_000 / 1000
				}
				if got != want {
					t.Errorf("hit %d = %+v, want %+v", i+1, got, want)
				}
			}
			if v := l.hit(t.Context(), "other", limits, now); v.refusedBy != -1 {
				t.Error("keys are not apart")
			}
			// The long window counts what the short one let through.
			wide := []Limit{{"short", 100, time.Hour}, {"long", 1, time.Hour}}
			l.hit(t.Context(), "w", wide, now)
			if v := l.hit(t.Context(), "w", wide, now); v.refusedBy != 1 {
				t.Errorf("refused by %d, want the second limit", v.refusedBy)
			}
		})
	}
}

// A block lasts one window and is not prolonged by hits; afterwards counting
// begins anew.
func TestBlocksEnd(t *testing.T) {
	m := newMemoryLimiter()
	limits := []Limit{{"short", 1, time.Second}}
	hit := func(at int64) int { return m.hit(t.Context(), "k", limits, at).refusedBy }
	for _, step := range []struct {
		at   int64
		want int
	}{{0, -1}, {900, 0}, {1200, 0}, {1899, 0}, {1900, -1}, {1901, 0}, {2901, -1}} {
		if got := hit(step.at); got != step.want {
			t.Errorf("at %d ms: refused by %d, want %d", step.at, got, step.want)
		}
	}
}

func TestMemoryLimiterIsBounded(t *testing.T) {
	m := newMemoryLimiter()
	blocked := []Limit{{"short", 0, time.Hour}}
	m.hit(t.Context(), "blocked", blocked, 0)
	for i := range 2 * limitShards * shardKeys {
		m.hit(t.Context(), strconv.Itoa(i), []Limit{{"short", 1, time.Second}}, 0)
	}
	kept := 0
	for i := range m.shards {
		if n := len(m.shards[i].keys); n > shardKeys {
			t.Fatalf("a shard has %d keys", n)
		} else {
			kept += n
		}
	}
	if kept < limitShards*shardKeys/2 {
		t.Errorf("only %d keys were kept", kept)
	}
	if m.hit(t.Context(), "blocked", blocked, 1).refusedBy != 0 {
		t.Error("a block was forgotten while there was less to keep")
	}
}

// While Redis is away each node limits on its own, and goes back afterwards.
func TestRedisAway(t *testing.T) {
	r := redistest.New(t)
	l := sharedLimiter(r)
	limits := []Limit{{"short", 1, time.Hour}}
	now := time.Now().UnixMilli()
	if l.hit(t.Context(), "k", limits, now).refusedBy != -1 || l.hit(t.Context(), "k", limits, now).refusedBy != 0 {
		t.Fatal("Redis does not count")
	}
	r.Kill()
	if v := l.hit(t.Context(), "k", limits, now); v.refusedBy != -1 {
		t.Error("the local limiter knows what only Redis counted")
	}
	if v := l.hit(t.Context(), "k", limits, now); v.refusedBy != 0 {
		t.Error("nobody counts while Redis is away")
	}
	r.Start()
	later := now + redisPause.Milliseconds() + 1
	if v := l.hit(t.Context(), "fresh", limits, later); v.refusedBy != -1 {
		t.Error("a fresh key was refused")
	}
	if n := r.Client().Exists(context.Background(), redisPrefix+"fresh").Val(); n != 1 {
		t.Error("Redis is not used again")
	}
}

func TestRedisLimiterIsShared(t *testing.T) {
	r := redistest.New(t)
	a := sharedLimiter(r)
	b := sharedLimiter(r)
	limits := []Limit{{"short", 50, time.Hour}}
	var allowed atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		for _, l := range []*redisLimiter{a, b} {
			all.Go(func() {
				v, err := l.count(context.Background(), "k", limits)
				if err != nil {
					t.Error(err)
				} else if v.refusedBy < 0 {
					allowed.Add(1)
				}
			})
		}
	}
	all.Wait()
	if n := allowed.Load(); n != 50 {
		t.Errorf("%d of 200 hits were allowed by two nodes, want 50", n)
	}
}

// sharedLimiter has all the time of a busy machine.
func sharedLimiter(r *redistest.Server) *redisLimiter {
	l := newRedisLimiter(r.Client(), slog.New(slog.DiscardHandler))
	l.timeout = time.Minute
	return l
}

func TestForgetHits(t *testing.T) {
	limits := []Limit{{"short", 1, time.Hour}}
	for name, l := range map[string]limiter{"memory": newMemoryLimiter(), "redis": sharedLimiter(redistest.New(t))} {
		now := time.Now().UnixMilli()
		l.hit(t.Context(), "k", limits, now)
		if v := l.hit(t.Context(), "k", limits, now); v.refusedBy != 0 {
			t.Errorf("%s: not refused", name)
		}
		l.forget(t.Context(), "k")
		if v := l.hit(t.Context(), "k", limits, now); v.refusedBy != -1 {
			t.Errorf("%s: not forgotten", name)
		}
	}
}

func TestRateLimitAnswers(t *testing.T) {
	now := time.Now()
	addr := start(t, Config{Now: func() time.Time { return now }}, nil)
	a := call(t, addr, "POST", "/api/users", `{}`)
	for name, want := range map[string]string{
		"X-RateLimit-Limit-short": "3", "X-RateLimit-Remaining-short": "2", "X-RateLimit-Reset-short": "1",
		"X-RateLimit-Limit-medium": "100", "X-RateLimit-Remaining-medium": "99", "X-RateLimit-Reset-medium": "10",
		"X-RateLimit-Limit-long": "10", "X-RateLimit-Remaining-long": "9", "X-RateLimit-Reset-long": "60",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for range 2 {
		call(t, addr, "POST", "/api/users", `{}`)
	}
	a = call(t, addr, "POST", "/api/users", `{}`)
	if a.status != 429 || a.body != `{"message":"ThrottlerException: Too Many Requests","statusCode":429}` ||
		a.header.Get("Retry-After-short") != "1" || a.header.Get("X-RateLimit-Limit-short") != "" {
		t.Errorf("over the limit = %d %s %v", a.status, a.body, a.header)
	}
	if a := call(t, addr, "GET", "/api/onboarding/status", ""); a.status != 200 {
		t.Errorf("another route = %d", a.status)
	}
	// Who has no token is refused before anything is counted.
	for range 30 {
		if a := call(t, addr, "GET", "/api/community/mine", ""); a.status != 401 || a.header.Get("X-RateLimit-Limit-short") != "" {
			t.Fatalf("nobody = %d %v", a.status, a.header)
		}
	}
	for range 30 {
		if a := call(t, addr, "GET", "/api/health", ""); a.status != 200 {
			t.Fatalf("health = %d", a.status)
		}
	}
	for i := range 21 {
		want := 200
		if i == 20 {
			want = 429
		}
		if a := call(t, addr, "GET", "/api/community/mine", "", good); a.status != want {
			t.Fatalf("request %d of a user = %d, want %d", i+1, a.status, want)
		}
	}
}

func TestTrustProxy(t *testing.T) {
	const xff = "9.9.9.9, 10.0.0.1, 203.0.113.7"
	tests := []struct{ setting, remote, forwarded, want string }{
		{"", "192.0.2.1:1", xff, "192.0.2.1"},
		{"false", "192.0.2.1:1", xff, "192.0.2.1"},
		{"0", "192.0.2.1:1", xff, "192.0.2.1"},
		{"1", "192.0.2.1:1", xff, "203.0.113.7"},
		{"2", "192.0.2.1:1", xff, "10.0.0.1"},
		{"9", "192.0.2.1:1", xff, "9.9.9.9"},
		{"true", "192.0.2.1:1", xff, "9.9.9.9"},
		{"true", "192.0.2.1:1", "", "192.0.2.1"},
		{"loopback", "127.0.0.1:1", xff, "203.0.113.7"},
		{"loopback", "[::1]:1", xff, "203.0.113.7"},
		{"loopback", "[::ffff:127.0.0.1]:1", xff, "203.0.113.7"},
		{"loopback", "192.0.2.1:1", xff, "192.0.2.1"},
		{"loopback, 203.0.113.0/24, uniquelocal", "127.0.0.1:1", xff, "9.9.9.9"},
		{"127.0.0.1", "127.0.0.1:1", "garbage", "127.0.0.1"},
		{"1", "192.0.2.1:1", "::ffff:198.51.100.1", "198.51.100.1"},
	}
	for _, tt := range tests {
		trust, err := ParseTrustProxy(tt.setting)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{}}
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if got := trust.Client(r).String(); got != tt.want {
			t.Errorf("%q from %s: %s, want %s", tt.setting, tt.remote, got, tt.want)
		}
	}
	for _, bad := range []string{"nonsense", "10.0.0.0/99", "-1", "1.5"} {
		if _, err := ParseTrustProxy(bad); err == nil {
			t.Errorf("%q was understood", bad)
		}
	}
	if a, b := limitKey(netip.MustParseAddr("2001:db8::1")), limitKey(netip.MustParseAddr("2001:db8::ffff:1")); a != b {
		t.Errorf("one /64 counts as %s and %s", a, b)
	}
}

func TestUpgrades(t *testing.T) {
	var peers []protocol.Peer
	taken := func(w http.ResponseWriter, r *http.Request) {
		peers = append(peers, protocol.PeerOf(r.Context()))
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if _, plain := c.(*net.TCPConn); !plain {
			t.Errorf("the connection is a %T", c)
		}
		_, _ = fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		_ = rw.Flush()
		_ = c.Close()
	}
	addr := start(t, Config{SocketIO: taken, NativeWS: taken, SocketsPerAddress: 2, SocketsPerUser: 1, CORSOrigins: []string{"https://a.test"}}, nil)
	up := []string{"Connection: keep-alive, Upgrade", "Upgrade: WebSocket"}
	io := "/socket.io/?EIO=4&transport=websocket&t=abc"
	for _, tt := range []struct {
		target string
		header []string
		status int
		body   string
	}{
		{"/socket.io/?EIO=4&transport=polling", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"/socket.io/", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"/socket.io/?EIO=4&transport=websocket&sid=x", up, 400, `{"code":1,"message":"Session ID unknown"}`},
		{"/socket.io/?EIO=4&transport=websocket", nil, 400, `{"code":3,"message":"Bad request"}`},
		{"/socket.io/?EIO=3&transport=websocket", up, 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{io, append(up, "Origin: https://evil.test"), 101, ""},
		{"/ws", nil, 400, `{"message":"A websocket upgrade is expected","error":"Bad Request","statusCode":400}`},
		{"/ws", append(up, "Origin: https://evil.test"), 403, `{"message":"Origin is not allowed","error":"Forbidden","statusCode":403}`},
		{"/ws", append(up, "Origin: https://a.test"), 101, ""},
		{"/ws", append(up, "Origin: http://"+addr), 101, ""},
		{"/ws", up, 101, ""},
	} {
		a := call(t, addr, "GET", tt.target, "", tt.header...)
		if a.status != tt.status || tt.body != "" && a.body != tt.body {
			t.Errorf("%s %v = %d %s, want %d %s", tt.target, tt.header, a.status, a.body, tt.status, tt.body)
		}
	}
	if peers[0].Address != "127.0.0.1" {
		t.Errorf("peer = %+v", peers[0])
	}
	refused := func(header ...string) bool {
		a := call(t, addr, "GET", io, "", append(up, header...)...)
		if a.status == 429 && a.header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		return a.status == 429
	}
	user := peers[0].Hold(adaID)
	if !refused(good) || refused() {
		t.Error("the bound of a user does not hold, or holds for others")
	}
	user()
	user()
	if refused(good) {
		t.Error("a released socket still counts")
	}
	first, second := peers[0].Hold(protocol.UserID{}), peers[0].Hold(protocol.UserID{})
	if !refused() {
		t.Error("the bound of an address does not hold")
	}
	first()
	if refused() {
		t.Error("a released socket still counts")
	}
	second()
	for i := 0; !refused(); i++ {
		if i > 1000 {
			t.Fatal("attempts are not limited")
		}
	}
}

// TestUpgradesBehindProxy holds that a crowd behind a proxy that is trusted is let
// in, that one of it who hammers is refused alone and at the upgrade, and that
// nobody gets away from his limit by a header that he writes himself.
func TestUpgradesBehindProxy(t *testing.T) {
	now := time.Now() // no window ends
	var taken atomic.Int64
	take := func(w http.ResponseWriter, _ *http.Request) {
		taken.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}
	loopback, err := ParseTrustProxy("loopback")
	if err != nil {
		t.Fatal(err)
	}
	up := func(addr, from string) answer {
		return call(t, addr, "GET", "/socket.io/?EIO=4&transport=websocket", "", "Connection: Upgrade", "Upgrade: websocket", "X-Forwarded-For: "+from)
	}
	crowd := func(i int) string { return fmt.Sprintf("198.51.%d.%d", i/250, i%250) }
	refusedAfter := func(addr string, from func(i int) string) int {
		for i := range 1000 {
			a := up(addr, from(i))
			if a.status == http.StatusTooManyRequests {
				if wait, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || wait < 1 {
					t.Errorf("refused without Retry-After: %v", a.header)
				}
				return i
			}
		}
		return -1
	}
	addr := start(t, Config{SocketIO: take, TrustProxy: loopback, Now: func() time.Time { return now }}, nil)
	if n := refusedAfter(addr, crowd); n != -1 || taken.Load() != 1000 {
		t.Errorf("%d of the crowd were let in, then one was refused", n)
	}
	if n := refusedAfter(addr, func(int) string { return "203.0.113.9" }); n != upgradeLimits[0].Max {
		t.Errorf("one address was refused after %d attempts", n)
	}
	if n := refusedAfter(addr, func(i int) string { return crowd(i) + ", 203.0.113.10" }); n != upgradeLimits[0].Max {
		t.Errorf("one address with addresses of its own before it was refused after %d attempts", n)
	}
	if a := up(addr, "203.0.113.11"); a.status != http.StatusNoContent {
		t.Errorf("another address: %d", a.status)
	}
	addr = start(t, Config{SocketIO: take, Now: func() time.Time { return now }}, nil)
	if n := refusedAfter(addr, crowd); n != upgradeLimits[0].Max {
		t.Errorf("with headers that nobody trusts it was refused after %d attempts", n)
	}
}

func TestDeviceNames(t *testing.T) {
	for agent, want := range map[string]string{
		"": "Unknown Device",
		"Mozilla/5.0 (X11; Linux) Electron/30 Chrome/120": "Semaphore Chat Desktop (Linux)",
		"Mozilla/5.0 (Windows NT 10.0) Electron/30":       "Semaphore Chat Desktop (Windows)",
		"electron": "Semaphore Chat Desktop",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari":                 "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 14) Chrome/120 Mobile":                             "Chrome on Android",
		"Mozilla/5.0 (Android 14; Mobile) Firefox/120":                                  "Firefox on Android",
		"Dalvik (Linux; Android 9)":                                                     "Browser on Android",
		"Mozilla/5.0 (Windows NT 10.0) Chrome/120":                                      "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit Chrome/120 Safari Edg/120":    "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X) Firefox/120":                           "Firefox on macOS",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit Version/17 Safari/6": "Safari on macOS",
		"Mozilla/5.0 (X11; CrOS x86_64) Chrome/120":                                     "Chrome on Chrome OS",
		"curl/8": "Browser",
	} {
		if got := deviceName(agent); got != want {
			t.Errorf("deviceName(%q) = %q, want %q", agent, got, want)
		}
	}
}
