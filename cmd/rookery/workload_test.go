package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/cmd/load"
)

// workload sends messages from many clients and remembers what was acked.
type workload struct {
	t        *testing.T
	owner    *load.Owner
	channels []string

	mu      sync.Mutex
	acked   map[string]string    // message id -> channel
	success map[string]time.Time // channel -> last acked send
	phase   atomic.Int64         // sends are marked with it
	sent    atomic.Int64
	failed  atomic.Int64
	stop    context.CancelFunc
	all     sync.WaitGroup
}

// newWorkload sets a new instance up with a community of n channels.
func newWorkload(t *testing.T, n *node, channels int) *workload {
	t.Helper()
	ctx := within(t)
	owner, err := n.api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w := &workload{t: t, owner: owner, acked: map[string]string{}, success: map[string]time.Time{}}
	w.channels = append(w.channels, owner.General)
	api := n.api().As(owner.Token)
	for i := 1; i < channels; i++ {
		var c struct{ ID string }
		body := map[string]any{"name": fmt.Sprint("channel-", i), "communityId": owner.Community, "type": "TEXT", "isPrivate": false}
		if err := api.Call(ctx, "POST", "/api/channels", body, &c); err != nil {
			t.Fatal(err)
		}
		w.channels = append(w.channels, c.ID)
	}
	return w
}

// run starts clients that send until halt: client i dials one of the nodes and
// goes through its share of the channels. A client whose socket ends dials
// again, the next node if there is one.
func (w *workload) run(clients int, nodes ...*node) {
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	w.t.Cleanup(w.halt)
	for i := range clients {
		w.all.Add(1)
		go func() {
			defer w.all.Done()
			w.client(ctx, i, clients, nodes)
		}()
	}
}

// halt ends the load and waits for the clients.
func (w *workload) halt() {
	w.stop()
	w.all.Wait()
}

func (w *workload) client(ctx context.Context, i, clients int, nodes []*node) {
	n := i // the client's messages have numbers of their own, over all its sockets
	for try := 0; ctx.Err() == nil; try++ {
		target := nodes[(i+try)%len(nodes)]
		s, err := load.Dial(ctx, target.addr, load.Options{Token: w.owner.Token})
		if err != nil {
			pause(ctx, 100*time.Millisecond)
			continue
		}
		n = w.send(ctx, s, i, n, clients)
		s.Close()
	}
}

// send goes round the client's channels, from its message n on, until its
// socket ends. It returns the number of the next message.
func (w *workload) send(ctx context.Context, s *load.Socket, i, n, clients int) int {
	for ; ctx.Err() == nil; n += clients {
		channel := w.channels[n%len(w.channels)]
		w.sent.Add(1)
		// What was sent may be acked after the load has ended: it is waited for.
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), 40*time.Second)
		id, err := s.SendMessage(try, channel, fmt.Sprintf("phase %d client %d message %d", w.phase.Load(), i, n))
		cancel()
		if err != nil {
			w.failed.Add(1)
			return n + clients
		}
		w.mu.Lock()
		if _, twice := w.acked[id]; twice {
			w.t.Errorf("message %s was acked twice", id)
		}
		w.acked[id] = channel
		w.success[channel] = time.Now()
		w.mu.Unlock()
	}
	return n
}

func (w *workload) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// awaitProgress waits until that many more sends were acked.
func (w *workload) awaitProgress(n int) {
	w.t.Helper()
	want := w.count() + n
	await(w.t, fmt.Sprint(want, " acks"), func() bool { return w.count() >= want })
}

// recovery waits until every channel had a send acked after the moment, and
// returns how long the last one took.
func (w *workload) recovery(since time.Time) time.Duration {
	w.t.Helper()
	var last time.Time
	await(w.t, "every channel takes messages again", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		last = since
		for _, c := range w.channels {
			at := w.success[c]
			if !at.After(since) {
				return false
			}
			if at.After(last) {
				last = at
			}
		}
		return true
	})
	return last.Sub(since)
}

// verify reads everything back: every acked message is there exactly once, no
// message is there twice, and seq is gapless in every channel.
func (w *workload) verify(n *node, databaseURL string) {
	w.t.Helper()
	ctx := within(w.t)
	token, err := n.api().Login(ctx, "owner")
	if err != nil {
		w.t.Fatal(err)
	}
	found := map[string]int{}
	for _, c := range w.channels {
		history, err := n.api().As(token).History(ctx, c)
		if err != nil {
			w.t.Fatal(err)
		}
		texts := map[string]string{}
		for _, m := range history {
			found[m.ID]++
			if other := texts[m.Text()]; other != "" {
				w.t.Errorf("%q is stored twice: %s and %s", m.Text(), other, m.ID)
			}
			texts[m.Text()] = m.ID
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, channel := range w.acked {
		if found[id] != 1 {
			w.t.Errorf("acked message %s of channel %s is in the history %d times", id, channel, found[id])
		}
	}
	w.verifySequence(ctx, databaseURL)
	w.t.Logf("%d sends, %d acked, %d failed or unknown, %d stored", w.sent.Load(), len(w.acked), w.failed.Load(), len(found))
}

func (w *workload) verifySequence(ctx context.Context, databaseURL string) {
	w.t.Helper()
	db, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close(ctx)
	rows, err := db.Query(ctx, `SELECT channel_id::text, count(*), min(seq), max(seq) FROM message
		WHERE channel_id IS NOT NULL GROUP BY 1 HAVING count(*) <> max(seq) OR min(seq) <> 1`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var channel string
		var count, lowest, highest int64
		if err := rows.Scan(&channel, &count, &lowest, &highest); err != nil {
			w.t.Fatal(err)
		}
		w.t.Errorf("channel %s has %d rows with seq from %d to %d", channel, count, lowest, highest)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
}

// listener is a client that only hears.
type listener struct {
	s     *load.Socket
	seen  atomic.Int64
	mu    sync.Mutex
	ids   map[string]int
	texts []string // in the order heard
}

func listen(t *testing.T, n *node, token string) *listener {
	t.Helper()
	l := &listener{ids: map[string]int{}}
	var err error
	l.s, err = load.Dial(within(t), n.addr, load.Options{Token: token, OnEvent: l.on})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.s.Close)
	return l
}

func (l *listener) on(name string, payload json.RawMessage) {
	if name != "newMessage" {
		return
	}
	var m struct{ Message load.Message }
	if json.Unmarshal(payload, &m) != nil {
		return
	}
	l.mu.Lock()
	l.ids[m.Message.ID]++
	l.texts = append(l.texts, m.Message.Text())
	l.mu.Unlock()
	l.seen.Add(1)
}

// heard returns the texts with a prefix that were heard so far.
func (l *listener) heard(prefix string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	for _, text := range l.texts {
		if strings.HasPrefix(text, prefix) {
			list = append(list, text)
		}
	}
	return list
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
