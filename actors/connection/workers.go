package connection

import (
	"slices"
	"sync"
	"time"
)

const (
	maxIdle    = 256             // workers that are kept
	sweepEvery = 2 * time.Second // how long one is kept that nobody needs, at least
)

// workers are goroutines that run tasks. One that is done waits for the next
// task, because its stack has grown to what an operation takes: growing one per
// request would cost more than many an operation. A task never waits for a
// worker; there are as many as there are tasks.
type workers struct {
	run func(task)

	mu     sync.Mutex
	idle   []chan task // the last one was used last and is used next
	unused int         // so many of the first have not been used since the last sweep
	closed bool
}

func (w *workers) start(t task) {
	w.mu.Lock()
	n := len(w.idle) - 1
	if n < 0 {
		w.mu.Unlock()
		go w.work(t)
		return
	}
	next := w.idle[n]
	w.idle[n] = nil
	w.idle = w.idle[:n]
	w.unused = min(w.unused, n)
	w.mu.Unlock()
	next <- t // has room: it was idle
}

// work is the life of a worker.
func (w *workers) work(t task) {
	w.run(t)
	next := make(chan task, 1)
	for w.rest(next) {
		t, ok := <-next
		if !ok {
			return
		}
		w.run(t)
	}
}

// rest makes a worker idle; false when there are enough.
func (w *workers) rest(next chan task) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.idle) >= maxIdle {
		return false
	}
	w.idle = append(w.idle, next)
	return true
}

// sweep ends the workers that were idle since the last sweep.
func (w *workers) sweep() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end(w.unused)
	w.unused = len(w.idle)
}

// close ends idle workers now and busy ones after their task.
func (w *workers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.end(len(w.idle))
	w.unused = 0
}

func (w *workers) end(n int) {
	for _, next := range w.idle[:n] {
		close(next)
	}
	w.idle = slices.Delete(w.idle, 0, n)
}
