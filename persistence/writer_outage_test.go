package persistence_test

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// privateDB opens the database of a private server with the schema and the entry table.
func privateDB(t *testing.T, dsn string) *persistence.DB {
	t.Helper()
	db, err := persistence.Open(t.Context(), persistence.Config{URL: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	createEntryTable(t, db)
	return db
}

// load enqueues n entries for each of some owners and returns what they are called, sorted.
func load(t *testing.T, w *persistence.Writer, owners []persistence.Owner, from, to int, got *acks) []string {
	t.Helper()
	var names []string
	for n := from; n < to; n++ {
		for i, o := range owners {
			enqueue(t, w, o, got.expect(i*1_000_000+n), newEntry(o, n))
			names = append(names, fmt.Sprintf("%s/%d", o.ID, n))
		}
	}
	return names
}

func takeMany(t *testing.T, db *persistence.DB, n int) []persistence.Owner {
	t.Helper()
	var owners []persistence.Owner
	for i := range n {
		owners = append(owners, take(t, db, "channel", fmt.Sprint(i)))
	}
	return owners
}

// checkStored fails unless exactly the named entries are in the table, and each owner's in order.
func checkStored(t *testing.T, db *persistence.DB, owners []persistence.Owner, names []string) {
	t.Helper()
	slices.Sort(names)
	if got := entries(t, db); !slices.Equal(got, names) {
		t.Errorf("%d entries stored, want %d", len(got), len(names))
	}
	for _, o := range owners {
		if list := stored(t, db, o.ID); !slices.IsSorted(list) {
			t.Errorf("owner %s out of order: %v", o.ID, list)
		}
	}
}

func TestWriterOutlastsOutage(t *testing.T) {
	t.Parallel()
	srv := pgtest.NewServer(t)
	db := privateDB(t, srv.URL())
	w := newWriter(t, db, persistence.WriterConfig{})
	owners := takeMany(t, db, 8)
	var got acks
	names := load(t, w, owners, 0, 50, &got)
	srv.Stop()
	names = append(names, load(t, w, owners, 50, 100, &got)...)
	awaitRetries(t, w, 2)
	srv.Start()
	names = append(names, load(t, w, owners, 100, 150, &got)...)
	got.wait(t)
	if got.failed() != nil {
		t.Fatalf("failed %v", got.errs)
	}
	checkStored(t, db, owners, names)
}

func awaitRetries(t *testing.T, w *persistence.Writer, more uint64) {
	t.Helper()
	want := w.Stats().Retries + more
	eventually(t, "the writer tries again", func() bool { return w.Stats().Retries >= want })
}

// The server process is killed again and again under load.
func TestWriterOutlastsCrashes(t *testing.T) {
	t.Parallel()
	srv := pgtest.NewServer(t)
	db := privateDB(t, srv.URL())
	w := newWriter(t, db, persistence.WriterConfig{})
	owners := takeMany(t, db, 8)
	var got acks
	var names []string
	for round := range 3 {
		names = append(names, load(t, w, owners, 100*round, 100*round+100, &got)...)
		srv.Kill()
		got.wait(t)
		eventually(t, "the server is back", func() bool { return db.Ping(t.Context()) == nil })
	}
	if got.failed() != nil {
		t.Fatalf("failed %v", got.errs)
	}
	checkStored(t, db, owners, names)
}

// proxy stands between writer and server and can swallow the server's answers.
type proxy struct {
	target string
	l      net.Listener
	deaf   atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: target, l: l}
	go p.accept()
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
	})
	return p
}

func (p *proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		go p.copy(server, client, false)
		go p.copy(client, server, true)
	}
}

func (p *proxy) copy(to, from net.Conn, answers bool) {
	defer func() { _ = to.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if lost := answers && p.deaf.Load(); n > 0 && !lost {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut breaks every connection that was made so far.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// The answer to COMMIT is lost: the rows are there, and must be there once when the writer
// has tried again.
func TestWriterResolvesUnknownOutcome(t *testing.T) {
	t.Parallel()
	dsn, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	direct := privateDB(t, dsn.String())
	p := newProxy(t, dsn.Host)
	dsn.Host = p.l.Addr().String()
	db, err := persistence.Open(t.Context(), persistence.Config{URL: dsn.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	w := newWriter(t, db, persistence.WriterConfig{Lanes: 1})
	o := take(t, direct, "channel", "a")
	var got acks
	enqueue(t, w, o, got.expect(0), newEntry(o, 0)) // opens the connection, prepares
	got.wait(t)
	p.deaf.Store(true)
	enqueue(t, w, o, got.expect(1), newEntry(o, 1))
	eventually(t, "committed without the writer knowing", func() bool { return len(stored(t, direct, "a")) == 2 })
	enqueue(t, w, o, got.expect(2), newEntry(o, 2))
	p.deaf.Store(false)
	p.cut()
	got.wait(t)
	if got.failed() != nil {
		t.Errorf("failed %v", got.errs)
	}
	if list := stored(t, direct, "a"); !slices.Equal(list, sequence(3)) {
		t.Errorf("stored %v", list)
	}
	if w.Stats().Retries == 0 {
		t.Error("the connection was not lost")
	}
}

// A session that the writer lost, and that still holds its transaction, is ended before the
// rows are sent again: it must not wake up later.
func TestWriterEndsLostSession(t *testing.T) {
	t.Parallel()
	dsn, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	direct := privateDB(t, dsn.String())
	p := newProxy(t, dsn.Host)
	dsn.Host = p.l.Addr().String()
	db, err := persistence.Open(t.Context(), persistence.Config{URL: dsn.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	w := newWriter(t, db, persistence.WriterConfig{Lanes: 1})
	o := take(t, direct, "channel", "a")
	var got acks
	tx, err := direct.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE entry IN SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	enqueue(t, w, o, got.expect(0), newEntry(o, 0))
	awaitBlocked(t, direct, sessionOf(tx.Conn()))
	before := blockedSessions(t, direct)
	p.cut() // the server does not notice: its session waits for a lock, not for the client
	awaitOtherSession(t, direct, before)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	got.wait(t)
	if list := stored(t, direct, "a"); got.failed() != nil || !slices.Equal(list, sequence(1)) {
		t.Errorf("stored %v, failed %v", list, got.errs)
	}
}

func blockedSessions(t *testing.T, db *persistence.DB) []int32 {
	t.Helper()
	var pids []int32
	err := db.Pool().QueryRow(t.Context(), `SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity
		WHERE cardinality(pg_blocking_pids(pid)) > 0 AND datname = current_database()`).Scan(&pids)
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

// awaitOtherSession returns once none of the old sessions is left and a new one waits.
func awaitOtherSession(t *testing.T, db *persistence.DB, old []int32) {
	t.Helper()
	eventually(t, "another session waits and the old one is gone", func() bool {
		pids := blockedSessions(t, db)
		return len(pids) > 0 && !slices.ContainsFunc(pids, func(pid int32) bool { return slices.Contains(old, pid) })
	})
}
