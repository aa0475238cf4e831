package cluster_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/cluster"
)

// Activations of one Props, started at the same time, know who they are.
func TestSharedProps(t *testing.T) {
	t.Parallel()
	shared := actor.PropsFromFunc(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *cluster.Release:
			ctx.Stop(ctx.Self())
		case string:
			cluster.Reply(ctx, cluster.Identity(ctx))
		}
	})
	n := start(t, cluster.Config{Kinds: []cluster.Kind{
		{Name: "same", Props: func(string) *actor.Props { return shared }},
		{Name: "other", Props: func(string) *actor.Props { return shared }},
	}})
	if _, err := n.Spawn("plain", shared); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 200 {
		for _, kind := range []string{"same", "other"} {
			all.Go(func() {
				id := fmt.Sprint(i)
				if got, err := n.Ask(t.Context(), kind, id, "who"); err != nil || got != id {
					t.Errorf("%s/%s is %v, %v", kind, id, got, err)
				}
			})
		}
	}
	all.Wait()
	if got, err := n.AskNode(t.Context(), n.ID(), "plain", "who"); err != nil || got != "plain" {
		t.Errorf("the named actor is %v, %v", got, err)
	}
}
