package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/cluster"
)

// census knows which activations live in this process.
type census struct {
	mu    sync.Mutex
	alive map[string]int
}

func (c *census) note(id string, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alive[id] += by; c.alive[id] == 0 {
		delete(c.alive, id)
	}
}

func (c *census) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []string
	for id, n := range c.alive {
		for range n {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

// memberConfig is a node of the tests with processes: counters, and a census of
// them that others can ask for.
func memberConfig(join string) cluster.Config {
	c := &census{alive: map[string]int{}}
	var self atomic.Pointer[cluster.Node]
	kind := cluster.Kind{Name: "counter", Props: func(id string) *actor.Props {
		return actor.PropsFromProducer(func() actor.Actor {
			inner := &counter{node: self.Load, id: id}
			return actor.ReceiveFunc(func(ctx actor.Context) {
				switch ctx.Message().(type) {
				case *actor.Started:
					c.note(id, 1)
				case *actor.Stopped:
					c.note(id, -1)
				}
				inner.Receive(ctx)
			})
		})
	}}
	cfg := cluster.Config{Listen: "127.0.0.1:0", Kinds: []cluster.Kind{kind}, Registry: newRegistry(), Log: quiet()}
	if join != "" {
		cfg.Join = strings.Split(join, ",")
	}
	cfg.Prepare = func(n *cluster.Node) error {
		self.Store(n)
		_, err := n.Spawn("census", actor.PropsFromFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(whoami); ok {
				cluster.Reply(ctx, c.list())
			}
		}))
		return err
	}
	return cfg
}

// childMain is a member in a process of its own. It says its gossip address and
// its id, a new id when it has rejoined, and leaves properly on SIGTERM.
func childMain(join string) {
	if join == "-" {
		join = ""
	}
	cfg := memberConfig(join)
	if os.Getenv("CLUSTER_LOG") != "" {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	n, err := cluster.Start(context.Background(), cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	n.OnRejoin(func() { fmt.Println("rejoined", n.ID()) })
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	fmt.Println("started", n.Addr(), n.ID())
	<-term
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	err = n.Stop(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// takeCensus maps each live identity to the nodes it lives on.
func takeCensus(n *cluster.Node) (map[string][]string, error) {
	where := map[string][]string{}
	for _, m := range n.View().Members {
		v, err := n.AskNode(context.Background(), m.ID, "census", whoami{})
		if err != nil {
			return nil, fmt.Errorf("census of %s: %w", m.ID, err)
		}
		ids, ok := v.([]string)
		if !ok && v != nil {
			return nil, fmt.Errorf("census of %s: %T", m.ID, v)
		}
		for _, id := range ids {
			where[id] = append(where[id], m.ID)
		}
	}
	return where, nil
}

// doubles lists the identities that live more than once.
func doubles(where map[string][]string) []string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(where)) {
		if len(where[id]) > 1 {
			list = append(list, id+" on "+strings.Join(where[id], ", "))
		}
	}
	return list
}
