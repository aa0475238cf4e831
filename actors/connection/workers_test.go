package connection

import (
	"sync"
	"testing"
)

// busy runs tasks that wait until they are let go.
type busy struct {
	workers
	began chan struct{}
	leave chan struct{}
}

func newBusy() *busy {
	b := &busy{began: make(chan struct{}), leave: make(chan struct{})}
	b.run = func(task) {
		b.began <- struct{}{}
		<-b.leave
	}
	return b
}

// fill has n tasks under way at the same time, all of which start at once.
func (b *busy) fill(n int) {
	for range n {
		b.start(task{})
		<-b.began
	}
}

// free ends n tasks and waits until as many workers are idle as can be.
func (b *busy) free(t *testing.T, n, idle int) {
	t.Helper()
	for range n {
		b.leave <- struct{}{}
	}
	b.expect(t, idle)
}

func (b *busy) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.idle)
}

func (b *busy) expect(t *testing.T, idle int) {
	t.Helper()
	for b.count() != idle {
		if t.Context().Err() != nil {
			t.Fatalf("%d idle, want %d", b.count(), idle)
		}
	}
}

func TestWorkersAreUsedAgainUntilNobodyNeedsThem(t *testing.T) {
	t.Parallel()
	b := newBusy()
	b.fill(3)
	b.free(t, 3, 3)
	b.sweep() // all of them have just been used
	b.expect(t, 3)
	b.fill(2)
	b.expect(t, 1)
	b.free(t, 2, 3)
	b.sweep() // one has not
	b.expect(t, 2)
	b.sweep()
	b.expect(t, 0)
	b.fill(1)
	b.close()
	b.leave <- struct{}{}
	b.fill(1) // whoever comes late is served
	b.leave <- struct{}{}
	b.expect(t, 0)
}

func TestIdleWorkersAreBounded(t *testing.T) {
	t.Parallel()
	b := newBusy()
	b.fill(maxIdle + 10) // no task waits for another
	b.free(t, maxIdle+10, maxIdle)
	b.close()
	b.expect(t, 0)
}

func TestWorkersRunEveryTaskOnce(t *testing.T) {
	t.Parallel()
	const starters, each = 8, 2000
	var done sync.WaitGroup
	done.Add(starters * each)
	w := workers{run: func(task) { done.Done() }}
	for range starters {
		go func() {
			for i := range each {
				w.start(task{})
				if i%100 == 0 {
					w.sweep()
				}
			}
		}()
	}
	done.Wait()
	w.close()
}
