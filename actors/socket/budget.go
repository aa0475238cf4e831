package socket

import (
	"sync/atomic"
	"time"
)

// budget limits how much of the machine goes into writing single frames at
// once. Without it a sender that needs longer than a tick to write one event
// to everybody would find each socket quiet again when the next event comes,
// and would never join anything however far behind it is.
//
// It is the generic cell rate algorithm: one number, the time up to which the
// budget is spent.
type budget struct {
	cost  int64 // nanoseconds of budget that a write takes, 0 for no limit
	spent atomic.Int64
}

// budgetWindow is how much of the budget may be used at once: a rare event goes
// to this share of a second's writes without waiting.
const budgetWindow = 100 * time.Millisecond

func (b *budget) init(perSecond int) {
	if perSecond > 0 {
		b.cost = max(1, int64(time.Second)/int64(perSecond))
	}
}

// take reports whether a frame may be written at once. Concurrent callers may
// overdraw by a write or two.
func (b *budget) take(now int64) bool {
	if b.cost == 0 {
		return true
	}
	spent := max(b.spent.Load(), now)
	if spent-now > int64(budgetWindow) {
		return false
	}
	b.spent.Store(spent + b.cost)
	return true
}
