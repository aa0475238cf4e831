package connection

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// rate is a token bucket in the form of GCRA (ITU-T I.371): one number per
// bucket, the time at which it will be full again.
type rate struct {
	interval int64 // nanoseconds per token
	burst    int64 // nanoseconds to fill it
}

// bucket holds n tokens and fills in window.
func bucket(n int, window time.Duration) rate {
	return rate{interval: int64(window) / int64(n), burst: int64(window)}
}

// take returns the new state, and whether there was a token.
func (r rate) take(full, now int64) (int64, bool) {
	next := max(full, now) + r.interval
	if next-now > r.burst {
		return full, false
	}
	return next, true
}

// quota is what all connections of one user to this node may send, by group of
// events.
type quota struct {
	full [protocol.EventGroups]atomic.Int64
	refs int // connections, under the mutex of quotas
}

// quotas are the quotas of all users that are connected or were so lately.
type quotas struct {
	mu    sync.Mutex
	rate  rate
	users map[protocol.UserID]*quota
	left  []departure // quotas without connections, oldest first
}

type departure struct {
	user protocol.UserID
	at   int64
}

func (q *quotas) init(r rate) {
	q.rate, q.users = r, map[protocol.UserID]*quota{}
}

// enter counts a connection of a user; nil when he has too many.
func (q *quotas) enter(u protocol.UserID, limit int, now int64) *quota {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(now)
	own := q.users[u]
	if own == nil {
		own = &quota{}
		q.users[u] = own
	}
	if limit > 0 && own.refs >= limit {
		return nil
	}
	own.refs++
	return own
}

// leave ends a connection. The quota stays until it would be full again, so
// that reconnecting does not fill it.
func (q *quotas) leave(u protocol.UserID, now int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	own := q.users[u]
	if own == nil {
		return
	}
	if own.refs--; own.refs == 0 {
		q.left = append(q.left, departure{u, now})
	}
	q.sweep(now)
}

func (q *quotas) sweep(now int64) {
	i := 0
	for ; i < len(q.left) && now-q.left[i].at >= q.rate.burst; i++ {
		if u := q.left[i].user; q.users[u] != nil && q.users[u].refs == 0 {
			delete(q.users, u)
		}
	}
	if i > 0 {
		q.left = append(q.left[:0], q.left[i:]...)
	}
}

// take uses up a token of a group.
func (q *quota) take(r rate, group protocol.EventGroup, now int64) bool {
	for {
		full := q.full[group].Load()
		next, ok := r.take(full, now)
		if !ok {
			return false
		}
		if q.full[group].CompareAndSwap(full, next) {
			return true
		}
	}
}
