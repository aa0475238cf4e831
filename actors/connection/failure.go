package connection

import (
	"sync"
	"time"
)

// failures counts failed logins per address in windows of a minute.
type failures struct {
	mu    sync.Mutex
	limit int
	addr  map[string]*failure
	swept int64
}

type failure struct {
	n     int
	since int64
}

const failureWindow = int64(time.Minute)

func (f *failures) init(limit int) { f.limit, f.addr = limit, map[string]*failure{} }

// add counts a failed login.
func (f *failures) add(addr string, now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now-f.swept >= failureWindow {
		f.swept = now
		for a, e := range f.addr {
			if now-e.since >= failureWindow {
				delete(f.addr, a)
			}
		}
	}
	e := f.addr[addr]
	if e == nil || now-e.since >= failureWindow {
		e = &failure{since: now}
		f.addr[addr] = e
	}
	e.n++
}

// over reports whether an address has to wait, and for how long.
func (f *failures) over(addr string, now int64) (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.addr[addr]
	if e == nil || e.n < f.limit || now-e.since >= failureWindow {
		return 0, false
	}
	return time.Duration(e.since + failureWindow - now), true
}
