package connection

import (
	"context"
	"math/rand/v2"
	"time"
)

// A drain closes connections in slices, so that those who come back do not do
// so at the same moment.
const (
	drainSteps = 20
	drainStep  = 50 * time.Millisecond
)

// Drain ends all connections and takes no new ones. Each gets the answers to
// what it has asked; then its socket is closed, not its session: clients
// reconnect, elsewhere. It returns when none is left, or with the error of the
// context.
func (s *Server) Drain(ctx context.Context) error {
	s.conns.close()
	fetched := s.sessions.live()
	all := s.conns.all()
	size := (len(all) + drainSteps - 1) / drainSteps
	for len(all) > 0 {
		n := min(size, len(all))
		for _, c := range all[:n] {
			s.root.Send(c.pid, &drain{c.codec.farewell(rand.Float64())})
		}
		if all = all[n:]; len(all) == 0 {
			break
		}
		select {
		case <-time.After(drainStep):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-s.conns.empty:
		return s.linger(ctx, fetched)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// linger waits a while for the clients that were here to fetch their sessions, if
// there is a node to which they can go.
func (s *Server) linger(ctx context.Context, sessions []*session) error {
	t := time.NewTicker(drainStep)
	defer t.Stop()
	limit := time.NewTimer(s.cfg.Limits.Linger)
	defer limit.Stop()
	for s.sessions.holds(sessions) && len(s.cfg.Node.View().Members) > 1 {
		select {
		case <-t.C:
		case <-limit.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
