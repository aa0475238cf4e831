package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// talker is somebody with a socket on a node.
type talker struct {
	*ear
	scene *scene
}

// newTalkers connects people who share no community, each to one of the nodes.
func newTalkers(t *testing.T, g *stage, n int) []talker {
	t.Helper()
	list := make([]talker, n)
	for i := range list {
		s := g.newScene(t, personaOf('n'))
		list[i] = talker{hear(t, fmt.Sprint("talker ", i), s.vars["me"], s.token, g.nodes[i%len(g.nodes)]), s}
	}
	return list
}

func (k talker) call(t *testing.T, method, path string, body, reply any) {
	t.Helper()
	if err := k.api.Call(within(t), method, path, body, reply); err != nil {
		t.Fatalf("%s %s as %s: %v", method, path, k.name, err)
	}
}

// refused holds that a request is answered with the status.
func (k talker) refused(t *testing.T, want int, method, path string, body any) {
	t.Helper()
	if err := k.api.Call(within(t), method, path, body, nil); status(err) != want {
		t.Errorf("%s %s as %s: %v, want %d", method, path, k.name, err, want)
	}
}

func directTo(group, text string) map[string]any {
	return map[string]any{
		"directMessageGroupId": group, "attachments": []string{},
		"spans": []map[string]any{{"type": "PLAINTEXT", "text": text}},
	}
}

func (k talker) open(t *testing.T, body map[string]any) protocol.DirectGroup {
	t.Helper()
	var g protocol.DirectGroup
	k.call(t, "POST", "/api/direct-messages", body, &g)
	return g
}

// say sends over the socket and returns the id from the ack.
func (k talker) say(t *testing.T, group, text string) (id string) {
	t.Helper()
	ack, err := k.sock.Ask(within(t), "sendDirectMessage", directTo(group, text))
	if err == nil {
		err = json.Unmarshal(ack, &id)
	}
	if err != nil {
		t.Fatalf("%s sends: %v", k.name, err)
	}
	return id
}

// TestDirectMessages goes through the life of conversations on two nodes:
// members hear each other from the moment of creation on, those who left hear
// nothing, a pair has one conversation, and nobody else is let in.
func TestDirectMessages(t *testing.T) {
	url := pgtest.URL(t)
	g := newStage(t, url, startCluster(t, url, 2)...)
	people := newTalkers(t, g, 4)
	ann, bob, cid, dan := people[0], people[1], people[2], people[3]

	// Concurrent creation by both sides gives one conversation.
	var pairs [8]protocol.DirectGroup
	var all sync.WaitGroup
	for i := range pairs {
		from, to := ann, bob
		if i%2 == 1 {
			from, to = bob, ann
		}
		all.Go(func() { pairs[i] = from.open(t, map[string]any{"userIds": []string{to.id}}) })
	}
	all.Wait()
	pair := pairs[0]
	for _, p := range pairs {
		if p.ID != pair.ID || p.IsGroup || len(p.Members) != 2 || p.LastMessage != nil {
			t.Fatalf("pair %+v", p)
		}
	}
	id := pair.ID.String()
	first := ann.say(t, id, "hello bob")
	ann.until("newDirectMessage", first)
	bob.until("newDirectMessage", first)
	if err := bob.sock.Emit("typingStart", map[string]any{"directMessageGroupId": id}); err != nil {
		t.Fatal(err)
	}
	ann.until("userTyping", id)
	bob.call(t, "POST", "/api/messages/reactions", map[string]any{"messageId": first, "emoji": "👍"}, nil)
	ann.until("reactionAdded", first)
	cid.refused(t, http.StatusForbidden, "GET", "/api/messages/group/"+id, nil)
	cid.refused(t, http.StatusForbidden, "GET", "/api/messages/"+first, nil)
	cid.refused(t, http.StatusForbidden, "POST", "/api/messages", directTo(id, "let me in"))
	owner := g.newScene(t, personaOf('O'))
	if err := g.nodes[0].api().As(owner.token).Call(within(t), "GET", "/api/messages/group/"+id, nil, nil); status(err) != http.StatusForbidden {
		t.Errorf("the owner of the instance reads direct messages: %v", err)
	}

	// Who leaves hears nothing, and is back when the conversation is opened again.
	own := bob.say(t, id, "bob goes")
	bob.call(t, "DELETE", "/api/direct-messages/"+id+"/members/me", nil, nil)
	bob.refused(t, http.StatusForbidden, "POST", "/api/messages", directTo(id, "from outside"))
	bob.refused(t, http.StatusForbidden, "GET", "/api/messages/"+own, nil)
	bob.refused(t, http.StatusForbidden, "DELETE", "/api/messages/"+first, nil)
	bob.refused(t, http.StatusForbidden, "DELETE", "/api/messages/"+newID().String(), nil)
	bob.call(t, "DELETE", "/api/messages/"+own, nil, nil) // what he said is his, here or not
	ann.until("deleteMessage", own)
	bob.refused(t, http.StatusForbidden, "DELETE", "/api/messages/"+own, nil)
	unheard := ann.say(t, id, "bob is gone")
	ann.until("newDirectMessage", unheard)
	again := ann.open(t, map[string]any{"userIds": []string{bob.id}})
	if again.ID != pair.ID || len(again.Members) != 2 {
		t.Errorf("opened again %+v", again)
	}
	third := ann.say(t, id, "bob is back")
	bob.mu.Lock()
	heardIt := slices.ContainsFunc(bob.heard, func(h heard) bool { return containsText(h.payload, unheard) })
	bob.mu.Unlock()
	if heardIt {
		t.Error("who left has heard a message")
	}
	bob.until("newDirectMessage", third)

	// A group: added members hear it, whatever node they are on.
	group := cid.open(t, map[string]any{"userIds": []string{ann.id, cid.id, bob.id}, "name": "three"})
	if !group.IsGroup || len(group.Members) != 3 || group.Name == nil || *group.Name != "three" {
		t.Fatalf("group %+v", group)
	}
	gid := group.ID.String()
	said := ann.say(t, gid, "hi all")
	for _, k := range []talker{ann, bob, cid} {
		k.until("newDirectMessage", said)
	}
	dan.refused(t, http.StatusForbidden, "GET", "/api/direct-messages/"+gid, nil)
	cid.call(t, "POST", "/api/direct-messages/"+gid+"/members", map[string]any{"userIds": []string{dan.id}}, &group)
	if len(group.Members) != 4 || group.LastMessage == nil || group.LastMessage.ID.String() != said {
		t.Errorf("group %+v", group)
	}
	said = bob.say(t, gid, "welcome dan")
	dan.until("newDirectMessage", said)

	// The list is in order of activity.
	var list []protocol.DirectGroup
	ann.call(t, "GET", "/api/direct-messages", nil, &list)
	if len(list) < 2 || list[0].ID != group.ID || list[1].ID != pair.ID || list[1].LastMessage.ID.String() != third || list[1].LastMessage.DirectMessageGroupID == nil {
		t.Errorf("list %+v", list)
	}

	nobody := newID().String()
	for _, c := range []struct {
		status int
		path   string
		body   map[string]any
	}{
		{http.StatusNotFound, "", map[string]any{"userIds": []string{nobody}}},
		{http.StatusBadRequest, "", map[string]any{}},
		{http.StatusBadRequest, "", map[string]any{"userIds": []string{ann.id}, "name": "a\x00b"}},
		{http.StatusNotFound, "/" + gid + "/members", map[string]any{"userIds": []string{nobody}}},
		{http.StatusForbidden, "/" + id + "/members", map[string]any{"userIds": []string{cid.id}}},
	} {
		ann.refused(t, c.status, "POST", "/api/direct-messages"+c.path, c.body)
	}

	// The last to leave takes the group with him; a pair begins a new one.
	for _, k := range []talker{ann, bob} {
		k.call(t, "DELETE", "/api/direct-messages/"+id+"/members/me", nil, nil)
	}
	if fresh := bob.open(t, map[string]any{"userIds": []string{ann.id}}); fresh.ID == pair.ID || fresh.LastMessage != nil {
		t.Errorf("after everybody left: %+v", fresh)
	}
	g.purge(t)
	var left int
	if err := g.db.QueryRow(within(t), `SELECT count(*) FROM message WHERE direct_message_group_id = $1`, pair.ID).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d messages of a group without members are kept: %v", left, err)
	}
	for _, n := range g.nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}

// TestDirectRightsEndAtOnce writes as fast as it can, through both nodes, while
// the right to do so ends: what begins after the answer is refused.
func TestDirectRightsEndAtOnce(t *testing.T) {
	url := pgtest.URL(t)
	g := newStage(t, url, startCluster(t, url, 2)...)
	for name, end := range map[string]func(t *testing.T, writer, other talker, group string){
		"left": func(t *testing.T, writer, _ talker, group string) {
			writer.call(t, "DELETE", "/api/direct-messages/"+group+"/members/me", nil, nil)
		},
		"blocked": func(t *testing.T, writer, other talker, _ string) {
			other.call(t, "POST", "/api/users/block/"+writer.id, nil, nil)
		},
		"blocks": func(t *testing.T, writer, other talker, _ string) {
			writer.call(t, "POST", "/api/users/block/"+other.id, nil, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			people := newTalkers(t, g, 2)
			group := people[0].open(t, map[string]any{"userIds": []string{people[1].id}}).ID.String()
			w := &writer{over: &atomic.Bool{}, after: 5}
			var all sync.WaitGroup
			for _, n := range g.nodes {
				api := n.api().As(people[0].scene.token)
				all.Go(func() {
					w.write(t, "a message", func() error { return api.Call(within(t), "POST", "/api/messages", directTo(group, "x"), nil) })
				})
			}
			await(t, "messages pass", func() bool { return w.early.Load() > 4 })
			end(t, people[0], people[1], group)
			w.over.Store(true)
			all.Wait()
			if name != "left" { // nor can they begin anew
				people[1].refused(t, http.StatusForbidden, "POST", "/api/direct-messages", map[string]any{"userIds": []string{people[0].id}})
				people[1].refused(t, http.StatusForbidden, "POST", "/api/messages", directTo(group, "x"))
			}
		})
	}
}

// TestDeletedAccountLeavesDirectMessages: what he said stays, without his name,
// and the others go on.
func TestDeletedAccountLeavesDirectMessages(t *testing.T) {
	url := pgtest.URL(t)
	g := newStage(t, url, startCluster(t, url, 2)...)
	people := newTalkers(t, g, 2)
	group := people[0].open(t, map[string]any{"userIds": []string{people[1].id}}).ID.String()
	said := people[1].say(t, group, "goodbye")
	people[0].until("newDirectMessage", said)
	owner := g.newScene(t, personaOf('O'))
	if err := g.nodes[0].api().As(owner.token).Call(within(t), "DELETE", "/api/users/admin/"+people[1].id, nil, nil); err != nil {
		t.Fatal(err)
	}
	var m protocol.Message
	people[0].call(t, "GET", "/api/messages/"+said, nil, &m)
	if m.AuthorID != nil {
		t.Errorf("the message still is %v's", m.AuthorID)
	}
	var d protocol.DirectGroup
	people[0].call(t, "GET", "/api/direct-messages/"+group, nil, &d)
	if len(d.Members) != 1 {
		t.Errorf("members %+v", d.Members)
	}
	people[0].say(t, group, "alone")
}
