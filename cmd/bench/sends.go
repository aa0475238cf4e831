//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// sendSeconds is how long each way of storing is measured.
const sendSeconds = 8

// sends compares durable messages with INSERT transactions on the same Postgres.
// The channels are private, so that each message has one receiver: what is
// measured is storing, not fan-out.
func sends(ctx context.Context, s *stage) error {
	progress("sends: %d senders", senders)
	r, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer r.stop()
	w := watch()
	a, spent, err := s.send(ctx, r)
	if err != nil {
		return err
	}
	rate := float64(a.Acked) / a.Seconds
	note := fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, refused %d; CPU ms per send: server %.3f, Postgres %.3f, clients %.3f", a.P50, a.P99, a.Refused,
		spent.server/float64(a.Acked)*1e3, spent.postgres/float64(a.Acked)*1e3, a.CPU/float64(a.Acked)*1e3)
	disturbed := w.cores()
	for _, way := range []struct{ of, sql string }{
		{"one row of message, INSERT by itself", insertMessage},
		{"one row of message and one of its span in one transaction", insertMessageAndSpan},
	} {
		w := watch()
		base, cost, err := s.inserts(ctx, r, way.sql)
		if err != nil {
			return err
		}
		s.table.add(figure{
			what: fmt.Sprintf("durable sends/s, %d senders, %d channels (message and span)", senders, senders), value: rate,
			base: base, of: way.of + fmt.Sprintf(", %d connections", senders), ratio: rate / base, atLeast: 3, others: max(disturbed, w.cores()),
			note: fmt.Sprintf("%s; Postgres %.3f ms per INSERT", note, cost*1e3),
		})
	}
	return nil
}

// send runs the senders and checks that what was acknowledged is stored.
func (s *stage) send(ctx context.Context, r *rookery) (a acks, spent usage, err error) {
	channels := filepath.Join(s.dir, "channels")
	if err := os.WriteFile(channels, []byte(strings.Join(s.own, "\n")), 0o600); err != nil {
		return a, spent, err
	}
	p, err := spawn(ctx, "senders", "--addr", r.addr, "--tokens", s.tokens(), "--channels", channels)
	if err != nil {
		return a, spent, err
	}
	defer p.stop()
	if err := p.await("ready", nil); err != nil {
		return a, spent, err
	}
	if err := r.calm(ctx); err != nil {
		return a, spent, err
	}
	if err := p.order(sending{1}); err != nil { // warm up
		return a, spent, err
	}
	if err := p.await("acked", &a); err != nil {
		return a, spent, err
	}
	stored, err := s.stored(ctx)
	if err != nil {
		return a, spent, err
	}
	sampled := r.sample(ctx, "sends", sendSeconds)
	before, err := r.usage()
	if err != nil {
		return a, spent, err
	}
	if err := p.order(sending{sendSeconds}); err != nil {
		return a, spent, err
	}
	if err := p.await("acked", &a); err != nil {
		return a, spent, err
	}
	after, err := r.usage()
	if err != nil {
		return a, spent, err
	}
	now, err := s.stored(ctx)
	if err == nil && now-stored < a.Acked {
		err = fmt.Errorf("%d messages were acknowledged and %d stored", a.Acked, now-stored)
	}
	return a, after.since(before), errors.Join(err, sampled())
}

// stored counts the messages of the senders' channels.
func (s *stage) stored(ctx context.Context) (n int, err error) {
	db, err := s.database(ctx)
	if err != nil {
		return 0, err
	}
	defer db.Close(context.WithoutCancel(ctx))
	err = db.QueryRow(ctx, "SELECT count(*) FROM message WHERE channel_id = ANY ($1)", s.own).Scan(&n)
	return n, err
}

// The columns of a message are those that the server writes.
const (
	insertMessage = `
		INSERT INTO message (id, channel_id, seq, author_id, sent_at, pending_attachments, search_text)
		VALUES (gen_random_uuid(), $1, $2, $3, now(), 0, $4)`
	insertMessageAndSpan = `
		WITH added AS (` + insertMessage + ` RETURNING id)
		INSERT INTO message_span (id, message_id, position, type, text)
		SELECT gen_random_uuid(), id, 0, 'PLAINTEXT', $4 FROM added`
)

// inserts runs a statement, each time a transaction, from as many connections
// as there are senders, and returns transactions a second and Postgres' CPU
// seconds for each.
func (s *stage) inserts(ctx context.Context, r *rookery, sql string) (perSecond, each float64, err error) {
	url, err := s.databaseURL(ctx)
	if err != nil {
		return 0, 0, err
	}
	conns := make([]*pgx.Conn, senders)
	first := make([]int, senders)
	for i := range conns {
		if conns[i], err = pgx.Connect(ctx, url); err != nil {
			return 0, 0, err
		}
		defer conns[i].Close(context.WithoutCancel(ctx))
		if err := conns[i].QueryRow(ctx, "SELECT coalesce(max(seq), 0) FROM message WHERE channel_id = $1", s.plain[i]).Scan(&first[i]); err != nil {
			return 0, 0, err
		}
	}
	text := string(message(0, messageSize, 0))
	run := func(d time.Duration) (int, error) {
		var done atomic.Int64
		var all sync.WaitGroup
		failed := make(chan error, len(conns))
		end := time.Now().Add(d)
		for i, c := range conns {
			all.Go(func() {
				for time.Now().Before(end) {
					first[i]++
					if _, err := c.Exec(ctx, sql, s.plain[i], first[i], s.users[i].id, text); err != nil {
						failed <- err
						return
					}
					done.Add(1)
				}
			})
		}
		all.Wait()
		close(failed)
		return int(done.Load()), <-failed
	}
	if _, err := run(time.Second); err != nil {
		return 0, 0, err
	}
	before, err := r.usage()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	n, err := run(sendSeconds * time.Second)
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(began).Seconds()
	after, err := r.usage()
	return float64(n) / took, after.since(before).postgres / float64(n), err
}
