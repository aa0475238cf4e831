package socket

import (
	"math"
	"math/rand/v2"
)

// A ping that is due soon rides along with an event: the fraction of the
// interval that counts as soon.
const rideAlong = 8

// firstPing spreads the sockets that connect together.
func (s *Socket) firstPing(now int64) {
	interval := int64(s.p.cfg.heartbeat(s.framing).Interval)
	s.pingAt = now + interval/2 + rand.Int64N(interval/2+1)
}

// pingSoon reports whether a ping is to go with what is written now.
func (s *Socket) pingSoon(now int64) bool {
	return s.pingAt-now < s.p.rideAlong[s.framing] && s.pongBy == 0
}

// pinged notes that a ping goes out.
func (s *Socket) pinged(now int64) {
	h := s.p.cfg.heartbeat(s.framing)
	s.pingAt = now + int64(h.Interval)
	s.pongBy = now + int64(h.Timeout)
}

// pong notes the answer to a ping.
func (s *Socket) pong() {
	s.mu.Lock()
	s.pongBy = 0
	s.ponged = Now()
	s.mu.Unlock()
}

// tick looks after the deadlines of a socket. It runs on the clock and returns
// when it wants to run again, or 0 for never.
func (s *Socket) tick(now int64) (next int64) {
	s.mu.Lock()
	next, err := s.deadlines(now)
	s.mu.Unlock()
	if err != nil {
		s.fail(err)
	}
	return next
}

func (s *Socket) deadlines(now int64) (next int64, fail error) {
	switch {
	case s.is(done):
		return 0, nil
	case s.is(closing):
		if now < s.linger {
			return s.linger, nil
		}
		s.lose(nil)
		return 0, nil
	}
	next = s.beat(now)
	if s.is(closing) {
		return s.linger, nil
	}
	if since := s.partial.Load(); since != 0 && !s.is(paused) {
		by := since + int64(s.p.cfg.PartialTimeout)
		if now >= by {
			return s.linger, ErrSlowSender
		}
		next = min(next, by)
	}
	if s.is(blocked) && s.q != nil {
		by := s.q.since + int64(s.p.cfg.SlowAfter)
		if now >= by {
			s.closeSlow()
			return s.linger, nil
		}
		next = min(next, by)
	}
	return next, nil
}

// beat pings when it is time and gives up on a peer that did not answer.
func (s *Socket) beat(now int64) (next int64) {
	next = int64(math.MaxInt64)
	if s.pongBy != 0 {
		if now >= s.pongBy {
			s.p.unanswered.Add(1)
			if s.q != nil {
				s.q.drop(s.framing)
			}
			s.close(closeFrame(0, ""), ErrNoPong)
			return next
		}
		next = s.pongBy
	} else if now >= s.pingAt {
		s.ping(now)
	}
	if s.pingAt > now {
		next = min(next, s.pingAt)
	}
	return next
}

func (s *Socket) ping(now int64) {
	e := entry{f: pingFrame(s.framing)}
	s.pinged(now)
	if s.q == nil && s.alt == nil {
		s.writeEntry(e, now)
		return
	}
	if s.enqueue(e, now) && !s.is(blocked) {
		s.flush(now)
	}
}
