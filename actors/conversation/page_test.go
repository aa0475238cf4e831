package conversation

import (
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

func TestPages(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	var all []protocol.MessageID // newest first
	for range maxRecent + 40 {
		all = slices.Insert(all, 0, w.send(sc.users[0], "m").ID)
	}
	walk := func(t *testing.T, limit int, direction string) []protocol.MessageID {
		t.Helper()
		got := []protocol.MessageID{}
		req := protocol.ListMessages{Limit: limit, Direction: direction}
		for pages := 0; ; pages++ {
			p := w.list(req)
			if len(p.Messages) > limit || pages > len(all) {
				t.Fatalf("page of %d, limit %d", len(p.Messages), limit)
			}
			if direction == "newer" {
				got = append(ids(p.Messages), got...)
			} else {
				got = append(got, ids(p.Messages)...)
			}
			if p.ContinuationToken == "" {
				return got
			}
			req.ContinuationToken = p.ContinuationToken
		}
	}
	for _, limit := range []int{1, 7, 50, 84, 100} {
		for _, direction := range []string{"older", "newer", ""} {
			if got := walk(t, limit, direction); !slices.Equal(got, all) {
				t.Errorf("limit %d %q: %d messages, want %d in order", limit, direction, len(got), len(all))
			}
		}
	}
}

func TestPageTokens(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w, other := sc.world(t), sc.world(t)
	var sent []*protocol.Message
	for range maxRecent + 10 {
		sent = append(sent, w.send(sc.users[0], "m"))
	}
	elsewhere := other.send(sc.users[0], "elsewhere")
	w.settle()
	other.settle()
	first := w.list(protocol.ListMessages{Limit: 5})
	// Deleting the message that a token came from does not end history.
	last := first.Messages[4].ID
	if _, err := do(w, (*State).deleteMessage, by(sc.users[0]), protocol.DeleteMessage{ID: last}); err != nil {
		t.Fatal(err)
	}
	n := len(sent)
	for name, c := range map[string]struct {
		token string
		newer bool
		want  []*protocol.Message // newest first
	}{
		"after a deletion":        {first.ContinuationToken, false, []*protocol.Message{sent[n-6], sent[n-7]}},
		"newer than the same":     {first.ContinuationToken, true, []*protocol.Message{sent[n-3], sent[n-4]}},
		"id in memory":            {sent[n-2].ID.String(), false, []*protocol.Message{sent[n-3], sent[n-4]}},
		"id in Postgres":          {sent[3].ID.String(), false, []*protocol.Message{sent[2], sent[1]}},
		"id in Postgres, newer":   {sent[3].ID.String(), true, []*protocol.Message{sent[5], sent[4]}},
		"id of a deleted message": {last.String(), false, nil},
		"id of elsewhere":         {elsewhere.ID.String(), false, nil},
		"id of elsewhere, newer":  {elsewhere.ID.String(), true, nil},
		"place of elsewhere":      {protocol.Cursor{In: other.in(), Seq: 1}.Token(), true, nil},
		"junk":                    {"junk", false, nil},
		"before the beginning":    {protocol.Cursor{In: w.in(), Seq: 1}.Token(), false, nil},
		"after the end":           {protocol.Cursor{In: w.in(), Seq: int64(n)}.Token(), true, nil},
	} {
		req := protocol.ListMessages{Limit: 2, ContinuationToken: c.token}
		if c.newer {
			req.Direction = "newer"
		}
		want := []protocol.MessageID{}
		for _, m := range c.want {
			want = append(want, m.ID)
		}
		if got := w.list(req); !slices.Equal(ids(got.Messages), want) || (got.ContinuationToken != "") != (c.want != nil) {
			t.Errorf("%s: %v, token %q", name, ids(got.Messages), got.ContinuationToken)
		}
	}
}

func TestFirstPageIsTheSameBytesUntilSomethingChanges(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	m := w.send(alice, "a")
	page := func() *protocol.PageGrant {
		t.Helper()
		reply, err := do(w, (*State).listMessages, by(alice), protocol.ListMessages{Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		return reply.(*protocol.PageGrant)
	}
	for name, change := range map[string]func(){
		"send": func() { w.send(alice, "b") },
		"edit": func() {
			_, _ = do(w, (*State).editMessage, by(alice), protocol.EditMessage{ID: m.ID, Spans: new(text("c"))})
		},
		"react": func() {
			_, _ = do(w, (*State).addReaction, by(alice), protocol.AddReaction{MessageID: m.ID, Emoji: "x"})
		},
	} {
		before := page()
		if page() != before {
			t.Errorf("before %s the page was made twice", name)
		}
		change()
		if string(page().Page) == string(before.Page) {
			t.Errorf("%s did not change the page", name)
		}
	}
	for limit := range protocol.MaxPage {
		if _, err := do(w, (*State).listMessages, by(alice), protocol.ListMessages{Limit: limit}); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.s.pages) > maxPages {
		t.Errorf("%d pages are kept", len(w.s.pages))
	}
	w.settle()
}

func TestLargeMessagesLeaveMemoryEarlier(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	large := stringOf('x', protocol.MaxMessageText)
	for range 40 {
		w.send(sc.users[0], large)
	}
	if w.s.recent.bytes > maxRecentBytes || len(w.s.recent.list) >= 40 || len(w.s.byID) != len(w.s.recent.list) {
		t.Errorf("%d bytes in %d messages", w.s.recent.bytes, len(w.s.recent.list))
	}
	if p := w.list(protocol.ListMessages{Limit: 50}); len(p.Messages) != 40 {
		t.Errorf("page of %d", len(p.Messages))
	}
	w.load()
	if w.s.recent.bytes > maxRecentBytes || w.s.recent.floor == 0 {
		t.Errorf("after a load %d bytes, floor %d", w.s.recent.bytes, w.s.recent.floor)
	}
}

func stringOf(r rune, n int) string {
	list := make([]rune, n)
	for i := range list {
		list[i] = r
	}
	return string(list)
}
