//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// storm measures what connecting costs: upgrade, token, rooms, subscribeAll,
// presence.
func storm(ctx context.Context, s *stage) error {
	const conns = 5000
	progress("connect storm: %d clients", conns)
	r, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer r.stop()
	// The community is there before everybody comes.
	first, err := open(ctx, &serverTarget{s, r, "storm"}, 10, 10)
	if err != nil {
		return err
	}
	first.close()
	w := watch()
	sampled := r.sample(ctx, "storm", 5)
	before, err := r.usage()
	if err != nil {
		return err
	}
	c, err := open(ctx, &serverTarget{s, r, "storm"}, conns, 512)
	if err != nil {
		return err
	}
	defer c.close()
	after, err := r.usage()
	if err != nil {
		return err
	}
	if err := sampled(); err != nil {
		return err
	}
	spent := after.since(before)
	s.table.add(figure{
		what:  "connect storm, 5000 clients (JWT, subscribeAll): server CPU s per 1000 connections",
		value: spent.server / conns * 1000, others: w.cores(),
		note: fmt.Sprintf("all connected after %.1f s; Postgres %.2f CPU s per 1000", c.seconds, spent.postgres/conns*1000),
	})
	return nil
}

// memory measures what an idle connection keeps.
func memory(ctx context.Context, s *stage) error {
	const conns = 10_000
	progress("memory: %d idle connections", conns)
	r, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer r.stop()
	// What the first connection brings with it belongs to the empty server.
	first, err := open(ctx, &serverTarget{s, r, "memory"}, 10, 10)
	if err != nil {
		return err
	}
	first.close()
	if err := r.calm(ctx); err != nil {
		return err
	}
	empty, err := r.size(ctx)
	if err != nil {
		return err
	}
	w := watch()
	c, err := open(ctx, &serverTarget{s, r, "memory"}, conns, 64)
	if err != nil && !errors.Is(err, errNotCalm) {
		return err
	}
	defer c.close()
	at := func() (sizes, float64, error) {
		now, err := r.size(ctx)
		return now, float64(now.rss-empty.rss) / conns / 1024, err
	}
	_, early, err := at()
	if err != nil {
		return err
	}
	if err := pause(ctx, memoryRest); err != nil {
		return err
	}
	now, each, err := at()
	if err != nil {
		return err
	}
	s.table.add(figure{
		what:  "memory per idle connection, 10000 users: KiB of server RSS over the empty server",
		value: each, atMost: 6, limit: each, others: w.cores(),
		note: fmt.Sprintf("empty %d MiB, with all %d MiB; %.1f KiB right after connecting", empty.rss>>20, now.rss>>20, early),
	})
	s.table.add(figure{
		what:  "goroutines per 10000 idle connections",
		value: float64(now.goroutines - empty.goroutines), atMost: 100, limit: float64(now.goroutines - empty.goroutines), others: w.cores(),
		note: fmt.Sprintf("%d before, %d with all", empty.goroutines, now.goroutines),
	})
	if err := r.snapshot(ctx, "memory"); err != nil || r.samples == "" {
		return err
	}
	live, err := r.figures(ctx)
	progress("heap in use after a collection: %d MiB", live.Heap>>20)
	return err
}

// memoryRest is how long connections are left alone before memory is read. The
// garbage that connecting made is collected by the runtime on its own terms.
const memoryRest = 15 * time.Second

// sizes is how large a server is.
type sizes struct {
	rss, goroutines int
}

func (r *rookery) size(ctx context.Context) (z sizes, err error) {
	f, err := r.figures(ctx)
	if err != nil {
		return z, err
	}
	z.goroutines = f.Goroutines
	z.rss, err = rss(r.cmd.Process.Pid)
	return z, err
}
