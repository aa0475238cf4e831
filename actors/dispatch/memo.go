package dispatch

import (
	"context"
	"sync"
	"time"
)

// How long an answer is kept, as a multiple of what it cost: making it again and
// again keeps one database connection busy for 2 % of the time. What costs next
// to nothing is not kept at all.
const (
	memoFactor = 50
	memoFree   = 25 * time.Millisecond
	memoWork   = 2 * time.Minute
)

// memo shares an answer that takes long to make: it is made once however many
// ask for it at the same time, and kept for a while. The zero value is ready.
type memo[T any] struct {
	mu    sync.Mutex
	last  *work[T] // under way or done; nil: nothing that could be shared
	until time.Time
}

// work is one making of an answer.
type work[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// get returns the answer, which it may have to wait for until ctx ends. The work
// goes on without ctx: whoever asks next gets what came of it.
func (m *memo[T]) get(ctx context.Context, find func(context.Context) (T, error)) (T, error) {
	m.mu.Lock()
	w := m.last
	if w == nil || !m.until.IsZero() && time.Now().After(m.until) {
		w = &work[T]{done: make(chan struct{})}
		m.last, m.until = w, time.Time{}
		go m.do(context.WithoutCancel(ctx), w, find)
	}
	m.mu.Unlock()
	select {
	case <-w.done:
		return w.value, w.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func (m *memo[T]) do(ctx context.Context, w *work[T], find func(context.Context) (T, error)) {
	ctx, cancel := context.WithTimeout(ctx, memoWork)
	defer cancel()
	from := time.Now()
	w.value, w.err = find(ctx)
	took := time.Since(from)
	m.mu.Lock()
	if w.err != nil || took < memoFree {
		m.last = nil
	} else {
		m.until = time.Now().Add(memoFactor * took)
	}
	m.mu.Unlock()
	close(w.done)
}
