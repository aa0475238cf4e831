package main

import (
	"bufio"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// eventsFile lists the changes that nobody hears of, and why.
const eventsFile = "testdata/events.txt"

// silence is what may stay stale after a row: "viewer:view", with * for all.
type silence map[string][]string

func readSilence(t *testing.T, rows []row) silence {
	t.Helper()
	f, err := os.Open(eventsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list := silence{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text, reason, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		switch {
		case len(fields) == 0:
			continue
		case len(fields) != 2 || strings.TrimSpace(reason) == "":
			t.Errorf("%s: %q is not two words and a reason", eventsFile, lines.Text())
			continue
		case !slices.ContainsFunc(rows, func(r row) bool { return r.name == fields[0] }):
			t.Errorf("%s: no line of the matrix is called %s", eventsFile, fields[0])
		}
		list[fields[0]] = append(list[fields[0]], strings.Split(fields[1], ",")...)
	}
	return list
}

// skips reports whether the row is none of the test's business.
func (l silence) skips(r row) bool { return slices.Contains(l[r.name], "skip") }

func (l silence) covers(r row, actor persona, viewer, view string) bool {
	if viewer == "me" && actor.community == "" && view != "mine" && view != "me" {
		return true // who is no member sits in no room of the community, whatever he may do there
	}
	for _, allowed := range l[r.name] {
		who, what, _ := strings.Cut(allowed, ":")
		if (who == "*" || who == viewer) && (what == "*" || what == view) {
			return true
		}
	}
	return false
}

// play is a scene with an audience: the actor, a member who looks on, the one
// that is acted upon, and an outsider. Each is connected to one of two nodes.
type play struct {
	g         *stage
	scene     *scene
	elsewhere *scene // where the outsider lives
	fences    []*scene
	viewers   []*viewer
}

func newPlay(t *testing.T, g *stage, actor persona) *play {
	t.Helper()
	p := &play{g: g, scene: g.newScene(t, actor), elsewhere: g.newScene(t, personaOf('m'))}
	// Everybody is in a community in which a last word can be said: what was sent
	// before has arrived when it is heard. The outsider shares none with the others.
	p.fences = []*scene{g.newScene(t, personaOf('m')), p.elsewhere}
	audience := []string{"me", "target", "witness", "stranger"}
	for _, name := range audience {
		p.fences[0].admit(t, p.scene.id(name))
	}
	for i, name := range audience {
		token := p.scene.token
		if name != "me" {
			token = g.token(t, p.scene.id(name), newID())
		}
		p.viewers = append(p.viewers, watch(t, name, g.nodes[i%len(g.nodes)], p.scene, token))
	}
	p.viewers = append(p.viewers, watch(t, "outsider", g.nodes[0], p.scene, p.elsewhere.token))
	return p
}

// lastWord says something in the communities of the fence and waits until
// everybody still connected has heard it.
func (p *play) lastWord(t *testing.T, n *node) {
	t.Helper()
	for _, f := range p.fences {
		if err := n.api().As(f.token).Call(within(t), "POST", "/api/messages", load.Body(f.vars["second"], "last word"), nil); err != nil {
			t.Fatalf("last word: %v", err)
		}
	}
	for _, v := range p.viewers {
		await(t, v.name+" hears the last word", func() bool {
			v.mu.Lock()
			defer v.mu.Unlock()
			return v.gone() || slices.ContainsFunc(v.events, p.isLastWord)
		})
	}
}

func (p *play) isLastWord(e heard) bool {
	return slices.ContainsFunc(p.fences, func(f *scene) bool { return strings.Contains(string(e.payload), f.vars["second"]) })
}

// verify acts and holds every model against a fresh snapshot.
func (p *play) verify(t *testing.T, n *node, quiet func(viewer, view string) bool, act func()) {
	t.Helper()
	act()
	p.lastWord(t, n)
	for _, v := range p.viewers {
		if v.name == "outsider" {
			for _, e := range v.take() {
				if !p.isLastWord(e) {
					t.Errorf("the outsider heard %s %s", e.name, e.payload)
				}
			}
		}
		if v.gone() {
			continue
		}
		v.settle(t, func(view string) bool { return quiet(v.name, view) })
	}
}

// TestEvents performs every row that changes something, as the community's
// admin or, if he may not, somebody else who may: everybody who looks on must
// show what a fresh client would, and outsiders hear nothing. Clients are on
// two nodes, and the action takes place on one of them.
func TestEvents(t *testing.T) {
	rows := readMatrix(t)
	quiet := readSilence(t, rows)
	url := pgtest.URL(t)
	nodes := startCluster(t, url, 2)
	g := newStage(t, url, nodes...)
	t.Run("rows", func(t *testing.T) {
		for i, r := range rows {
			actors := r.allowed()
			if r.op.Method == http.MethodGet || len(actors) == 0 || r.status >= 300 || quiet.skips(r) {
				continue
			}
			actor := actors[0]
			if slices.Contains(actors, personaOf('A')) {
				actor = personaOf('A')
			}
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				p := newPlay(t, g, actor)
				n := nodes[i%2]
				p.verify(t, n, func(viewer, view string) bool { return quiet.covers(r, actor, viewer, view) }, func() {
					if got := (call{r.op, p.scene.fill(t, r.request)}).send(t, n, p.scene.token); got.status != r.status {
						t.Errorf("%s as %s: %s", r.name, actor.name, got)
					}
				})
			})
		}
	})
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}
