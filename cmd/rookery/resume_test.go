package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// TestResume cuts, drains and kills under the feet of many clients while others
// talk. Every stock client goes on where it was or is told that it begins afresh;
// what those hear that go on is whole, single and in order.
func TestResume(t *testing.T) {
	count, every := 30, 50*time.Millisecond
	if soak() {
		count, every = 500, 200*time.Millisecond
	}
	nodes := startCluster(t, pgtest.NewServer(t).URL(), 3)
	w := newWorkload(t, nodes[0], 4)
	tokens := []string{w.owner.Token}
	for i := range count/5 - 1 { // a user has few clients: a node keeps 16 sessions of one whose clients are away
		_, token, err := nodes[0].api().Register(within(t), fmt.Sprintf("listener%d", i), w.owner.Invite)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	fleets := map[string]fleet{"stock": newStockFleet(t), "native": newNativeFleet(t)}
	for _, f := range fleets {
		f.start(count, nodes, tokens)
	}
	talk := startTalk(t, nodes[0].api().As(w.owner.Token), w.channels, every)
	// back waits until everybody is connected again and tells what became of the
	// sessions meanwhile.
	back := func(t *testing.T, what string, least int, before map[string][2]int) {
		t.Helper()
		for name, f := range fleets {
			var connected, recovered, fresh int
			await(t, what+": all "+name+" clients are back", func() bool {
				connected, recovered, fresh, _ = f.state()
				return connected == count && recovered+fresh >= before[name][0]+before[name][1]+least
			})
			t.Logf("%s: %s: %d went on, %d began afresh", what, name, recovered-before[name][0], fresh-before[name][1])
		}
	}
	so := func() map[string][2]int {
		all := map[string][2]int{}
		for name, f := range fleets {
			_, recovered, fresh, _ := f.state()
			all[name] = [2]int{recovered, fresh}
		}
		return all
	}
	unharmed := func(t *testing.T, before map[string][2]int) {
		t.Helper()
		for name, f := range fleets {
			if _, _, fresh, _ := f.state(); fresh != before[name][1] {
				t.Errorf("%d %s clients began afresh", fresh-before[name][1], name)
			}
		}
	}

	t.Run("cut", func(t *testing.T) {
		for range 3 {
			before := so()
			for _, f := range fleets {
				f.cut(0, count)
			}
			back(t, "cut", count, before)
			unharmed(t, before)
		}
	})
	t.Run("drain", func(t *testing.T) {
		before := so()
		if err := nodes[2].stop(); err != nil {
			t.Errorf("the drained node ended with %v", err)
		}
		back(t, "drain", 1, before)
		unharmed(t, before)
		nodes[2].start()
		for _, n := range nodes {
			awaitMembers(t, n, 3)
		}
	})
	t.Run("kill", func(t *testing.T) {
		before := so()
		for _, f := range fleets { // so that the node has some again
			f.cut(0, count)
		}
		back(t, "cut", count, before)
		before = so()
		nodes[1].crash()
		back(t, "kill -9", 1, before)
		if _, _, fresh, _ := fleets["native"].state(); fresh != before["native"][1] {
			t.Errorf("%d native clients began afresh", fresh-before["native"][1])
		}
	})

	last := talk.close(nodes[0].api().As(w.owner.Token))
	total := faults{}
	for name, f := range fleets {
		await(t, "all "+name+" clients hear the last word", func() bool {
			connected, _, _, heard := f.state()
			for _, c := range heard {
				for channel, n := range last {
					if c[channel] != n {
						return false
					}
				}
			}
			return connected == count
		})
		sum, recovered, fresh, runs, events := faults{}, 0, 0, 0, 0
		for _, c := range f.report() {
			recovered += c.Recovered
			fresh += c.Fresh
			for _, r := range c.Runs {
				talk.judge(r, &sum)
				runs++
				events += len(r.numbers)
			}
		}
		t.Logf("%s: %d clients heard %d events; %d times a session went on, %d times it began afresh; lost %d, doubled %d, reordered %d",
			name, count, events, recovered, fresh, sum.lost, sum.doubled, sum.reordered)
		total.lost += sum.lost
		total.doubled += sum.doubled
		total.reordered += sum.reordered
	}
	if total != (faults{}) {
		t.Errorf("%+v", total)
	}
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}
