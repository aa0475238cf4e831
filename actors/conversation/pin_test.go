package conversation

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

func wantError(t *testing.T, err error, want *protocol.Error) {
	t.Helper()
	if got, ok := errors.AsType[*protocol.Error](err); !ok || got.Code != want.Code || got.Message != want.Message {
		t.Errorf("error = %v, want %v", err, want)
	}
}

func pinned(t *testing.T, w *world) []protocol.PinnedMessage {
	t.Helper()
	w.settle()
	list, err := w.db.Pins(w.ctx, w.channel, protocol.MessageID{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func logOf(t *testing.T, sc *schema) []protocol.ModerationEntry {
	t.Helper()
	log, err := sc.db.ModerationLog(t.Context(), sc.com, "", 50, 0)
	if err != nil {
		t.Fatal(err)
	}
	return log.Logs
}

func TestPins(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	mod := protocol.Caller{UserID: sc.users[0], Owner: true}
	first, second := w.send(sc.users[1], "first"), w.send(sc.users[2], "second")
	pin := func(id protocol.MessageID) error {
		w.now++
		_, err := do(w, (*State).pinMessage, mod, protocol.PinMessage{MessageID: id})
		return err
	}
	unpin := func(id protocol.MessageID) error {
		_, err := do(w, (*State).unpinMessage, mod, protocol.UnpinMessage{MessageID: id})
		return err
	}
	wantError(t, pin(protocol.MessageID(protocol.NewID[tag]())), errNoMessage)
	wantError(t, unpin(second.ID), errNotPinned)
	w.events = nil
	for _, id := range []protocol.MessageID{second.ID, first.ID} {
		if err := pin(id); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, pin(first.ID), errPinned)
	if got := names(w.events); !slices.Equal(got, []string{"messagePinned", "messagePinned"}) || !strings.Contains(string(w.events[0].Payload), `"pinnedBy":"`+mod.UserID.String()) {
		t.Errorf("events %v", got)
	}
	list := pinned(t, w)
	if len(list) != 2 || list[0].ID != second.ID || list[1].ID != first.ID || list[0].Author.ID != sc.users[2] || *list[0].PinnedBy != mod.UserID || len(list[0].Spans) != 1 {
		t.Fatalf("pins = %+v", list)
	}
	if next, err := w.db.Pins(w.ctx, w.channel, second.ID, 10); err != nil || len(next) != 1 || next[0].ID != first.ID {
		t.Errorf("behind the first: %+v, %v", next, err)
	}
	if page := w.list(protocol.ListMessages{Limit: 10}); !page.Messages[0].Pinned || page.Messages[0].PinnedAt == nil {
		t.Errorf("the page does not show the pin: %+v", page.Messages[0])
	}
	w.load()
	wantError(t, pin(first.ID), errPinned)
	if err := unpin(second.ID); err != nil {
		t.Fatal(err)
	}
	if list := pinned(t, w); len(list) != 1 || list[0].ID != first.ID {
		t.Errorf("pins = %+v", list)
	}
	entries := logOf(t, sc)
	if len(entries) != 3 || entries[0].Action != protocol.LogUnpin || entries[2].Action != protocol.LogPin || *entries[2].TargetMessageID != second.ID ||
		*entries[2].ModeratorID != mod.UserID || string(entries[2].Metadata) != "null" || entries[2].TargetUserID != nil {
		t.Errorf("log = %+v", entries)
	}

	// Who goes is pinned no longer, and that is told first.
	w.events = nil
	if _, err := do(w, (*State).deleteMessage, mod, protocol.DeleteMessage{ID: first.ID}); err != nil {
		t.Fatal(err)
	}
	if got := names(w.events); !slices.Equal(got, []string{"messageUnpinned", "deleteMessage"}) || !strings.Contains(string(w.events[0].Payload), first.ID.String()) {
		t.Errorf("events %v", got)
	}
	parent := w.send(sc.users[1], "parent")
	reply, err := do(w, (*State).sendReply, protocol.Caller{UserID: sc.users[1]}, w.replying(parent.ID, "reply"))
	if err != nil {
		t.Fatal(err)
	}
	w.events = nil
	if err := pin(reply.(*protocol.Message).ID); err != nil {
		t.Fatal(err)
	}
	if got := names(w.events); !slices.Equal(got, []string{"messagePinned", "updateThreadReply"}) || !strings.Contains(string(w.events[1].Payload), `"pinned":true`) {
		t.Errorf("events of a reply %v", got)
	}
	w.events = nil
	if _, err := do(w, (*State).removeMessage, mod, protocol.RemoveMessage{MessageID: parent.ID}); err != nil {
		t.Fatal(err)
	}
	if got := names(w.events); !slices.Equal(got, []string{"messageUnpinned", "deleteMessage"}) {
		t.Errorf("events of a thread %v", got)
	}
	if list := pinned(t, w); len(list) != 0 { // a removed message takes its thread with it
		t.Errorf("pins of a thread that is gone %+v", list)
	}
	if m, err := w.db.Message(w.ctx, reply.(*protocol.Message).ID); err == nil && m != nil {
		t.Errorf("a reply in a thread that is gone is shown: %+v", m)
	}
	w.send(sc.users[1], "first")

	t.Run("refused", func(t *testing.T) {
		w.refuse = true
		if err := pin(second.ID); err == nil {
			t.Fatal("nothing was refused")
		}
		w.settle()
		if list := pinned(t, w); len(list) != 0 {
			t.Errorf("pins = %+v", list)
		}
		if err := pin(second.ID); err != nil {
			t.Errorf("it is taken for pinned: %v", err)
		}
	})
}

func TestRemoveMessage(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	mod := protocol.Caller{UserID: sc.users[0], Owner: true}
	kept, bad := w.send(sc.users[1], "kept"), w.send(sc.users[2], "bad")
	reason := "rude"
	remove := func(id protocol.MessageID) error {
		_, err := do(w, (*State).removeMessage, mod, protocol.RemoveMessage{MessageID: id, Reason: &reason})
		return err
	}
	if _, err := do(w, (*State).pinMessage, mod, protocol.PinMessage{MessageID: bad.ID}); err != nil {
		t.Fatal(err)
	}
	wantError(t, remove(protocol.MessageID(protocol.NewID[tag]())), errNoMessage)
	w.events = nil
	if err := remove(bad.ID); err != nil {
		t.Fatal(err)
	}
	if got := names(w.events); !slices.Equal(got, []string{"messageUnpinned", "deleteMessage"}) || !strings.Contains(string(w.events[1].Payload), `"directMessageGroupId":null`) {
		t.Errorf("events %v", w.events)
	}
	wantError(t, remove(bad.ID), errRemoved)
	for _, fresh := range []bool{false, true} {
		if fresh {
			w.load()
		}
		if page := w.list(protocol.ListMessages{Limit: 10}); !slices.Equal(ids(page.Messages), []protocol.MessageID{kept.ID}) {
			t.Errorf("fresh %v: page %v", fresh, ids(page.Messages))
		}
		if page := decodePage(t, w.cold(protocol.PageGrant{Limit: 10})); !slices.Equal(ids(page.Messages), []protocol.MessageID{kept.ID}) {
			t.Errorf("fresh %v: cold page %v", fresh, ids(page.Messages))
		}
		wantError(t, remove(bad.ID), errRemoved)
		_, err := do(w, (*State).pinMessage, mod, protocol.PinMessage{MessageID: bad.ID})
		wantError(t, err, errNoMessage)
		_, err = do(w, (*State).editMessage, by(sc.users[2]), protocol.EditMessage{ID: bad.ID, Spans: new(text("again"))})
		wantError(t, err, errNoMessage)
	}
	if list := pinned(t, w); len(list) != 0 {
		t.Errorf("pins = %+v", list)
	}
	var why string
	var wasPinned bool
	var spans int
	if err := w.db.Pool().QueryRow(w.ctx, `SELECT deleted_by_reason, pinned, json_array_length(spans) FROM message WHERE id = $1 AND deleted_by = $2 AND deleted_at IS NOT NULL`,
		bad.ID, mod.UserID).Scan(&why, &wasPinned, &spans); err != nil || why != reason || wasPinned || spans != 1 {
		t.Errorf("row: %q, pinned %v, %d spans, %v", why, wasPinned, spans, err)
	}
	entry := logOf(t, sc)[0]
	if entry.Action != protocol.LogDeleteMessage || *entry.Reason != reason || *entry.TargetMessageID != bad.ID || entry.TargetUserID != nil ||
		!strings.Contains(string(entry.Metadata), sc.users[2].String()) {
		t.Errorf("entry = %+v %s", entry, entry.Metadata)
	}
	if m := w.send(sc.users[1], "next"); m.Seq != bad.Seq+1 {
		t.Errorf("seq %d after %d", m.Seq, bad.Seq)
	}
}

func TestAliasGone(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	group := protocol.AliasGroupID(protocol.NewID[tag]())
	sc.exec(t, `INSERT INTO alias_group (id, name, community_id) VALUES ($1, $2, $3)`, group, group.String(), sc.com)
	name := group.String()
	req := w.request("hello")
	req.Spans = append(req.Spans, protocol.SpanInput{Type: protocol.SpanAlias, Text: &name, AliasID: &name})
	if _, err := do(w, (*State).sendMessage, by(sc.users[1]), req); err != nil {
		t.Fatal(err)
	}
	w.settle()
	sc.exec(t, `DELETE FROM alias_group WHERE id = $1`, group)
	if _, err := w.s.aliasGone(w.turn(protocol.Caller{}), &protocol.AliasGone{Group: group}); err != nil {
		t.Fatal(err)
	}
	warm := w.list(protocol.ListMessages{Limit: 10})
	if warm.Messages[0].Spans[1].AliasID != nil {
		t.Errorf("spans = %+v", warm.Messages[0].Spans)
	}
	if cold := decodePage(t, w.cold(protocol.PageGrant{Limit: 10})); cold.Messages[0].Spans[1].AliasID != nil {
		t.Errorf("stored spans = %+v", cold.Messages[0].Spans)
	}
}
