package persistence_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

const testTimeout = 2 * time.Minute

// entry is a row of the table that these tests write to: ord tells in which order rows got
// there.
type entry struct {
	id    protocol.ID[entry]
	owner string
	n     int
	text  string
}

const entryTable = `
	CREATE TABLE entry (
		id    uuid PRIMARY KEY,
		ord   bigint GENERATED ALWAYS AS IDENTITY,
		owner text NOT NULL,
		n     integer NOT NULL CHECK (n >= 0),
		text  text NOT NULL,
		UNIQUE (owner, n)
	)`

var insertEntry = &persistence.Statement{
	Name: "insert entry",
	SQL: `INSERT INTO entry (id, owner, n, text) SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[])
		ON CONFLICT (id) DO NOTHING`,
	Args: func(rows []persistence.Row) []any {
		return []any{
			persistence.Column(rows, func(e entry) protocol.ID[entry] { return e.id }),
			persistence.Column(rows, func(e entry) string { return e.owner }),
			persistence.Column(rows, func(e entry) int { return e.n }),
			persistence.Column(rows, func(e entry) string { return e.text }),
		}
	},
}

func (entry) Statement() *persistence.Statement { return insertEntry }
func (e entry) Size() int                       { return 64 + len(e.text) }

func newEntry(o persistence.Owner, n int) entry {
	return entry{id: protocol.NewID[entry](), owner: o.ID, n: n}
}

// edit is an update of an entry, one per entry and execution.
type edit struct {
	id   protocol.ID[entry]
	text string
}

var updateEntry = &persistence.Statement{
	Name: "update entry",
	SQL:  `UPDATE entry SET text = e.text FROM unnest($1::uuid[], $2::text[]) AS e (id, text) WHERE entry.id = e.id`,
	Args: func(rows []persistence.Row) []any {
		return []any{
			persistence.Column(rows, func(e edit) protocol.ID[entry] { return e.id }),
			persistence.Column(rows, func(e edit) string { return e.text }),
		}
	},
}

func (edit) Statement() *persistence.Statement { return updateEntry }
func (e edit) Size() int                       { return 48 + len(e.text) }
func (e edit) Key() any                        { return e.id }

// acks collects what became of writes, in the order in which it was told.
type acks struct {
	mu    sync.Mutex
	order []int
	errs  map[int]error
	left  sync.WaitGroup
}

func (a *acks) expect(n int) func(error) {
	a.left.Add(1)
	return func(err error) {
		defer a.left.Done() // panics when told twice too often
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.errs == nil {
			a.errs = map[int]error{}
		}
		if _, twice := a.errs[n]; twice {
			panic(fmt.Sprintf("write %d was decided twice", n))
		}
		a.errs[n] = err
		a.order = append(a.order, n)
	}
}

func (a *acks) wait(t *testing.T) {
	t.Helper()
	all := make(chan struct{})
	go func() {
		a.left.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(testTimeout):
		t.Fatal("not every write was decided")
	}
}

// failed lists the writes that were not stored, in order.
func (a *acks) failed() []int {
	var list []int
	for n, err := range a.errs {
		if err != nil {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}

func newWriter(t *testing.T, db *persistence.DB, cfg persistence.WriterConfig) *persistence.Writer {
	t.Helper()
	w := persistence.NewWriter(db, cfg)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		if err := w.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

func entryDB(t *testing.T) *persistence.DB {
	t.Helper()
	db := pgtest.New(t)
	createEntryTable(t, db)
	return db
}

func createEntryTable(t *testing.T, db *persistence.DB) {
	t.Helper()
	if _, err := db.Pool().Exec(t.Context(), entryTable); err != nil {
		t.Fatal(err)
	}
}

func enqueue(t *testing.T, w *persistence.Writer, o persistence.Owner, done func(error), rows ...persistence.Row) {
	t.Helper()
	if err := w.Enqueue(persistence.Write{Owner: o, Rows: rows, Done: done}); err != nil {
		t.Fatal(err)
	}
}

// stored are the numbers of an owner in the order in which they were written.
func stored(t *testing.T, db *persistence.DB, owner string) []int {
	t.Helper()
	rows, err := db.Pool().Query(t.Context(), `SELECT n FROM entry WHERE owner = $1 ORDER BY ord`, owner)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func sequence(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// blockWrites holds back every insert into entry until release is called, and returns after
// the writer has run into it.
func blockWrites(t *testing.T, db *persistence.DB) (release func()) {
	t.Helper()
	tx, err := db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE entry IN SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	return func() {
		awaitBlocked(t, db, tx)
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWriterKeepsOrder(t *testing.T) {
	t.Parallel()
	db := entryDB(t)
	w := newWriter(t, db, persistence.WriterConfig{FlushRows: 50})
	const owners, each = 20, 200
	var senders sync.WaitGroup
	for i := range owners {
		o := take(t, db, "channel", fmt.Sprint(i))
		senders.Go(func() {
			var got acks
			for n := range each {
				enqueue(t, w, o, got.expect(n), newEntry(o, n))
			}
			got.wait(t)
			if len(got.failed()) > 0 || !slices.Equal(got.order, sequence(each)) {
				t.Errorf("owner %s: failed %v, decided in order %v", o.ID, got.failed(), got.order)
			}
		})
	}
	senders.Wait()
	for i := range owners {
		if got := stored(t, db, fmt.Sprint(i)); !slices.Equal(got, sequence(each)) {
			t.Errorf("owner %d: stored %v", i, got)
		}
	}
	stats := w.Stats()
	if stats.Rows != owners*each || stats.QueuedRows != 0 || stats.QueuedBytes != 0 {
		t.Errorf("stats %+v", stats)
	}
}

func TestWriterMergesIntoOneCommit(t *testing.T) {
	t.Parallel()
	db := entryDB(t)
	w := newWriter(t, db, persistence.WriterConfig{Lanes: 1})
	a, b := take(t, db, "channel", "a"), take(t, db, "channel", "b")
	var got acks
	release := blockWrites(t, db)
	enqueue(t, w, a, got.expect(0), newEntry(a, 0)) // occupies the lane
	for n := 1; n <= 300; n++ {
		enqueue(t, w, a, got.expect(n), newEntry(a, n))
		enqueue(t, w, b, got.expect(1000+n), newEntry(b, n))
	}
	release()
	got.wait(t)
	if got.failed() != nil {
		t.Fatalf("failed %v", got.failed())
	}
	// The first row goes alone or, when the lane was slow to start, with some of the others.
	stats := w.Stats()
	if stats.Rows != 601 || stats.Commits > 2 || stats.Executions > 2 {
		t.Errorf("stats %+v, want 601 rows in at most 2 commits of one statement each", stats)
	}
}

func TestWriterRunsStatementsInOrder(t *testing.T) {
	t.Parallel()
	db := entryDB(t)
	w := newWriter(t, db, persistence.WriterConfig{Lanes: 1})
	o := take(t, db, "channel", "a")
	var got acks
	release := blockWrites(t, db)
	first := newEntry(o, 0)
	enqueue(t, w, o, got.expect(0), first)
	for n := 1; n <= 10; n++ { // edits of what the same batch inserts, several of one row
		e := newEntry(o, n)
		enqueue(t, w, o, got.expect(n), e, edit{id: e.id, text: "first"}, edit{id: e.id, text: "second"},
			edit{id: first.id, text: fmt.Sprint("edit ", n)})
	}
	release()
	got.wait(t)
	if got.failed() != nil {
		t.Fatalf("failed %v", got.failed())
	}
	rows, err := db.Pool().Query(t.Context(), `SELECT text FROM entry ORDER BY n`)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	want := append([]string{"edit 10"}, slices.Repeat([]string{"second"}, 10)...)
	if !slices.Equal(texts, want) {
		t.Errorf("texts %q, want %q", texts, want)
	}
}

func TestWriterFencesStaleOwner(t *testing.T) {
	t.Parallel()
	db := entryDB(t)
	w := newWriter(t, db, persistence.WriterConfig{Lanes: 1})
	neighbour := take(t, db, "channel", "neighbour")
	stale := take(t, db, "channel", "a")
	fresh := take(t, db, "channel", "a")
	unknown := persistence.Owner{Kind: "channel", ID: "nobody", Epoch: 1}
	var got acks
	release := blockWrites(t, db)
	enqueue(t, w, neighbour, got.expect(0), newEntry(neighbour, 0))
	enqueue(t, w, stale, got.expect(1), newEntry(stale, 1))
	enqueue(t, w, neighbour, got.expect(2), newEntry(neighbour, 2))
	enqueue(t, w, fresh, got.expect(3), newEntry(fresh, 3))
	enqueue(t, w, stale, got.expect(4), newEntry(stale, 4))
	enqueue(t, w, unknown, got.expect(5), newEntry(unknown, 5))
	release()
	got.wait(t)
	if want := []int{1, 4, 5}; !slices.Equal(got.failed(), want) {
		t.Errorf("failed %v, want %v", got.failed(), want)
	}
	for _, n := range got.failed() {
		if !errors.Is(got.errs[n], persistence.ErrFenced) {
			t.Errorf("write %d: %v, want ErrFenced", n, got.errs[n])
		}
	}
	if got := stored(t, db, "a"); !slices.Equal(got, []int{3}) {
		t.Errorf("stored for a: %v", got)
	}
	if got := stored(t, db, "neighbour"); !slices.Equal(got, []int{0, 2}) {
		t.Errorf("stored for neighbour: %v", got)
	}
	if n := w.Stats().Fenced; n != 3 {
		t.Errorf("%d fenced in stats, want 3", n)
	}
}

// bad is a row whose arguments cannot be made.
type bad struct{ panics bool }

var insertBad = &persistence.Statement{
	Name: "insert bad",
	SQL:  `INSERT INTO entry (id) SELECT unnest($1::uuid[])`,
	Args: func(rows []persistence.Row) []any {
		for _, r := range rows {
			if r.(bad).panics {
				panic("no arguments")
			}
		}
		return []any{"neither an array nor a uuid"}
	},
}

func (bad) Statement() *persistence.Statement { return insertBad }
func (bad) Size() int                         { return 1 }

func TestWriterIsolatesPoison(t *testing.T) {
	t.Parallel()
	db := entryDB(t)
	w := newWriter(t, db, persistence.WriterConfig{Lanes: 1})
	owners := []persistence.Owner{take(t, db, "channel", "0"), take(t, db, "channel", "1"), take(t, db, "channel", "2")}
	poison := map[int]func(o persistence.Owner) persistence.Row{
		17: func(o persistence.Owner) persistence.Row { return newEntry(o, -1) },                          // 23514
		18: func(o persistence.Owner) persistence.Row { e := newEntry(o, 18); e.text = "\x00"; return e }, // 22021
		50: func(persistence.Owner) persistence.Row { return bad{} },
		51: func(persistence.Owner) persistence.Row { return bad{panics: true} },
	}
	var got acks
	release := blockWrites(t, db)
	for n := range 300 {
		o := owners[n%3]
		row := persistence.Row(newEntry(o, n))
		if make := poison[n]; make != nil {
			row = make(o)
		}
		enqueue(t, w, o, got.expect(n), row)
	}
	release()
	got.wait(t)
	want := []int{17, 18, 50, 51}
	if !slices.Equal(got.failed(), want) {
		t.Errorf("failed %v, want %v", got.failed(), want)
	}
	for i, o := range owners {
		var wantStored []int
		for n := i; n < 300; n += 3 {
			if !slices.Contains(want, n) {
				wantStored = append(wantStored, n)
			}
		}
		if got := stored(t, db, o.ID); !slices.Equal(got, wantStored) {
			t.Errorf("owner %s: stored %v, want %v", o.ID, got, wantStored)
		}
	}
	if n := w.Stats().Poisoned; n != uint64(len(want)) {
		t.Errorf("%d poisoned in stats, want %d", n, len(want))
	}
}

// A violation of another key than the id must not pass for success.
func TestWriterReportsLostUniqueness(t *testing.T) {
	t.Parallel()
	db := entryDB(t)
	w := newWriter(t, db, persistence.WriterConfig{})
	o := take(t, db, "channel", "a")
	var got acks
	enqueue(t, w, o, got.expect(0), newEntry(o, 7))
	enqueue(t, w, o, got.expect(1), newEntry(o, 7))
	got.wait(t)
	if !slices.Equal(got.failed(), []int{1}) || !persistence.IsUnique(got.errs[1], "entry_owner_n_key") {
		t.Errorf("errors %v", got.errs)
	}
}

func TestWriterRefusesWhenFull(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		cfg  persistence.WriterConfig
	}{
		{"rows", persistence.WriterConfig{MaxRows: 100}},
		{"bytes", persistence.WriterConfig{MaxBytes: 100 * 64}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			db := entryDB(t)
			w := newWriter(t, db, row.cfg)
			o := take(t, db, "channel", "a")
			var got acks
			release := blockWrites(t, db)
			for n := range 100 {
				enqueue(t, w, o, got.expect(n), newEntry(o, n))
			}
			err := w.Enqueue(persistence.Write{Owner: o, Rows: []persistence.Row{newEntry(o, 100)}, Done: func(error) {
				t.Error("a refused write was decided")
			}})
			var shown *protocol.Error
			if !errors.As(err, &shown) || !shown.Retryable() {
				t.Errorf("error %v, want a retryable one", err)
			}
			release()
			got.wait(t)
			if got := stored(t, db, "a"); !slices.Equal(got, sequence(100)) {
				t.Errorf("stored %v", got)
			}
			enqueue(t, w, o, got.expect(100), newEntry(o, 100)) // there is room again
			got.wait(t)
			if n := w.Stats().Refused; n != 1 {
				t.Errorf("%d refused in stats, want 1", n)
			}
		})
	}
	db := entryDB(t)
	w := newWriter(t, db, persistence.WriterConfig{MaxRows: 2})
	o := take(t, db, "channel", "a")
	err := w.Enqueue(persistence.Write{Owner: o, Rows: []persistence.Row{newEntry(o, 0), newEntry(o, 1), newEntry(o, 2)}})
	if !errors.Is(err, protocol.ErrTooLarge) {
		t.Errorf("error %v for what never fits, want too large", err)
	}
}

func TestWriterFlush(t *testing.T) {
	t.Parallel()
	db := entryDB(t)
	w := persistence.NewWriter(db, persistence.WriterConfig{})
	o := take(t, db, "channel", "a")
	var got acks
	for n := range 100 {
		enqueue(t, w, o, got.expect(n), newEntry(o, n))
	}
	if err := w.Flush(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(got.order) != 100 {
		t.Errorf("%d of 100 decided after Flush", len(got.order))
	}
	if got := stored(t, db, "a"); !slices.Equal(got, sequence(100)) {
		t.Errorf("stored %v", got)
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context(), o); err != nil {
		t.Errorf("flush after close: %v", err)
	}
}

func TestWriterCloseStoresAll(t *testing.T) {
	t.Parallel()
	db := entryDB(t)
	w := persistence.NewWriter(db, persistence.WriterConfig{})
	var got acks
	for i := range 10 {
		o := take(t, db, "channel", fmt.Sprint(i))
		for n := range 500 {
			enqueue(t, w, o, got.expect(1000*i+n), newEntry(o, n))
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(got.errs) != 5000 || got.failed() != nil {
		t.Errorf("%d decided, failed %v", len(got.errs), got.failed())
	}
	err := w.Enqueue(persistence.Write{Owner: persistence.Owner{Kind: "channel", ID: "a", Epoch: 1}})
	if !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("enqueue after close: %v", err)
	}
	if err := w.Close(t.Context()); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// Close must come back when its context ends although the database does not move.
func TestWriterCloseGivesUp(t *testing.T) {
	t.Parallel()
	db := entryDB(t)
	w := persistence.NewWriter(db, persistence.WriterConfig{})
	o := take(t, db, "channel", "a")
	tx, err := db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), `LOCK TABLE entry IN SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	var got acks
	for n := range 10 {
		enqueue(t, w, o, got.expect(n), newEntry(o, n))
	}
	awaitBlocked(t, db, tx)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Close(ctx); err == nil {
		t.Error("close claims that all was stored")
	}
	got.wait(t)
	for n, err := range got.errs {
		if !errors.Is(err, protocol.ErrUnavailable) {
			t.Errorf("write %d: %v, want a retryable error", n, err)
		}
	}
}

// Two activations of one actor write at the same time. Nothing that the older one writes
// may come after anything of the newer one, and the newer one sees all of it when it starts.
func TestWriterLateOwnerNeverInterleaves(t *testing.T) {
	t.Parallel()
	db := entryDB(t)
	const actors = 8
	var all sync.WaitGroup
	for i := range actors {
		all.Go(func() { raceOwners(t, db, fmt.Sprint(i)) })
	}
	all.Wait()
}

func raceOwners(t *testing.T, db *persistence.DB, id string) {
	first, second := persistence.NewWriter(db, persistence.WriterConfig{Lanes: 1}), persistence.NewWriter(db, persistence.WriterConfig{Lanes: 1})
	defer closeWriter(t, first)
	defer closeWriter(t, second)
	old := take(t, db, "channel", id)
	started := make(chan struct{})
	stopped := make(chan int)
	var oldAcks acks
	go func() {
		n := 0
		defer func() { stopped <- n }()
		for fenced := make(chan struct{}, 1); ; n++ {
			done := oldAcks.expect(n)
			enqueue(t, first, old, func(err error) {
				done(err)
				if err != nil {
					select {
					case fenced <- struct{}{}:
					default:
					}
				}
			}, newEntry(old, n))
			if n == 50 {
				close(started)
			}
			select {
			case <-fenced:
				return
			default:
			}
			if n%20 == 19 { // do not run far ahead of the database
				if err := first.Flush(t.Context(), old); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	<-started
	fresh := take(t, db, "channel", id)
	before := stored(t, db, id)
	var freshAcks acks
	for n := range 50 {
		enqueue(t, second, fresh, freshAcks.expect(n), newEntry(fresh, len(before)+n))
	}
	<-stopped
	oldAcks.wait(t)
	freshAcks.wait(t)
	if freshAcks.failed() != nil {
		t.Errorf("actor %s: the new owner failed: %v", id, freshAcks.errs)
	}
	if got := stored(t, db, id); !slices.Equal(got, sequence(len(before)+50)) {
		t.Errorf("actor %s: stored %v, %d of them before the take-over", id, got, len(before))
	}
	acked := 0
	for _, err := range oldAcks.errs {
		if err == nil {
			acked++
		} else if !errors.Is(err, persistence.ErrFenced) {
			t.Errorf("actor %s: old owner got %v", id, err)
		}
	}
	if acked != len(before) {
		t.Errorf("actor %s: %d acked, %d seen by the new owner", id, acked, len(before))
	}
}

func closeWriter(t *testing.T, w *persistence.Writer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	if err := w.Close(ctx); err != nil {
		t.Error(err)
	}
}

// entries are all stored (owner, n), sorted.
func entries(t *testing.T, db *persistence.DB) []string {
	t.Helper()
	rows, err := db.Pool().Query(t.Context(), `SELECT owner || '/' || n FROM entry`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list, cmp.Compare[string])
	return list
}
