package main

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// ear is a client that notes what it hears.
type ear struct {
	t    *testing.T
	name string
	id   string
	api  load.API
	sock *load.Socket

	mu    sync.Mutex
	heard []heard
}

func hear(t *testing.T, name, id, token string, n *node) *ear {
	t.Helper()
	e := &ear{t: t, name: name, id: id, api: n.api().As(token)}
	var err error
	e.sock, err = load.Dial(within(t), n.addr, load.Options{Token: token, OnEvent: func(name string, payload json.RawMessage) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.heard = append(e.heard, heard{name, slices.Clone(payload)})
	}})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(e.sock.Close)
	return e
}

// until waits for an event with a text in its payload and returns the names of
// all events up to it.
func (e *ear) until(event, text string) (names []string) {
	e.t.Helper()
	await(e.t, e.name+" hears "+event+" "+text, func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for i, h := range e.heard {
			if h.name != event || !containsText(h.payload, text) {
				continue
			}
			for _, h := range e.heard[:i+1] {
				names = append(names, h.name)
			}
			e.heard = e.heard[i+1:]
			return true
		}
		return false
	})
	return names
}

func containsText(payload json.RawMessage, text string) bool {
	return text == "" || len(payload) > 0 && slices.Contains(words(string(payload)), text)
}

// words are the strings of a JSON text.
func words(text string) (list []string) {
	start := -1
	for i := range len(text) {
		switch {
		case text[i] != '"':
		case start < 0:
			start = i + 1
		default:
			list = append(list, text[start:i])
			start = -1
		}
	}
	return list
}

func (e *ear) call(method, path string, body any, reply any) {
	e.t.Helper()
	if err := e.api.Call(within(e.t), method, path, body, reply); err != nil {
		e.t.Fatalf("%s: %v", e.name, err)
	}
}

func (e *ear) say(channel, text string) {
	e.t.Helper()
	e.call("POST", "/api/messages", load.Body(channel, text), nil)
}

// TestWhoHearsWhat follows members in and out of private channels and
// communities, everybody on another node than the one before.
func TestWhoHearsWhat(t *testing.T) {
	nodes := startCluster(t, pgtest.NewServer(t).URL(), 2)
	ctx := within(t)
	setup, err := nodes[0].api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	owner := hear(t, "owner", setup.UserID, setup.Token, nodes[0])
	people := map[string]*ear{}
	for i, name := range []string{"alice", "bob", "outsider"} {
		code := setup.Invite
		if name == "outsider" {
			code = outsiderInvite(t, owner.api)
		}
		id, token, err := nodes[1].api().Register(ctx, name, code)
		if err != nil {
			t.Fatal(err)
		}
		people[name] = hear(t, name, id, token, nodes[(i+1)%2])
	}
	alice, bob, outsider := people["alice"], people["bob"], people["outsider"]
	quiet := func(e *ear, names []string, unwanted ...string) {
		t.Helper()
		for _, n := range names {
			if slices.Contains(unwanted, n) {
				t.Errorf("%s heard %s among %v", e.name, n, names)
			}
		}
	}

	var news struct{ ID string }
	owner.call("POST", "/api/channels", map[string]any{"name": "news", "communityId": setup.Community, "type": "TEXT", "isPrivate": false}, &news)
	for _, e := range []*ear{owner, alice, bob} {
		e.until("channelCreated", news.ID)
	}
	owner.say(news.ID, "for all")
	for _, e := range []*ear{alice, bob} {
		e.until("newMessage", "for all")
	}

	// Private: the others hear that it is gone, and nothing from inside.
	owner.call("PATCH", "/api/channels/"+news.ID, map[string]any{"isPrivate": true, "name": "secret news"}, nil)
	owner.say(news.ID, "for a few")
	owner.say(setup.General, "fence 1")
	for _, e := range []*ear{alice, bob} {
		quiet(e, e.until("channelDeleted", news.ID), "channelUpdated", "newMessage")
		names := e.until("newMessage", "fence 1")
		quiet(e, names[:len(names)-1], "channelUpdated", "newMessage")
	}
	for _, e := range []*ear{alice, bob} {
		if err := e.api.Call(ctx, "POST", "/api/messages", load.Body(news.ID, "x"), nil); status(err) != 403 {
			t.Errorf("%s speaks in a channel that is private now: %v", e.name, err)
		}
	}
	owner.until("newMessage", "for a few")

	// Let in: alice alone.
	owner.call("POST", "/api/channel-membership", map[string]any{"userId": alice.id, "channelId": news.ID}, nil)
	alice.until("channelCreated", news.ID)
	alice.say(news.ID, "thanks")
	owner.say(setup.General, "fence 2")
	alice.until("newMessage", "thanks")
	names := bob.until("newMessage", "fence 2")
	quiet(bob, names[:len(names)-1], "channelCreated", "channelUpdated", "newMessage")

	// Out of the community: told, and deaf from then on.
	owner.call("DELETE", "/api/membership/community/"+setup.Community+"/user/"+alice.id, nil, nil)
	alice.until("userKicked", alice.id)
	bob.until("userKicked", alice.id)
	for _, channel := range []string{setup.General, news.ID} {
		if err := alice.api.Call(ctx, "POST", "/api/messages", load.Body(channel, "x"), nil); status(err) != 403 {
			t.Errorf("alice speaks after she was removed: %v", err)
		}
	}
	owner.say(setup.General, "without alice")
	bob.until("newMessage", "without alice")

	// The end of the community.
	owner.call("POST", "/api/membership", map[string]any{"userId": outsider.id, "communityId": setup.Community}, nil)
	outsider.until("memberAddedToCommunity", setup.Community)
	owner.call("DELETE", "/api/community/"+setup.Community, nil, nil)
	for _, e := range []*ear{owner, bob, outsider} {
		e.until("communityDeleted", setup.Community)
	}
	for _, e := range []*ear{owner, bob} {
		if err := e.api.Call(ctx, "POST", "/api/messages", load.Body(setup.General, "x"), nil); status(err) != 403 && status(err) != 404 {
			t.Errorf("%s speaks in a community that is gone: %v", e.name, err)
		}
	}
	alice.mu.Lock()
	defer alice.mu.Unlock()
	for _, h := range alice.heard {
		if h.name == "communityDeleted" || h.name == "newMessage" {
			t.Errorf("alice, who is no member, heard %s %s", h.name, h.payload)
		}
	}
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("server logged %s", line)
		}
	}
}
