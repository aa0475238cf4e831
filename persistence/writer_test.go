package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

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
	awaitBlocked(t, db, sessionOf(tx.Conn()))
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
