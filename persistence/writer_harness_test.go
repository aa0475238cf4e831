package persistence_test

import (
	"cmp"
	"context"
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
		awaitBlocked(t, db, sessionOf(tx.Conn()))
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
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
