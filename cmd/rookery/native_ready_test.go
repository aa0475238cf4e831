package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// TestNativeFigures holds that ready tells what receipt.counts does, added up:
// before and after reading, in channels of which the user may not see one, in
// direct messages, whichever node is asked.
func TestNativeFigures(t *testing.T) {
	url := pgtest.URL(t)
	g := newStage(t, url, startCluster(t, url, 2)...)
	s := g.newScene(t, personaOf('m'))
	api := g.nodes[0].api().As(s.token)
	founder := g.nodes[1].api().As(g.token(t, s.id("founder"), newID()))
	target := g.nodes[0].api().As(g.token(t, s.id("target"), newID()))
	send := func(channel string, n int, spans ...map[string]any) (last string) {
		t.Helper()
		for i := range n {
			var m struct{ ID string }
			body := map[string]any{"channelId": s.vars[channel], "attachments": []string{}, "spans": append([]map[string]any{{"type": "PLAINTEXT", "text": fmt.Sprint(i)}}, spans...)}
			if err := founder.Call(within(t), "POST", "/api/messages", body, &m); err != nil {
				t.Fatal(err)
			}
			last = m.ID
		}
		return last
	}
	type figures struct{ unread, mentions int }
	ready := func(n *node, more map[string]any) (community figures, groups map[string]figures, plain bool) {
		t.Helper()
		c := dialNativeWith(t, n, s.token, more)
		defer c.conn.Close()
		var d struct {
			Communities []protocol.CommunityOverview
			DMs         []protocol.GroupOverview
		}
		f := c.until("ready", func(f frame) bool { return f.Ev == "ready" })
		if err := json.Unmarshal(f.D, &d); err != nil || len(d.Communities) != 1 || d.Communities[0].ID.String() != s.vars["community"] {
			t.Fatalf("ready %s", f.D)
		}
		if d.Communities[0].Unread == nil {
			return figures{}, nil, true
		}
		groups = map[string]figures{}
		for _, o := range d.DMs {
			groups[o.ID.String()] = figures{*o.Unread, *o.Mentions}
		}
		return figures{*d.Communities[0].Unread, *d.Communities[0].Mentions}, groups, false
	}
	same := func(when string) (total figures) {
		t.Helper()
		var list []protocol.Unread
		if err := api.Call(within(t), "GET", "/api/read-receipts/unread-counts", nil, &list); err != nil {
			t.Fatal(err)
		}
		wantGroups := map[string]figures{}
		for _, name := range []string{"dm", "pair", "group"} {
			wantGroups[s.vars[name]] = figures{}
		}
		for _, u := range list {
			if u.DirectMessageGroupID != nil {
				wantGroups[u.DirectMessageGroupID.String()] = figures{u.UnreadCount, u.MentionCount}
				continue
			}
			total.unread += min(u.UnreadCount, protocol.MaxOverviewUnread)
			total.mentions += u.MentionCount
		}
		for i, n := range g.nodes {
			got, groups, plain := ready(n, nil)
			if plain || got != total || fmt.Sprint(groups) != fmt.Sprint(wantGroups) {
				t.Errorf("%s, node %d: ready tells %v and %v, receipt.counts %v and %v", when, i, got, groups, total, wantGroups)
			}
		}
		return total
	}
	// Of a thousand and more unread messages a hundred count.
	if _, err := g.db.Exec(within(t), `INSERT INTO message (id, channel_id, seq, author_id, spans)
		SELECT gen_random_uuid(), $1, 100 + i, $2, '[]' FROM generate_series(1, 1200) AS i`, s.id("private"), s.id("target")); err != nil {
		t.Fatal(err)
	}
	before := same("at the beginning")
	if before.unread < protocol.MaxOverviewUnread {
		t.Errorf("%d unread of 1,200 and more", before.unread)
	}
	count := func() (n int) {
		var c struct{ Count int }
		if err := api.Call(within(t), "GET", "/api/notifications/unread-count", nil, &c); err != nil {
			t.Fatal(err)
		}
		return c.Count
	}
	notified := count()
	send("hidden", 2) // which he may not see
	last := send("general", 3, map[string]any{"type": "USER_MENTION", "userId": s.vars["me"]})
	await(t, "he is notified", func() bool { return count() == notified+3 })
	if after := same("after more was said"); after != (figures{before.unread + 3, before.mentions + 3}) {
		t.Errorf("%v after 3 mentions, before %v", after, before)
	}
	if err := target.Call(within(t), "POST", "/api/messages", directTo(s.vars["dm"], "psst"), nil); err != nil {
		t.Fatal(err)
	}
	await(t, "he is notified of it", func() bool { return count() == notified+4 })
	same("after a direct message")
	c := dialNative(t, g.nodes[1], s.token)
	if f := c.call(1, "receipt.mark", map[string]any{"channelId": s.vars["general"], "lastReadMessageId": last}); f.Err != nil {
		t.Fatalf("receipt.mark: %+v", f.Err)
	}
	if read := same("after reading"); read.mentions > before.mentions || read.unread >= before.unread+3 {
		t.Errorf("%v after reading, before anything was said %v", read, before)
	}
	if _, _, plain := ready(g.nodes[0], map[string]any{"figures": false}); !plain {
		t.Error("who wants no figures gets some")
	}
}
