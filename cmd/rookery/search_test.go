package main

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// find searches and returns the texts of what was found, in their order.
func (e *ear) find(where, query string) []string {
	e.t.Helper()
	var found []struct {
		load.Message
		ChannelName string
	}
	e.call("GET", "/api/messages/search/"+where+"?q="+url.QueryEscape(query), nil, &found)
	var texts []string
	for _, m := range found {
		texts = append(texts, m.Text()+m.ChannelName)
	}
	return texts
}

// TestSearch: a message is found as soon as it is acknowledged, as it is now, and
// by those who may read it now, whichever node they ask.
func TestSearch(t *testing.T) {
	nodes := startCluster(t, pgtest.NewServer(t).URL(), 2)
	ctx := within(t)
	setup, err := nodes[0].api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id, token, err := nodes[1].api().Register(ctx, "alice", setup.Invite)
	if err != nil {
		t.Fatal(err)
	}
	owner, alice := hear(t, "owner", setup.UserID, setup.Token, nodes[0]), hear(t, "alice", id, token, nodes[1])
	var secret struct{ ID string }
	owner.call("POST", "/api/channels", map[string]any{"name": "secret", "communityId": setup.Community, "type": "TEXT", "isPrivate": true}, &secret)
	community, general, private := "community/"+setup.Community, "channel/"+setup.General, "channel/"+secret.ID
	want := func(e *ear, where, query string, texts ...string) {
		t.Helper()
		if found := e.find(where, query); !slices.Equal(found, texts) {
			t.Errorf("%s finds %q in %s, not %q", e.name, found, where, texts)
		}
	}

	owner.say(secret.ID, "the Plan of Zoë")
	owner.say(setup.General, "no plan")
	owner.say(setup.General, "planning")
	want(owner, community, "plan", "no plangeneral", "the Plan of Zoësecret", "planninggeneral")
	want(alice, community, "plan", "no plangeneral", "planninggeneral")
	want(owner, private, "zoe", "the Plan of Zoë")
	want(alice, general, " ?")
	want(alice, general, "")
	if err := alice.api.Call(within(t), "GET", "/api/messages/search/"+private+"?q=plan", nil, nil); err == nil {
		t.Error("alice may search what she can't see")
	}

	owner.call("POST", "/api/channel-membership", map[string]any{"userId": id, "channelId": secret.ID}, nil)
	want(alice, community, "zoë", "the Plan of Zoësecret")
	owner.call("DELETE", "/api/channel-membership/channel/"+secret.ID+"/user/"+id, nil, nil)
	want(alice, community, "zoë")

	// More than what is left out of the index.
	for i := range 150 {
		owner.say(setup.General, fmt.Sprint("number ", i))
	}
	want(alice, general, "number 149", "number 149")
	want(alice, general, "nothing")
	history, err := owner.api.History(ctx, setup.General)
	if err != nil || len(history) == 0 {
		t.Fatal(err)
	}
	last, first := history[len(history)-1].ID, history[0].ID
	if history[0].Text() != "number 149" {
		last, first = first, last
	}
	owner.call("PATCH", "/api/messages/"+first, map[string]any{"spans": []any{map[string]any{"type": "PLAINTEXT", "text": "東京タワー"}}}, nil)
	want(alice, general, "number 149")
	want(alice, community, "京", "東京タワーgeneral")
	owner.call("DELETE", "/api/messages/"+first, nil, nil)
	want(alice, community, "京")
	owner.call("DELETE", "/api/moderation/message/"+last, nil, nil)
	want(alice, general, "no plan", "no plan", "planning")
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}
