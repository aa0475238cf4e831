package persistence_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

const benchSenders = 64

// BenchmarkStore compares durable rows per second of 64 senders that each wait for their ack
// before they send the next row: through the writer, and as one transaction per row over a
// connection each; and the same with a single sender, where the writer must not be slower
// than it takes to commit. The server syncs to disk as in production.
func BenchmarkStore(b *testing.B) {
	srv := pgtest.NewDurableServer(b)
	db, err := persistence.Open(b.Context(), persistence.Config{URL: srv.URL()})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := db.Pool().Exec(b.Context(), entryTable); err != nil {
		b.Fatal(err)
	}
	b.Run("writer", func(b *testing.B) { benchWriter(b, db, benchSenders) })
	b.Run("single-inserts", func(b *testing.B) { benchInserts(b, srv.URL(), benchSenders) })
	b.Run("writer-alone", func(b *testing.B) { benchWriter(b, db, 1) })
	b.Run("single-insert-alone", func(b *testing.B) { benchInserts(b, srv.URL(), 1) })
}

func benchWriter(b *testing.B, db *persistence.DB, senders int) {
	w := persistence.NewWriter(db, persistence.WriterConfig{})
	owners := make([]persistence.Owner, senders)
	for i := range owners {
		id := fmt.Sprintf("w%d", i)
		epoch, err := db.TakeLease(b.Context(), "channel", id, "bench")
		if err != nil {
			b.Fatal(err)
		}
		owners[i] = persistence.Owner{Kind: "channel", ID: id, Epoch: epoch}
	}
	var base int
	if err := db.Pool().QueryRow(b.Context(), `SELECT count(*) FROM entry`).Scan(&base); err != nil {
		b.Fatal(err)
	}
	eachSender(b, senders, func(sender, n int) error {
		acked := make(chan error, 1)
		o := owners[sender]
		err := w.Enqueue(persistence.Write{Owner: o, Rows: []persistence.Row{newEntry(o, base+n)}, Done: func(err error) { acked <- err }})
		if err != nil {
			return err
		}
		return <-acked
	})
	stats := w.Stats()
	b.ReportMetric(float64(stats.Rows)/float64(stats.Commits), "rows/commit")
	if err := w.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func benchInserts(b *testing.B, dsn string, senders int) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		b.Fatal(err)
	}
	cfg.MaxConns, cfg.MinConns = int32(senders), int32(senders)
	pool, err := pgxpool.NewWithConfig(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	var base int
	if err := pool.QueryRow(b.Context(), `SELECT count(*) FROM entry`).Scan(&base); err != nil {
		b.Fatal(err)
	}
	eachSender(b, senders, func(sender, n int) error {
		e := newEntry(persistence.Owner{ID: fmt.Sprintf("s%d", sender)}, base+n)
		_, err := pool.Exec(context.Background(), `INSERT INTO entry (id, owner, n, text) VALUES ($1, $2, $3, $4)`, e.id, e.owner, e.n, e.text)
		return err
	})
}

// eachSender shares b.N calls of f among the senders and reports calls per second.
func eachSender(b *testing.B, senders int, f func(sender, n int) error) {
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for s := range senders {
		all.Go(func() {
			for n := int(next.Add(1)); n <= b.N; n = int(next.Add(1)) {
				if err := f(s, n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
