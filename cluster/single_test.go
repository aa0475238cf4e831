package cluster_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/protocol"
)

func kindOf(name string, receive func(id string) actor.ReceiveFunc) cluster.Kind {
	return cluster.Kind{Name: name, Props: func(id string) *actor.Props { return actor.PropsFromFunc(receive(id)) }}
}

// polite adds to an actor that it goes when it is asked to.
func polite(receive actor.ReceiveFunc) actor.ReceiveFunc {
	return func(ctx actor.Context) {
		if _, ok := ctx.Message().(*cluster.Release); ok {
			ctx.Stop(ctx.Self())
			return
		}
		receive(ctx)
	}
}

func counters(n *atomic.Pointer[cluster.Node], log func(string)) cluster.Kind {
	return cluster.Kind{Name: "counter", Props: func(id string) *actor.Props {
		return actor.PropsFromProducer(func() actor.Actor { return &counter{node: n.Load, id: id, log: log} })
	}}
}

// journal collects events of actors.
type journal struct {
	mu   sync.Mutex
	list []string
}

func (j *journal) add(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list = append(j.list, s)
}

func (j *journal) has(s string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Contains(j.list, s)
}

func TestSingleNode(t *testing.T) {
	var self atomic.Pointer[cluster.Node]
	n := start(t, cluster.Config{Kinds: []cluster.Kind{counters(&self, nil)}})
	self.Store(n)
	if got := ask[total](t, n, "counter", "a", add{2}); got.N != 2 {
		t.Fatal(got)
	}
	n.Tell("counter", "a", add{5})
	if got := ask[total](t, n, "counter", "a", add{1}); got.N != 8 {
		t.Fatal(got)
	}
	_, err := n.Ask(t.Context(), "counter", "a", fails{protocol.CodeSlowMode})
	var e *protocol.Error
	if !errors.As(err, &e) || e.Code != protocol.CodeSlowMode || e.RetryAfter == 0 {
		t.Fatalf("%#v", err)
	}
	if _, err = n.Ask(t.Context(), "nobody", "a", add{}); !errors.Is(err, protocol.ErrInternal) {
		t.Fatal(err)
	}
	v := n.View()
	if len(v.Members) != 1 || v.Members[0].ID != n.ID() || n.ID() != n.System().ID {
		t.Fatal(v)
	}
	if id, own := n.Owner("counter", "x"); id != n.ID() || !own {
		t.Fatal(id, own)
	}
	if s := n.Stats(); s.Activations["counter"] != 1 || s.Asks < 3 {
		t.Fatalf("%+v", s)
	}
}

func TestPanicStopsTheActivationOnly(t *testing.T) {
	var self atomic.Pointer[cluster.Node]
	n := start(t, cluster.Config{Kinds: []cluster.Kind{
		counters(&self, nil),
		kindOf("stillborn", func(string) actor.ReceiveFunc {
			return func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); ok {
					panic("cannot load")
				}
			}
		}),
		{Name: "noprops", Props: func(string) *actor.Props { panic("no props") }},
	}})
	ask[total](t, n, "counter", "a", add{7})
	if _, err := n.Ask(t.Context(), "counter", "a", burst{}); !errors.Is(err, protocol.ErrInternal) {
		t.Fatal(err)
	}
	if got := ask[total](t, n, "counter", "a", add{1}); got.N != 1 {
		t.Fatalf("the actor should have started afresh, got %v", got)
	}
	for _, kind := range []string{"stillborn", "noprops"} {
		if _, err := n.Ask(t.Context(), kind, "a", add{}); !errors.Is(err, protocol.ErrInternal) {
			t.Fatal(kind, err)
		}
	}
}

func TestConcurrentAsksActivateOnce(t *testing.T) {
	var started atomic.Int64
	n := start(t, cluster.Config{Kinds: []cluster.Kind{kindOf("k", func(string) actor.ReceiveFunc {
		return polite(func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				started.Add(1)
			case add:
				cluster.Reply(ctx, nil)
			}
		})
	})}})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if _, err := n.Ask(t.Context(), "k", "one", add{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := started.Load(); got != 1 {
		t.Fatalf("activated %d times", got)
	}
}

// An actor may answer later: from another goroutine, or when it re-enters.
func TestRepliesAfterTheTurn(t *testing.T) {
	release := make(chan struct{})
	n := start(t, cluster.Config{Kinds: []cluster.Kind{kindOf("k", func(string) actor.ReceiveFunc {
		return polite(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case slow:
				reply := cluster.Replier(ctx)
				go func() {
					<-release
					reply("first "+m.Name, nil)
					reply("second", nil)
				}()
			case add:
				f := actor.NewFuture(ctx.ActorSystem(), 10*time.Second)
				ctx.ReenterAfter(f, func(any, error) { cluster.Reply(ctx, total(m)) })
				ctx.Send(f.PID(), "go on")
			}
		})
	})}})
	first := make(chan any, 1)
	go func() {
		v, err := n.Ask(t.Context(), "k", "a", slow{"x"})
		first <- cmpOr(v, err)
	}()
	if got := ask[total](t, n, "k", "a", add{9}); got.N != 9 {
		t.Fatal(got)
	}
	close(release)
	if got := <-first; got != "first x" {
		t.Fatal(got)
	}
}

func cmpOr(v any, err error) any {
	if err != nil {
		return err
	}
	return v
}

func TestDeadline(t *testing.T) {
	n := start(t, cluster.Config{Kinds: []cluster.Kind{kindOf("k", func(string) actor.ReceiveFunc {
		return polite(func(actor.Context) {})
	})}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := n.Ask(ctx, "k", "a", add{}); !errors.Is(err, protocol.ErrDeadline) {
		t.Fatal(err)
	}
}

func TestPassivation(t *testing.T) {
	var self atomic.Pointer[cluster.Node]
	var j journal
	var refusals atomic.Int64
	idle := counters(&self, j.add)
	idle.IdleAfter = 40 * time.Millisecond
	busy := kindOf("busy", func(id string) actor.ReceiveFunc {
		return func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *cluster.Release:
				if m.Reason == cluster.ReasonIdle {
					refusals.Add(1)
					cluster.ReplyError(ctx, cluster.Busy)
					return
				}
				j.add(id + " " + m.Reason.String())
				ctx.Stop(ctx.Self())
			case add:
				cluster.Reply(ctx, nil)
			}
		}
	})
	busy.IdleAfter = 40 * time.Millisecond
	n := start(t, cluster.Config{Kinds: []cluster.Kind{idle, busy}})
	self.Store(n)
	ask[total](t, n, "counter", "a", add{1})
	if _, err := n.Ask(t.Context(), "busy", "b", add{1}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the idle activation goes", func() bool {
		return j.has("a idle") && n.Stats().Activations["counter"] == 0
	})
	eventually(t, "the busy one refuses again and again", func() bool { return refusals.Load() >= 2 })
	if n.Stats().Activations["busy"] != 1 {
		t.Fatal("a refused release stopped the actor")
	}
	if got := ask[total](t, n, "counter", "a", add{1}); got.N != 1 {
		t.Fatal(got)
	}
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !j.has("b drain") {
		t.Fatal("drain did not release the busy actor")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := n.Ask(ctx, "counter", "a", add{}); !errors.Is(err, protocol.ErrUnavailable) {
		t.Fatal(err)
	}
}

// An actor that does not react to Release is stopped, and what it owes is not
// waited for.
func TestReleaseHasALimit(t *testing.T) {
	got := make(chan struct{})
	n := start(t, cluster.Config{Kinds: []cluster.Kind{kindOf("deaf", func(string) actor.ReceiveFunc {
		return func(ctx actor.Context) {
			if _, ok := ctx.Message().(slow); ok {
				close(got)
			}
		}
	})}})
	failed := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	go func() {
		_, err := n.Ask(ctx, "deaf", "a", slow{})
		failed <- err
	}()
	<-got
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, protocol.ErrUnavailable) {
		t.Fatal(err)
	}
}

func TestNamedActorRestarts(t *testing.T) {
	n := start(t, cluster.Config{})
	var self atomic.Pointer[cluster.Node]
	self.Store(n)
	if _, err := n.Spawn("c", actor.PropsFromProducer(func() actor.Actor { return &counter{node: self.Load} })); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Spawn("c", actor.PropsFromFunc(func(actor.Context) {})); err == nil {
		t.Fatal("the name was given twice")
	}
	n.TellNode(n.ID(), "c", add{1})
	n.Broadcast("c", add{1})
	if v, err := n.AskNode(t.Context(), n.ID(), "c", add{1}); err != nil || v != (total{3}) {
		t.Fatal(v, err)
	}
	if _, err := n.AskNode(t.Context(), n.ID(), "c", burst{}); !errors.Is(err, protocol.ErrInternal) {
		t.Fatal(err)
	}
	if v, err := n.AskNode(t.Context(), n.ID(), "c", add{1}); err != nil || v != (total{1}) {
		t.Fatal(v, err)
	}
	if _, err := n.AskNode(t.Context(), "not-a-node", "c", add{1}); !errors.Is(err, protocol.ErrUnavailable) {
		t.Fatal(err)
	}
}
