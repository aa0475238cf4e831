package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// TestClients drives three nodes with the stock client: two of the three users
// are on different nodes, everything they do must reach the others once and in
// the same order.
func TestClients(t *testing.T) {
	nodes := startCluster(t, pgtest.NewServer(t).URL(), 3)
	ctx := within(t)
	owner, err := nodes[0].api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	type user struct{ id, token string }
	users := map[string]user{"owner": {owner.UserID, owner.Token}}
	for _, name := range []string{"alice", "bob", "outsider"} {
		code := owner.Invite
		if name == "outsider" {
			code = outsiderInvite(t, nodes[0].api().As(owner.Token))
		}
		id, token, err := nodes[1].api().Register(ctx, name, code)
		if err != nil {
			t.Fatal(err)
		}
		users[name] = user{id, token}
	}

	d := startDriver(t)
	if r := d.connect("nobody", nodes[2], "not.a.token"); r.Error != "AUTH_FAILED" {
		t.Errorf("a bad token is refused with %q", r.Error)
	}
	d.online("owner", nodes[0], users["owner"].token)
	d.online("alice", nodes[1], users["alice"].token)
	d.online("bob", nodes[2], users["bob"].token)
	everybody := []string{"owner", "alice", "bob"}

	t.Run("presence", func(t *testing.T) {
		d.expect("owner", "userOnline", len(d.seen("owner", "userOnline")))
		await(t, "owner hears of alice and bob", func() bool {
			return online(t, d.seen("owner", "userOnline"), users["alice"].id) == 1 &&
				online(t, d.seen("owner", "userOnline"), users["bob"].id) == 1
		})
		// A second connection says nothing, nor does its end.
		d.online("bob2", nodes[0], users["bob"].token)
		d.close("bob2")
		mark := send(t, d, "alice", owner.General, "after the second connection")
		for _, s := range everybody { // or the next test would count it
			awaitMessage(t, d, s, mark)
		}
		if n := online(t, d.seen("owner", "userOnline"), users["bob"].id); n != 1 {
			t.Errorf("bob came online %d times for owner", n)
		}
		if n := len(d.seen("owner", "userOffline")); n != 0 {
			t.Errorf("%d users went offline", n)
		}
	})

	t.Run("messages", func(t *testing.T) {
		before := map[string]int{}
		for _, s := range everybody {
			before[s] = len(d.seen(s, "newMessage"))
		}
		var ids []string
		for i := range 30 {
			ids = append(ids, send(t, d, everybody[i%3], owner.General, fmt.Sprint("message ", i)))
		}
		for _, s := range everybody {
			list := d.expect(s, "newMessage", before[s]+30)[before[s]:]
			for i, e := range list {
				if got := messageID(t, e); got != ids[i] {
					t.Fatalf("%s: event %d is message %s, want %s", s, i, got, ids[i])
				}
			}
		}
		history, err := nodes[1].api().As(users["bob"].token).History(ctx, owner.General)
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range ids {
			if got := history[len(ids)-1-i].ID; got != id {
				t.Errorf("history differs from the events at %d: %s, want %s", i, got, id)
			}
		}
	})

	t.Run("order under concurrency", func(t *testing.T) {
		before := map[string]int{}
		for _, s := range everybody {
			before[s] = len(d.seen(s, "newMessage"))
		}
		done := make(chan struct{})
		for _, s := range everybody {
			go func() {
				defer func() { done <- struct{}{} }()
				for i := range 20 {
					d.ask(s, "sendMessage", load.Body(owner.General, fmt.Sprint(s, " ", i)))
				}
			}()
		}
		for range everybody {
			<-done
		}
		want := order(t, d.expect("owner", "newMessage", before["owner"]+60)[before["owner"]:])
		for _, s := range everybody[1:] {
			got := order(t, d.expect(s, "newMessage", before[s]+60)[before[s]:])
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s and owner saw different orders", s)
			}
		}
	})

	t.Run("edit, reaction, delete", func(t *testing.T) {
		id := send(t, d, "alice", owner.General, "to be changed")
		bob, alice := nodes[2].api().As(users["bob"].token), nodes[0].api().As(users["alice"].token)
		change := map[string]any{"spans": []map[string]string{{"type": "PLAINTEXT", "text": "changed"}}, "attachments": []string{}}
		if err := bob.Call(ctx, "PATCH", "/api/messages/"+id, change, nil); status(err) != 403 {
			t.Errorf("bob edits alice's message: %v", err)
		}
		if err := alice.Call(ctx, "PATCH", "/api/messages/"+id, change, nil); err != nil {
			t.Error(err)
		}
		d.emit("bob", "addReaction", map[string]string{"messageId": id, "emoji": "👍"})
		for _, s := range everybody {
			var u struct{ Message load.Message }
			d.expect(s, "updateMessage", 1)[0].arg(t, &u)
			if u.Message.Text() != "changed" {
				t.Errorf("%s sees %q", s, u.Message.Text())
			}
			var r struct {
				Reaction struct {
					Emoji   string
					UserIDs []string
				}
			}
			d.expect(s, "reactionAdded", 1)[0].arg(t, &r)
			if r.Reaction.Emoji != "👍" || len(r.Reaction.UserIDs) != 1 || r.Reaction.UserIDs[0] != users["bob"].id {
				t.Errorf("%s sees reaction %+v", s, r)
			}
		}
		d.emit("bob", "removeReaction", map[string]string{"messageId": id, "emoji": "👍"})
		d.expect("owner", "reactionRemoved", 1)
		if err := bob.Call(ctx, "DELETE", "/api/messages/"+id, nil, nil); status(err) != 403 {
			t.Errorf("bob deletes alice's message: %v", err)
		}
		if err := alice.Call(ctx, "DELETE", "/api/messages/"+id, nil, nil); err != nil {
			t.Error(err)
		}
		for _, s := range everybody {
			d.expect(s, "deleteMessage", 1)
		}
	})

	t.Run("REST sends emit", func(t *testing.T) {
		before := len(d.seen("bob", "newMessage"))
		if err := nodes[0].api().As(users["alice"].token).Call(ctx, "POST", "/api/messages", load.Body(owner.General, "by REST"), nil); err != nil {
			t.Fatal(err)
		}
		d.expect("bob", "newMessage", before+1)
	})

	t.Run("typing", func(t *testing.T) {
		d.emit("alice", "typingStart", map[string]string{"channelId": owner.General})
		d.expect("owner", "userTyping", 1)
		d.expect("bob", "userTyping", 1)
		awaitMessage(t, d, "alice", send(t, d, "bob", owner.General, "after typing"))
		if n := len(d.seen("alice", "userTyping")); n != 0 {
			t.Errorf("typing was echoed %d times", n)
		}
	})

	t.Run("refusals", func(t *testing.T) {
		d.online("outsider", nodes[1], users["outsider"].token)
		d.unacked("outsider", "sendMessage", load.Body(owner.General, "let me in"))
		var ex struct{ Status, Message string }
		d.expect("outsider", "exception", 1)[0].arg(t, &ex)
		if ex.Status != "error" || ex.Message != "Forbidden resource" {
			t.Errorf("exception %+v", ex)
		}
		d.unacked("alice", "sendMessage", map[string]any{"channelId": owner.General, "spans": []any{}, "attachments": []any{}})
		var fields []struct{ Property string }
		d.expect("alice", "exception", 1)[0].arg(t, &fields)
		if len(fields) != 1 || fields[0].Property != "spans" {
			t.Errorf("validation exception %+v", fields)
		}
	})

	t.Run("sockets close", func(t *testing.T) {
		if err := nodes[1].api().As(users["alice"].token).Call(ctx, "POST", "/api/auth/logout", nil, nil); err != nil {
			t.Fatal(err)
		}
		d.expect("alice", "$disconnect", 1)
		if r := d.connect("alice2", nodes[2], users["alice"].token); r.Error != "AUTH_FAILED" {
			t.Errorf("a logged-out token connects: %+v", r)
		}
		ban := map[string]bool{"banned": true}
		if err := nodes[0].api().As(owner.Token).Call(ctx, "PATCH", "/api/users/admin/"+users["bob"].id+"/ban", ban, nil); err != nil {
			t.Fatal(err)
		}
		d.expect("bob", "$disconnect", 1)
		if r := d.connect("bob3", nodes[0], users["bob"].token); r.Error != "AUTH_FAILED" {
			t.Errorf("a banned user connects: %+v", r)
		}
		await(t, "owner hears that bob is gone", func() bool {
			return online(t, d.seen("owner", "userOffline"), users["bob"].id) == 1
		})
	})

	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}

func outsiderInvite(t *testing.T, owner load.API) string {
	t.Helper()
	var invite struct{ Code string }
	if err := owner.Call(within(t), "POST", "/api/invite", map[string]any{"communityIds": []string{}}, &invite); err != nil {
		t.Fatal(err)
	}
	return invite.Code
}

func send(t *testing.T, d *driver, sock, channel, text string) string {
	t.Helper()
	r := d.ask(sock, "sendMessage", load.Body(channel, text))
	var id string
	if r.NoAck || json.Unmarshal(r.Ack, &id) != nil {
		t.Fatalf("sendMessage of %s: %+v", sock, r)
	}
	return id
}

func messageID(t *testing.T, e event) string {
	t.Helper()
	var m struct{ Message load.Message }
	e.arg(t, &m)
	return m.Message.ID
}

func order(t *testing.T, events []event) []string {
	t.Helper()
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = messageID(t, e)
	}
	return ids
}

func awaitMessage(t *testing.T, d *driver, sock, id string) {
	t.Helper()
	await(t, sock+" sees message "+id, func() bool {
		for _, e := range d.seen(sock, "newMessage") {
			if messageID(t, e) == id {
				return true
			}
		}
		return false
	})
}

// online counts presence events about a user.
func online(t *testing.T, events []event, user string) int {
	t.Helper()
	n := 0
	for _, e := range events {
		var p struct{ UserID string }
		e.arg(t, &p)
		if p.UserID == user {
			n++
		}
	}
	return n
}

func status(err error) int {
	if e, ok := errors.AsType[*load.StatusError](err); ok {
		return e.Status
	}
	return 0
}
