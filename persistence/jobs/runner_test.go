package jobs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

const patience = 2 * time.Minute

// urlVariable makes the test binary a node that takes a job and keeps it until
// it is killed.
const urlVariable = "ROOKERY_JOBS_NODE"

func migrated(t *testing.T) *persistence.DB {
	t.Helper()
	db := pgtest.New(t)
	if err := Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return db
}

// node is one member of the cluster, until the test ends.
func node(t *testing.T, cfg Config) *Runner {
	t.Helper()
	r, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return r
}

func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
	}
	return v
}

func TestMigrateTogetherAndTwice(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for range 2 {
		var nodes sync.WaitGroup
		for range 4 {
			nodes.Go(func() {
				if err := Migrate(t.Context(), db); err != nil {
					t.Error(err)
				}
			})
		}
		nodes.Wait()
	}
}

// Three nodes start at once, and each runs again: what is due is done once. The
// chore has work for several steps and gives an error in between.
func TestOnceInTheCluster(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	var steps atomic.Int64
	done := make(chan struct{}, 10)
	once := Chore{Name: "test.once", Schedule: "0 0 * * *", Do: func(context.Context, protocol.Instant) (bool, error) {
		switch n := steps.Add(1); n {
		case 2:
			return false, errors.New("for a test")
		case 4:
			done <- struct{}{}
			return false, nil
		default:
			return true, nil
		}
	}}
	for round := range 2 {
		// The leader announces all chores together: when this new one runs, the
		// old one has been considered.
		heard := make(chan struct{}, 10)
		other := Chore{Name: fmt.Sprint("test.round", round), Schedule: "0 0 * * *", Do: func(context.Context, protocol.Instant) (bool, error) {
			heard <- struct{}{}
			return false, nil
		}}
		runners := make(chan *Runner, 3)
		var nodes sync.WaitGroup
		for range 3 {
			nodes.Go(func() {
				r, err := Start(t.Context(), Config{DB: db, Chores: []Chore{once, other}})
				if err != nil {
					t.Error(err)
				}
				runners <- r
			})
		}
		nodes.Wait()
		await(t, "a leader announces", heard)
		if round == 0 {
			await(t, "the chore is done", done)
		}
		for range 3 {
			if err := (<-runners).Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	if n := steps.Load(); n != 4 {
		t.Errorf("%d steps, want 4", n)
	}
	var jobs int
	if err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM river.river_job`).Scan(&jobs); err != nil || jobs != 3 {
		t.Errorf("%d jobs, want 3: %v", jobs, err)
	}
}

// What a node works on when it stops is gone on with by another.
func TestStopHandsOver(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	began, finished := make(chan int, 10), make(chan int, 10)
	chores := func(node int, block bool) []Chore {
		return []Chore{{Name: "test.handover", Schedule: "0 0 * * *", Do: func(ctx context.Context, _ protocol.Instant) (bool, error) {
			began <- node
			if block {
				<-ctx.Done()
				return true, ctx.Err()
			}
			finished <- node
			return false, nil
		}}}
	}
	first, err := Start(t.Context(), Config{DB: db, Chores: chores(1, true)})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the first node works", began)
	node(t, Config{DB: db, Chores: chores(2, false)})
	since := time.Now()
	if err := first.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(since); took > 4*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if n := await(t, "another node goes on", finished); n != 2 {
		t.Errorf("node %d finished", n)
	}
}

// TestNode is not a test: the process that TestDeathHandsOver kills.
func TestNode(t *testing.T) {
	url := os.Getenv(urlVariable)
	if url == "" {
		return
	}
	db, err := persistence.Open(t.Context(), persistence.Config{URL: url, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Start(t.Context(), Config{DB: db, Chores: []Chore{{Name: "test.death", Schedule: "0 0 * * *", Do: func(context.Context, protocol.Instant) (bool, error) {
		fmt.Println("working")
		select {} // until killed
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	select {}
}

// A node dies by SIGKILL in the middle of a job: another does it.
func TestDeathHandsOver(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the death of a leader to be noticed")
	}
	t.Parallel()
	url := pgtest.URL(t)
	db, err := persistence.Open(t.Context(), persistence.Config{URL: url, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if err := Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestNode$")
	child.Env = append(os.Environ(), urlVariable+"="+url)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "working") {
	}
	done := make(chan struct{}, 1)
	node(t, Config{DB: db, RescueAfter: time.Second, Chores: []Chore{{Name: "test.death", Schedule: "0 0 * * *", Do: func(context.Context, protocol.Instant) (bool, error) {
		done <- struct{}{}
		return false, nil
	}}}})
	if len(done) != 0 {
		t.Error("two nodes do the same job")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	await(t, "another node does the job of the dead one", done)
}

// The chores of the server run against the real schema.
func TestChores(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	for _, c := range Chores(db) {
		if more, err := c.Do(t.Context(), protocol.InstantOf(time.Now())); err != nil || more {
			t.Errorf("%s in an empty database: more %v, %v", c.Name, more, err)
		}
	}
}
