//go:build linux

package main

import (
	"context"
	"fmt"
)

// Steps of the search for the highest rate.
const (
	searchStep = 1.5
	searchNear = 1.1 // the interval is small enough
)

// search finds the highest rate without loss and with p99 below the limit. It
// begins at the rate of the load. A rate fails when it fails three times: less may be
// the machine.
func search(ctx context.Context, t target, conns int, l load, limit float64) (best outcome, err error) {
	var s *session
	defer func() {
		if s != nil {
			s.close()
		}
	}()
	low, high := 0.0, 0.0
	for high == 0 || low == 0 || high/low > searchNear {
		clean := false
		for try := 0; try < 3 && !clean; try++ {
			if s == nil {
				if s, err = open(ctx, t, conns, 64); err != nil {
					return best, err
				}
				s.idle = 2
			}
			o, err := s.round(ctx, l)
			if ctx.Err() != nil {
				return best, ctx.Err()
			}
			if clean = err == nil && o.clean(limit); clean {
				best = o
				break
			}
			s.close() // queues may be full and connections closed
			s = nil
		}
		if clean {
			low = l.Rate
		} else {
			high = l.Rate
		}
		switch {
		case high == 0:
			l.Rate *= searchStep
		case low == 0:
			l.Rate /= searchStep
		default:
			l.Rate = (low + high) / 2
		}
		if l.Rate < 0.5 {
			return best, fmt.Errorf("%s: not even %g events a second are clean", t.name(), l.Rate)
		}
	}
	return best, nil
}
