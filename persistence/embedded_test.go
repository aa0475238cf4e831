package persistence_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// unsynced makes creating and starting fast. Nothing here survives a power cut, only kills.
var unsynced = map[string]string{"fsync": "off"}

func startEmbedded(t *testing.T, dir string) *persistence.Embedded {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	e, err := persistence.StartEmbedded(ctx, persistence.EmbeddedConfig{Dir: dir, Settings: unsynced})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopEmbedded(t, e) })
	return e
}

func stopEmbedded(t *testing.T, e *persistence.Embedded) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	if err := e.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func TestEmbeddedKeepsDataAndPort(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(pgtest.Dir(t), "deep", "er")
	e := startEmbedded(t, dir)
	c := connect(t, e.URL())
	if _, err := c.Exec(t.Context(), `CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)`); err != nil {
		t.Fatal(err)
	}
	var super bool
	var encoding, method string
	err := c.QueryRow(t.Context(), `SELECT rolsuper, pg_encoding_to_char(encoding), current_setting('password_encryption')
		FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()`).Scan(&super, &encoding, &method)
	if err != nil || super || encoding != "UTF8" || method != "scram-sha-256" {
		t.Errorf("superuser %v, encoding %s, passwords %s, %v", super, encoding, method, err)
	}
	stopEmbedded(t, e)
	if e.PID() != 0 {
		t.Error("a stopped server has a process id")
	}
	again := startEmbedded(t, dir)
	if again.URL() != e.URL() {
		t.Errorf("the URL changed from %s to %s", e.URL(), again.URL())
	}
	if told, err := persistence.EmbeddedURL(dir); err != nil || told != again.URL() {
		t.Errorf("EmbeddedURL: %s, %v", told, err)
	}
	var n int
	if err := connect(t, again.URL()).QueryRow(t.Context(), `SELECT n FROM kept`).Scan(&n); err != nil || n != 42 {
		t.Errorf("read back %d, %v", n, err)
	}
}

func TestEmbeddedIsClosedToOthers(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	e := startEmbedded(t, dir)
	st, err := os.Stat(filepath.Join(dir, "password"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("password file: mode %v, %v", st.Mode(), err)
	}
	u, err := url.Parse(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []*url.Userinfo{url.UserPassword("rookery", "guess"), url.UserPassword("postgres", ""), url.User("rookery")} {
		u.User = user
		if c, err := pgx.Connect(t.Context(), u.String()); err == nil {
			_ = c.Close(t.Context())
			t.Errorf("%s was let in", user)
		}
	}
	_, err = persistence.StartEmbedded(t.Context(), persistence.EmbeddedConfig{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "in use by another server") || strings.Contains(err.Error(), "\n") {
		t.Errorf("second server: %v", err)
	}
	if _, err := persistence.EmbeddedURL(pgtest.Dir(t)); err == nil {
		t.Error("a URL for a directory without a server")
	}
}

func TestEmbeddedComesBack(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t, pgtest.Dir(t))
	db, err := persistence.Open(t.Context(), persistence.Config{URL: e.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	before := e.PID()
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server is back", func() bool { return e.PID() != before && db.Ping(t.Context()) == nil })
}

// eventually waits for a state that nothing announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(testTimeout)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func TestEmbeddedSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	file := filepath.Join(pgtest.Dir(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	old := pgtest.Dir(t)
	writeData(t, old, "PG_VERSION", "99\n")
	other := pgtest.Dir(t)
	writeData(t, other, "holiday.jpg", "")
	closed := filepath.Join(pgtest.Dir(t), "closed", "data")
	closedWant := "permission denied"
	if os.Geteuid() == 0 { // root may enter, the server may not
		closedWant = "chmod o+x"
	}
	if err := os.MkdirAll(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(closed), 0o700); err != nil {
		t.Fatal(err)
	}
	rows := []struct{ name, dir, want string }{
		{"below a file", filepath.Join(file, "data"), "not a directory"},
		{"other version", old, "made by Postgres 99"},
		{"something else", other, "not empty and not a database cluster"},
		{"closed", closed, closedWant},
	}
	for _, row := range rows {
		e, err := persistence.StartEmbedded(t.Context(), persistence.EmbeddedConfig{Dir: row.dir, Settings: unsynced})
		if err == nil {
			stopEmbedded(t, e)
		}
		if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", row.name, err, row.want)
		}
	}
}

func writeData(t *testing.T, dir, name, text string) {
	t.Helper()
	data := filepath.Join(dir, "pgdata")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
