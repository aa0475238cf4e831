package main

import (
	"fmt"
	"testing"

	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// TestDeletedAliasIsShownNowhere: an old page that was asked for before names the
// group no longer, on the node that owns the channel or through the other one, and
// although only an owner of the instance, who needs no rights, has read it.
func TestDeletedAliasIsShownNowhere(t *testing.T) {
	url := pgtest.URL(t)
	nodes := startCluster(t, url, 2)
	g := newStage(t, url, nodes...)
	s := g.newScene(t, personaOf('O'))
	_, err := g.db.Exec(within(t), `
		INSERT INTO message (id, channel_id, seq, author_id, spans)
		SELECT id, $1, n, $2, ('[{"id":"' || gen_random_uuid() || '","messageId":"' || id || '","position":0,"type":"ALIAS_MENTION","text":"@everyone","userId":null,'
			|| '"specialKind":null,"communityId":null,"aliasId":' || CASE n WHEN 1 THEN '"' || $3::uuid || '"' ELSE 'null' END || '}]')::json
		FROM (SELECT n, gen_random_uuid() AS id FROM generate_series(1, 250) AS n) AS m`, s.id("second"), s.id("target"), s.id("alias"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.db.Exec(within(t), `INSERT INTO message_mention (message_id, alias_id) SELECT id, $2 FROM message WHERE channel_id = $1 AND seq = 1`,
		s.id("second"), s.id("alias"))
	if err != nil {
		t.Fatal(err)
	}
	named := func(n *node) (count int) {
		t.Helper()
		for token := ""; ; {
			var page struct {
				Messages []struct {
					Spans []struct{ AliasID *string }
				}
				ContinuationToken string
			}
			path := fmt.Sprintf("/api/messages/channel/%s?limit=50&continuationToken=%s", s.vars["second"], token)
			if err := n.api().As(s.token).Call(within(t), "GET", path, nil, &page); err != nil {
				t.Fatal(err)
			}
			for _, m := range page.Messages {
				if m.Spans[0].AliasID != nil {
					count++
				}
			}
			if token = page.ContinuationToken; token == "" {
				return count
			}
		}
	}
	for range 2 { // read, and kept
		for _, n := range nodes {
			if got := named(n); got != 1 {
				t.Fatalf("%d messages name the group", got)
			}
		}
	}
	if err := nodes[0].api().As(s.token).Call(within(t), "DELETE", "/api/alias-groups/"+s.vars["alias"], nil, nil); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		await(t, "no page names the group", func() bool { return named(n) == 0 })
	}
}

// TestGoneIsShownNowhere: what is in memory of a group names no alias group that was
// deleted in a community, and no account of somebody who had left before.
func TestGoneIsShownNowhere(t *testing.T) {
	url := pgtest.URL(t)
	nodes := startCluster(t, url, 2)
	g := newStage(t, url, nodes...)
	owner := g.newScene(t, personaOf('O'))
	people := newTalkers(t, g, 3)
	ann, bob, cid := people[0], people[1], people[2]
	group := ann.open(t, map[string]any{"userIds": []string{bob.id, cid.id}, "isGroup": true}).ID.String()
	d := &directTalk{g: g, ann: ann}
	his := bob.say(t, group, "his")
	named := d.said(t, group, "named", userSpan(bob))
	alias := d.said(t, group, "alias", map[string]any{"type": "ALIAS_MENTION", "text": "@everyone", "aliasId": owner.vars["alias"]})
	bob.call(t, "POST", "/api/messages/reactions", map[string]any{"messageId": named, "emoji": "👍"}, nil)
	bob.call(t, "DELETE", "/api/direct-messages/"+group+"/members/me", nil, nil)

	type message struct {
		ID, AuthorID string
		Spans        []struct{ UserID, AliasID string }
		Reactions    []struct{ UserIDs []string }
	}
	read := func(n *node) map[string]message {
		t.Helper()
		var page struct{ Messages []message }
		if err := n.api().As(ann.scene.token).Call(within(t), "GET", "/api/messages/group/"+group, nil, &page); err != nil {
			t.Fatal(err)
		}
		by := map[string]message{}
		for _, m := range page.Messages {
			by[m.ID] = m
		}
		return by
	}
	for _, n := range nodes {
		m := read(n)
		if m[his].AuthorID != bob.id || m[named].Spans[1].UserID != bob.id || len(m[named].Reactions) != 1 || m[alias].Spans[1].AliasID != owner.vars["alias"] {
			t.Fatalf("before: %+v", m)
		}
	}
	api := nodes[0].api().As(owner.token)
	for _, path := range []string{"/api/alias-groups/" + owner.vars["alias"], "/api/users/admin/" + bob.id} {
		if err := api.Call(within(t), "DELETE", path, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		await(t, "nothing shows what is gone", func() bool {
			m := read(n)
			return m[his].AuthorID == "" && m[named].Spans[1].UserID == "" && len(m[named].Reactions) == 0 && m[alias].Spans[1].AliasID == ""
		})
	}
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}
