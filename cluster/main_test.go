package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/protocol"
)

func TestMain(m *testing.M) {
	if role := os.Getenv("ROOKERY_CLUSTER_TEST"); role != "" {
		childMain(role)
		return
	}
	os.Exit(m.Run())
}

// The messages of the tests.
type (
	add      struct{ N int }
	total    struct{ N int }
	whoami   struct{}
	identity struct{ Node, Actor string }
	slow     struct{ Name string }
	burst    struct{}
	fails    struct{ Code protocol.Code }
	private  struct{ X int }
)

func newRegistry() *cluster.Registry {
	r := cluster.NewRegistry()
	cluster.Register[add](r, "test.add")
	cluster.Register[total](r, "test.total")
	cluster.Register[whoami](r, "test.whoami")
	cluster.Register[identity](r, "test.identity")
	cluster.Register[slow](r, "test.slow")
	cluster.Register[burst](r, "test.burst")
	cluster.Register[fails](r, "test.fails")
	cluster.Register[payload](r, "test.payload")
	return r
}

func quiet() *slog.Logger {
	if os.Getenv("CLUSTER_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

func start(t testing.TB, cfg cluster.Config) *cluster.Node {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = quiet()
	}
	if cfg.Registry == nil {
		cfg.Registry = newRegistry()
	}
	n, err := cluster.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return n
}

func ask[T any](t testing.TB, n *cluster.Node, kind, id string, msg any) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	v, err := n.Ask(ctx, kind, id, msg)
	if err != nil {
		t.Fatalf("ask %s/%s %T: %v", kind, id, msg, err)
	}
	out, ok := v.(T)
	if !ok {
		t.Fatalf("ask %s/%s %T: got %T", kind, id, msg, v)
	}
	return out
}

// eventually waits until f holds; generous, because the machine may be busy.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-limit.C:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// counter is the actor of most tests: a sum, which a Release flushes.
type counter struct {
	node  func() *cluster.Node
	id    string
	sum   int
	flush func(id string, sum int)
	log   func(event string)
}

func (c *counter) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case add:
		c.sum += m.N
		cluster.Reply(ctx, total{c.sum})
	case whoami:
		cluster.Reply(ctx, identity{c.node().ID(), c.id})
	case fails:
		cluster.ReplyError(ctx, &protocol.Error{Code: m.Code, Message: "as asked", RetryAfter: time.Second})
	case burst:
		panic("as asked")
	case *cluster.Release:
		if c.log != nil {
			c.log(fmt.Sprintf("%s %s", c.id, m.Reason))
		}
		if c.flush != nil {
			c.flush(c.id, c.sum)
		}
		ctx.Stop(ctx.Self())
	}
}
