package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/lithammer/shortuuid/v4"
)

func members(ids ...string) []Member {
	list := make([]Member, len(ids))
	for i, id := range ids {
		list[i] = Member{ID: id, Host: "h", Port: i, kinds: []string{"k"}}
	}
	return list
}

// Every member gets its share, within three per cent, whatever ids look like.
func TestPlacementIsEven(t *testing.T) {
	random := []string{shortuuid.New(), shortuuid.New(), shortuuid.New(), shortuuid.New(), shortuuid.New()}
	for name, ids := range map[string][]string{
		"random":  random,
		"alike":   {"node-1", "node-2", "node-3", "node-4"},
		"minimal": {"a", "b"},
	} {
		for _, form := range []string{"%d", "0190c42e-1111-7000-8000-%012d", "%064d"} {
			t.Run(name+form[:2], func(t *testing.T) {
				const n = 200_000
				v := newView(ids[0], members(ids...))
				share := map[string]int{}
				for i := range n {
					share[v.owner("k", fmt.Sprintf(form, i), "").ID]++
				}
				want := float64(n) / float64(len(ids))
				for id, got := range share {
					if off := float64(got)/want - 1; off > 0.03 || off < -0.03 {
						t.Errorf("%s has %+.1f %%", id, 100*off)
					}
				}
			})
		}
	}
}

// When a member comes, only what it gets moves.
func TestPlacementMovesLittle(t *testing.T) {
	before := newView("a", members("a", "b", "c"))
	after := newView("a", members("a", "b", "c", "d"))
	for i := range 10_000 {
		id := fmt.Sprint(i)
		was, is := before.owner("k", id, "").ID, after.owner("k", id, "").ID
		if was != is && is != "d" {
			t.Fatalf("%s moved from %s to %s", id, was, is)
		}
	}
}

func TestPlacementHonoursDrainingAndKinds(t *testing.T) {
	list := members("a", "b", "c")
	list[0].Draining = true
	list[1].kinds = []string{"other"}
	v := newView("a", list)
	for i := range 100 {
		if m := v.owner("k", fmt.Sprint(i), ""); m.ID != "c" {
			t.Fatal(m.ID)
		}
	}
	if m := v.owner("k", "1", "c"); m != nil {
		t.Fatal(m.ID)
	}
	if m := v.owner("nobody's", "1", ""); m != nil {
		t.Fatal(m.ID)
	}
}

func TestPreviousOwners(t *testing.T) {
	now := time.Now()
	first := &topology{view: newView("a", members("a"))}
	if got := first.previousOwners(identity{"k", "1"}); got != nil {
		t.Fatal("a node alone has nobody to ask", got)
	}
	// c joins: what a gives up to c it still may have.
	top := (&topology{view: newView("c", members("a", "b"))}).next(newView("c", members("a", "b", "c")), now)
	old := newView("c", members("a", "b"))
	for i := range 100 {
		k := identity{"k", fmt.Sprint(i)}
		got := top.previousOwners(k)
		if len(got) != 1 || got[0].ID != old.owner(k.kind, k.id, "").ID {
			t.Fatalf("%v: %v", k, got)
		}
	}
	// The window is over, or the previous owner is gone.
	top.past[0].until = now.Add(-2 * barrierWindow)
	if got := top.previousOwners(identity{"k", "1"}); len(got) != 0 {
		t.Fatal(got)
	}
	top = top.next(newView("c", members("c")), now)
	if got := top.previousOwners(identity{"k", "1"}); len(got) != 0 {
		t.Fatal(got)
	}
}

func BenchmarkOwner(b *testing.B) {
	v := newView("a", members("a", "b", "c", "d", "e", "f", "g", "h"))
	for b.Loop() {
		v.owner("k", "0190c42e-1111-7000-8000-000000000001", "")
	}
}
