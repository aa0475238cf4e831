package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"testing"

	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// directTalk is a pair, a group, and who talks there.
type directTalk struct {
	g                  *stage
	ann, bob, cid, dan talker // the last is in none of them
	pair, group        string
}

func newDirectTalk(t *testing.T, g *stage) *directTalk {
	t.Helper()
	k := newTalkers(t, g, 4)
	d := &directTalk{g: g, ann: k[0], bob: k[1], cid: k[2], dan: k[3]}
	d.pair = d.ann.open(t, map[string]any{"userIds": []string{d.bob.id}}).ID.String()
	d.group = d.ann.open(t, map[string]any{"userIds": []string{d.bob.id, d.cid.id}, "isGroup": true}).ID.String()
	return d
}

func (d *directTalk) settings(t *testing.T, k talker, s map[string]any) {
	t.Helper()
	k.call(t, "PUT", "/api/notifications/settings", s, nil)
}

// send sends an event and returns the id of the message.
func (k talker) send(t *testing.T, event string, body map[string]any) (id string) {
	t.Helper()
	ack, err := k.sock.Ask(within(t), event, body)
	if err == nil {
		err = json.Unmarshal(ack, &id)
	}
	if err != nil {
		t.Fatalf("%s: %s %s: %v", k.name, event, ack, err)
	}
	return id
}

func userSpan(k talker) map[string]any {
	return map[string]any{"type": "USER_MENTION", "text": "@" + k.name, "userId": k.id}
}

// said sends to a group, with spans behind the text.
func (d *directTalk) said(t *testing.T, group, text string, spans ...map[string]any) string {
	t.Helper()
	body := directTo(group, text)
	body["spans"] = append(body["spans"].([]map[string]any), spans...)
	return d.ann.send(t, "sendDirectMessage", body)
}

// replied is a reply of ann to what bob has said.
func (d *directTalk) replied(t *testing.T, text string, spans ...map[string]any) string {
	t.Helper()
	body := replyTo(d.bob.say(t, d.group, "a question"), text)
	body["spans"] = append(body["spans"].([]map[string]any), spans...)
	return d.ann.send(t, "sendThreadReply", body)
}

// worked waits until nothing is left to notify of.
func (d *directTalk) worked(t *testing.T) {
	t.Helper()
	await(t, "notifications are made", func() bool {
		var left int
		err := d.g.db.QueryRow(within(t), `SELECT count(*) FROM notice`).Scan(&left)
		return err == nil && left == 0
	})
}

// TestDirectNotifications: who is told of what in direct messages, by a socket on
// whatever node and in his list.
func TestDirectNotifications(t *testing.T) {
	url := pgtest.URL(t)
	nodes := startCluster(t, url, 2)
	g := newStage(t, url, nodes...)
	const direct, reply = "DIRECT_MESSAGE", "THREAD_REPLY"
	for _, c := range []struct {
		name string
		act  func(t *testing.T, d *directTalk) (message string)
		want map[string]string // type by the name of who gets one
	}{
		{"pair", func(t *testing.T, d *directTalk) string { return d.said(t, d.pair, "told") }, map[string]string{"bob": direct}},
		{"pair, named", func(t *testing.T, d *directTalk) string { return d.said(t, d.pair, "told", userSpan(d.bob)) }, map[string]string{"bob": direct}},
		{"pair, names himself and one outside", func(t *testing.T, d *directTalk) string {
			return d.said(t, d.pair, "told", userSpan(d.ann), userSpan(d.dan))
		}, map[string]string{"bob": direct}},
		{"group", func(t *testing.T, d *directTalk) string { return d.said(t, d.group, "told") }, map[string]string{"bob": direct, "cid": direct}},
		{"group, named", func(t *testing.T, d *directTalk) string { return d.said(t, d.group, "told", userSpan(d.bob)) }, map[string]string{"bob": direct, "cid": direct}},
		{"group, @channel", func(t *testing.T, d *directTalk) string {
			return d.said(t, d.group, "told", map[string]any{"type": "SPECIAL_MENTION", "text": "@channel", "specialKind": "channel"})
		}, map[string]string{"bob": direct, "cid": direct}},
		{"group, @here", func(t *testing.T, d *directTalk) string {
			return d.said(t, d.group, "told", map[string]any{"type": "SPECIAL_MENTION", "text": "@here", "specialKind": "here"})
		}, map[string]string{"bob": direct, "cid": direct}},
		{"does not want direct messages", func(t *testing.T, d *directTalk) string {
			d.settings(t, d.bob, map[string]any{"dmNotifications": false})
			return d.said(t, d.group, "told", userSpan(d.bob))
		}, map[string]string{"cid": direct}},
		{"levels are of channels", func(t *testing.T, d *directTalk) string {
			d.settings(t, d.bob, map[string]any{"defaultChannelLevel": "none"})
			return d.said(t, d.pair, "told")
		}, map[string]string{"bob": direct}},
		{"does not want to be disturbed", func(t *testing.T, d *directTalk) string { // pushes only, see TestPush
			d.settings(t, d.bob, map[string]any{"doNotDisturb": true})
			return d.said(t, d.pair, "told")
		}, map[string]string{"bob": direct}},
		{"blocks the author", func(t *testing.T, d *directTalk) string {
			d.bob.call(t, "POST", "/api/users/block/"+d.ann.id, nil, nil)
			d.ann.refused(t, http.StatusForbidden, "POST", "/api/messages", directTo(d.pair, "told")) // and so no word of it
			return d.said(t, d.group, "told", userSpan(d.bob))
		}, map[string]string{"cid": direct}},
		{"is blocked by the author", func(t *testing.T, d *directTalk) string {
			d.ann.call(t, "POST", "/api/users/block/"+d.bob.id, nil, nil)
			return d.said(t, d.group, "told")
		}, map[string]string{"bob": direct, "cid": direct}},
		{"has left", func(t *testing.T, d *directTalk) string {
			d.bob.call(t, "DELETE", "/api/direct-messages/"+d.group+"/members/me", nil, nil)
			return d.said(t, d.group, "told", userSpan(d.bob))
		}, map[string]string{"cid": direct}},
		{"has come", func(t *testing.T, d *directTalk) string {
			d.bob.call(t, "POST", "/api/direct-messages/"+d.group+"/members", map[string]any{"userIds": []string{d.dan.id}}, nil)
			return d.said(t, d.group, "told")
		}, map[string]string{"bob": direct, "cid": direct, "dan": direct}},
		{"reply", func(t *testing.T, d *directTalk) string { return d.replied(t, "told") }, map[string]string{"bob": reply}},
		{"reply that names", func(t *testing.T, d *directTalk) string {
			return d.replied(t, "told", userSpan(d.bob), userSpan(d.cid), userSpan(d.dan))
		}, map[string]string{"bob": reply, "cid": direct}},
		{"reply to who does not want direct messages", func(t *testing.T, d *directTalk) string {
			d.settings(t, d.bob, map[string]any{"dmNotifications": false})
			return d.replied(t, "told")
		}, map[string]string{}},
		{"reply to who has had enough of it", func(t *testing.T, d *directTalk) string {
			parent := d.bob.say(t, d.group, "a question")
			d.cid.send(t, "sendThreadReply", replyTo(parent, "an answer"))
			d.bob.call(t, "DELETE", "/api/threads/"+parent+"/subscribe", nil, nil)
			return d.ann.send(t, "sendThreadReply", replyTo(parent, "told"))
		}, map[string]string{"cid": reply}},
		{"reply to who has left", func(t *testing.T, d *directTalk) string {
			parent := d.bob.say(t, d.group, "a question")
			d.cid.call(t, "POST", "/api/threads/"+parent+"/subscribe", nil, nil)
			d.cid.call(t, "DELETE", "/api/direct-messages/"+d.group+"/members/me", nil, nil)
			return d.ann.send(t, "sendThreadReply", replyTo(parent, "told"))
		}, map[string]string{"bob": reply}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDirectTalk(t, g)
			id := c.act(t, d)
			d.worked(t)
			people := map[string]talker{"ann": d.ann, "bob": d.bob, "cid": d.cid, "dan": d.dan}
			listed, heard := map[string]string{}, map[string]string{}
			for name, k := range people {
				var page struct {
					Notifications []struct{ Type, MessageID string }
				}
				k.call(t, "GET", "/api/notifications?limit=100", nil, &page)
				for _, n := range page.Notifications {
					if n.MessageID == id {
						listed[name] += n.Type
					}
				}
				if c.want[name] != "" {
					heard[name] = k.told("told").Type
				}
				k.never("newNotification", "told")
			}
			if !maps.Equal(listed, c.want) {
				t.Errorf("listed are %v, want %v", listed, c.want)
			}
			if !maps.Equal(heard, c.want) {
				t.Errorf("heard are %v, want %v", heard, c.want)
			}
		})
	}
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}
