package persistence

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// WriterConfig tunes a Writer; the zero value of every field means the default.
type WriterConfig struct {
	// Lanes is how many transactions run side by side, each on a connection of its own: 4,
	// on small machines as many as there are cores but at least 2, because fewer lanes make
	// larger batches; and never more than half of the pool.
	Lanes int
	// FlushRows ends the collecting of a batch and bounds it; 1,000.
	FlushRows int
	// FlushEvery is how long a row waits at most for company before its batch is sent; 5 ms.
	FlushEvery time.Duration
	// MaxRows and MaxBytes bound what has been accepted and is not yet decided; 100,000 rows
	// and 256 MiB.
	MaxRows  int
	MaxBytes int
	// Log receives outages and refused rows; silent when nil.
	Log *slog.Logger
}

func (c WriterConfig) withDefaults(maxConns int) WriterConfig {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.Lanes, min(4, max(2, runtime.GOMAXPROCS(0))))
	c.Lanes = max(1, min(c.Lanes, maxConns/2))
	def(&c.FlushRows, 1000)
	def(&c.MaxRows, 100_000)
	def(&c.MaxBytes, 256<<20)
	if c.FlushEvery <= 0 {
		c.FlushEvery = 5 * time.Millisecond
	}
	c.Log = logger(c.Log)
	return c
}

var (
	errFull    = protocol.Unavailable("Too much is waiting to be stored, please retry")
	errClosing = protocol.Unavailable("The server is shutting down, please retry")
)

// Writer stores the rows of many actors behind their backs, in few transactions.
//
// Rows wait in one of a few lanes, chosen by their owner, so the order of an owner is kept. A
// lane sends what it has as one transaction: at once when it was idle, and under load what
// came in while the last transaction was on its way, so batches grow with the load by
// themselves. Each transaction first locks the leases of the owners it carries (see
// actor_lease_check in the migrations) and writes nothing for those who lost theirs.
//
// While the database is away a batch is tried again until it succeeds; rows pile up to the
// bound and then Enqueue refuses. A connection that is lost while a transaction is on its way
// leaves its outcome unknown. The lane then first makes sure that the lost session is dead
// and runs the batch again, which is harmless because statements are idempotent (see
// Statement). Rows that Postgres refuses are isolated by halving the batch.
//
// A Writer is safe for concurrent use. Done functions run on its goroutines, for one owner in
// the order of Enqueue, except that the writes of an owner that lost its lease may be refused
// ahead of others.
type Writer struct {
	db    *DB
	cfg   WriterConfig
	lanes []*lane
	seed  maphash.Seed

	rows, bytes atomic.Int64 // accepted and not yet decided
	counters    counters

	abort  context.Context // ends when Close gives up
	giveUp context.CancelFunc
}

// NewWriter starts a writer. Close it before the DB.
func NewWriter(db *DB, cfg WriterConfig) *Writer {
	w := &Writer{db: db, cfg: cfg.withDefaults(int(db.pool.Config().MaxConns)), seed: maphash.MakeSeed()}
	w.abort, w.giveUp = context.WithCancel(context.Background())
	for range w.cfg.Lanes {
		l := newLane(w)
		w.lanes = append(w.lanes, l)
		go l.run()
	}
	return w
}

// Enqueue accepts a write for storing, or refuses it with a retryable protocol.Error when
// the writer is full or closed; then Done is not called. It never blocks. A Write without
// rows is decided when all that its owner enqueued before has been.
func (w *Writer) Enqueue(write Write) error {
	size := 0
	for _, r := range write.Rows {
		size += r.Size()
	}
	if len(write.Rows) > w.cfg.MaxRows || size > w.cfg.MaxBytes {
		w.counters.refused.Add(1)
		return protocol.ErrTooLarge
	}
	if !w.reserve(len(write.Rows), size) {
		w.counters.refused.Add(1)
		return errFull
	}
	if !w.lane(write.Owner).push(pending{Write: write, size: size}) {
		w.release(len(write.Rows), size)
		w.counters.refused.Add(1)
		return errClosing
	}
	return nil
}

func (w *Writer) reserve(rows, size int) bool {
	// Both are added before either is looked at, so that release undoes both.
	r, b := w.rows.Add(int64(rows)), w.bytes.Add(int64(size))
	if r <= int64(w.cfg.MaxRows) && b <= int64(w.cfg.MaxBytes) {
		return true
	}
	w.release(rows, size)
	return false
}

func (w *Writer) release(rows, size int) {
	w.rows.Add(-int64(rows))
	w.bytes.Add(-int64(size))
}

// Flush waits until everything that owner has enqueued so far is decided.
func (w *Writer) Flush(ctx context.Context, owner Owner) error {
	decided := make(chan struct{})
	l := w.lane(owner)
	if !l.push(pending{Write: Write{Owner: owner, Done: func(error) { close(decided) }}}) {
		decided = l.done // closed: all is decided when the lane ends
	}
	select {
	case <-decided:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("flush %s: %w", owner, ctx.Err())
	}
}

// Close stores what has been accepted and stops the writer. When ctx ends before that, the
// rest is refused with a retryable error and Close says so. Enqueue refuses from the start.
func (w *Writer) Close(ctx context.Context) error {
	for _, l := range w.lanes {
		l.close()
	}
	defer w.giveUp()
	for _, l := range w.lanes {
		select {
		case <-l.done:
			continue
		case <-ctx.Done():
		}
		w.giveUp()
		<-l.done
	}
	if n := w.counters.abandoned.Load(); n > 0 {
		return fmt.Errorf("close writer: %d writes were given up", n)
	}
	return nil
}

func (w *Writer) lane(o Owner) *lane {
	var h maphash.Hash
	h.SetSeed(w.seed)
	_, _ = h.WriteString(o.Kind) // never fails
	_ = h.WriteByte(0)
	_, _ = h.WriteString(o.ID)
	return w.lanes[h.Sum64()%uint64(len(w.lanes))]
}

// decide tells the caller of p what became of it.
func (w *Writer) decide(p pending, err error) {
	w.release(len(p.Rows), p.size)
	switch {
	case len(p.Rows) == 0:
	case err == nil:
		w.counters.writes.Add(1)
		w.counters.rows.Add(uint64(len(p.Rows)))
		w.db.search.stored(p.Rows)
	case errors.Is(err, ErrFenced):
		w.counters.fenced.Add(1)
	case errors.Is(err, errClosing):
		w.counters.abandoned.Add(1)
	default:
		w.counters.poisoned.Add(1)
		w.cfg.Log.Error("rows refused by the database", "owner", p.Owner.String(), "error", err)
	}
	if p.Done != nil {
		p.Done(err)
	}
}

// WriterStats are the gauges and counters of a Writer.
type WriterStats struct {
	QueuedRows, QueuedBytes int64 // accepted, not yet decided

	Writes, Rows        uint64 // stored
	Commits, Executions uint64 // transactions that committed, statements they ran
	Retries             uint64 // transactions that were tried again
	Fenced              uint64 // writes refused because the lease was lost
	Poisoned            uint64 // writes refused by the database
	Refused             uint64 // writes refused by Enqueue
	Abandoned           uint64 // writes given up by Close
}

type counters struct {
	writes, rows, commits, executions, retries, fenced, poisoned, refused, abandoned atomic.Uint64
}

// Stats is a snapshot.
func (w *Writer) Stats() WriterStats {
	c := &w.counters
	return WriterStats{
		QueuedRows: w.rows.Load(), QueuedBytes: w.bytes.Load(),
		Writes: c.writes.Load(), Rows: c.rows.Load(),
		Commits: c.commits.Load(), Executions: c.executions.Load(), Retries: c.retries.Load(),
		Fenced: c.fenced.Load(), Poisoned: c.poisoned.Load(), Refused: c.refused.Load(), Abandoned: c.abandoned.Load(),
	}
}
