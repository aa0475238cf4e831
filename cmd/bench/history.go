//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

const (
	pageSize       = 50
	historySeconds = 4
)

// history measures pages of a channel with a million messages.
func history(ctx context.Context, s *stage) error {
	progress("history: filling")
	r, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer r.stop()
	if err := s.fill(ctx); err != nil {
		return fmt.Errorf("fill history: %w", err)
	}
	if err := r.calm(ctx); err != nil {
		return err
	}
	health, err := s.requests(ctx, r, "healthz", func(int) string { return "/healthz" })
	if err != nil {
		return err
	}
	places := []struct {
		name string
		top  int // 0: no cursor
	}{
		{"newest page", 0}, {"first page below memory", archiveSize - 1000}, {"page in the middle", midway}, {"page at the far end", bottom},
	}
	var read []requests // each page for the first time, by place
	for _, p := range places {
		if err := s.complete(ctx, r, s.pages(p.top, pageSize)(0)); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if p.top == 0 {
			read = append(read, requests{})
			continue
		}
		got, err := s.requests(ctx, r, fmt.Sprint("read-", p.top), s.unread(p.top, pageSize))
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		read = append(read, got)
		s.table.add(s.pageFigure(p.name+", each read from Postgres", got, health, 0))
	}
	for _, p := range places {
		got, err := s.requests(ctx, r, fmt.Sprint("page-", p.top), s.pages(p.top, pageSize))
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		s.table.add(s.pageFigure(p.name, got, health, 0.3))
	}
	first, deep, end := read[1], read[2], read[3]
	s.table.add(figure{
		what:  "deep page against first page, both from Postgres (keyset): CPU ms of server and Postgres",
		value: deep.cpu(), base: first.cpu(), of: "first page", ratio: deep.cpu() / first.cpu(), atMost: 1.3,
		note: fmt.Sprintf("p50 %.2f ms against %.2f ms; at the far end %.2f ms, CPU %.2f ms", deep.p50, first.p50, end.p50, end.cpu()),
	})
	return s.queries(ctx, r)
}

func (s *stage) pageFigure(name string, got, health requests, atLeast float64) figure {
	return figure{
		what:  fmt.Sprintf("%s, %d clients: requests/s", name, readers),
		value: got.perSecond(), base: health.perSecond(), of: "/healthz", ratio: got.perSecond() / health.perSecond(), atLeast: atLeast,
		others: got.others, note: got.String(),
	}
}

// queries counts transactions per page, for pages of different sizes. A query
// outside of a transaction is one of its own.
func (s *stage) queries(ctx context.Context, r *rookery) error {
	var per [2]float64
	for i, size := range []int{10, 100} {
		before, err := s.transactions(ctx)
		if err != nil {
			return err
		}
		got, err := s.requests(ctx, r, "queries", s.unread(midway, size))
		if err != nil {
			return err
		}
		after, err := s.transactions(ctx)
		if err != nil {
			return err
		}
		per[i] = float64(after-before) / float64(got.all)
	}
	s.table.add(figure{
		what:  "queries per page: 100 messages against 10",
		value: per[1], base: per[0], of: "page of 10", ratio: per[1] / per[0], atMost: 1.1, note: "pg_stat_database.xact_commit, what else the server asks meanwhile included",
	})
	return nil
}

// transactions is the number of those that the database has seen. Sessions
// report theirs with a delay; the newest connection of each reader has been used
// long before the last second.
func (s *stage) transactions(ctx context.Context) (n int64, err error) {
	if err := pause(ctx, statsDelay); err != nil {
		return 0, err
	}
	db, err := s.database(ctx)
	if err != nil {
		return 0, err
	}
	defer db.Close(context.WithoutCancel(ctx))
	err = db.QueryRow(ctx, "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()").Scan(&n)
	return n, err
}

// statsDelay is how long an idle session keeps its figures to itself
// (PGSTAT_IDLE_INTERVAL), and a bit.
const statsDelay = 11 * time.Second

// pages makes paths of pages below a place in the history, each another one.
func (s *stage) pages(top, size int) func(int) string {
	var channel protocol.ChannelID
	_ = channel.UnmarshalText([]byte(s.archive))
	return func(i int) string {
		path := fmt.Sprintf("/api/messages/channel/%s?limit=%d", s.archive, size)
		if top == 0 {
			return path
		}
		below := i * size % (richRows - 1000)
		return path + "&continuationToken=" + protocol.Cursor{In: protocol.InChannel(channel), Seq: int64(top - below)}.Token()
	}
}

// unread makes paths of pages below a place that nobody has asked for before,
// as long as there are messages with everything: the server keeps what it has read.
func (s *stage) unread(top, size int) func(int) string {
	var channel protocol.ChannelID
	_ = channel.UnmarshalText([]byte(s.archive))
	var next atomic.Int64
	return func(int) string {
		below := next.Add(1) % (richRows - 1000)
		if below%pageSize == 0 { // asked for by pages
			below = next.Add(1) % (richRows - 1000)
		}
		return fmt.Sprintf("/api/messages/channel/%s?limit=%d&continuationToken=%s", s.archive, size,
			protocol.Cursor{In: protocol.InChannel(channel), Seq: int64(top) - below}.Token())
	}
}

// requests is what came of a kind of request.
type requests struct {
	done     int
	all      int // with those to warm up
	seconds  float64
	bytes    int
	p50, p99 float64 // ms
	spent    usage
	others   float64 // processors that others used meanwhile
}

func (q requests) perSecond() float64 { return float64(q.done) / q.seconds }

// cpu is milliseconds of server and Postgres per request.
func (q requests) cpu() float64 { return (q.spent.server + q.spent.postgres) / float64(q.done) * 1e3 }

func (q requests) String() string {
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, %d B; CPU ms per request: server %.3f, Postgres %.3f", q.p50, q.p99, q.bytes,
		q.spent.server/float64(q.done)*1e3, q.spent.postgres/float64(q.done)*1e3)
}

// requests sends GETs from keep-alive clients, each one after the other.
func (s *stage) requests(ctx context.Context, r *rookery, name string, path func(i int) string) (q requests, err error) {
	wires := make([]*wire, readers)
	for i := range wires {
		if wires[i], err = dialWire(ctx, r.addr); err != nil {
			return q, err
		}
		defer wires[i].close()
	}
	warm, err := s.ask(ctx, wires, path, 500*time.Millisecond)
	if err != nil {
		return q, err
	}
	sampled := r.sample(ctx, name, historySeconds)
	w := watch()
	before, err := r.usage()
	if err != nil {
		return q, err
	}
	if q, err = s.ask(ctx, wires, path, historySeconds*time.Second); err != nil {
		return q, err
	}
	after, err := r.usage()
	if err != nil {
		return q, err
	}
	q.spent, q.all, q.others = after.since(before), q.done+warm.done, w.cores()
	return q, sampled()
}

func (s *stage) ask(ctx context.Context, wires []*wire, path func(i int) string, d time.Duration) (q requests, err error) {
	var next, size atomic.Int64
	var all sync.WaitGroup
	latencies := make([]histogram, len(wires))
	failed := make(chan error, len(wires))
	began := time.Now()
	for i, w := range wires {
		all.Go(func() {
			for time.Since(began) < d && ctx.Err() == nil {
				request := w.request(http.MethodGet, path(int(next.Add(1))), s.users[i].token, nil)
				at := time.Now()
				status, body, err := w.do(request)
				if err == nil && status != http.StatusOK {
					err = fmt.Errorf("%d %.200s", status, body)
				}
				if err != nil {
					failed <- err
					return
				}
				latencies[i].add(int64(time.Since(at)))
				size.Store(int64(len(body)))
			}
		})
	}
	all.Wait()
	close(failed)
	q.seconds = time.Since(began).Seconds()
	var h histogram
	for i := range latencies {
		h.merge(&latencies[i])
	}
	q.done, q.bytes, q.p50, q.p99 = h.total, int(size.Load()), h.quantile(0.5), h.quantile(0.99)
	return q, <-failed
}

// complete checks that a page has everything: who measures an empty page
// measures nothing.
func (s *stage) complete(ctx context.Context, r *rookery, path string) error {
	w, err := dialWire(ctx, r.addr)
	if err != nil {
		return err
	}
	defer w.close()
	status, page, err := w.do(w.request(http.MethodGet, path, s.users[0].token, nil))
	if err != nil {
		return err
	}
	for _, part := range []string{`"spans":[{`, `"reactions":[{`, `"attachments":[{`} {
		if n := bytes.Count(page, []byte(part)); n != pageSize {
			return fmt.Errorf("%s: %d, %d of %s", path, status, n, part)
		}
	}
	return nil
}
