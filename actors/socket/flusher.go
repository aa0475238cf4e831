package socket

import (
	"sync"
	"time"
)

// flusher flushes sockets a tick after they were handed to it. Its timer runs
// only while there are some.
type flusher struct {
	tick time.Duration
	kick chan struct{}

	mu   sync.Mutex
	list []*Socket
}

func (f *flusher) init(tick time.Duration) {
	f.tick, f.kick = max(tick, 0), make(chan struct{}, 1)
}

func (f *flusher) add(s *Socket) {
	f.mu.Lock()
	f.list = append(f.list, s)
	first := len(f.list) == 1
	f.mu.Unlock()
	if first {
		select {
		case f.kick <- struct{}{}:
		default:
		}
	}
}

func (f *flusher) run(quit <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var spare []*Socket
	for {
		select {
		case <-f.kick:
			timer.Reset(f.tick)
		case <-timer.C:
			f.mu.Lock()
			list := f.list
			f.list = spare
			f.mu.Unlock()
			for _, s := range list {
				s.Flush()
			}
			clear(list)
			spare = list[:0]
		case <-quit:
			return
		}
	}
}
