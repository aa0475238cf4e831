package cluster_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/cluster"
)

type payload struct {
	Text string `json:"text"`
	Body []byte `json:"body"`
}

func benchNodes(b *testing.B) (local, far *cluster.Node, got *atomic.Int64) {
	s := newStore()
	local = grow(b, s, nil)
	far = grow(b, s, []*cluster.Node{local})
	got = new(atomic.Int64)
	if _, err := far.Spawn("sink", actor.PropsFromFunc(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case add:
			cluster.Reply(ctx, total{1})
		case payload:
			got.Add(1)
		}
	})); err != nil {
		b.Fatal(err)
	}
	return local, far, got
}

func BenchmarkAskLocal(b *testing.B) {
	var self atomic.Pointer[cluster.Node]
	n := start(b, cluster.Config{Kinds: []cluster.Kind{counters(&self, nil)}})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	one := func() {
		if _, err := n.Ask(ctx, "counter", "a", add{1}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("sequential", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			one()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				one()
			}
		})
	})
}

func BenchmarkAskRemote(b *testing.B) {
	n, far, _ := benchNodes(b)
	id := far.ID()
	one := func() {
		if _, err := n.AskNode(context.Background(), id, "sink", add{1}); err != nil {
			b.Error(err)
		}
	}
	b.Run("sequential", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			one()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				one()
			}
		})
	})
}

// BenchmarkTellRemote tells as much as the bound per peer lets through, and
// counts what arrives.
func BenchmarkTellRemote(b *testing.B) {
	n, far, got := benchNodes(b)
	id := far.ID()
	m := payload{Text: strings.Repeat("x", 100), Body: make([]byte, 200)}
	b.ReportAllocs()
	b.ResetTimer()
	const window = 8192
	for told := 0; told < b.N; {
		for i := 0; i < window && told < b.N; i++ {
			n.TellNode(id, "sink", m)
			told++
		}
		if _, err := n.AskNode(context.Background(), id, "sink", add{1}); err != nil {
			b.Fatal(err)
		}
	}
	if lost := int64(b.N) - got.Load(); lost != 0 {
		b.Fatalf("%d of %d were lost", lost, b.N)
	}
}

func BenchmarkActivation(b *testing.B) {
	var self atomic.Pointer[cluster.Node]
	n := start(b, cluster.Config{Kinds: []cluster.Kind{counters(&self, nil)}})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := n.Ask(context.Background(), "counter", "id-"+itoa(i), add{1}); err != nil {
			b.Fatal(err)
		}
	}
}

func itoa(i int) string {
	const digits = "0123456789abcdef"
	var s []byte
	for ; i > 0; i >>= 4 {
		s = append(s, digits[i&15])
	}
	return string(s)
}
