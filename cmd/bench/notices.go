//go:build linux

package main

import (
	"context"
	"fmt"
	"sort"
	"time"

	client "github.com/rookery-chat/rookery/cmd/load"
)

// noticeRounds is how often everybody is named.
const noticeRounds = 5

// notices measures what it costs to name everybody in a channel of ten thousand:
// queries, time and memory, and what the sender feels of it.
func notices(ctx context.Context, s *stage) error {
	progress("notices: naming everybody")
	r, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer r.stop()
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	u := s.users[0]
	socket, err := client.Dial(ctx, r.addr, client.Options{Token: u.token})
	if err != nil {
		return err
	}
	defer socket.Close()
	send := func(span map[string]string) (time.Duration, error) {
		body := client.Body(s.general, "to everybody")
		if span != nil {
			body["spans"] = append(body["spans"].([]map[string]string), span)
		}
		from := time.Now()
		_, err := socket.Ask(ctx, "sendMessage", body)
		return time.Since(from), err
	}
	var plain []time.Duration
	for range 200 {
		took, err := send(nil)
		if err != nil {
			return err
		}
		plain = append(plain, took)
	}
	sort.Slice(plain, func(i, j int) bool { return plain[i] < plain[j] })
	if err := r.calm(ctx); err != nil {
		return err
	}
	var acks, took []time.Duration
	before, err := s.transactions(ctx)
	if err != nil {
		return err
	}
	use, err := r.usage()
	if err != nil {
		return err
	}
	rest, err := r.figures(ctx)
	if err != nil {
		return err
	}
	for round := range noticeRounds {
		from := time.Now()
		ack, err := send(map[string]string{"type": "SPECIAL_MENTION", "text": "@channel", "specialKind": "channel"})
		if err != nil {
			return err
		}
		acks = append(acks, ack)
		for want := (round + 1) * (len(s.users) - 1); ; {
			var open, made int
			if err := db.QueryRow(ctx, `SELECT (SELECT count(*) FROM notice), (SELECT count(*) FROM notification)`).Scan(&open, &made); err != nil {
				return err
			}
			if open == 0 && made >= want {
				break
			}
			if err := pause(ctx, 5*time.Millisecond); err != nil {
				return err
			}
		}
		took = append(took, time.Since(from))
	}
	after, err := s.transactions(ctx)
	if err != nil {
		return err
	}
	used, err := r.usage()
	if err != nil {
		return err
	}
	full, err := r.figures(ctx)
	if err != nil {
		return err
	}
	cpu := used.since(use)
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	sort.Slice(acks, func(i, j int) bool { return acks[i] < acks[j] })
	s.table.add(figure{
		what:  "@channel to 10,000: ms until all notifications are stored, p50",
		value: ms(took[len(took)/2]), base: ms(plain[len(plain)/2]), of: "ack of a plain message", ratio: ms(took[len(took)/2]) / ms(plain[len(plain)/2]),
		note: fmt.Sprintf("ack p50 %.2f ms; %.0f transactions each, the bench's own looks included; CPU %.0f ms of the server, %.0f ms of Postgres; heap %.1f MB before, %.1f MB after",
			ms(acks[len(acks)/2]), float64(after-before)/noticeRounds, 1000*cpu.server/noticeRounds, 1000*cpu.postgres/noticeRounds,
			float64(rest.Heap)/1e6, float64(full.Heap)/1e6),
	})
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
