package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/cluster"
)

// store stands for the database: what activations flushed, and who is alive.
type store struct {
	mu      sync.Mutex
	sums    map[string]int
	alive   map[string]int
	overlap atomic.Int64
}

func newStore() *store { return &store{sums: map[string]int{}, alive: map[string]int{}} }

func (s *store) load(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive[id]++; s.alive[id] > 1 {
		s.overlap.Add(1)
	}
	return s.sums[id]
}

func (s *store) save(id string, sum int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sums[id] = sum
}

func (s *store) gone(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive[id]--
}

// durable is a counter that lives in a store.
type durable struct {
	counter
	store *store
}

func (d *durable) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Started:
		d.sum = d.store.load(d.id)
	case *actor.Stopped:
		d.store.gone(d.id)
	}
	d.counter.Receive(ctx)
}

func clusterConfig(s *store, node func() *cluster.Node, join ...string) cluster.Config {
	return cluster.Config{
		Listen: "127.0.0.1:0", Join: join,
		Kinds: []cluster.Kind{{Name: "counter", Props: func(id string) *actor.Props {
			return actor.PropsFromProducer(func() actor.Actor {
				return &durable{counter{node: node, id: id, flush: s.save}, s}
			})
		}}},
	}
}

// grow starts a node that joins the others and returns when all see all.
func grow(t testing.TB, s *store, others []*cluster.Node) *cluster.Node {
	t.Helper()
	var self atomic.Pointer[cluster.Node]
	var join []string
	for _, o := range others {
		join = append(join, o.Addr())
	}
	cfg := clusterConfig(s, self.Load, join...)
	cfg.Prepare = func(n *cluster.Node) error { self.Store(n); return nil }
	n := start(t, cfg)
	agree(t, append(others[:len(others):len(others)], n)...)
	return n
}

func agree(t testing.TB, nodes ...*cluster.Node) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d nodes see each other", len(nodes)), func() bool {
		for _, n := range nodes {
			v := n.View()
			if len(v.Members) != len(nodes) {
				return false
			}
			for _, m := range v.Members {
				if m.Draining {
					return false
				}
			}
		}
		return true
	})
}

func TestThreeNodes(t *testing.T) {
	s := newStore()
	a := grow(t, s, nil)
	b := grow(t, s, []*cluster.Node{a})
	c := grow(t, s, []*cluster.Node{a, b})
	nodes := []*cluster.Node{a, b, c}
	where := map[string]int{}
	for i := range 60 {
		id := fmt.Sprintf("id-%d", i)
		var at string
		for j, n := range nodes {
			got := ask[total](t, n, "counter", id, add{1})
			if got.N != j+1 {
				t.Fatalf("%s: got %d, want %d", id, got.N, j+1)
			}
			who := ask[identity](t, n, "counter", id, whoami{})
			if at != "" && who.Node != at {
				t.Fatalf("%s lives on %s and %s", id, at, who.Node)
			}
			at = who.Node
			if owner, self := n.Owner("counter", id); owner != at || self != (at == n.ID()) {
				t.Fatalf("%s says %s owns %s, it lives on %s", n.ID(), owner, id, at)
			}
		}
		where[at]++
	}
	if len(where) != 3 {
		t.Fatalf("actors on %d of 3 nodes: %v", len(where), where)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		if got := ask[total](t, a, "counter", fmt.Sprintf("id-%d", i), add{1}); got.N != 4 {
			t.Fatalf("id-%d: %d after the drain", i, got.N)
		}
	}
	if n := s.overlap.Load(); n != 0 {
		t.Fatalf("%d overlapping activations", n)
	}
}
