package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rookery-chat/rookery/persistence"
)

// templateLock is the advisory lock under which the template is made, for test binaries
// that share a server ("pgtest" in ASCII).
const templateLock = 0x706774657374

const insufficientPrivilege = "42501" // SQLSTATE

// testConns bounds the pool of one test, so that many parallel tests fit into one server.
const testConns = 16

// New opens a fresh database with the newest schema. It is closed and dropped when the test
// ends.
func New(t testing.TB) *persistence.DB {
	t.Helper()
	return open(t, URL(t))
}

// Empty opens a fresh database without a schema.
func Empty(t testing.TB) *persistence.DB {
	t.Helper()
	return open(t, create(t, "template1"))
}

// URL makes a fresh database with the newest schema, which is dropped when the test ends.
func URL(t testing.TB) string {
	t.Helper()
	template, err := template()
	if err != nil {
		t.Fatalf("make template database: %v", err)
	}
	return create(t, template)
}

func open(t testing.TB, dsn string) *persistence.DB {
	t.Helper()
	db, err := persistence.Open(t.Context(), persistence.Config{URL: dsn, MaxConns: testConns})
	if err != nil {
		t.Fatalf("open test database: %v", err)
	}
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() {
			db.Close()
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(time.Minute):
			t.Error("close test database: connections were not given back")
		}
	})
	return db
}

// create clones a database and returns its URL.
func create(t testing.TB, template string) string {
	t.Helper()
	name := "test_" + randomName()
	err := withAdmin(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template)
		return err
	})
	if err != nil {
		t.Fatalf("create test database: %v", err)
	}
	t.Cleanup(func() {
		if err := withAdmin(func(ctx context.Context, c *pgx.Conn) error { return drop(ctx, c, name) }); err != nil {
			t.Errorf("drop test database: %v", err)
		}
	})
	dsn, err := databaseURL(name)
	if err != nil {
		t.Fatalf("create test database: %v", err)
	}
	return dsn
}

// drop drops a database. An autovacuum that is in it belongs to nobody whom our
// role may end; it ends by itself.
func drop(ctx context.Context, c *pgx.Conn, name string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := c.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
		if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != insufficientPrivilege {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// template is the name of the migrated database that New clones. It is named after the
// migrations, so that a server that is used again never serves an old schema.
var template = sync.OnceValues(func() (string, error) {
	sum, err := schemaSum()
	if err != nil {
		return "", err
	}
	name := "template_" + sum
	return name, withAdmin(func(ctx context.Context, c *pgx.Conn) error {
		if _, err := c.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(templateLock)); err != nil {
			return err
		}
		var there bool
		if err := c.QueryRow(ctx, "SELECT exists(SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil || there {
			return err
		}
		return makeTemplate(ctx, c, name)
	})
})

// makeTemplate migrates a database under another name and renames it when it is complete.
func makeTemplate(ctx context.Context, c *pgx.Conn, name string) error {
	draft := "draft_" + randomName()
	if _, err := c.Exec(ctx, "CREATE DATABASE "+draft); err != nil {
		return err
	}
	dsn, err := databaseURL(draft)
	if err != nil {
		return err
	}
	db, err := persistence.Open(ctx, persistence.Config{URL: dsn})
	if err != nil {
		return err
	}
	err = db.Migrate(ctx)
	db.Close()
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, "ALTER DATABASE "+draft+" RENAME TO "+name)
	return err
}

func schemaSum() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(persistence.Migrations(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(persistence.Migrations(), path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(h, "%s %d %s", path, len(b), b)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

// withAdmin runs f on a connection of its own to the server's own database.
func withAdmin(f func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	dsn, err := base()
	if err != nil {
		return err
	}
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	err = f(ctx, c)
	if cerr := c.Close(ctx); err == nil {
		err = cerr
	}
	return err
}

func databaseURL(name string) (string, error) {
	dsn, err := base()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return "", fmt.Errorf("read server URL: %w", err)
	}
	u.Path = "/" + name
	return u.String(), nil
}

func randomName() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
