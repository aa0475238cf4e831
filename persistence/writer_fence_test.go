package persistence_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/rookery-chat/rookery/persistence"
)

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
