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

	"github.com/rookery-chat/rookery/protocol"
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
	w = watch()
	base, cost, err := s.inserts(ctx, r)
	if err != nil {
		return err
	}
	s.table.add(figure{
		what: fmt.Sprintf("durable sends/s, %d senders, %d channels", senders, senders), value: rate,
		base: base, of: fmt.Sprintf("transactions that INSERT one such row, %d connections", senders), ratio: rate / base, atLeast: 3,
		others: max(disturbed, w.cores()), note: fmt.Sprintf("%s; INSERT: Postgres %.3f, client %.3f", note, cost.postgres*1e3, cost.bench*1e3),
	})
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

// insertMessage stores what the server stores of a message.
const insertMessage = `
	INSERT INTO message (id, channel_id, seq, author_id, sent_at, pending_attachments, search_text, spans)
	VALUES ($1, $2, $3, $4, now(), 0, $5, $6)`

// inserted marks ids of rows that were not sent.
type inserted struct{}

// perInsert is CPU seconds of one INSERT.
type perInsert struct{ postgres, bench float64 }

// inserts runs single-row INSERTs, each a transaction, from as many connections
// as there are senders, and returns transactions a second and what each costs.
func (s *stage) inserts(ctx context.Context, r *rookery) (perSecond float64, each perInsert, err error) {
	url, err := s.databaseURL(ctx)
	if err != nil {
		return 0, each, err
	}
	conns := make([]*pgx.Conn, senders)
	first := make([]int, senders)
	for i := range conns {
		if conns[i], err = pgx.Connect(ctx, url); err != nil {
			return 0, each, err
		}
		defer conns[i].Close(context.WithoutCancel(ctx))
		if err := conns[i].QueryRow(ctx, "SELECT coalesce(max(seq), 0) FROM message WHERE channel_id = $1", s.plain[i]).Scan(&first[i]); err != nil {
			return 0, each, err
		}
	}
	text := string(message(0, messageSize, 0))
	spans := protocol.AppendSpans(nil, []protocol.Span{{
		ID: protocol.AnyID{1}, MessageID: protocol.MessageID{1}, Type: protocol.SpanPlaintext, Text: &text,
	}})
	run := func(d time.Duration) (int, error) {
		var done atomic.Int64
		var all sync.WaitGroup
		failed := make(chan error, len(conns))
		end := time.Now().Add(d)
		for i, c := range conns {
			all.Go(func() {
				for time.Now().Before(end) {
					first[i]++
					if _, err := c.Exec(ctx, insertMessage, protocol.NewID[inserted](), s.plain[i], first[i], s.users[i].id, text, spans); err != nil {
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
		return 0, each, err
	}
	before, err := r.usage()
	if err != nil {
		return 0, each, err
	}
	began, cpu := time.Now(), cpuSeconds()
	n, err := run(sendSeconds * time.Second)
	if err != nil {
		return 0, each, err
	}
	took := time.Since(began).Seconds()
	cpu = cpuSeconds() - cpu
	after, err := r.usage()
	return float64(n) / took, perInsert{after.since(before).postgres / float64(n), cpu / float64(n)}, err
}
