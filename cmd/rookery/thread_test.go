package main

import (
	"cmp"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

func replyTo(parent, text string) map[string]any {
	// Clients send a key that no span has.
	return map[string]any{
		"parentMessageId": parent, "attachments": []string{},
		"spans": []map[string]any{{"type": "PLAINTEXT", "text": text, "channelId": nil}},
	}
}

// TestThreads replies over sockets and REST of two nodes, in a group of direct
// messages: everybody hears it in the same way, and who is refused is told by the
// ack, for which clients wait, and by the exception.
func TestThreads(t *testing.T) {
	url := pgtest.URL(t)
	g := newStage(t, url, startCluster(t, url, 2)...)
	people := newTalkers(t, g, 3)
	ann, bob, cid := people[0], people[1], people[2]
	group := ann.open(t, map[string]any{"userIds": []string{bob.id}}).ID.String()
	parent := ann.say(t, group, "parent")

	ack, err := bob.sock.Ask(within(t), "sendThreadReply", replyTo(parent, "by socket"))
	var bySocket string
	if err == nil {
		err = json.Unmarshal(ack, &bySocket)
	}
	if err != nil {
		t.Fatalf("ack %s: %v", ack, err)
	}
	var byREST protocol.Message
	ann.call(t, "POST", "/api/threads/"+parent+"/replies", replyTo(parent, "by REST"), &byREST)
	for _, k := range []talker{ann, bob} {
		k.until("newThreadReply", bySocket)
		k.until("threadReplyCountUpdated", parent)
		k.until("newThreadReply", byREST.ID.String())
		k.until("threadReplyCountUpdated", parent)
	}
	var page protocol.ThreadPage
	bob.call(t, "GET", "/api/threads/"+parent+"/replies", nil, &page)
	if len(page.Replies) != 2 || page.Replies[0].ID.String() != bySocket || page.Replies[1].ID != byREST.ID {
		t.Errorf("thread %+v", page)
	}
	var about protocol.ThreadMetadata
	ann.call(t, "GET", "/api/threads/"+parent+"/metadata", nil, &about)
	if about.ReplyCount != 2 || about.LastReplyAt == nil || !about.IsSubscribed {
		t.Errorf("metadata %+v", about)
	}
	ann.call(t, "DELETE", "/api/threads/"+parent+"/subscribe", nil, nil)
	ann.call(t, "GET", "/api/threads/"+parent+"/metadata", nil, &about)
	if about.IsSubscribed {
		t.Error("still subscribed")
	}

	for _, c := range []struct {
		who  talker
		to   string
		text string // of the ack
		// of the exception, when it is another: what is no matter of sockets is not told there
		exception string
	}{
		{cid, parent, "Forbidden resource", ""}, {ann, newID().String(), "Forbidden resource", ""},
		{ann, "nope", "Forbidden resource", ""}, {ann, "", "Forbidden resource", ""},
		{ann, bySocket, "Cannot create nested threads", "Internal server error"},
	} {
		ack, err := c.who.sock.Ask(within(t), "sendThreadReply", replyTo(c.to, "x"))
		var refusal struct{ Error string }
		if err == nil {
			err = json.Unmarshal(ack, &refusal)
		}
		if err != nil || refusal.Error != c.text {
			t.Errorf("reply of %s to %q: ack %s, %v", c.who.name, c.to, ack, err)
		}
		c.who.until("exception", cmp.Or(c.exception, "Forbidden resource"))
	}
	cid.refused(t, http.StatusForbidden, "GET", "/api/threads/"+parent+"/replies", nil)
	ann.refused(t, http.StatusBadRequest, "POST", "/api/threads/"+bySocket+"/replies", replyTo(bySocket, "x"))
	ann.refused(t, http.StatusBadRequest, "POST", "/api/threads/"+parent+"/replies", map[string]any{"spans": []any{}})
	ann.refused(t, http.StatusBadRequest, "POST", "/api/threads/"+parent+"/replies", map[string]any{})

	bob.call(t, "DELETE", "/api/messages/"+bySocket, nil, nil)
	for _, k := range []talker{ann, bob} {
		k.until("deleteThreadReply", bySocket)
		k.until("threadReplyCountUpdated", parent)
	}
	var m protocol.Message
	bob.call(t, "GET", "/api/messages/"+parent, nil, &m)
	if m.ReplyCount != 1 {
		t.Errorf("%d replies are counted", m.ReplyCount)
	}
	for _, n := range g.nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}
