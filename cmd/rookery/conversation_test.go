package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// Bounds of a round: a page of the model holds all messages of a channel.
const (
	roundBursts = 3
	burstSteps  = 8 // of each of three people
	maxRound    = 36
)

// round is a community in which three people, on two nodes, do things to messages
// at the same time.
type round struct {
	t       *testing.T
	g       *stage
	s       *scene
	nodes   []*node
	people  []string
	tokens  map[string]string
	viewers []*viewer
	steps   atomic.Int64

	mu      sync.Mutex
	sent    map[string][]string // channel -> messages
	replies map[string][]string // channel -> replies
}

var roundWords = []string{"alpha", "beta", "gamma", "alphabet", "東京"}

func newRound(t *testing.T, g *stage, nodes []*node) *round {
	t.Helper()
	c := &round{
		t: t, g: g, s: g.newScene(t, personaOf('A')), nodes: nodes, people: []string{"me", "target", "witness"},
		tokens: map[string]string{}, sent: map[string][]string{}, replies: map[string][]string{},
	}
	for i, name := range c.people {
		c.tokens[name] = g.token(t, c.s.id(name), newID())
		c.viewers = append(c.viewers, watch(t, name, nodes[i%len(nodes)], c.s, c.tokens[name]))
	}
	for _, name := range []string{"message", "own", "pinned", "reacted"} {
		c.sent[c.s.vars["general"]] = append(c.sent[c.s.vars["general"]], c.s.vars[name])
	}
	return c
}

// file stores the row of an upload.
func (c *round) file(who string) string {
	id := newID()
	_, err := c.g.db.Exec(within(c.t), `INSERT INTO file (id, filename, mime_type, file_type, size, checksum, uploaded_by, resource_type, storage_path)
		VALUES ($1, 'f.png', 'image/png', 'IMAGE', 0, 'x', $2, 'MESSAGE_ATTACHMENT', $3)`, id, c.s.id(who), id.String())
	if err != nil {
		c.t.Error(err)
	}
	return id.String()
}

// step does something as somebody, through one of the nodes.
func (c *round) step(random *rand.Rand, who string) {
	c.steps.Add(1)
	api := c.nodes[random.IntN(len(c.nodes))].api().As(c.tokens[who])
	channel := c.s.vars[[]string{"general", "private"}[random.IntN(2)]]
	if who == "target" {
		channel = c.s.vars["general"]
	}
	c.mu.Lock()
	ids, replies := c.sent[channel], c.replies[channel]
	full, threaded := len(ids) >= maxRound, len(replies) >= maxRound
	parent, message := c.s.vars["message"], "" // the thread that everybody has open
	if len(ids) > 0 {
		message = ids[random.IntN(len(ids))]
	}
	if channel != c.s.vars["general"] || random.IntN(3) == 0 {
		parent = message
	}
	if len(replies) > 0 && random.IntN(3) == 0 {
		message = replies[random.IntN(len(replies))]
	}
	c.mu.Unlock()
	text := roundWords[random.IntN(len(roundWords))] + " " + roundWords[random.IntN(len(roundWords))]
	spans := []map[string]string{{"type": "PLAINTEXT", "text": text}}
	if random.IntN(4) == 0 {
		named := c.people[random.IntN(len(c.people))]
		spans = append(spans, map[string]string{"type": "USER_MENTION", "text": "@" + named, "userId": c.s.vars[named]})
	}
	emoji := map[string]string{"messageId": message, "emoji": []string{"👍", "🎉"}[random.IntN(2)]}
	call := func(method, path string, body, reply any) {
		err := api.Call(within(c.t), method, path, body, reply)
		if code := status(err); err != nil && code != 400 && code != 403 && code != 404 && code != 409 {
			c.t.Errorf("%s: %s %s: %v", who, method, path, err)
		}
	}
	send := func(path string, into map[string][]string, body map[string]any) {
		body["spans"], body["attachments"], body["pendingAttachments"] = spans, []string{}, random.IntN(3)
		if random.IntN(4) == 0 {
			body["attachments"] = []string{c.file(who)}
		}
		var m struct{ ID string }
		if call("POST", path, body, &m); m.ID != "" {
			c.mu.Lock()
			into[channel] = append(into[channel], m.ID)
			c.mu.Unlock()
		}
	}
	n := random.IntN(26)
	if message == "" {
		n = 0
	}
	switch n {
	case 0, 1, 2, 3, 4, 5:
		if !full {
			send("/api/messages", c.sent, map[string]any{"channelId": channel})
		}
	case 6, 7, 8:
		call("PATCH", "/api/messages/"+message, map[string]any{"spans": spans}, nil)
	case 9:
		call("PATCH", "/api/messages/"+message, map[string]any{"attachments": []string{c.file(who)}}, nil)
	case 10, 11:
		call("DELETE", "/api/messages/"+message, nil, nil)
	case 12:
		call("DELETE", "/api/moderation/message/"+message, nil, nil)
	case 13, 14:
		call("POST", "/api/messages/reactions", emoji, nil)
	case 15:
		call("DELETE", "/api/messages/reactions", emoji, nil)
	case 16:
		call("POST", "/api/moderation/pin/"+message, nil, nil)
	case 17:
		call("DELETE", "/api/moderation/pin/"+message, nil, nil)
	case 18:
		call("POST", "/api/messages/"+message+"/attachments", map[string]any{"fileId": c.file(who)}, nil)
	case 19:
		call("POST", "/api/messages/"+message+"/attachments", map[string]any{}, nil)
	case 20, 21, 22, 23:
		if !threaded {
			send("/api/threads/"+parent+"/replies", c.replies, map[string]any{})
		}
	case 24:
		call("POST", "/api/threads/"+parent+"/subscribe", nil, nil)
	default:
		call("DELETE", "/api/threads/"+parent+"/subscribe", nil, nil)
	}
}

// burst lets everybody act at the same time.
func (c *round) burst(random *rand.Rand) {
	var all sync.WaitGroup
	for _, who := range c.people {
		own := rand.New(rand.NewPCG(random.Uint64(), 0)) //nolint:gosec // a test
		all.Go(func() {
			for range burstSteps {
				c.step(own, who)
			}
		})
	}
	all.Wait()
}

// settle waits until everybody has heard everything, and holds what he shows
// against what a fresh client gets.
func (c *round) settle() {
	c.t.Helper()
	var m struct{ ID string }
	if err := c.nodes[0].api().As(c.tokens["me"]).Call(within(c.t), "POST", "/api/messages", load.Body(c.s.vars["general"], "fence"), &m); err != nil {
		c.t.Fatal(err)
	}
	for i := range c.viewers {
		await(c.t, c.viewers[i].name+" hears the fence", func() bool {
			v := c.viewers[i]
			if v.gone() { // sent away, so that he looks again
				c.reconnect(i, c.nodes[0])
				return true
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			return slices.ContainsFunc(v.events, func(e heard) bool { return e.name == "newMessage" && strings.Contains(string(e.payload), m.ID) })
		})
		v := c.viewers[i]
		v.settle(c.t, func(string) bool { return false })
		c.search(v)
		c.around(v)
	}
}

// shown are the messages of a channel as a viewer shows them, newest first.
func (v *viewer) shown(name string) (list []map[string]any) {
	page, _ := v.model[name].(map[string]any)
	messages, _ := page["messages"].([]any)
	for _, m := range messages {
		list = append(list, m.(map[string]any))
	}
	return list
}

// search compares what is found with what is shown, in threads too: whole words
// first, then the newest first.
func (c *round) search(v *viewer) {
	c.t.Helper()
	shown := v.shown("messages")
	for _, id := range c.replies[c.s.vars["general"]] {
		var m map[string]any
		if err := v.api.Call(within(c.t), "GET", "/api/messages/"+id, nil, &m); err == nil {
			shown = append(shown, m)
		} else if code := status(err); code != 403 && code != 404 {
			c.t.Errorf("reply as %s: %v", v.name, err)
		}
	}
	for _, word := range roundWords {
		var found []struct{ ID string }
		if err := v.api.Call(within(c.t), "GET", "/api/messages/search/channel/"+c.s.vars["general"]+"?limit=100&q="+word, nil, &found); err != nil {
			c.t.Errorf("search as %s: %v", v.name, err)
		}
		rank := map[string]string{}
		for _, m := range shown {
			if text, _ := m["searchText"].(string); strings.Contains(text, word) {
				rank[m["id"].(string)] = fmt.Sprint(slices.Contains(strings.Fields(text), word), m["sentAt"])
			}
		}
		got := make([]string, len(found))
		for i := range found {
			got[i] = rank[found[i].ID] // empty: it is not shown
		}
		wanted := slices.Sorted(maps.Values(rank))
		slices.Reverse(wanted)
		if !slices.Equal(got, wanted) {
			c.t.Errorf("%s finds %q in %v, not in %v", v.name, word, found, rank)
		}
	}
}

// around compares the page around a message with what is shown.
func (c *round) around(v *viewer) {
	c.t.Helper()
	shown := v.shown("messages")
	for i := 0; i < len(shown); i += 9 {
		var page struct{ Messages []map[string]any }
		path := fmt.Sprintf("/api/messages/channel/%s/around/%s?limit=7", c.s.vars["general"], shown[i]["id"])
		if err := v.api.Call(within(c.t), "GET", path, nil, &page); err != nil {
			c.t.Errorf("around as %s: %v", v.name, err)
		}
		if want := shown[max(0, i-3):min(len(shown), i+4)]; encoded(page.Messages) != encoded(want) {
			a, b := differing(page.Messages, want)
			c.t.Errorf("around message %d %s has\n%s\nshown is\n%s", i, v.name, a, b)
		}
	}
}

// reconnect ends a client's connection; it comes back on another node and
// fetches everything.
func (c *round) reconnect(i int, n *node) {
	c.t.Helper()
	v := c.viewers[i]
	v.sock.Close()
	c.viewers[i] = watch(c.t, v.name, n, c.s, c.tokens[v.name])
}

// TestConversations lets people do whatever can be done to messages, at the same
// time and on two nodes, of which one is replaced now and then: everybody shows
// what a fresh client does, and finds it. The seed of a failure can be given by
// ROOKERY_SEED.
func TestConversations(t *testing.T) {
	rounds := 2
	if soak() {
		rounds = 60
	}
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("ROOKERY_SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("ROOKERY_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
	url := pgtest.URL(t)
	nodes := startCluster(t, url, 2)
	g := newStage(t, url, nodes...)
	var steps int64
	for i := range rounds {
		c := newRound(t, g, nodes)
		for b := range roundBursts {
			c.burst(random)
			c.settle()
			switch b {
			case 1: // what it owned moves to the other node and, later, back
				if err := nodes[1].stop(); err != nil {
					t.Fatal(err)
				}
				nodes[1].start()
				for _, n := range nodes {
					awaitMembers(t, n, 2)
				}
				for i := range c.viewers {
					if i%2 == 1 {
						c.reconnect(i, nodes[1])
					}
				}
			case 0:
				c.reconnect(random.IntN(len(c.viewers)), nodes[random.IntN(2)])
			}
		}
		for _, v := range c.viewers {
			v.sock.Close()
		}
		steps += c.steps.Load()
		t.Logf("round %d: %d steps, %d messages, %d replies", i+1, steps, len(c.sent[c.s.vars["general"]]), len(c.replies[c.s.vars["general"]]))
		if t.Failed() {
			return
		}
	}
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}
