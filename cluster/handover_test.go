package cluster_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/cluster"
)

// holder keeps what it is asked on its first node until it is released; then it
// answers what is called "answer" and leaves the rest to the cluster. Anywhere
// else it answers at once.
type holder struct {
	node func() *cluster.Node
	held chan<- string
	at   *atomic.Pointer[string]
	owed map[string]func(any, error)
}

func (h *holder) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case slow:
		if here := h.node().ID(); *h.at.Load() != here {
			cluster.Reply(ctx, "at the next owner")
			return
		}
		h.owed[m.Name] = cluster.Replier(ctx)
		h.held <- m.Name
	case *cluster.Release:
		if reply := h.owed["answer"]; reply != nil {
			reply("after the flush", nil)
		}
		ctx.Stop(ctx.Self())
	}
}

// What an activation holds when it has to go is answered by itself or asked again
// at the next owner, whether the asker is on the same node or not.
func TestHandoverOfHeldAsks(t *testing.T) {
	held := make(chan string, 4)
	var at atomic.Pointer[string]
	begin := func(join ...string) *cluster.Node {
		var self atomic.Pointer[cluster.Node]
		return start(t, cluster.Config{
			Listen: "127.0.0.1:0", Join: join,
			Prepare: func(n *cluster.Node) error { self.Store(n); return nil },
			Kinds: []cluster.Kind{{Name: "holder", Props: func(string) *actor.Props {
				return actor.PropsFromProducer(func() actor.Actor {
					return &holder{node: self.Load, held: held, at: &at, owed: map[string]func(any, error){}}
				})
			}}},
		})
	}
	if cluster.RaceEnabled {
		t.Skip("several nodes in one process")
	}
	a := begin()
	b := begin(a.Addr())
	agree(t, a, b)
	id := ""
	for i := 0; id == ""; i++ {
		if _, mine := b.Owner("holder", fmt.Sprint(i)); mine {
			id = fmt.Sprint(i)
		}
	}
	first := b.ID()
	at.Store(&first)

	answers := map[string]chan any{}
	for name, asker := range map[string]*cluster.Node{"answer": a, "remote": a, "local": b} {
		got := make(chan any, 1)
		answers[name] = got
		go func() { got <- cmpOr(asker.Ask(t.Context(), "holder", id, slow{name})) }()
		<-held
	}
	if err := b.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"answer": "after the flush", "remote": "at the next owner", "local": "at the next owner"} {
		if got := <-answers[name]; got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
