//go:build linux

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// target is a sender that can be put under the load.
type target interface {
	name() string
	start(ctx context.Context) (running, error)
}

// running is a target that has been started.
type running interface {
	addr() string
	subscriberArgs() []string                 // tokens, mode, path
	settle(ctx context.Context) error         // when all subscribers are ready
	send(ctx context.Context, l load) error   // all of one round
	sent(ctx context.Context) (report, error) // when the subscribers have it
	stop()
}

// outcome is one round of one target.
type outcome struct {
	target string
	load   load
	sent   report
	got    tally
}

// clean reports whether nothing was lost and the tail of the latencies is short.
func (o outcome) clean(limit float64) bool {
	return o.got.Lost == 0 && o.got.Repeated == 0 && o.got.Closed == 0 && o.got.P99 < limit
}

// perSecond is the rate of deliveries that was reached.
func (o outcome) perSecond() float64 { return float64(o.sent.Deliveries) / o.sent.Seconds }

// session is a target with its subscribers, good for many rounds.
type session struct {
	running
	target  string
	subs    *process
	conns   int
	seconds float64 // that connecting took
	next    int     // number of the next event
	idle    float64 // seconds without an event after which a round is over
}

// open starts a target and connects subscribers to it. window is the number of
// handshakes under way at once.
func open(ctx context.Context, t target, conns, window int) (*session, error) {
	r, err := t.start(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name(), err)
	}
	s := &session{running: r, target: t.name(), conns: conns, idle: 5}
	s.subs, err = spawn(ctx, append([]string{
		"subscribers", "--addr", r.addr(), "--conns", strconv.Itoa(conns), "--window", strconv.Itoa(window),
	}, r.subscriberArgs()...)...)
	if err != nil {
		s.close()
		return nil, err
	}
	var ready connected
	if err := s.subs.await("ready", &ready); err != nil {
		s.close()
		return nil, fmt.Errorf("%s: subscribers: %w", t.name(), err)
	}
	s.seconds = ready.Seconds
	if err := r.settle(ctx); err != nil {
		s.close()
		return nil, fmt.Errorf("%s: %w", t.name(), err)
	}
	return s, nil
}

func (s *session) close() {
	s.stop()
	if s.subs != nil {
		s.subs.stop()
	}
}

// round puts the load on the subscribers once.
func (s *session) round(ctx context.Context, l load) (o outcome, err error) {
	l.Conns, l.First = s.conns, s.next
	s.next += l.events()
	o = outcome{target: s.target, load: l}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", s.target, err)
		}
	}()
	if err := s.subs.order(round{First: l.First, Expect: l.events(), Idle: s.idle}); err != nil {
		return o, err
	}
	if err := s.subs.await("listening", nil); err != nil {
		return o, err
	}
	if err := s.send(ctx, l); err != nil {
		return o, err
	}
	if err := s.subs.await("received", &o.got); err != nil {
		return o, err
	}
	o.sent, err = s.sent(ctx)
	return o, err
}

// warm sends a little, so that the round after it finds everything in place.
func (s *session) warm(ctx context.Context, l load) error {
	l.Seconds = max(1, 2/l.Rate)
	_, err := s.round(ctx, l)
	return err
}

// child is a target that is another command of this program.
type child struct {
	command string
	tick    time.Duration
}

func (c child) name() string {
	if c.tick == 0 {
		return c.command
	}
	return c.command + " " + c.tick.String()
}

func (c child) start(ctx context.Context) (running, error) {
	p, err := spawn(ctx, c.command, "--tick", c.tick.String())
	if err != nil {
		return nil, err
	}
	var hello listening
	if err := p.await("listening", &hello); err != nil {
		p.stop()
		return nil, err
	}
	return &childRun{process: p, address: hello.Addr}, nil
}

type childRun struct {
	*process
	address string
	last    report
}

func (r *childRun) addr() string                         { return r.address }
func (r *childRun) subscriberArgs() []string             { return []string{"--mode", "socketio"} }
func (r *childRun) settle(context.Context) error         { return nil }
func (r *childRun) sent(context.Context) (report, error) { return r.last, nil }

func (r *childRun) send(_ context.Context, l load) error {
	if err := r.order(l); err != nil {
		return err
	}
	return r.await("sent", &r.last)
}
