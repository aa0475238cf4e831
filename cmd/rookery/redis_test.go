package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/persistence/redistest"
)

// TestRedisOutage kills the Redis that two nodes share under load and brings it
// back: requests go on all the time, meanwhile each node limits by itself, what
// is revoked is refused by both, and afterwards they count together again.
func TestRedisOutage(t *testing.T) {
	r := redistest.New(t)
	nodes := startCluster(t, pgtest.NewServer(t).URL(), 2, "--rate-limits", "on", "--redis-url", r.URL())
	ctx := within(t)
	owner, err := nodes[0].api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitors{t: t, nodes: nodes, done: make(chan struct{})}
	await(t, "the nodes count together", func() bool { return v.counted() == 2 })

	v.crowd(4)
	v.awaitVisits(100)
	r.Kill()
	await(t, "each node counts by itself", func() bool { return v.counted() == 1 })
	v.awaitVisits(100)
	here, there := nodes[0].api().As(owner.Token), nodes[1].api().As(owner.Token)
	if err := there.Call(ctx, "GET", "/api/users/profile", nil, nil); err != nil {
		t.Errorf("while Redis is away: %v", err)
	}
	if err := here.Call(ctx, "POST", "/api/auth/logout", nil, nil); err != nil {
		t.Errorf("logout while Redis is away: %v", err)
	}
	if err := there.Call(ctx, "GET", "/api/users/profile", nil, nil); status(err) != 401 {
		t.Errorf("a token that was revoked on the other node: %v", err)
	}
	r.Start()
	await(t, "the nodes count together again", func() bool { return v.counted() == 2 })
	v.awaitVisits(100)
	close(v.done)
	v.all.Wait()
	t.Logf("%d requests, the slowest took %v", v.visits.Load(), time.Duration(v.slowest.Load()))
	for _, n := range nodes {
		if err := n.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		for _, line := range n.problems() {
			t.Errorf("server logged %s", line)
		}
	}
}

// visitors ask all nodes, one after the other, for something public, each from
// an address of his own: so everybody begins with full limits.
type visitors struct {
	t       *testing.T
	nodes   []*node
	last    atomic.Uint32 // address that was given out
	visits  atomic.Int64
	slowest atomic.Int64 // nanoseconds
	done    chan struct{}
	all     sync.WaitGroup
}

// perMinute is how often an address may come.
const perMinute = 500

// counted is how many hits the last node has counted of a new visitor, who has
// been at every node once.
func (v *visitors) counted() int {
	left, err := v.tour()
	if err != nil {
		v.t.Errorf("visit: %v", err)
	}
	return perMinute - left
}

// crowd keeps that many visitors on their way until done is closed.
func (v *visitors) crowd(n int) {
	for range n {
		v.all.Go(func() {
			for {
				select {
				case <-v.done:
					return
				default:
				}
				if _, err := v.tour(); err != nil {
					v.t.Errorf("visit: %v", err)
					return
				}
			}
		})
	}
}

func (v *visitors) awaitVisits(more int64) {
	v.t.Helper()
	want := v.visits.Load() + more
	await(v.t, "requests go on", func() bool { return v.visits.Load() >= want })
}

// tour visits the nodes from a new address and returns what it has left there
// in the minute.
func (v *visitors) tour() (left int, err error) {
	n := v.last.Add(1)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(1+n>>16), byte(n>>8), byte(n))}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	defer transport.CloseIdleConnections()
	for _, node := range v.nodes {
		began := time.Now()
		if left, err = visit(&http.Client{Transport: transport, Timeout: patience}, node); err != nil {
			return 0, err
		}
		v.note(time.Since(began))
	}
	return left, nil
}

func (v *visitors) note(took time.Duration) {
	v.visits.Add(1)
	for {
		was := v.slowest.Load()
		if int64(took) <= was || v.slowest.CompareAndSwap(was, int64(took)) {
			return
		}
	}
}

func visit(client *http.Client, n *node) (left int, err error) {
	req, err := http.NewRequestWithContext(context.Background(), "GET", n.url()+"/api/instance/settings/public", nil)
	if err != nil {
		return 0, err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d: %s", res.StatusCode, body)
	}
	_, err = fmt.Sscan(res.Header.Get("X-RateLimit-Remaining-Long"), &left)
	return left, err
}
