package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// message is what a client shows of a message.
type shownMessage struct {
	ID        string
	Text      string
	Reactions string
	Replies   int
}

// view is what a native client knows of a channel, newest last.
type channelView struct {
	at   [3]int64
	list []shownMessage
}

func (v *channelView) find(id string) *shownMessage {
	for i := range v.list {
		if v.list[i].ID == id {
			return &v.list[i]
		}
	}
	return nil
}

// apply does to a view what an event says.
func (v *channelView) apply(t *testing.T, f frame) {
	t.Helper()
	v.at = placeAfter(v.at, f)
	var d struct {
		Message         json.RawMessage
		MessageID       string
		ParentMessageID string
		ReplyCount      int
		Reaction        json.RawMessage
		Reactions       json.RawMessage
		Emoji           string
	}
	if err := json.Unmarshal(f.D, &d); err != nil {
		t.Fatal(err)
	}
	switch f.Ev {
	case "newMessage":
		v.list = append(v.list, shown(t, d.Message))
	case "updateMessage":
		m := shown(t, d.Message)
		if old := v.find(m.ID); old != nil {
			*old = m
		}
	case "deleteMessage":
		v.list = slices.DeleteFunc(v.list, func(m shownMessage) bool { return m.ID == d.MessageID })
	case "reactionAdded":
		if m := v.find(d.MessageID); m != nil {
			m.Reactions = reactions(t, json.RawMessage("["+string(d.Reaction)+"]"))
		}
	case "reactionRemoved":
		if m := v.find(d.MessageID); m != nil {
			m.Reactions = reactions(t, d.Reactions)
		}
	case "threadReplyCountUpdated":
		if m := v.find(d.ParentMessageID); m != nil {
			m.Replies = d.ReplyCount
		}
	}
}

func shown(t *testing.T, raw json.RawMessage) shownMessage {
	t.Helper()
	var m struct {
		load.Message
		Reactions  json.RawMessage
		ReplyCount int
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return shownMessage{m.ID, m.Text(), reactions(t, m.Reactions), m.ReplyCount}
}

func reactions(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var list []struct {
		Emoji   string
		UserIDs []string
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, r := range list {
		text += fmt.Sprint(r.Emoji, len(r.UserIDs), " ")
	}
	return text
}

// TestResumeChanges kills the node of a native client. While it is away messages
// are sent, edited, deleted, reacted to and answered, in channels whose owners live
// and in some whose owner died. Of each it hears all that happened, once, or is told
// that it does not, and then its view is the one that a fresh fetch gives.
func TestResumeChanges(t *testing.T) {
	nodes := startCluster(t, pgtest.NewServer(t).URL(), 3)
	w := newWorkload(t, nodes[0], 8)
	api := nodes[0].api().As(w.owner.Token)
	post := func(method, path string, body, reply any) {
		t.Helper()
		await(t, method+" "+path, func() bool { // the owner may be moving
			err := api.Call(within(t), method, path, body, reply)
			switch code := status(err); {
			case method == "DELETE" && code == 404: // done, and the answer was lost
				return true
			case err != nil && code != 0 && code < 500:
				t.Fatalf("%s %s: %v", method, path, err)
			}
			return err == nil
		})
	}
	say := func(channel, text string) string {
		t.Helper()
		var m struct{ ID string }
		post("POST", "/api/messages", load.Body(channel, text), &m)
		return m.ID
	}
	fetch := func(channel string) (list []shownMessage) {
		t.Helper()
		var page struct{ Messages []json.RawMessage }
		post("GET", "/api/messages/channel/"+channel+"?limit=50", nil, &page)
		for _, raw := range page.Messages {
			list = append(list, shown(t, raw))
		}
		slices.Reverse(list)
		return list
	}

	c := dialNative(t, nodes[2], w.owner.Token)
	var opened struct{ Session string }
	if err := json.Unmarshal(c.until("ready", func(f frame) bool { return f.Ev == "ready" }).D, &opened); err != nil {
		t.Fatal(err)
	}
	views := map[string]*channelView{}
	for _, channel := range w.channels {
		views["channel:"+channel] = &channelView{list: fetch(channel)} // one has a greeting
	}
	old := map[string][]string{}
	for _, channel := range w.channels {
		for i := range 4 {
			old[channel] = append(old[channel], say(channel, fmt.Sprint("old ", i)))
		}
		post("POST", "/api/messages/reactions", map[string]string{"messageId": old[channel][3], "emoji": "1"}, nil)
		last := c.until("the reaction", func(f frame) bool {
			if v := views[f.Ch]; v != nil {
				v.apply(t, f)
			}
			return f.Ev == "reactionAdded"
		})
		if last.Rev == 0 || last.Ep == 0 || last.Seq != 0 {
			t.Fatalf("the place of a reaction is %+v", last)
		}
	}

	nodes[2].crash()
	for _, channel := range w.channels {
		id := old[channel]
		fresh := say(channel, "fresh")
		post("PATCH", "/api/messages/"+id[0], map[string]any{"spans": []map[string]string{{"type": "PLAINTEXT", "text": "edited"}}}, nil)
		post("DELETE", "/api/messages/"+id[1], nil, nil)
		post("POST", "/api/messages/reactions", map[string]string{"messageId": id[2], "emoji": "2"}, nil)
		post("POST", "/api/threads/"+id[3]+"/replies", map[string]any{"spans": []map[string]string{{"type": "PLAINTEXT", "text": "a reply"}}}, nil)
		post("POST", "/api/messages/reactions", map[string]string{"messageId": fresh, "emoji": "3"}, nil)
	}

	at := map[string][3]int64{}
	for stream, v := range views {
		at[stream] = v.at
	}
	back := dialNativeWith(t, nodes[1], w.owner.Token, map[string]any{"resume": map[string]any{"session": opened.Session, "n": c.n, "at": at}})
	back.n = c.n
	first := back.next()
	var resumed struct{ Replayed int }
	if err := json.Unmarshal(first.D, &resumed); err != nil || first.Ev != "resumed" {
		t.Fatalf("%+v %v", first, err)
	}
	var gap struct {
		Messages, Changes []string
		Others            bool
	}
	names := map[string][]string{}
	for i := range resumed.Replayed {
		f := back.next()
		if i == 0 {
			if err := json.Unmarshal(f.D, &gap); err != nil || f.Ev != "gap" || !gap.Others {
				t.Fatalf("the first event is %+v", f)
			}
			continue
		}
		views[f.Ch].apply(t, f)
		names[f.Ch] = append(names[f.Ch], f.Ev)
	}
	if len(gap.Messages) > 0 {
		t.Errorf("messages of %v are said to be missing: there were few", gap.Messages)
	}
	whole := 0
	for stream, v := range views {
		channel := strings.TrimPrefix(stream, "channel:")
		if slices.Contains(gap.Changes, stream) {
			if !slices.Contains(names[stream], "newMessage") || !slices.Contains(names[stream], "newThreadReply") {
				t.Errorf("a client that will fetch was told %v", names[stream])
			}
			v.list = fetch(channel)
		} else {
			whole++
			want := []string{"newMessage", "updateMessage", "deleteMessage", "reactionAdded", "newThreadReply", "threadReplyCountUpdated", "reactionAdded"}
			if !slices.Equal(names[stream], want) {
				t.Errorf("told %v, want %v", names[stream], want)
			}
		}
		if fresh := fetch(channel); !slices.Equal(v.list, fresh) {
			t.Errorf("the client (told to fetch: %v) shows\n%v\nand there is\n%v", slices.Contains(gap.Changes, stream), v.list, fresh)
		}
	}
	t.Logf("%d channels told whole, of %d the client was told to fetch", whole, len(gap.Changes))
	if whole == 0 {
		t.Error("no channel was told whole, though most owners lived")
	}

	// It goes on from there, exactly.
	say(w.channels[0], "afterwards")
	if f := back.until("what comes next", func(f frame) bool { return f.Ev == "newMessage" }); !strings.Contains(string(f.D), "afterwards") {
		t.Errorf("the next message is %s", f.D)
	}
}
