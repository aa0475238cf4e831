package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// matrixFile says who may do what; how to read it stands at its top.
const matrixFile = "testdata/matrix.txt"

// row is a line of the matrix: an operation, or one way to use it.
type row struct {
	name    string // operation, or operation/variant
	op      *protocol.Operation
	cells   string // one letter for each persona
	status  int    // of success
	request string
}

// verdict of a cell.
const (
	denied  = '.' // by a missing right: 403 Forbidden resource, 401 for nobody
	refused = 'x' // by a rule of the operation: 403 or 401 with a text of its own
	nothing = '-' // allowed, but what he asks for is not there: 400, 404 or 409
)

// readMatrix reads the file. Every line has an operation and a cell for each
// persona.
func readMatrix(t *testing.T) []row {
	t.Helper()
	f, err := os.Open(matrixFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ops := map[string]*protocol.Operation{}
	for _, op := range protocol.Operations() {
		ops[op.Name] = op
	}
	var rows []row
	seen := map[string]bool{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		r, err := readRow(line, ops)
		if err != nil || seen[r.name] {
			t.Errorf("%s:%d: %q: %v (or twice)", matrixFile, n, line, err)
			continue
		}
		seen[r.name] = true
		rows = append(rows, r)
	}
	return rows
}

// complete fails for operations that have no line.
func complete(t *testing.T, rows []row) {
	t.Helper()
	for _, op := range protocol.Operations() {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.op == op }) {
			t.Errorf("%s has no line for %s", matrixFile, op.Name)
		}
	}
}

func readRow(line string, ops map[string]*protocol.Operation) (row, error) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return row{}, fmt.Errorf("an operation and its cells are needed")
	}
	r := row{name: fields[0], cells: fields[1], request: "{}"}
	name, _, _ := strings.Cut(r.name, "/")
	if r.op = ops[name]; r.op == nil {
		return r, fmt.Errorf("no operation is called %s", name)
	}
	if len(r.cells) != len(personas) {
		return r, fmt.Errorf("%d cells, want one for each of %d personas", len(r.cells), len(personas))
	}
	for i, p := range personas {
		if c := r.cells[i]; c != p.letter && c != denied && c != refused && c != nothing {
			return r, fmt.Errorf("cell %d is %q, want %q, %q, %q or %q", i+1, c, p.letter, denied, refused, nothing)
		}
	}
	r.status = r.op.SuccessStatus()
	if len(fields) > 2 && fields[2][0] == '=' {
		var err error
		if r.status, err = strconv.Atoi(fields[2][1:]); err != nil {
			return r, err
		}
	}
	if at := strings.IndexByte(line, '{'); at >= 0 {
		r.request = line[at:]
	}
	return r, nil
}

// allowed lists the personas that may.
func (r row) allowed() (list []persona) {
	for i, p := range personas {
		if r.cells[i] == p.letter {
			list = append(list, p)
		}
	}
	return list
}

// try performs the row as a persona in a scene of its own.
func (r row) try(t *testing.T, g *stage, n *node, p persona) answer {
	t.Helper()
	if strings.Contains(r.request, "assword") {
		hashing <- struct{}{}
		defer func() { <-hashing }()
	}
	s := g.newScene(t, p)
	return call{r.op, s.fill(t, r.request)}.send(t, n, s.token)
}

// hashing bounds the cells that have passwords hashed at the same time, which is
// meant to be hard work: with all of them at once the last would wait longer than a
// server lets a client wait.
var hashing = make(chan struct{}, 2)

// check performs the row as a persona and judges the answer by the cell.
func (r row) check(t *testing.T, g *stage, i int) {
	t.Helper()
	p := personas[i]
	got := r.try(t, g, g.nodes[0], p)
	if wrong := r.judge(i, got); wrong != "" {
		t.Errorf("%s as %s %s: %s", r.name, p.name, wrong, got)
	}
}

// judge tells what is wrong with an answer to a persona; nothing if the cell
// says so.
func (r row) judge(i int, got answer) string {
	p, cell := personas[i], r.cells[i]
	refusal := got.status == http.StatusUnauthorized || got.status == http.StatusForbidden
	switch {
	case got.status >= 500:
		return "breaks the server"
	case cell == p.letter && got.status == r.status:
		return ""
	case cell == p.letter && refusal:
		return "is denied, but must be allowed"
	case cell == p.letter:
		return fmt.Sprintf("does not answer %d", r.status)
	case got.status < 300:
		return "is allowed, but must not be"
	case cell == nothing && !refusal:
		return ""
	case cell == nothing:
		return "is denied, but nothing is there"
	default:
		return got.refused(r.op, p == anonymous, cell == refused)
	}
}

// TestMatrix performs every operation as every persona, each in a community of
// its own.
func TestMatrix(t *testing.T) {
	rows := readMatrix(t)
	complete(t, rows)
	url := pgtest.URL(t)
	n := startNode(t, "--database-url", url)
	g := newStage(t, url, n)
	t.Run("rows", func(t *testing.T) {
		for _, r := range rows {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				var all sync.WaitGroup
				for i := range personas {
					all.Go(func() { r.check(t, g, i) })
				}
				all.Wait()
			})
		}
	})
	for _, line := range n.problems() {
		t.Errorf("server logged %s", line)
	}
}

// TestMatrixNative performs the rows over the native websocket, as those
// personas that differ most: what REST refuses is refused there.
func TestMatrixNative(t *testing.T) {
	rows := readMatrix(t)
	url := pgtest.URL(t)
	n := startNode(t, "--database-url", url)
	g := newStage(t, url, n)
	t.Run("rows", func(t *testing.T) {
		for _, r := range rows {
			if r.restOnly() {
				continue
			}
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				for i, p := range personas {
					if strings.IndexByte("OAmnt", p.letter) < 0 {
						continue
					}
					s := g.newScene(t, p)
					got := call{r.op, s.fill(t, r.request)}.native(t, n, s.token)
					if wrong := r.judge(i, got); wrong != "" {
						t.Errorf("%s as %s %s: %s", r.name, p.name, wrong, got)
					}
				}
			})
		}
	})
}

// restOnly rows are streams of bytes and have no other form; and two end the
// socket before it is answered.
func (r row) restOnly() bool {
	return r.op.RESTOnly || r.op == &protocol.SessionLogout.Operation || r.op == &protocol.AccountDelete.Operation
}

// TestMatrixOnTwoNodes performs what is allowed through each of two nodes: for
// about half of the scenes the owner of the state is on the other one.
func TestMatrixOnTwoNodes(t *testing.T) {
	rows := readMatrix(t)
	url := pgtest.URL(t)
	nodes := startCluster(t, url, 2)
	g := newStage(t, url, nodes...)
	t.Run("rows", func(t *testing.T) {
		for _, r := range rows {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				for _, p := range r.allowed() {
					for i, n := range nodes {
						if got := r.try(t, g, n, p); got.status != r.status {
							t.Errorf("%s as %s through node %d: %s", r.name, p.name, i, got)
						}
					}
				}
			})
		}
	})
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}
