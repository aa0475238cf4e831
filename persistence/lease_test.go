package persistence_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

func take(t *testing.T, db *persistence.DB, kind, id string) persistence.Owner {
	t.Helper()
	epoch, err := db.TakeLease(t.Context(), kind, id, "node-1")
	if err != nil {
		t.Fatal(err)
	}
	return persistence.Owner{Kind: kind, ID: id, Epoch: epoch}
}

func TestTakeLeaseCountsUp(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for want := int64(1); want <= 3; want++ {
		if got := take(t, db, "channel", "a").Epoch; got != want {
			t.Errorf("epoch %d, want %d", got, want)
		}
	}
	if got := take(t, db, "channel", "b").Epoch; got != 1 {
		t.Errorf("epoch of another actor is %d, want 1", got)
	}
	if got := take(t, db, "user", "a").Epoch; got != 1 {
		t.Errorf("epoch of another kind is %d, want 1", got)
	}
}

func TestTakeLeaseConcurrently(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	const takers = 20
	epochs := make([]int64, takers)
	var all sync.WaitGroup
	for i := range takers {
		all.Go(func() { epochs[i] = take(t, db, "channel", "a").Epoch })
	}
	all.Wait()
	seen := map[int64]bool{}
	for _, e := range epochs {
		if e < 1 || e > takers || seen[e] {
			t.Fatalf("epochs are not 1..%d, each once: %v", takers, epochs)
		}
		seen[e] = true
	}
}

func TestFenced(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	stale := take(t, db, "channel", "a")
	current := take(t, db, "channel", "a")
	rows := []struct {
		name  string
		owner persistence.Owner
		want  error
	}{
		{"current", current, nil},
		{"stale", stale, persistence.ErrFenced},
		{"future", persistence.Owner{Kind: "channel", ID: "a", Epoch: current.Epoch + 1}, persistence.ErrFenced},
		{"no lease", persistence.Owner{Kind: "channel", ID: "b", Epoch: 1}, persistence.ErrFenced},
		{"zero", persistence.Owner{}, persistence.ErrFenced},
	}
	for _, row := range rows {
		ran := false
		err := db.Fenced(t.Context(), row.owner, func(pgx.Tx) error { ran = true; return nil })
		if !errors.Is(err, row.want) || ran != (row.want == nil) {
			t.Errorf("%s: error %v, ran %v; want %v", row.name, err, ran, row.want)
		}
	}
}

// Taking a lease over waits for what is being written under the old epoch.
func TestTakeLeaseWaitsForWriters(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := take(t, db, "channel", "a")
	gate, err := db.Pool().Begin(t.Context()) // keeps the writer at work
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gate.Exec(t.Context(), `SELECT pg_advisory_xact_lock(1)`); err != nil {
		t.Fatal(err)
	}
	writing := make(chan pgx.Tx)
	written := make(chan error, 1)
	go func() {
		written <- db.Fenced(t.Context(), owner, func(tx pgx.Tx) error {
			writing <- tx
			_, err := tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(1)`)
			return err
		})
	}()
	writer := sessionOf((<-writing).Conn())
	awaitBlocked(t, db, sessionOf(gate.Conn()))
	taken := make(chan int64, 1)
	go func() {
		epoch, err := db.TakeLease(t.Context(), "channel", "a", "node-2")
		if err != nil {
			t.Error(err)
		}
		taken <- epoch
	}()
	awaitBlocked(t, db, writer)
	select {
	case epoch := <-taken:
		t.Errorf("epoch %d was taken while the old one was writing", epoch)
	default:
	}
	if err := gate.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Errorf("the writer at work failed: %v", err)
	}
	if epoch := <-taken; epoch != owner.Epoch+1 {
		t.Errorf("epoch %d, want %d", epoch, owner.Epoch+1)
	}
}

// A node that stopped in the middle of a transaction does not keep its actors for ever.
func TestTakeLeaseFromSilentWriter(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := take(t, db, "channel", "a")
	err := db.Fenced(t.Context(), owner, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `INSERT INTO instance_secret (name, value) VALUES ('late', '')`); err != nil {
			return err
		}
		if epoch := take(t, db, "channel", "a").Epoch; epoch != owner.Epoch+1 {
			t.Errorf("epoch %d, want %d", epoch, owner.Epoch+1)
		}
		return nil
	})
	if err == nil {
		t.Error("the old owner committed after the lease was taken over")
	}
	var n int
	if err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM instance_secret`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows of the old owner are there, %v", n, err)
	}
}

func sessionOf(c *pgx.Conn) uint32 { return c.PgConn().PID() }

// awaitBlocked returns once another session waits for a lock of session pid.
func awaitBlocked(t *testing.T, db *persistence.DB, pid uint32) {
	t.Helper()
	eventually(t, "somebody waits for the lock", func() bool {
		var blocked bool
		err := db.Pool().QueryRow(t.Context(),
			`SELECT EXISTS(SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid)))`, pid).Scan(&blocked)
		if err != nil {
			t.Fatal(err)
		}
		return blocked
	})
}
