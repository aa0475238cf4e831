package cluster_test

import (
	"errors"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/protocol"
)

func TestSingleNode(t *testing.T) {
	var n *cluster.Node
	n = start(t, cluster.Config{Kinds: []cluster.Kind{{Name: "counter", Props: func(id string) *actor.Props {
		return actor.PropsFromProducer(func() actor.Actor { return &counter{node: func() *cluster.Node { return n }, id: id} })
	}}}})
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
	_, err = n.Ask(t.Context(), "counter", "a", burst{})
	if !errors.Is(err, protocol.ErrInternal) {
		t.Fatal(err)
	}
	if got := ask[total](t, n, "counter", "a", add{1}); got.N != 1 {
		t.Fatalf("after the panic the actor starts afresh, got %v", got)
	}
}
