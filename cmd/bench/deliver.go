//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// serverTarget is the whole server: messages come in by REST, are stored, and
// go out as newMessage to the authenticated subscribers of a channel.
type serverTarget struct {
	stage *stage
	r     *rookery
	part  string // name for profiles
}

func (t *serverTarget) name() string { return "rookery" }

func (t *serverTarget) start(context.Context) (running, error) {
	return &serverRun{serverTarget: t}, nil
}

// authors is the number of connections that messages come from: each has one
// message under way, which takes as long as storing it.
const authors = 64

// serverRun is one set of connections to the server.
type serverRun struct {
	*serverTarget
	wires []*wire

	load    load
	began   time.Time
	usage   usage
	figures figures
	sampled func() error
}

func (r *serverRun) addr() string                     { return r.r.addr }
func (r *serverRun) subscriberArgs() []string         { return []string{"--tokens", r.stage.tokens()} }
func (r *serverRun) settle(ctx context.Context) error { return r.r.calm(ctx) }

// send posts each message when it is due, from whichever author is free, and
// returns when all of them are acknowledged.
func (r *serverRun) send(ctx context.Context, l load) (err error) {
	r.load = l
	if err := r.dial(ctx); err != nil {
		return err
	}
	if r.figures, err = r.r.figures(ctx); err != nil {
		return err
	}
	r.sampled = func() error { return nil }
	if l.Seconds > 4 {
		r.sampled = r.r.sample(ctx, r.part, l.Seconds)
	}
	if r.usage, err = r.r.usage(); err != nil {
		return err
	}
	r.began = time.Now()
	origin := monotonic()
	var next atomic.Int64
	var all sync.WaitGroup
	failed := make(chan error, len(r.wires))
	for i, w := range r.wires {
		all.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= l.events() {
					return
				}
				time.Sleep(time.Until(r.began.Add(l.due(n))))
				if err := r.post(w, r.stage.users[i].token, message(l.First+n, l.Size, origin+int64(l.due(n)))); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

// dial makes the authors' connections anew: the server does not keep those that
// say nothing for long.
func (r *serverRun) dial(ctx context.Context) error {
	r.stop()
	for range authors {
		w, err := dialWire(ctx, r.r.addr)
		if err != nil {
			return err
		}
		r.wires = append(r.wires, w)
		if _, _, err := w.do(w.request(http.MethodGet, "/healthz", "", nil)); err != nil {
			return err
		}
	}
	return nil
}

func (r *serverRun) post(w *wire, token string, text []byte) error {
	body, err := json.Marshal(map[string]any{
		"channelId": r.stage.general, "attachments": []string{}, "pendingAttachments": 0,
		"spans": []map[string]string{{"type": "PLAINTEXT", "text": string(text)}},
	})
	if err != nil {
		return err
	}
	status, answer, err := w.do(w.request(http.MethodPost, "/api/messages", token, body))
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("send: %d %.200s", status, answer)
	}
	return err
}

func (r *serverRun) sent(ctx context.Context) (rep report, err error) {
	spent, err := r.r.usage()
	if err != nil {
		return rep, err
	}
	spent = spent.since(r.usage)
	rep = report{
		Event: "sent", Events: r.load.events(), Deliveries: r.load.events() * r.load.Conns,
		Seconds: time.Since(r.began).Seconds(), CPU: spent.server, Postgres: spent.postgres,
	}
	rep.finish()
	if err := r.sampled(); err != nil {
		return rep, err
	}
	after, err := r.r.figures(ctx)
	rep.Writes = after.Sockets.Writes - r.figures.Sockets.Writes
	return rep, err
}

func (r *serverRun) stop() {
	for _, w := range r.wires {
		w.close()
	}
	r.wires = nil
}

// messageSize is the length of the text in everything that is measured.
const messageSize = 400

// deliveryRate is deliveries a second in the comparison with the floor.
const deliveryRate = 10_000

// serverFanout compares what a delivery costs with the floor, at 1,000 and
// 10,000 subscribers.
func serverFanout(ctx context.Context, s *stage) error {
	for _, conns := range []int{1000, 10_000} {
		if err := s.fanout(ctx, conns); err != nil {
			return fmt.Errorf("fan-out to %d: %w", conns, err)
		}
	}
	return nil
}

func (s *stage) fanout(ctx context.Context, conns int) error {
	progress("fan-out: %d subscribers", conns)
	r, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer r.stop()
	l := load{Conns: conns, Rate: deliveryRate / float64(conns), Size: messageSize, Seconds: 12}
	if l.Frame, err = s.frameSize(ctx, r, l.Size); err != nil {
		return err
	}
	w := watch()
	o, err := once(ctx, &serverTarget{s, r, fmt.Sprint("fanout-", conns)}, l)
	if err != nil {
		return err
	}
	floor, err := once(ctx, child{"floor", 0}, l)
	if err != nil {
		return err
	}
	rowHead()
	row(floor, 1)
	row(o, o.sent.PerMillion/floor.sent.PerMillion)
	s.table.add(figure{
		what:  fmt.Sprintf("fan-out, %d subscribers: server CPU s per million deliveries", conns),
		value: o.sent.PerMillion, base: floor.sent.PerMillion, of: "floor", ratio: o.sent.PerMillion / floor.sent.PerMillion,
		atMost: 1.3, others: w.cores(),
		note: fmt.Sprintf("frames of %d B; Postgres %.2f s/M; p99 %.0f ms, lost %d", l.Frame, o.sent.Postgres/float64(o.sent.Deliveries)*1e6, o.got.P99, o.got.Lost),
	})
	return nil
}

// serverHighest compares the highest clean rates at 1,000 subscribers.
func serverHighest(ctx context.Context, s *stage) error {
	const conns = 1000
	r, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer r.stop()
	l := load{Rate: 120, Size: messageSize, Seconds: 2.5}
	if l.Frame, err = s.frameSize(ctx, r, l.Size); err != nil {
		return err
	}
	w := watch()
	progress("highest rate: floor")
	floor, err := search(ctx, child{"floor", 0}, conns, l, cleanP99)
	if err != nil {
		return err
	}
	progress("highest rate: server")
	l.Rate = 3 * floor.load.Rate
	o, err := search(ctx, &serverTarget{s, r, "highest"}, conns, l, cleanP99)
	if err != nil {
		return err
	}
	rowHead()
	row(floor, 1)
	row(o, o.load.Rate/floor.load.Rate)
	s.table.add(figure{
		what:  "highest rate, 1000 subscribers, nothing lost, p99 < 250 ms: messages/s",
		value: o.load.Rate, base: floor.load.Rate, of: "floor", ratio: o.load.Rate / floor.load.Rate, atLeast: 5, others: w.cores(),
		note: fmt.Sprintf("%.0f deliveries/s at p99 %.0f ms, %.2f CPU s/M, %.0f%% writes", o.perSecond(), o.got.P99, o.sent.PerMillion,
			100*float64(o.sent.Writes)/float64(o.sent.Deliveries)),
	})
	return nil
}
