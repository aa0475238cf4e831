package persistence_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := pgtest.URL(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name, url string
		want      []string
	}{
		{"not a URL", "postgres://a b:c", []string{"read database URL"}},
		{"empty port", "postgres://u:secret@127.0.0.1:x/db", []string{"read database URL"}},
		{"refused", "postgres://u:secret@" + closed + "/db", []string{"connect to database", "refused", closed}},
		{"several hosts", "postgres://u:secret@" + closed + "," + closed + "/db", []string{"connect to database", "refused"}},
		{"wrong password", strings.Replace(good, "rookery:", "rookery:secret", 1), []string{"connect to database", "password"}},
		{"no such database", strings.Replace(good, "/test_", "/gone_", 1), []string{"connect to database", "does not exist"}},
	}
	for _, row := range rows {
		db, err := persistence.Open(t.Context(), persistence.Config{URL: row.url})
		if err == nil {
			db.Close()
			t.Errorf("%s: no error", row.name)
			continue
		}
		if strings.ContainsAny(err.Error(), "\n\t") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: not one line without secrets: %q", row.name, err)
		}
		for _, want := range row.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not contain %q", row.name, err, want)
			}
		}
	}
}

func TestOpenRefusesOldServers(t *testing.T) {
	t.Parallel()
	if err := persistence.CheckVersion(139999, "13.14"); err == nil || !strings.Contains(err.Error(), "13.14 is too old") {
		t.Errorf("13.14: %v", err)
	}
	if err := persistence.CheckVersion(140000, "14.0"); err != nil {
		t.Errorf("14.0: %v", err)
	}
}

func TestTimesComeBackInUTC(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	want := time.Date(2026, 3, 4, 5, 6, 7, 891_000_000, time.FixedZone("", 3*3600))
	var got time.Time
	var list []time.Time
	err := db.Pool().QueryRow(t.Context(), `SELECT $1::timestamptz(3), ARRAY[$1::timestamptz(3)]`, want).Scan(&got, &list)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Equal(want) || got.Location() != time.UTC || list[0].Location() != time.UTC {
		t.Errorf("got %v and %v, want %v in UTC", got, list, want)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Ping(ctx); err == nil {
		t.Error("no error without a database")
	}
}
