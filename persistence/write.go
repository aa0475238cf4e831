package persistence

import "slices"

// Row is one thing to store: a value that its statement knows how to turn into arguments.
// It must not be changed once it was enqueued.
type Row interface {
	// Statement stores this row. Rows of one type may have different ones; those that return
	// the same pointer are stored together.
	Statement() *Statement
	// Size is about how many bytes of memory the row holds, for the writer's bound.
	Size() int
}

// Keyed is a row that must not meet another row of the same key in one execution of its
// statement: an UPDATE takes only one of several new versions of a row, and ON CONFLICT DO
// UPDATE fails. Rows of one owner with equal keys are stored one after the other.
type Keyed interface {
	Row
	Key() any // comparable
}

// Statement stores any number of rows of one type in one execution, through arrays and
// unnest. Rules for its author:
//
//   - It may run again after its transaction was committed, when the connection was lost
//     before the answer came. An INSERT therefore says ON CONFLICT (id) DO NOTHING. It names
//     that key: without it a violation of any other unique key would pass for success. An
//     UPDATE sets values instead of adding to them.
//   - Rows arrive in the order in which they were enqueued, as far as they come from one
//     owner. Rows of different owners must not depend on each other.
//   - Arguments that cannot be encoded and data that Postgres refuses fail only the Write
//     they belong to.
type Statement struct {
	Name string // for errors and logs
	SQL  string
	// Args makes the arguments of one execution; rows is never empty.
	Args func(rows []Row) []any
	// Stage lets plain inserts of one owner overtake each other, so that many of them become
	// few executions: m1 s1 m2 s2 is stored as m1 m2 (stage 1), then s1 s2 (stage 2). Rows
	// of stage 0 keep their place: all before is stored before, all behind it behind.
	Stage int
}

// newStatement declares a statement: TestPrepareAllQueries checks it like those of query.
//
//	var insertReaction = newStatement(Statement{Name: "insert reaction", SQL: `...`, Args: func(rows []Row) []any {
//		return []any{Column(rows, func(r ReactionRow) protocol.UserID { return r.User }), ...}
//	}})
func newStatement(s Statement) *Statement {
	declare(s.SQL, 2)
	return &s
}

// Column makes one array argument: a field of every row.
func Column[R Row, T any](rows []Row, field func(R) T) []T {
	column := make([]T, len(rows))
	for i, r := range rows {
		column[i] = field(r.(R))
	}
	return column
}

// Write is what one owner wants stored, all or nothing.
type Write struct {
	Owner Owner
	Rows  []Row
	// Done, when not nil, is called exactly once, on a goroutine of the writer, and must not
	// block. nil means committed. ErrFenced means that another activation owns the actor; only
	// that one knows whether the rows are there, because a commit whose answer was lost may
	// have stored them before. A retryable protocol.Error means that Close gave up. Every other
	// error is about these rows alone: they were not stored, and what the owner enqueued
	// behind them may have been.
	Done func(error)
}

// An execution is one statement with the rows it stores at once.
type execution struct {
	statement *Statement
	rows      []Row
}

// plan merges the rows of many writes into few executions. Each row gets a level; levels run
// one after the other, and within a level the rows of each statement run together. An
// owner's rows get levels that never go back except as Statement.Stage allows, so its order
// is kept while rows of different owners share executions.
func plan(batch []pending) []execution {
	var levels [][]execution
	owners := make(map[Owner]*place)
	for _, p := range batch {
		for _, row := range p.Rows {
			at := owners[p.Owner]
			if at == nil {
				at = &place{top: -1}
				owners[p.Owner] = at
			}
			level := at.next(row)
			for len(levels) <= level {
				levels = append(levels, nil)
			}
			levels[level] = add(levels[level], row)
		}
	}
	return slices.Concat(levels...)
}

func add(level []execution, row Row) []execution {
	s := row.Statement()
	for i := range level {
		if level[i].statement == s {
			level[i].rows = append(level[i].rows, row)
			return level
		}
	}
	return append(level, execution{statement: s, rows: []Row{row}})
}

// place is where an owner stands in the plan.
type place struct {
	base int        // the level of stage 1 of the inserts that come now
	top  int        // the highest level in use, -1 for none
	last *Statement // the one of stage 0 at top, when the last row was such a one
	keys map[any]struct{}
}

func (p *place) next(row Row) int {
	s := row.Statement()
	if s.Stage > 0 {
		p.last, p.keys = nil, nil
		level := p.base + s.Stage - 1
		p.top = max(p.top, level)
		return level
	}
	keyed, hasKey := row.(Keyed)
	if s != p.last || (hasKey && p.has(keyed.Key())) {
		p.top++
		p.last, p.keys = s, nil
		p.base = p.top + 1
	}
	if hasKey {
		if p.keys == nil {
			p.keys = make(map[any]struct{})
		}
		p.keys[keyed.Key()] = struct{}{}
	}
	return p.top
}

func (p *place) has(key any) bool {
	_, ok := p.keys[key]
	return ok
}
