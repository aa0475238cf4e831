package main

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// accessFile lists what may be answered although the id is not the caller's.
const accessFile = "testdata/access.txt"

// kinds of ids that are tried in place of a good one.
var kinds = []string{"foreign", "deleted", "unknown", "malformed", "zero", "number", "null", "absent"}

// callers try them: the admin of another community, one of its members, a user
// of no community, and the owner of the instance, for whom only ids of nothing
// are wrong.
var callers = map[string]persona{"admin": personaOf('A'), "member": personaOf('m'), "nobody": personaOf('n'), "owner": personaOf('O')}

// exceptions are the lines of the file: "operation field kinds callers", with *
// for all and the reason behind a #.
type exceptions []*exception

type exception struct {
	row, field, kinds, callers string
	needed                     bool
}

func readExceptions(t *testing.T, rows []row) (list exceptions) {
	t.Helper()
	f, err := os.Open(accessFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text, reason, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		switch {
		case len(fields) == 0:
			continue
		case len(fields) != 4 || strings.TrimSpace(reason) == "":
			t.Errorf("%s: %q is not four words and a reason", accessFile, lines.Text())
			continue
		case !slices.ContainsFunc(rows, func(r row) bool { return r.name == fields[0] }):
			t.Errorf("%s: no line of the matrix is called %s", accessFile, fields[0])
		}
		list = append(list, &exception{fields[0], fields[1], fields[2], fields[3], false})
	}
	return list
}

// of is the exception for an attempt: of its line or of all lines of the
// operation; nil if there is none.
func (l exceptions) of(a attempt) *exception {
	in := func(list, word string) bool { return list == "*" || slices.Contains(strings.Split(list, ","), word) }
	for _, e := range l {
		if (e.row == a.row.name || e.row == a.row.op.Name) && in(e.field, a.field) && in(e.kinds, a.kind) && in(e.callers, a.who) {
			return e
		}
	}
	return nil
}

// attempt is one row with one id replaced.
type attempt struct {
	row   row
	field string // or "all": every id is foreign
	kind  string
	who   string
}

func (a attempt) String() string {
	return fmt.Sprintf("%s with %s %s as %s", a.row.name, a.kind, a.field, a.who)
}

// reference is a value of a request that is a thing of the scene.
var reference = regexp.MustCompile(`"([a-zA-Z]+)":\s*(\[?)"\$([a-zA-Z]+)"`)

// idFields are the fields of a request that name a thing, with its name.
func (r row) idFields() map[string]string {
	fields := map[string]string{}
	for _, m := range reference.FindAllStringSubmatch(r.request, -1) {
		if m[3] != "new" {
			fields[m[1]] = m[3]
		}
	}
	return fields
}

// takes reports whether the kind makes sense for a field: what stands in a path
// or a query is always there and always text, what is optional may be missing.
func (r row) takes(name, kind string) bool {
	if kind != "number" && kind != "null" && kind != "absent" {
		return true
	}
	for i := range r.op.Request().NumField() {
		f := r.op.Request().Field(i)
		if json, _, _ := strings.Cut(f.Tag.Get("json"), ","); json == name {
			return f.Tag.Get("path") == "" && f.Tag.Get("query") == "" && (kind == "number" || !strings.Contains(f.Tag.Get("rule"), "optional"))
		}
	}
	return false
}

// attempts of a row: every field with every kind, and all foreign at once.
func (r row) attempts() (list []attempt) {
	fields := r.idFields()
	for _, who := range slices.Sorted(maps.Keys(callers)) {
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			for _, kind := range kinds {
				if (who != "owner" || kind != "foreign") && r.takes(field, kind) {
					list = append(list, attempt{r, field, kind, who})
				}
			}
		}
		if len(fields) > 1 && who != "owner" {
			list = append(list, attempt{r, "all", "foreign", who})
		}
	}
	return list
}

// access is the theatre of the attempts: a scene for each caller, and the other
// community, which nobody of them has to do with.
type access struct {
	g     *stage
	own   map[string]*scene
	other *scene
	gone  *scene // was there once
}

func newAccess(t *testing.T, g *stage, gone *scene) *access {
	t.Helper()
	a := &access{g: g, own: map[string]*scene{}, other: g.newScene(t, personaOf('A')), gone: gone}
	for who, p := range callers {
		a.own[who] = g.newScene(t, p)
	}
	return a
}

// value is the id that is tried: of what the other scene calls so.
func (a *access) value(try attempt, name string) any {
	switch try.kind {
	case "foreign":
		return a.other.vars[name]
	case "deleted":
		return a.gone.vars[name]
	case "unknown":
		return newID().String()
	case "malformed":
		return "not-a-uuid"
	case "number":
		return 17
	case "null":
		return nil
	default:
		return "00000000-0000-0000-0000-000000000000"
	}
}

// request is what the attempt sends.
func (a *access) request(t *testing.T, try attempt) map[string]any {
	t.Helper()
	input := a.own[try.who].fill(t, try.row.request)
	for field, name := range try.row.idFields() {
		if field != try.field && try.field != "all" {
			continue
		}
		if try.kind == "absent" {
			delete(input, field)
			continue
		}
		if _, list := input[field].([]any); list {
			input[field] = []any{a.value(try, name)}
			continue
		}
		input[field] = a.value(try, name)
	}
	return input
}

// TestObjectAccess tries every id of every request with things that are not the
// caller's: refused, and nothing changes.
func TestObjectAccess(t *testing.T) {
	rows := readMatrix(t)
	except := readExceptions(t, rows)
	url := pgtest.URL(t)
	n := startNode(t, "--database-url", url)
	g := newStage(t, url, n)
	shared := newAccess(t, g, g.goneScene(t, rows))
	before := shared.sums(t)
	for _, r := range rows {
		if r.op.Public && len(r.idFields()) == 0 {
			continue
		}
		changes := false
		for _, try := range r.attempts() {
			at := shared
			excepted := except.of(try)
			if excepted != nil && r.op.Method != http.MethodGet {
				at, changes = newAccess(t, g, shared.gone), true // what it changes must not disturb the others
			}
			got := call{r.op, at.request(t, try)}.send(t, n, at.own[try.who].token)
			switch {
			case got.status == http.StatusNotFound, got.status == http.StatusForbidden, got.status == http.StatusBadRequest:
			case got.status >= 500, excepted == nil:
				t.Errorf("%s: %s", try, got)
			default:
				excepted.needed = true
			}
		}
		if changes {
			before = shared.sums(t)
			continue
		}
		after := shared.sums(t)
		for table, sum := range after {
			if before[table] != sum {
				t.Errorf("%s: refused requests changed %s\n%s", r.name, table, changed(before[table], sum))
			}
		}
		before = after
	}
	for _, e := range except {
		if !e.needed {
			t.Errorf("%s: nothing needs the exception for %s of %s", accessFile, e.field, e.row)
		}
	}
	for _, line := range n.problems() {
		t.Errorf("server logged %s", line)
	}
}

// volatile tables change by themselves.
var volatile = []string{"actor_lease", "goose_db_version"}

// sums are the rows of the tables, but for what is left of the scene that is
// gone: the server removes that little by little.
func (a *access) sums(t *testing.T) map[string]string {
	t.Helper()
	ctx := within(t)
	rows, err := a.g.db.Query(ctx, `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'river%' AND tablename <> ALL ($1)`, volatile)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	batch := &pgx.Batch{}
	sums := map[string]string{}
	for _, table := range tables {
		row := "x::text"
		if table == "app_user" {
			row = "(to_jsonb(x) - 'last_seen')::text" // callers come and go
		}
		batch.Queue(`SELECT ` + row + ` FROM ` + pgx.Identifier{table}.Sanitize() + ` x ORDER BY 1`).Query(func(rows pgx.Rows) error {
			list, err := pgx.CollectRows(rows, pgx.RowTo[string])
			list = slices.DeleteFunc(list, a.leftover)
			sums[table] = strings.Join(list, "\n")
			return err
		})
	}
	if err := a.g.db.SendBatch(ctx, batch).Close(); err != nil {
		t.Fatal(err)
	}
	return sums
}

// leftover reports whether a row is about something of the scene that is gone.
func (a *access) leftover(row string) bool {
	for _, gone := range a.gone.vars {
		if strings.Contains(row, gone) {
			return true
		}
	}
	return false
}

// changed is the rows that only one of two tables has.
func changed(before, after string) string {
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	var lines []string
	for _, row := range was {
		if !slices.Contains(is, row) {
			lines = append(lines, "- "+row)
		}
	}
	for _, row := range is {
		if !slices.Contains(was, row) {
			lines = append(lines, "+ "+row)
		}
	}
	return strings.Join(lines, "\n")
}
