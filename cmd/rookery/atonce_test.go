package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// verdictAtOnce is a change that takes something from the target of a scene.
type verdictAtOnce struct {
	name    string
	op      *protocol.Operation
	request string
	channel string // that the target writes into
	reads   bool   // he still reads
	edits   bool   // and changes what he said: who reads may
}

// Everything that takes the right to write away.
var verdictsAtOnce = []verdictAtOnce{
	{"ban", &protocol.ModerationBan.Operation, `{"communityId":"$community","userId":"$target"}`, "general", false, false},
	{"kick", &protocol.ModerationKick.Operation, `{"communityId":"$community","userId":"$target"}`, "general", false, false},
	{"timeout", &protocol.ModerationTimeout.Operation, `{"communityId":"$community","userId":"$target","durationSeconds":600}`, "general", true, false},
	{"member removed", &protocol.MemberRemove.Operation, `{"communityId":"$community","userId":"$target"}`, "general", false, false},
	{"role taken", &protocol.RoleUnassign.Operation, `{"communityId":"$community","userId":"$target","roleId":"$memberRole"}`, "general", true, true},
	{"role changed", &protocol.RoleUpdate.Operation, `{"communityId":"$community","roleId":"$memberRole","actions":["READ_CHANNEL","READ_MESSAGE"]}`, "general", true, true},
	{"channel private", &protocol.ChannelUpdate.Operation, `{"id":"$second","isPrivate":true}`, "second", false, false},
	{"out of a private channel", &protocol.ChannelMemberRemove.Operation, `{"channelId":"$private","userId":"$target"}`, "private", false, false},
}

// TestRightsEndAtOnce lets a member write as fast as he can, by REST and sockets
// of two nodes, while a moderator takes his right away: what he begins after the
// moderator has his answer is refused, by every way and on every node.
func TestRightsEndAtOnce(t *testing.T) {
	url := pgtest.URL(t)
	nodes := startCluster(t, url, 2)
	g := newStage(t, url, nodes...)
	rounds := 2
	if soak() {
		rounds = 20
	}
	for _, v := range verdictsAtOnce {
		t.Run(v.name, func(t *testing.T) {
			for i := range rounds {
				v.run(t, g, nodes, nodes[i%len(nodes)])
			}
		})
	}
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}

// attempts of a writer: every one knows whether the moderator had his answer
// before it began.
type writer struct {
	over  *atomic.Bool
	after int          // attempts to make once it is over
	early atomic.Int64 // that succeeded before
}

// write repeats an attempt until it was made often enough after the end.
func (w *writer) write(t *testing.T, what string, attempt func() error) {
	for left := w.after; left > 0; {
		late := w.over.Load()
		err := attempt()
		if late {
			left--
		}
		switch {
		case err == nil && late:
			t.Errorf("%s that began after the moderator's answer succeeded", what)
		case err == nil:
			w.early.Add(1)
		}
	}
}

func (v verdictAtOnce) run(t *testing.T, g *stage, nodes []*node, by *node) {
	t.Helper()
	s := g.newScene(t, personaOf('O'))
	token := g.token(t, s.id("target"), newID())
	channel := s.vars[v.channel]
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	own := make([]string, len(nodes))
	for i, n := range nodes {
		var m struct{ ID string }
		if err := n.api().As(token).Call(ctx, "POST", "/api/messages", load.Body(channel, "mine"), &m); err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		own[i] = m.ID
	}
	over := &atomic.Bool{}
	w := &writer{over: over, after: 5}
	var all sync.WaitGroup
	for i, n := range nodes {
		api := n.api().As(token)
		native := dialNative(t, n, token)
		native.until("ready", func(f frame) bool { return f.Ev == "ready" })
		all.Go(func() {
			w.write(t, "a message by REST", func() error { return api.Call(ctx, "POST", "/api/messages", load.Body(channel, "x"), nil) })
		})
		all.Go(func() {
			if v.edits {
				return
			}
			change := map[string]any{"spans": []map[string]string{{"type": "PLAINTEXT", "text": "edited"}}}
			w.write(t, "an edit", func() error { return api.Call(ctx, "PATCH", "/api/messages/"+own[i], change, nil) })
		})
		all.Go(func() {
			w.write(t, "a reaction", func() error {
				return api.Call(ctx, "POST", "/api/messages/reactions", map[string]string{"messageId": own[i], "emoji": "x"}, nil)
			})
		})
		all.Go(func() {
			id := int64(0)
			w.write(t, "a message by the native websocket", func() error {
				id++
				if f := native.call(id, "message.send", load.Body(channel, "x")); f.Err != nil {
					return fmt.Errorf("%s", f.Err.Message)
				}
				return nil
			})
		})
	}
	await(t, "the target writes", func() bool { return w.early.Load() >= int64(6*len(nodes)) })
	if got := (call{v.op, s.fill(t, v.request)}).send(t, by, s.token); got.status != v.op.SuccessStatus() {
		t.Errorf("%s: %s", v.name, got)
	}
	over.Store(true)
	all.Wait()
	for _, n := range nodes {
		err := n.api().As(token).Call(ctx, "POST", "/api/messages", load.Body(channel, "x"), nil)
		if status(err) != 403 || v.name == "timeout" && !strings.Contains(err.Error(), "You are timed out in this community. Time remaining: ") {
			t.Errorf("%s: a message is answered %v", v.name, err)
		}
		_, err = n.api().As(token).History(ctx, channel)
		if (err == nil) != v.reads {
			t.Errorf("%s: the history is answered %v", v.name, err)
		}
	}
}

// TestShownOut: who is banned, kicked or removed hears of it, and nothing more of
// the community, on whatever node he is.
func TestShownOut(t *testing.T) {
	url := pgtest.URL(t)
	nodes := startCluster(t, url, 2)
	g := newStage(t, url, nodes...)
	for _, v := range verdictsAtOnce {
		event := map[string]string{"ban": "userBanned", "kick": "userKicked", "member removed": "userKicked"}[v.name]
		if event == "" {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			p := newPlay(t, g, personaOf('O'))
			if got := (call{v.op, p.scene.fill(t, v.request)}).send(t, nodes[0], p.scene.token); got.status != v.op.SuccessStatus() {
				t.Fatal(got)
			}
			witness := g.token(t, p.scene.id("witness"), newID())
			for _, n := range nodes {
				if err := n.api().As(witness).Call(within(t), "POST", "/api/messages", load.Body(p.scene.vars["general"], "he is gone"), nil); err != nil {
					t.Fatal(err)
				}
			}
			p.lastWord(t, nodes[0])
			for _, viewer := range p.viewers {
				told, messages := 0, 0
				for _, e := range viewer.take() {
					switch {
					case e.name == event:
						told++
					case e.name == "newMessage" && strings.Contains(string(e.payload), "he is gone"):
						messages++
					}
				}
				want := map[string][2]int{"target": {1, 0}, "witness": {1, 2}}
				if w, checked := want[viewer.name]; checked && w != [2]int{told, messages} {
					t.Errorf("%s heard %d %s and %d messages, want %v", viewer.name, told, event, messages, w)
				}
			}
		})
	}
}
