package gate

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/bcrypt"

	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	accessSecret  = []byte("an access secret of thirty-two b")
	refreshSecret = []byte("a refresh secret of thirty-two b")
)

// is compares the error itself: errors.Is compares codes, and all that a gate
// says has the same.
func is(err error, want *protocol.Error) bool {
	got, _ := errors.AsType[*protocol.Error](err)
	return got == want
}

// newGate is a Gate on a single node, and one user of it.
func newGate(t testing.TB, cfg Config) (*Gate, *persistence.DB, protocol.UserID) {
	t.Helper()
	db := pgtest.New(t)
	reg := cluster.NewRegistry()
	node, err := cluster.Start(t.Context(), cluster.Config{Registry: reg})
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
	cfg.AccessSecret, cfg.RefreshSecret, cfg.DB, cfg.Node = accessSecret, refreshSecret, db, node
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	user := protocol.UserID(protocol.NewID[struct{}]())
	exec(t, db, `INSERT INTO app_user (id, username, password_hash) VALUES ($1, 'ada', 'x')`, user)
	return g, db, user
}

func exec(t testing.TB, db *persistence.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool().Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func issue(t testing.TB, g *Gate, user protocol.UserID, session protocol.SessionID) string {
	t.Helper()
	token, err := g.IssueAccess(user, "ada", protocol.RoleUser, session)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAuthenticate(t *testing.T) {
	g, db, user := newGate(t, Config{})
	session := protocol.SessionID(protocol.NewRandomID[struct{}]())
	token := issue(t, g, user, session)
	caller, err := g.Authenticate(t.Context(), token)
	if err != nil || caller.UserID != user || caller.Session != session || caller.Token.IsZero() || caller.Owner {
		t.Fatalf("caller = %+v, %v", caller, err)
	}
	// Changes act as soon as the gate was told to forget, for every token.
	change := func(sql string, args ...any) (protocol.Caller, error) {
		t.Helper()
		exec(t, db, sql, args...)
		g.Forget(t.Context(), user)
		return g.Authenticate(context.Background(), token)
	}
	if c, err := change(`UPDATE app_user SET role = 'OWNER' WHERE id = $1`, user); err != nil || !c.Owner {
		t.Errorf("owner: %+v, %v", c, err)
	}
	if _, err := change(`UPDATE app_user SET banned = true WHERE id = $1`, user); !is(err, ErrBanned) {
		t.Errorf("banned: %v", err)
	}
	if _, err := change(`UPDATE app_user SET banned = false WHERE id = $1`, user); err != nil {
		t.Errorf("unbanned: %v", err)
	}
	const revoke = `INSERT INTO revoked_token (id, user_id, expires_at) VALUES ($1, $2, now() + interval '1 hour')`
	if _, err := change(revoke, session, user); !is(err, ErrRevoked) {
		t.Errorf("session revoked: %v", err)
	}
	other := issue(t, g, user, protocol.SessionID(protocol.NewRandomID[struct{}]()))
	c, err := g.Authenticate(t.Context(), other)
	if err != nil {
		t.Errorf("another session: %v", err)
	}
	token = other
	if _, err := change(revoke, c.Token, user); !is(err, ErrRevoked) {
		t.Errorf("token revoked: %v", err)
	}
	if _, err := change(`DELETE FROM app_user WHERE id = $1`, user); !is(err, protocol.ErrUnauthorized) {
		t.Errorf("deleted: %v", err)
	}
}

func TestAccountsAreCachedAndExpire(t *testing.T) {
	now := time.Now()
	g, db, user := newGate(t, Config{Now: func() time.Time { return now }})
	token := issue(t, g, user, protocol.SessionID(protocol.NewRandomID[struct{}]()))
	authenticate := func() error { _, err := g.Authenticate(t.Context(), token); return err }
	if err := authenticate(); err != nil {
		t.Fatal(err)
	}
	exec(t, db, `UPDATE app_user SET banned = true WHERE id = $1`, user)
	if err := authenticate(); err != nil {
		t.Errorf("the account was read twice within 10 s: %v", err)
	}
	now = now.Add(10 * time.Second)
	if err := authenticate(); !is(err, ErrBanned) {
		t.Errorf("after 10 s: %v", err)
	}
}

// A load that began before a forget neither fills the cache nor answers those
// who come after it.
func TestForgetBeatsALoadUnderWay(t *testing.T) {
	user := protocol.UserID(protocol.NewID[struct{}]())
	loads := make(chan chan *account)
	a := newAccounts(time.Hour, time.Now, noShelf{}, func(protocol.UserID) (*account, error) {
		answer := make(chan *account)
		loads <- answer
		return <-answer, nil
	})
	got := make(chan *account, 2)
	ask := func() {
		acc, err := a.get(context.Background(), user)
		if err != nil {
			t.Error(err)
		}
		got <- acc
	}
	go ask()
	first := <-loads
	a.forget(user)
	go ask()
	second := <-loads
	second <- &account{banned: true}
	if acc := <-got; !acc.banned {
		t.Error("who came after the forget got what was loaded before")
	}
	first <- &account{}
	<-got
	if acc, err := a.get(context.Background(), user); err != nil || !acc.banned {
		t.Error("the old load replaced the new one")
	}
}

func TestGateActor(t *testing.T) {
	g, db, user := newGate(t, Config{})
	token := issue(t, g, user, protocol.SessionID(protocol.NewRandomID[struct{}]()))
	if _, err := g.Authenticate(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	exec(t, db, `UPDATE app_user SET banned = true WHERE id = $1`, user)
	reply, err := g.cfg.Node.AskNode(t.Context(), g.cfg.Node.ID(), "gate", &protocol.AccountChanged{User: user})
	if _, ok := reply.(*protocol.Done); err != nil || !ok {
		t.Fatalf("reply = %v, %v", reply, err)
	}
	if _, err := g.Authenticate(t.Context(), token); !is(err, ErrBanned) {
		t.Errorf("after AccountChanged: %v", err)
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	now := time.Now()
	g, _, user := newGate(t, Config{Now: func() time.Time { return now }})
	session := protocol.SessionID(protocol.NewRandomID[struct{}]())
	good := issue(t, g, user, session)
	sign := func(method jwt.SigningMethod, key any, c jwt.MapClaims) string {
		s, err := jwt.NewWithClaims(method, c).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	claims := func(change func(jwt.MapClaims)) jwt.MapClaims {
		c := jwt.MapClaims{"sub": user.String(), "jti": protocol.NewID[struct{}]().String(), "sid": session.String(), "exp": now.Add(time.Hour).Unix()}
		if change != nil {
			change(c)
		}
		return c
	}
	refresh, _, err := g.IssueRefresh(user)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Authenticate(t.Context(), sign(jwt.SigningMethodHS256, accessSecret, claims(nil))); err != nil {
		t.Fatalf("the pattern of this test is refused: %v", err)
	}
	for name, token := range map[string]string{
		"empty":         "",
		"garbage":       "garbage",
		"no algorithm":  sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(nil)),
		"HS512":         sign(jwt.SigningMethodHS512, accessSecret, claims(nil)),
		"other key":     sign(jwt.SigningMethodHS256, []byte("another"), claims(nil)),
		"expired":       sign(jwt.SigningMethodHS256, accessSecret, claims(func(c jwt.MapClaims) { c["exp"] = now.Unix() })),
		"no expiry":     sign(jwt.SigningMethodHS256, accessSecret, claims(func(c jwt.MapClaims) { delete(c, "exp") })),
		"no session":    sign(jwt.SigningMethodHS256, accessSecret, claims(func(c jwt.MapClaims) { delete(c, "sid") })),
		"no id":         sign(jwt.SigningMethodHS256, accessSecret, claims(func(c jwt.MapClaims) { delete(c, "jti") })),
		"bad subject":   sign(jwt.SigningMethodHS256, accessSecret, claims(func(c jwt.MapClaims) { c["sub"] = "x" })),
		"refresh token": refresh,
		"cut":           good[:len(good)-2],
		"nobody":        sign(jwt.SigningMethodHS256, accessSecret, claims(func(c jwt.MapClaims) { c["sub"] = protocol.NewID[struct{}]().String() })),
	} {
		if _, err := g.Authenticate(t.Context(), token); !is(err, protocol.ErrUnauthorized) {
			t.Errorf("%s: %v, want the plain 401", name, err)
		}
	}
	if _, _, err := g.ReadRefresh(good); err == nil {
		t.Error("an access token passes for a refresh token")
	}
	if u, id, err := g.ReadRefresh(refresh); err != nil || u != user || id.IsZero() {
		t.Errorf("refresh token = %v %v %v", u, id, err)
	}
	if _, err := g.Authenticate(t.Context(), good); err != nil { // it is remembered from now on
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	if _, err := g.Authenticate(t.Context(), good); !is(err, protocol.ErrUnauthorized) {
		t.Errorf("an expired token: %v", err)
	}
	if c, _, err := g.ReadAccess(good); err != nil || c.Session != session {
		t.Errorf("an expired token is not good enough to leave with: %+v, %v", c, err)
	}
}

// The claims are those that existing clients decode.
func TestClaims(t *testing.T) {
	g, _, user := newGate(t, Config{})
	token := issue(t, g, user, protocol.SessionID(protocol.NewRandomID[struct{}]()))
	var c jwt.MapClaims
	parsed, _, err := jwt.NewParser().ParseUnverified(token, &c)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Header["alg"] != "HS256" || parsed.Header["typ"] != "JWT" || c["username"] != "ada" || c["role"] != "USER" || c["sub"] != user.String() {
		t.Errorf("token = %v %v", parsed.Header, c)
	}
	if life := c["exp"].(float64) - c["iat"].(float64); life != 3600 {
		t.Errorf("lifetime = %v s", life)
	}
}

func TestPasswords(t *testing.T) {
	p := NewPasswords(1)
	ctx := t.Context()
	encoded, err := p.Hash(ctx, "correct horse")
	if err != nil || !strings.HasPrefix(encoded, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("hash = %q, %v", encoded, err)
	}
	old, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 100)
	oldLong, err := bcrypt.GenerateFromPassword([]byte(long[:72]), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	weak := "$argon2id$v=19$m=64,t=1,p=1$" + strings.Split(encoded, "$")[4] + "$AAAA"
	for _, tt := range []struct {
		name, hash, password string
		ok, renew            bool
	}{
		{"right", encoded, "correct horse", true, false},
		{"wrong", encoded, "battery staple", false, false},
		{"empty", encoded, "", false, false},
		{"nobody", "", "nobody has this password", false, false},
		{"bcrypt", string(old), "correct horse", true, true},
		{"bcrypt, wrong", string(old), "x", false, false},
		{"bcrypt, of which 72 bytes count", string(oldLong), long, true, true},
		{"endless", encoded, strings.Repeat("x", 1<<20), false, false},
		{"other parameters, wrong", weak, "x", false, false},
	} {
		ok, renew, err := p.Verify(ctx, tt.hash, tt.password)
		if err != nil || ok != tt.ok || renew != tt.renew {
			t.Errorf("%s: %v %v %v, want %v %v", tt.name, ok, renew, err, tt.ok, tt.renew)
		}
	}
	for _, broken := range []string{"x", "$argon2id$", "$argon2id$v=19$m=9999999999,t=1,p=1$AAAA$AAAA", "$argon2id$v=18$m=64,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=64,t=1,p=1$!$AAAA"} {
		if ok, _, err := p.Verify(ctx, broken, "x"); ok || err == nil {
			t.Errorf("broken hash %q: %v, %v", broken, ok, err)
		}
	}
}

// With all slots taken and the queue full, who comes is told to come back.
func TestPasswordWorkIsBounded(t *testing.T) {
	p := NewPasswords(1)
	p.slots <- struct{}{} // a hash that takes for ever
	p.queue <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	waiters := make(chan error, waiting)
	for range waiting {
		go func() { _, err := p.Hash(ctx, "x"); waiters <- err }()
	}
	for len(p.queue) < cap(p.queue) {
		runtime.Gosched()
	}
	if _, err := p.Hash(t.Context(), "x"); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("over the bound: %v", err)
	}
	cancel()
	for range waiting {
		if err := <-waiters; !errors.Is(err, context.Canceled) {
			t.Errorf("waiting: %v", err)
		}
	}
	<-p.slots
	<-p.queue
	if _, err := p.Hash(t.Context(), "x"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	g, _, user := newGate(b, Config{})
	token := issue(b, g, user, protocol.SessionID(protocol.NewRandomID[struct{}]()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Authenticate(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// A socket's login may be old: what became known of the account since is found
// out again, and only then.
func TestRenew(t *testing.T) {
	g, db, user := newGate(t, Config{})
	session := protocol.SessionID(protocol.NewRandomID[struct{}]())
	mark := g.Mark(user)
	who, err := g.Authenticate(t.Context(), issue(t, g, user, session))
	if err != nil {
		t.Fatal(err)
	}
	who.Address = "192.0.2.1"
	exec(t, db, `UPDATE app_user SET role = 'OWNER' WHERE id = $1`, user)
	if same, m, err := g.Renew(t.Context(), who, mark); err != nil || same != who || m != mark {
		t.Errorf("nobody was told of a change: %+v, %d, %v", same, m, err)
	}
	g.Forget(t.Context(), user)
	owner, changed, err := g.Renew(t.Context(), who, mark)
	if err != nil || !owner.Owner || owner.Address != who.Address || changed == mark {
		t.Fatalf("after a change: %+v, %d, %v", owner, changed, err)
	}
	if again, m, err := g.Renew(t.Context(), owner, changed); err != nil || again != owner || m != changed {
		t.Errorf("renewed twice: %+v, %d, %v", again, m, err)
	}
	exec(t, db, `INSERT INTO revoked_token (id, user_id, expires_at) VALUES ($1, $2, now() + interval '1 hour')`, session, user)
	g.Forget(t.Context(), user)
	if _, _, err := g.Renew(t.Context(), owner, changed); !is(err, ErrRevoked) {
		t.Errorf("revoked: %v", err)
	}
	exec(t, db, `DELETE FROM app_user WHERE id = $1`, user)
	g.Forget(t.Context(), user)
	if _, _, err := g.Renew(t.Context(), owner, changed); !is(err, protocol.ErrUnauthorized) {
		t.Errorf("gone: %v", err)
	}
}
