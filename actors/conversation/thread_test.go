package conversation

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

// thread reads a page of a thread as the edge does.
func (w *world) thread(of protocol.MessageID, limit int, token string) protocol.ThreadPage {
	w.t.Helper()
	reply, err := do(w, (*State).listReplies, protocol.Caller{Owner: true}, protocol.ListReplies{ParentMessageID: of, Limit: limit, ContinuationToken: token})
	if err != nil {
		w.t.Fatalf("list replies: %v", err)
	}
	g := reply.(*protocol.ThreadGrant)
	var p protocol.ThreadPage
	if g.Empty {
		return p
	}
	w.settle()
	page, err := w.db.ThreadPage(w.ctx, *g)
	if err == nil {
		err = json.Unmarshal(page.Text, &p)
	}
	if err != nil {
		w.t.Fatalf("thread: %v", err)
	}
	return p
}

func TestThreads(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	for name, world := range map[string]func(fataler) *world{"channel": sc.world, "group": sc.groupWorld} {
		t.Run(name, func(t *testing.T) { threads(t, sc, world(t)) })
	}
}

func threads(t *testing.T, sc *schema, w *world) {
	alice, bob := sc.users[0], sc.users[1]
	parent := w.send(alice, "parent")
	w.events, w.tells = nil, nil
	first := w.reply(bob, parent.ID, "one")
	if got := names(w.events); !slices.Equal(got, []string{"newThreadReply", "threadReplyCountUpdated"}) || w.events[0].Seq != 2 || w.events[1].Seq != 0 {
		t.Fatalf("events %v", got)
	}
	if len(w.tells) != 0 {
		t.Errorf("a reply moves a watermark: %+v", w.tells)
	}
	if first.ParentMessageID == nil || *first.ParentMessageID != parent.ID || first.Place() != w.in() {
		t.Errorf("reply %+v", first)
	}
	var count protocol.ThreadReplyCount
	if err := json.Unmarshal(w.events[1].Payload, &count); err != nil || count.ReplyCount != 1 || *count.LastReplyAt != first.SentAt ||
		(count.ChannelID == nil) == (count.DirectMessageGroupID == nil) {
		t.Errorf("count %+v %v", count, err)
	}
	// The same id again is the same reply.
	req := w.replying(parent.ID, "two")
	for range 2 {
		if reply, err := do(w, (*State).sendReply, by(alice), req); err != nil || reply.(*protocol.Message).ID != req.ID {
			t.Errorf("%v %v", reply, err)
		}
	}
	w.settle()
	w.load() // the parent, and what it counts, are of Postgres now
	third := w.reply(alice, parent.ID, "three")

	// Pages are oldest first and lead to each other; lists don't show replies.
	page := w.thread(parent.ID, 2, "")
	if got := ids(page.Replies); !slices.Equal(got, []protocol.MessageID{first.ID, req.ID}) || page.ContinuationToken == "" {
		t.Errorf("page %v %q", got, page.ContinuationToken)
	}
	for _, token := range []string{page.ContinuationToken, req.ID.String()} {
		if next := w.thread(parent.ID, 2, token); !slices.Equal(ids(next.Replies), []protocol.MessageID{third.ID}) || next.ContinuationToken != "" {
			t.Errorf("after %s: %+v", token, next)
		}
	}
	for _, token := range []string{"junk", protocol.Cursor{In: protocol.InGroup(protocol.GroupID{9}), Seq: 1}.Token(), parent.ID.String()} {
		if next := w.thread(parent.ID, 2, token); len(next.Replies) != 0 {
			t.Errorf("token %q of elsewhere leads to %v", token, ids(next.Replies))
		}
	}
	if list := w.list(protocol.ListMessages{Limit: 10}).Messages; len(list) != 1 || list[0].ReplyCount != 3 || *list[0].LastReplyAt != third.SentAt {
		t.Errorf("list %+v", list)
	}

	// Edits and deletions tell open threads, and the count follows.
	w.events = nil
	if _, err := do(w, (*State).editMessage, by(bob), protocol.EditMessage{ID: first.ID, Spans: new(text("edited"))}); err != nil {
		t.Fatal(err)
	}
	if _, err := do(w, (*State).deleteMessage, by(bob), protocol.DeleteMessage{ID: first.ID}); err != nil {
		t.Fatal(err)
	}
	want := []string{"updateMessage", "updateThreadReply", "deleteMessage", "deleteThreadReply", "threadReplyCountUpdated"}
	if got := names(w.events); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	w.settle()
	w.checkThreads(t)
	if stored, err := w.db.Message(w.ctx, parent.ID); err != nil || stored.ReplyCount != 2 {
		t.Errorf("parent %+v %v", stored, err)
	}
	// The newest row goes with its parent: its seq does not come back.
	if _, err := do(w, (*State).deleteMessage, by(alice), protocol.DeleteMessage{ID: parent.ID}); err != nil {
		t.Fatal(err)
	}
	w.load()
	if next := w.send(bob, "next"); next.Seq != third.Seq+1 {
		t.Errorf("seq %d after %d", next.Seq, third.Seq)
	}
}

func TestModeratorRemovesAReply(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, mod := sc.users[0], sc.users[3]
	w.allow(mod, protocol.ActionReadMessage, protocol.ActionDeleteAnyMessage)
	parent := w.send(alice, "parent")
	reply := w.reply(alice, parent.ID, "rude")
	w.settle()
	w.load() // neither is in memory
	for range maxRecent {
		w.send(alice, "more")
	}
	w.events = nil
	if _, err := do(w, (*State).removeMessage, by(mod), protocol.RemoveMessage{MessageID: reply.ID}); err != nil {
		t.Fatal(err)
	}
	if got := names(w.events); !slices.Equal(got, []string{"deleteMessage", "deleteThreadReply", "threadReplyCountUpdated"}) {
		t.Errorf("events %v", got)
	}
	w.settle()
	w.checkThreads(t)
	if page := w.thread(parent.ID, 10, ""); len(page.Replies) != 0 {
		t.Errorf("the thread shows %v", ids(page.Replies))
	}
}

func TestReplyRefusals(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	parent := w.send(alice, "parent")
	reply := w.reply(alice, parent.ID, "reply")
	for name, c := range map[string]struct {
		change func(*protocol.SendThreadReply)
		want   error
	}{
		"nested":       {func(r *protocol.SendThreadReply) { r.ParentMessageID = reply.ID }, errNested},
		"no parent":    {func(r *protocol.SendThreadReply) { r.ParentMessageID = protocol.MessageID{9} }, errNoParent},
		"nothing":      {func(r *protocol.SendThreadReply) { r.Spans = nil }, errNoReply},
		"NUL":          {func(r *protocol.SendThreadReply) { r.Spans = text("\x00") }, protocol.Invalid([]protocol.FieldError{{}})},
		"NUL in nonce": {func(r *protocol.SendThreadReply) { r.Nonce = "\x00" }, errBadNonce},
		"unknown file": {func(r *protocol.SendThreadReply) { r.Attachments = []protocol.FileID{{9}} }, errNoAttachment},
	} {
		r := w.replying(parent.ID, "x")
		c.change(&r)
		if _, err := do(w, (*State).sendReply, by(alice), r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	w.house.slowmode = 100
	if _, err := do(w, (*State).sendReply, by(alice), w.replying(parent.ID, "x")); !errors.Is(err, &protocol.Error{Code: protocol.CodeSlowMode}) {
		t.Errorf("slow mode: %v", err)
	}
	w.house.timeout[alice] = w.now + 5
	if _, err := do(w, (*State).sendReply, by(alice), w.replying(parent.ID, "x")); !errors.Is(err, &protocol.Error{Code: protocol.CodeTimedOut}) {
		t.Errorf("timed out: %v", err)
	}
	w.settle()
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, bob, cid := sc.users[0], sc.users[1], sc.users[2]
	parent := w.send(alice, "parent")
	is := func(when string, want ...bool) {
		t.Helper()
		w.settle()
		for i, u := range []protocol.UserID{alice, bob, cid} {
			if got, err := w.db.Subscribed(w.ctx, u, parent.ID); err != nil || got != want[i] {
				t.Errorf("%s: %d is subscribed: %v %v", when, i, got, err)
			}
		}
	}
	is("before", false, false, false)
	reply := w.reply(bob, parent.ID, "one")
	is("after a reply", true, true, false)
	for range 2 {
		if _, err := do(w, (*State).subscribe, by(cid), protocol.SubscribeThread{ParentMessageID: parent.ID}); err != nil {
			t.Fatal(err)
		}
		if _, err := do(w, (*State).unsubscribe, by(alice), protocol.UnsubscribeThread{ParentMessageID: parent.ID}); err != nil {
			t.Fatal(err)
		}
	}
	is("changed", false, true, true)
	w.reply(bob, parent.ID, "two")
	is("who has had enough is left alone", false, true, true)
	if _, err := do(w, (*State).subscribe, by(cid), protocol.SubscribeThread{ParentMessageID: reply.ID}); !errors.Is(err, errNested) {
		t.Errorf("to a reply: %v", err)
	}
	if reply, err := do(w, (*State).getThread, by(cid), protocol.GetThread{ParentMessageID: parent.ID}); err != nil || reply.(*protocol.ThreadGrant).ReplyCount != 2 {
		t.Errorf("metadata %+v %v", reply, err)
	}
}

// A reply that Postgres refuses is taken back with what it counted, also when
// others came after it.
func TestRefusedReply(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	parent := w.send(alice, "parent")
	w.refuse = true
	if _, err := do(w, (*State).sendReply, by(alice), w.replying(parent.ID, "refused")); err == nil {
		t.Fatal("a refused reply is acked")
	}
	w.reply(alice, parent.ID, "stored")
	w.settle()
	w.checkThreads(t)
	if e := w.s.byID[parent.ID]; e.msg.ReplyCount != 1 {
		t.Errorf("%d replies in memory", e.msg.ReplyCount)
	}
	compare(t, w, &client{stale: true})
}

func TestAttachmentsOfReplies(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	parent := w.send(alice, "parent")
	file := protocol.FileID(protocol.NewID[tag]())
	sc.exec(t, `INSERT INTO file (id, filename, mime_type, file_type, size, checksum, uploaded_by, resource_type, storage_path)
		VALUES ($1, 'a.png', 'image/png', 'IMAGE', 1, 'x', $2, 'MESSAGE_ATTACHMENT', $3)`, file, alice, file.String())
	req := w.replying(parent.ID, "")
	req.Spans, req.Attachments = nil, []protocol.FileID{file}
	reply, err := do(w, (*State).sendReply, by(alice), req)
	if err != nil || len(reply.(*protocol.Message).Attachments) != 1 {
		t.Fatalf("%+v %v", reply, err)
	}
	if page := w.thread(parent.ID, 10, ""); len(page.Replies) != 1 || len(page.Replies[0].Attachments) != 1 {
		t.Errorf("page %+v", page)
	}
}

// A removal that Postgres refuses leaves the count of the parent right, although a
// reply came meanwhile for which memory counted without the one that stays.
func TestRefusedRemovalOfAReply(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	parent := w.send(alice, "parent")
	gone := w.reply(alice, parent.ID, "stays after all")
	w.settle()
	w.refuse = true
	if _, err := do(w, (*State).deleteMessage, by(alice), protocol.DeleteMessage{ID: gone.ID}); err == nil {
		t.Fatal("a refused removal is acked")
	}
	w.reply(alice, parent.ID, "meanwhile")
	w.settle()
	w.checkThreads(t)
	s, _ := w.fresh()
	if e := s.byID[parent.ID]; e == nil || e.msg.ReplyCount != 2 {
		t.Errorf("the next activation finds %+v", e)
	}
}
