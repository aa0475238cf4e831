package cluster

import (
	"testing"
	"time"
)

// Of two sides that declared each other dead exactly one yields.
func TestOneSideYields(t *testing.T) {
	side := func(ids ...string) (*View, notice) {
		v := newView(ids[0], members(ids...))
		return v, notice{From: ids[0], Size: len(ids), First: v.Members[0].ID}
	}
	for _, c := range []struct{ winner, loser []string }{
		{[]string{"b", "c"}, []string{"a"}},
		{[]string{"a"}, []string{"b"}},
		{[]string{"d", "a"}, []string{"c", "b"}},
	} {
		winner, fromWinner := side(c.winner...)
		loser, fromLoser := side(c.loser...)
		if !winner.outranks(fromLoser) || loser.outranks(fromWinner) {
			t.Errorf("%v against %v", c.winner, c.loser)
		}
	}
}

// pair starts two nodes that know each other.
func pair(t *testing.T, kinds ...Kind) (a, b *Node) {
	t.Helper()
	if RaceEnabled {
		t.Skip("several nodes in one process")
	}
	begin := func(join ...string) *Node {
		n, err := Start(t.Context(), Config{Listen: "127.0.0.1:0", Join: join, Kinds: kinds})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Stop(n.ctx) })
		return n
	}
	a = begin()
	b = begin(a.Addr())
	met := make(chan struct{}, 16)
	a.OnView(func(View) { met <- struct{}{} })
	for len(a.View().Members) != 2 || a.View().Members[0].Draining || a.View().Members[1].Draining {
		<-met
	}
	return a, b
}

// The answer to an accepted ask was lost: the asker finds out.
func TestLostAnswersAreNoticed(t *testing.T) {
	a, b := pair(t)
	view := a.topology.Load().view
	p := a.asks.add(view.find(b.ID()))
	defer a.asks.remove(p)
	p.accepted.Store(true)
	a.checkOnce(p.since.Add(2 * queryAfter))
	select {
	case out := <-p.ch:
		if out.verdict != lost {
			t.Fatal(out)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody said that the ask is not known")
	}
}

// A node that is told that it was declared dead comes back under a new name, and
// the others never see both.
func TestRejoin(t *testing.T) {
	a, b := pair(t)
	old := b.ID()
	back := make(chan struct{})
	b.OnRejoin(func() { close(back) })
	seen := make(chan View, 64)
	a.OnView(func(v View) { seen <- v })
	a.gossip.mu.Lock()
	a.gossip.dead[old] = true // as if it had been paused
	a.gossip.mu.Unlock()
	a.gossip.wake()
	<-back
	if b.ID() == old || b.Stats().Rejoins != 1 {
		t.Fatal(b.ID(), b.Stats().Rejoins)
	}
	for v := range seen {
		_, was := v.Member(old)
		m, is := v.Member(b.ID())
		if was && is {
			t.Fatal("both identities in one view")
		}
		if is && !m.Draining {
			break
		}
	}
	// And the other direction of trust was never lost.
	if got := len(b.View().Members); got != 2 {
		t.Fatalf("%d members", got)
	}
}
