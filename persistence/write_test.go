package persistence_test

import (
	"fmt"
	"testing"

	"github.com/rookery-chat/rookery/persistence"
	"pgregory.net/rapid"
)

// step is a row of a made-up statement.
type step struct {
	statement *persistence.Statement
	owner, n  int
	key       int
}

func (s step) Statement() *persistence.Statement { return s.statement }
func (s step) Size() int                         { return 1 }
func (s step) Key() any                          { return s.key }

// mayPass reports whether row b, enqueued behind a by the same owner, may be stored before it
// or together with it.
func mayPass(a, b step) bool {
	if a.statement.Stage > 0 && b.statement.Stage > 0 {
		return b.statement.Stage <= a.statement.Stage
	}
	return a.statement == b.statement && a.key != b.key // one execution, in order
}

func TestPlanKeepsOrder(t *testing.T) {
	statements := []*persistence.Statement{
		{Name: "insert parent", Stage: 1}, {Name: "insert child", Stage: 2}, {Name: "insert other child", Stage: 2},
		{Name: "update"}, {Name: "delete"},
	}
	rapid.Check(t, func(t *rapid.T) {
		var writes []persistence.Write
		var rows []step
		for n := range rapid.IntRange(1, 40).Draw(t, "rows") {
			s := step{
				statement: rapid.SampledFrom(statements).Draw(t, "statement"), n: n,
				owner: rapid.IntRange(0, 3).Draw(t, "owner"), key: rapid.IntRange(0, 2).Draw(t, "key"),
			}
			o := persistence.Owner{Kind: "channel", ID: fmt.Sprint(s.owner), Epoch: 1}
			writes = append(writes, persistence.Write{Owner: o, Rows: []persistence.Row{s}})
			rows = append(rows, s)
		}
		type spot struct{ execution, index int }
		at := map[int]spot{}
		for i, execution := range persistence.Plan(writes) {
			for j, r := range execution {
				s := r.(step)
				if _, twice := at[s.n]; twice {
					t.Fatalf("row %d is stored twice", s.n)
				}
				if s.statement != execution[0].Statement() {
					t.Fatalf("execution %d mixes statements", i)
				}
				at[s.n] = spot{i, j}
			}
		}
		if len(at) != len(rows) {
			t.Fatalf("%d of %d rows are stored", len(at), len(rows))
		}
		for j, b := range rows {
			for _, a := range rows[:j] {
				if a.owner != b.owner {
					continue
				}
				before, behind := at[a.n], at[b.n]
				if before.execution == behind.execution && before.index > behind.index {
					t.Fatalf("rows %d and %d change places within an execution", a.n, b.n)
				}
				if behind.execution <= before.execution && !mayPass(a, b) {
					t.Fatalf("row %d (%s) does not come behind row %d (%s)", b.n, b.statement.Name, a.n, a.statement.Name)
				}
			}
		}
	})
}

// Alternating inserts of one owner must not become as many executions.
func TestPlanMergesStages(t *testing.T) {
	parent, child := &persistence.Statement{Stage: 1}, &persistence.Statement{Stage: 2}
	var writes []persistence.Write
	for n := range 100 {
		writes = append(writes, persistence.Write{Rows: []persistence.Row{step{statement: parent, n: n}, step{statement: child, n: n}}})
	}
	if got := len(persistence.Plan(writes)); got != 2 {
		t.Errorf("%d executions, want 2", got)
	}
}
