package persistence

import (
	"sync"
	"time"
)

// maxBatchBytes bounds a batch besides FlushRows, so that one transaction of large rows does
// not hold a lane for long.
const maxBatchBytes = 4 << 20

// pending is a write that waits to be decided.
type pending struct {
	Write
	size int
}

// lane is a queue and the goroutine that empties it, one transaction at a time.
type lane struct {
	w    *Writer
	link link // the lane's connection; used by run only

	mu     sync.Mutex
	queue  []pending
	rows   int  // in queue
	target int  // run is woken when rows reaches it
	hurry  bool // somebody waits for a flush
	closed bool

	wake chan struct{} // capacity 1
	done chan struct{} // closed when run has decided everything
}

func newLane(w *Writer) *lane {
	return &lane{w: w, link: link{w: w}, target: 1, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// push reports false when the lane is closed.
func (l *lane) push(p pending) bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	l.queue = append(l.queue, p)
	l.rows += len(p.Rows)
	l.hurry = l.hurry || len(p.Rows) == 0
	ring := l.hurry || l.rows >= l.target
	l.mu.Unlock()
	if ring {
		l.ring()
	}
	return true
}

func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.ring()
}

func (l *lane) ring() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run collects and stores until the lane is closed and empty.
//
// How long a batch is held open follows what happened last: a lane whose last batch had n
// rows expects n again, since callers that wait for their acks come back together. It waits
// for them no longer than a transaction takes, because waiting longer than that costs more
// than a second transaction would, and never longer than FlushEvery. A lane that was idle
// expects one row and sends at once.
func (l *lane) run() {
	defer close(l.done)
	defer l.link.drop()
	expect, linger := 1, time.Duration(0)
	for {
		batch, ok := l.collect(expect, linger)
		if !ok {
			return
		}
		began := time.Now()
		l.store(batch)
		linger = min(l.w.cfg.FlushEvery, time.Since(began))
		expect = 0
		for _, p := range batch {
			expect += len(p.Rows)
		}
		clear(batch) // its array may be in use for the queue
	}
}

// collect waits for a batch; false when there will be none any more.
func (l *lane) collect(expect int, linger time.Duration) ([]pending, bool) {
	if !l.await(1, nil) {
		return nil, false
	}
	if expect > 1 {
		timer := time.NewTimer(linger)
		l.await(min(expect, l.w.cfg.FlushRows), timer.C)
		timer.Stop()
	}
	return l.take(), true
}

// await returns when rows are waiting, a flush is, the lane is closed, or time is up. It
// reports whether anything waits.
func (l *lane) await(rows int, timeout <-chan time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = rows
	for l.rows < rows && !l.hurry && !l.closed {
		l.mu.Unlock()
		expired := false
		select {
		case <-l.wake:
		case <-timeout:
			expired = true
		}
		l.mu.Lock()
		if expired {
			break
		}
	}
	l.target = 1
	return len(l.queue) > 0
}

// take removes the next batch from the queue: at least one write, otherwise as many as fit.
func (l *lane) take() []pending {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, rows, size := 0, 0, 0
	for _, p := range l.queue {
		if n > 0 && (rows+len(p.Rows) > l.w.cfg.FlushRows || size+p.size > maxBatchBytes) {
			break
		}
		n, rows, size = n+1, rows+len(p.Rows), size+p.size
	}
	batch := l.queue[:n:n]
	if l.queue = l.queue[n:]; len(l.queue) == 0 {
		l.queue, l.hurry = nil, false
	}
	l.rows -= rows
	return batch
}
