package socket

import (
	"sync"
	"time"
)

// wheel is a timing wheel: one deadline per socket, one timer for all.
// Deadlines are rounded up to its resolution; those beyond its horizon are
// looked at there and set again.
type wheel struct {
	mu    sync.Mutex
	res   int64
	step  int64 // steps done since the origin of Now
	slots [wheelSlots]*Socket
}

const wheelSlots = 256

func (w *wheel) init(res time.Duration) {
	w.res = int64(res)
	w.step = Now() / w.res
}

// sooner gives a socket a deadline unless it has an earlier one.
func (w *wheel) sooner(s *Socket, at int64) {
	w.mu.Lock()
	if due := w.due(at); s.wdue == 0 || due < s.wdue {
		w.unlink(s)
		w.link(s, due)
	}
	w.mu.Unlock()
}

func (w *wheel) remove(s *Socket) {
	w.mu.Lock()
	w.unlink(s)
	w.mu.Unlock()
}

// due is the step for a time, within the horizon.
func (w *wheel) due(at int64) int64 {
	return min(max(at/w.res+1, w.step+1), w.step+wheelSlots-1)
}

func (w *wheel) link(s *Socket, due int64) {
	head := &w.slots[due%wheelSlots]
	s.wdue, s.wprev, s.wnext = due, nil, *head
	if *head != nil {
		(*head).wprev = s
	}
	*head = s
}

func (w *wheel) unlink(s *Socket) {
	if s.wdue == 0 {
		return
	}
	if s.wprev != nil {
		s.wprev.wnext = s.wnext
	} else {
		w.slots[s.wdue%wheelSlots] = s.wnext
	}
	if s.wnext != nil {
		s.wnext.wprev = s.wprev
	}
	s.wdue, s.wprev, s.wnext = 0, nil, nil
}

// advance visits every socket whose deadline has come. The visit returns the
// next deadline, 0 for none. No lock is held during a visit.
func (w *wheel) advance(now int64, visit func(s *Socket, now int64) (next int64)) {
	for w.begin(now) {
		for s := w.pop(); s != nil; s = w.pop() {
			if next := visit(s, now); next != 0 {
				w.sooner(s, next)
			}
		}
	}
}

// begin goes on to the next step that has come.
func (w *wheel) begin(now int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.step >= now/w.res {
		return false
	}
	w.step++
	return true
}

// pop takes one socket of the present step.
func (w *wheel) pop() *Socket {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.slots[w.step%wheelSlots]
	if s != nil {
		w.unlink(s)
	}
	return s
}
