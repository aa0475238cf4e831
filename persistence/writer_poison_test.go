package persistence_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/persistence"
)

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
		if poisoned := poison[n]; poisoned != nil {
			row = poisoned(o)
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
	if !slices.Equal(got.failed(), []int{1}) || !strings.Contains(got.errs[1].Error(), "entry_owner_n_key") {
		t.Errorf("errors %v", got.errs)
	}
}
