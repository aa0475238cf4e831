package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/rookery-chat/rookery/cmd/load"
)

// nativeFleet is many clients that speak the native protocol as it wants to be
// spoken: they acknowledge, come back with their session, and check the numbers.
type nativeFleet struct {
	t       *testing.T
	clients []*nativeMember
	nodes   []*node
	all     sync.WaitGroup
	cancel  context.CancelFunc
}

type nativeMember struct {
	fleet *nativeFleet
	token string
	next  int // node

	mu      sync.Mutex
	conn    net.Conn
	up      bool
	session string
	n       int64
	acked   int64
	at      map[string][3]int64
	open    map[string]int // channel -> index of its stretch
	account account
	broken  []string
}

func newNativeFleet(t *testing.T) *nativeFleet {
	t.Helper()
	f := &nativeFleet{t: t}
	t.Cleanup(func() {
		if f.cancel != nil {
			f.cancel()
			f.cut(0, len(f.clients))
			f.all.Wait()
		}
	})
	return f
}

func (f *nativeFleet) start(count int, nodes []*node, tokens []string) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel, f.nodes = cancel, nodes
	for i := range count {
		c := &nativeMember{fleet: f, token: tokens[i%len(tokens)], next: i, at: map[string][3]int64{}, open: map[string]int{}}
		c.account.Fresh = -1
		f.clients = append(f.clients, c)
		f.all.Go(func() { c.live(ctx) })
	}
	await(f.t, "all native clients are connected", func() bool {
		connected, _, _, _ := f.state()
		return connected == count
	})
}

func (f *nativeFleet) cut(from, to int) {
	for _, c := range f.clients[from:to] {
		c.mu.Lock()
		if c.conn != nil {
			_ = c.conn.Close()
			c.up = false
		}
		c.mu.Unlock()
	}
}

func (f *nativeFleet) state() (connected, recovered, fresh int, last []map[string]int) {
	for _, c := range f.clients {
		c.mu.Lock()
		if c.up {
			connected++
		}
		recovered += c.account.Recovered
		fresh += c.account.Fresh
		heard := map[string]int{}
		for channel, i := range c.open {
			if list := c.account.Runs[i].numbers; len(list) > 0 {
				heard[channel] = list[len(list)-1]
			}
		}
		last = append(last, heard)
		c.mu.Unlock()
	}
	return connected, recovered, fresh, last
}

func (f *nativeFleet) report() []account {
	f.t.Helper()
	var list []account
	for _, c := range f.clients {
		c.mu.Lock()
		list = append(list, c.account)
		for _, b := range c.broken {
			f.t.Error(b)
		}
		c.mu.Unlock()
	}
	return list
}

// live connects again and again.
func (c *nativeMember) live(ctx context.Context) {
	for ctx.Err() == nil {
		c.once(ctx)
		c.mu.Lock()
		c.up, c.conn = false, nil
		c.mu.Unlock()
		c.next++
		pause(ctx, 100*time.Millisecond+rand.N(400*time.Millisecond))
	}
}

func (c *nativeMember) once(ctx context.Context) {
	dial, done := context.WithTimeout(ctx, 10*time.Second)
	defer done()
	node := c.fleet.nodes[c.next%len(c.fleet.nodes)]
	conn, br, _, err := ws.Dialer{Protocols: []string{"rookery.v1.json"}}.Dial(dial, "ws://"+node.addr+"/ws")
	if err != nil {
		return
	}
	defer conn.Close()
	if br != nil {
		ws.PutReader(br)
	}
	c.mu.Lock()
	c.conn = conn
	hello := map[string]any{"token": c.token}
	if c.session != "" {
		hello["resume"] = map[string]any{"session": c.session, "n": c.n, "at": maps.Clone(c.at)}
	}
	raw, err := json.Marshal(map[string]any{"op": "hello", "d": hello})
	c.mu.Unlock()
	if err != nil || wsutil.WriteClientText(conn, raw) != nil {
		return
	}
	for {
		raw, _, err := wsutil.ReadServerData(conn)
		if err != nil {
			return
		}
		var f frame
		if json.Unmarshal(raw, &f) != nil {
			c.complain("%s is no frame", raw)
			return
		}
		if ack := c.take(f); ack > 0 {
			if wsutil.WriteClientText(conn, fmt.Appendf(nil, `{"op":"ack","n":%d}`, ack)) != nil {
				return
			}
		}
	}
}

func (c *nativeMember) complain(format string, args ...any) {
	c.mu.Lock()
	c.broken = append(c.broken, fmt.Sprintf(format, args...))
	c.mu.Unlock()
}

// take notes a frame; it returns what is to be acknowledged, if it is time.
func (c *nativeMember) take(f frame) (ack int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch f.Ev {
	case "ready", "resumed":
		var d struct{ Session string }
		if err := json.Unmarshal(f.D, &d); err != nil {
			c.broken = append(c.broken, err.Error())
		}
		c.up, c.session = true, d.Session
		if f.Ev == "resumed" {
			c.account.Recovered++
			return 0
		}
		c.account.Fresh++
		c.n, c.acked, c.open = 0, 0, map[string]int{}
		return 0
	case "reset":
		c.at = map[string][3]int64{}
		return 0
	}
	if f.N == 0 {
		return 0
	}
	if f.N != c.n+1 {
		c.broken = append(c.broken, fmt.Sprintf("event %d after %d", f.N, c.n))
	}
	c.n = f.N
	if f.Ep != 0 {
		c.at[f.Ch] = placeAfter(c.at[f.Ch], f)
	}
	if f.Ev == "gap" {
		var d struct{ Messages []string }
		if err := json.Unmarshal(f.D, &d); err != nil {
			c.broken = append(c.broken, err.Error())
		}
		for _, stream := range d.Messages { // told that it may have missed some: it would fetch
			delete(c.open, strings.TrimPrefix(stream, "channel:"))
		}
	}
	if f.Ev == "newMessage" {
		c.hear(f)
	}
	if c.n-c.acked < 50 {
		return 0
	}
	c.acked = c.n
	return c.n
}

// placeAfter is where a client is in a stream after an event of it.
func placeAfter(at [3]int64, f frame) [3]int64 {
	if at[0] != f.Ep {
		at[0], at[2] = f.Ep, 0
	}
	return [3]int64{f.Ep, max(at[1], f.Seq), max(at[2], f.Rev)}
}

func (c *nativeMember) hear(f frame) {
	var m struct{ Message load.Message }
	var n int
	if json.Unmarshal(f.D, &m) != nil || !strings.HasPrefix(m.Message.Text(), "#") {
		return
	}
	if _, err := fmt.Sscanf(m.Message.Text(), "#%d", &n); err != nil {
		return
	}
	channel := strings.TrimPrefix(f.Ch, "channel:")
	i, ok := c.open[channel]
	if !ok {
		i = len(c.account.Runs)
		c.open[channel] = i
		c.account.Runs = append(c.account.Runs, stretch{channel: channel})
	}
	c.account.Runs[i].numbers = append(c.account.Runs[i].numbers, n)
}
