package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"

	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/protocol"
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
	if cluster.RaceEnabled && len(others) > 0 {
		t.Skip("several nodes in one process")
	}
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

// traffic asks for n identities from all nodes until stopped and counts what
// fails or comes back wrong.
type traffic struct {
	stop   chan struct{}
	wg     sync.WaitGroup
	asked  atomic.Int64
	failed atomic.Int64
	first  atomic.Pointer[string]
}

func load(nodes []*cluster.Node, identities int) *traffic {
	tr := &traffic{stop: make(chan struct{})}
	for w := range 8 {
		tr.wg.Go(func() {
			for i := w; ; i += 8 {
				select {
				case <-tr.stop:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
				_, err := nodes[i%len(nodes)].Ask(ctx, "counter", fmt.Sprintf("id-%d", i%identities), whoami{})
				cancel()
				tr.asked.Add(1)
				if err != nil {
					tr.failed.Add(1)
					text := err.Error()
					tr.first.CompareAndSwap(nil, &text)
				}
			}
		})
	}
	return tr
}

func (tr *traffic) end(t *testing.T) {
	t.Helper()
	close(tr.stop)
	tr.wg.Wait()
	if n := tr.failed.Load(); n > 0 {
		t.Errorf("%d of %d asks failed: %s", n, tr.asked.Load(), *tr.first.Load())
	}
}

// Members come and go under load: no ask fails, no activation overlaps another,
// no sum is lost.
func TestMovesUnderLoad(t *testing.T) {
	const identities = 200
	s := newStore()
	a := grow(t, s, nil)
	b := grow(t, s, []*cluster.Node{a})
	for i := range identities {
		ask[total](t, a, "counter", fmt.Sprintf("id-%d", i), add{i})
	}
	tr := load([]*cluster.Node{a, b}, identities)
	c := grow(t, s, []*cluster.Node{a, b})
	eventually(t, "the new member gets its share", func() bool { return c.Stats().Activations["counter"] > identities/6 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
	agree(t, a, b)
	tr.end(t)
	for i := range identities {
		if got := ask[total](t, b, "counter", fmt.Sprintf("id-%d", i), add{0}); got.N != i {
			t.Errorf("id-%d: %d", i, got.N)
		}
	}
	if n := s.overlap.Load(); n != 0 {
		t.Errorf("%d overlapping activations", n)
	}
	t.Logf("%d asks", tr.asked.Load())
}

func TestNamedActorsAcrossNodes(t *testing.T) {
	s := newStore()
	a := grow(t, s, nil)
	b := grow(t, s, []*cluster.Node{a})
	for _, n := range []*cluster.Node{a, b} {
		if _, err := n.Spawn("relay", actor.PropsFromProducer(func() actor.Actor {
			return &counter{node: func() *cluster.Node { return n }}
		})); err != nil {
			t.Fatal(err)
		}
	}
	a.Broadcast("relay", add{1})
	b.Broadcast("relay", &add{N: 100}) // a pointer stays one, and means nothing to the actor
	b.TellNode(a.ID(), "relay", add{10})
	a.TellNodes([]string{a.ID(), b.ID(), "not-a-node"}, "relay", add{1000})
	v, err := b.AskNode(t.Context(), a.ID(), "relay", whoami{})
	if err != nil || v.(identity).Node != a.ID() {
		t.Fatal(v, err)
	}
	if v, err := b.AskNode(t.Context(), a.ID(), "relay", add{0}); err != nil || v != (total{1011}) {
		t.Fatal(v, err)
	}
	eventually(t, "the broadcast reaches the other node", func() bool {
		v, err := a.AskNode(t.Context(), b.ID(), "relay", add{0})
		return err == nil && v == (total{1001})
	})
	_, err = b.AskNode(t.Context(), a.ID(), "relay", fails{protocol.CodeSlowMode})
	var e *protocol.Error
	if !errors.As(err, &e) || e.Code != protocol.CodeSlowMode || e.RetryAfter != time.Second {
		t.Fatalf("%#v", err)
	}
	if _, err = b.AskNode(t.Context(), a.ID(), "relay", burst{}); !errors.Is(err, protocol.ErrInternal) {
		t.Fatal(err)
	}
}

func TestUnregisteredTypesFailLoudly(t *testing.T) {
	s := newStore()
	a := grow(t, s, nil)
	b := grow(t, s, []*cluster.Node{a})
	if _, err := a.AskNode(t.Context(), b.ID(), "relay", private{1}); !errors.Is(err, protocol.ErrInternal) {
		t.Fatal(err)
	}
	a.Broadcast("relay", private{1})
	if got := a.Stats().Unencodable; got != 2 {
		t.Fatal(got)
	}
	// A reply that cannot cross is an error at the asker, not silence.
	if _, err := b.Spawn("odd", actor.PropsFromFunc(func(ctx actor.Context) {
		if _, ok := ctx.Message().(whoami); ok {
			cluster.Reply(ctx, private{1})
		}
	})); err != nil {
		t.Fatal(err)
	}
	if _, err := a.AskNode(t.Context(), b.ID(), "odd", whoami{}); !errors.Is(err, protocol.ErrInternal) {
		t.Fatal(err)
	}
}

// An ask that takes longer than a try is waited for, not repeated.
func TestSlowAsksAreNotRepeated(t *testing.T) {
	s := newStore()
	a := grow(t, s, nil)
	b := grow(t, s, []*cluster.Node{a})
	var times atomic.Int64
	asked := make(chan func(any, error), 8)
	if _, err := b.Spawn("slow", actor.PropsFromFunc(func(ctx actor.Context) {
		if _, ok := ctx.Message().(slow); ok {
			times.Add(1)
			asked <- cluster.Replier(ctx)
		}
	})); err != nil {
		t.Fatal(err)
	}
	got := make(chan any, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	go func() { got <- cmpOr(a.AskNode(ctx, b.ID(), "slow", slow{})) }()
	reply := <-asked
	time.AfterFunc(2500*time.Millisecond, func() { reply(total{1}, nil) }) // the subject of the test, not synchronisation
	if v := <-got; v != (total{1}) {
		t.Fatal(v)
	}
	if n := times.Load(); n != 1 {
		t.Fatalf("asked %d times", n)
	}
}

// What the library offers for finding an actor finds the same one.
func TestLibraryLookup(t *testing.T) {
	s := newStore()
	a := grow(t, s, nil)
	b := grow(t, s, []*cluster.Node{a})
	for i := range 20 {
		id := fmt.Sprintf("id-%d", i)
		pa, pb := pcluster.GetCluster(a.System()).Get(id, "counter"), pcluster.GetCluster(b.System()).Get(id, "counter")
		if pa == nil || !pa.Equal(pb) {
			t.Fatalf("%s: %v and %v", id, pa, pb)
		}
	}
	if got := len(pcluster.GetCluster(a.System()).MemberList.Members().Members()); got != 2 {
		t.Fatalf("the library sees %d members", got)
	}
}
