package conversation

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

func TestSend(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	var outs []turn.Outcome
	w.grab = func(o turn.Outcome) { outs = append(outs, o) }
	m := w.send(alice, "Hello World")
	if m.Seq != 1 || *m.AuthorID != alice || m.SentAt != w.now || *m.SearchText != "hello world" || *m.PendingAttachments != 0 {
		t.Errorf("message %+v", m)
	}
	if len(w.events) != 1 {
		t.Fatalf("events %v", names(w.events))
	}
	e := w.events[0]
	if e.Name != "newMessage" || e.Seq != 1 || e.Epoch != w.owner.Epoch || e.Stream != protocol.ChannelTopic(w.channel) || e.Topics[0] != e.Stream {
		t.Errorf("event %+v", e)
	}
	const shape = `{"message":{"id":"` + "%ID" + `","channelId":"` + "%CH"
	want := strings.NewReplacer("%ID", m.ID.String(), "%CH", w.channel.String()).Replace(shape)
	if !strings.HasPrefix(string(e.Payload), want) || !json.Valid(e.Payload) {
		t.Errorf("payload %s", e.Payload)
	}
	if len(w.tells) != 1 || w.tells[0].ID != alice.String() || w.tells[0].Msg.(*protocol.LastRead).Message != m.ID {
		t.Errorf("tells %+v", w.tells)
	}
	if notice, ok := outs[0].Rows[1].(*persistence.NoticeRow); len(outs[0].Rows) != 2 || !ok || notice.Message != m.ID || outs[0].Refused == nil {
		t.Errorf("rows %v", outs[0].Rows)
	}
	w.settle()
	stored, err := w.db.Message(w.ctx, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(encode(stored)), string(encode(m)); got != want {
		t.Errorf("stored\n%s\nwant\n%s", got, want)
	}
	if c, err := w.db.PlaceOfMessage(w.ctx, m.ID); err != nil || c != w.in() {
		t.Errorf("channel of message is %v: %v", c, err)
	}
}

func TestSendRefusals(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	alice := sc.users[0]
	nul := "a\x00b"
	for name, c := range map[string]struct {
		change func(w *world, r *protocol.SendMessage)
		want   string
	}{
		"both contexts": {func(_ *world, r *protocol.SendMessage) { r.DirectMessageGroupID = &protocol.GroupID{1} }, "bad_request: Either channelId"},
		"no context":    {func(_ *world, r *protocol.SendMessage) { r.ChannelID = nil }, "bad_request: Either channelId"},
		"no span":       {func(_ *world, r *protocol.SendMessage) { r.Spans = nil }, "invalid: At least one span is required"},
		"NUL":           {func(_ *world, r *protocol.SendMessage) { r.Spans = text(nul) }, "invalid: text of a span"},
		"NUL in nonce":  {func(_ *world, r *protocol.SendMessage) { r.Nonce = nul }, "invalid: nonce"},
		"unknown file":  {func(_ *world, r *protocol.SendMessage) { r.Attachments = []protocol.FileID{{9}} }, "bad_request: Attachment not found"},
		"timed out": {func(w *world, _ *protocol.SendMessage) { w.house.timeout[alice] = w.now + 1500 },
			"timed_out: You are timed out in this community. Time remaining: 2 seconds"},
		"slow mode": {func(w *world, _ *protocol.SendMessage) {
			w.house.slowmode = 10
			w.send(alice, "first")
		}, "slow_mode: Slowmode is enabled. Please wait 10 seconds before sending another message."},
		"gone": {func(w *world, _ *protocol.SendMessage) { w.house.gone = true }, "not_found: Nothing here"},
	} {
		t.Run(name, func(t *testing.T) {
			w := sc.world(t)
			r := w.request("x")
			c.change(w, &r)
			n := len(w.events)
			_, err := do(w, (*State).sendMessage, by(alice), r)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if len(w.events) != n {
				t.Errorf("events %v", names(w.events))
			}
		})
	}
}

func TestSlowmodeSurvivesALoadAndSparesModerators(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, mod := sc.users[0], sc.users[1]
	sc.exec(t, `UPDATE channel SET slowmode_seconds = 60 WHERE id = $1`, w.channel)
	w.allow(mod, protocol.ActionCreateMessage, protocol.ActionUpdateChannel)
	w.send(alice, "one")
	w.settle()
	w.load()
	for _, c := range []struct {
		who  protocol.Caller
		wait protocol.Instant
		ok   bool
	}{
		{by(alice), 1000, false}, {by(mod), 0, true}, {by(mod), 0, true},
		{protocol.Caller{UserID: alice, Owner: true}, 0, true}, {by(alice), 60_001, true},
	} {
		w.now += c.wait
		_, err := do(w, (*State).sendMessage, c.who, w.request("two"))
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestRepeatedSendIsTheFirstOne(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, bob := sc.users[0], sc.users[1]
	r := w.request("once")
	r.Nonce = "n1"
	first, err := do(w, (*State).sendMessage, by(alice), r)
	if err != nil {
		t.Fatal(err)
	}
	again := func(c protocol.Caller, change func(*protocol.SendMessage)) any {
		t.Helper()
		r := r
		change(&r)
		got, err := do(w, (*State).sendMessage, c, r)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	other := func(r *protocol.SendMessage) { r.ID = protocol.MessageID(protocol.NewID[tag]()) }
	for range 2 {
		if got := again(by(alice), func(*protocol.SendMessage) {}); string(encode(got)) != string(encode(first)) {
			t.Errorf("same id gave %+v", got)
		}
		if got := again(by(alice), other); string(encode(got)) != string(encode(first)) {
			t.Errorf("same nonce gave %+v", got)
		}
		w.settle()
		w.load() // a new owner knows it too
	}
	if got := again(by(bob), other).(*protocol.Message); got.ID == r.ID {
		t.Error("the nonce of another author was taken for the same")
	}
	w.now += sendWindow + 1
	if got := again(by(alice), other).(*protocol.Message); got.ID == r.ID {
		t.Error("a nonce is known for ever")
	}
	w.settle()
	if got := w.seqs(); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("seqs %v", got)
	}
}

func TestRefusedMessageLeavesNoGap(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	w.send(alice, "one")
	w.refuse = true
	r := w.request("two")
	if _, err := do(w, (*State).sendMessage, by(alice), r); err == nil {
		t.Fatal("not refused")
	}
	w.send(alice, "three")
	w.settle()
	if got, want := names(w.events), []string{"newMessage", "newMessage", "newMessage", "deleteMessage"}; !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	if got := w.seqs(); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("seqs %v", got)
	}
	if got := w.list(protocol.ListMessages{Limit: 50}); len(got.Messages) != 2 {
		t.Errorf("page %+v", got)
	}
	// The same command again, as an edge would send it, is a message of its own.
	if _, err := do(w, (*State).sendMessage, by(alice), r); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.seqs(); !slices.Equal(got, []int64{1, 2, 3, 4}) {
		t.Errorf("seqs %v", got)
	}
}

func TestHoleThatFindsNoRoomIsFilledByTheNextWrite(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	r := w.request("lost")
	out, err := w.s.sendMessage(w.turn(by(sc.users[0])), r)
	if err != nil {
		t.Fatal(err)
	}
	hole := out.Refused(w.turn(protocol.Caller{}), protocol.ErrUnavailable)
	if again := hole.Refused(w.turn(protocol.Caller{}), protocol.ErrUnavailable); again.Stop || len(again.Rows) > 0 {
		t.Errorf("%+v", again)
	}
	w.send(sc.users[0], "next")
	w.settle()
	if got := w.seqs(); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("seqs %v", got)
	}
	if out := hole.Refused(w.turn(protocol.Caller{}), errors.New("no such channel")); !out.Stop {
		t.Error("an activation that can't keep its seqs goes on")
	}
}

func TestDeletedNewestSeqIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	w.send(sc.users[0], "one")
	m := w.send(sc.users[0], "two")
	if _, err := do(w, (*State).deleteMessage, by(sc.users[0]), protocol.DeleteMessage{ID: m.ID}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.load()
	if m := w.send(sc.users[0], "three"); m.Seq != 3 {
		t.Errorf("seq %d, want 3", m.Seq)
	}
	w.settle()
}

func TestEdit(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, bob := sc.users[0], sc.users[1]
	ghost := protocol.UserID{7}.String()
	m := w.send(alice, "old")
	w.now++
	spans := append(text("New"), protocol.SpanInput{Type: protocol.SpanUser, UserID: &ghost})
	for name, c := range map[string]struct {
		who  protocol.Caller
		req  protocol.EditMessage
		want string
	}{
		"somebody else": {by(bob), protocol.EditMessage{ID: m.ID, Spans: &spans}, "forbidden: Forbidden resource"},
		"owner":         {protocol.Caller{UserID: bob, Owner: true}, protocol.EditMessage{ID: m.ID, Spans: &spans}, "forbidden"},
		"unknown":       {by(bob), protocol.EditMessage{ID: protocol.MessageID{5}, Spans: &spans}, "not_found: Message not found"},
		"no span":       {by(alice), protocol.EditMessage{ID: m.ID, Spans: &[]protocol.SpanInput{}}, "invalid: At least one span"},
		"unknown file":  {by(alice), protocol.EditMessage{ID: m.ID, Attachments: &[]protocol.FileID{{4}}}, "bad_request: Attachment not found"},
	} {
		if _, err := do(w, (*State).editMessage, c.who, c.req); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	w.events = nil
	reply, err := do(w, (*State).editMessage, by(alice), protocol.EditMessage{ID: m.ID, Spans: &spans})
	if err != nil {
		t.Fatal(err)
	}
	got := reply.(*protocol.Message)
	if *got.SearchText != "new" || got.EditedAt == nil || *got.EditedAt != w.now || len(got.Spans) != 2 || m.EditedAt != nil || *m.Spans[0].Text != "old" {
		t.Errorf("edited %+v\nbefore %+v", got, m)
	}
	if len(w.events) != 1 || w.events[0].Name != "updateMessage" || w.events[0].Seq != 0 {
		t.Errorf("events %+v", w.events)
	}
	w.settle()
	stored, err := w.db.Message(w.ctx, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if stored.Spans[1].UserID != nil {
		t.Error("a mention of nobody was stored")
	}
	stored.Spans[1].UserID = got.Spans[1].UserID
	if a, b := string(encode(stored)), string(encode(got)); a != b {
		t.Errorf("stored\n%s\nwant\n%s", a, b)
	}
	// An empty body changes nothing and is told all the same.
	reply, err = do(w, (*State).editMessage, by(alice), protocol.EditMessage{ID: m.ID})
	if err != nil || *reply.(*protocol.Message).EditedAt != *got.EditedAt || len(w.events) != 2 {
		t.Errorf("empty edit: %v, %v", err, names(w.events))
	}
	// Fewer spans than before.
	if _, err := do(w, (*State).editMessage, by(alice), protocol.EditMessage{ID: m.ID, Spans: new(text("x"))}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if stored, err := w.db.Message(w.ctx, m.ID); err != nil || len(stored.Spans) != 1 || *stored.Spans[0].Text != "x" {
		t.Errorf("stored %+v: %v", stored, err)
	}
	w.house.timeout[alice] = w.now + 1
	if _, err := do(w, (*State).editMessage, by(alice), protocol.EditMessage{ID: m.ID, Spans: &spans}); !errors.Is(err, &protocol.Error{Code: protocol.CodeTimedOut}) {
		t.Errorf("timed out: %v", err)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, bob, mod := sc.users[0], sc.users[1], sc.users[2]
	w.allow(mod, protocol.ActionReadMessage, protocol.ActionDeleteMessage)
	a, b, c := w.send(alice, "a"), w.send(alice, "b"), w.send(bob, "c")
	w.events = nil
	if _, err := do(w, (*State).deleteMessage, by(bob), protocol.DeleteMessage{ID: a.ID}); !errors.Is(err, protocol.ErrForbidden) {
		t.Errorf("somebody else: %v", err)
	}
	if _, err := do(w, (*State).addReaction, by(bob), protocol.AddReaction{MessageID: a.ID, Emoji: "x"}); err != nil {
		t.Fatal(err)
	}
	for who, id := range map[protocol.UserID]protocol.MessageID{alice: a.ID, mod: c.ID} {
		if _, err := do(w, (*State).deleteMessage, by(who), protocol.DeleteMessage{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := do(w, (*State).deleteMessage, by(alice), protocol.DeleteMessage{ID: a.ID}); !errors.Is(err, errNoMessage) {
		t.Errorf("again: %v", err)
	}
	want := `{"messageId":"` + a.ID.String() + `","channelId":"` + w.channel.String() + `","directMessageGroupId":null}`
	if !slices.ContainsFunc(w.events, func(e protocol.Event) bool { return e.Name == "deleteMessage" && string(e.Payload) == want }) {
		t.Errorf("no event %s", want)
	}
	w.settle()
	if got := ids(w.list(protocol.ListMessages{Limit: 50}).Messages); !slices.Equal(got, []protocol.MessageID{b.ID}) {
		t.Errorf("left %v", got)
	}
	if _, err := w.db.Message(w.ctx, a.ID); !errors.Is(err, errNoMessage) {
		t.Errorf("stored: %v", err)
	}
	if seq := w.watermark(bob); seq != c.Seq {
		t.Errorf("the watermark of a deleted message is %d", seq)
	}
}

func TestDeleteTakesRepliesAndFiles(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	parent := w.send(alice, "parent")
	w.settle()
	reply, other := protocol.MessageID(protocol.NewID[tag]()), protocol.MessageID(protocol.NewID[tag]())
	sc.exec(t, `INSERT INTO message (id, channel_id, seq, author_id, parent_message_id) VALUES ($1, $3, 2, $4, $5), ($2, $3, 3, $4, $5)`,
		reply, other, w.channel, alice, parent.ID)
	sc.exec(t, `UPDATE message SET reply_count = 2 WHERE id = $1`, parent.ID)
	file := sc.file(t, alice, other)
	sc.exec(t, `INSERT INTO message_attachment (id, message_id, file_id) VALUES ($1, $2, $3)`, newRowID(), other, file)
	w.load()
	if w.s.seq != 3 || len(w.s.recent.list) != 1 {
		t.Fatalf("seq %d, %d in memory", w.s.seq, len(w.s.recent.list))
	}
	if _, err := do(w, (*State).deleteMessage, by(alice), protocol.DeleteMessage{ID: reply}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	stored, err := w.db.Message(w.ctx, parent.ID)
	if err != nil || stored.ReplyCount != 1 || w.s.byID[parent.ID].msg.ReplyCount != 1 {
		t.Errorf("reply count %d in Postgres, %d here: %v", stored.ReplyCount, w.s.byID[parent.ID].msg.ReplyCount, err)
	}
	if _, err := do(w, (*State).deleteMessage, by(alice), protocol.DeleteMessage{ID: parent.ID}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	// What is left keeps the newest seq from coming back.
	var shown int
	if err := w.db.Pool().QueryRow(w.ctx, `SELECT count(*) FROM message WHERE channel_id = $1 AND deleted_at IS NULL`, w.channel).Scan(&shown); err != nil || shown != 0 {
		t.Errorf("%d messages are left: %v", shown, err)
	}
	if got := w.seqs(); !slices.Equal(got, []int64{3}) {
		t.Errorf("left %v", got)
	}
	var gone bool
	if err := w.db.Pool().QueryRow(w.ctx, `SELECT deleted_at IS NOT NULL FROM file WHERE id = $1`, file).Scan(&gone); err != nil || !gone {
		t.Errorf("file is marked %v: %v", gone, err)
	}
}

// file stores the row of an uploaded file.
func (sc *schema) file(t fataler, by protocol.UserID, message protocol.MessageID) protocol.FileID {
	t.Helper()
	id := protocol.FileID(protocol.NewID[tag]())
	sc.exec(t, `INSERT INTO file (id, filename, mime_type, file_type, size, checksum, uploaded_by, resource_type, storage_path, message_id)
		VALUES ($1, 'f.png', 'image/png', 'IMAGE', 3, 'c', $2, 'MESSAGE_ATTACHMENT', 'p', $3)`, id, by, message)
	return id
}

func TestAttachments(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, bob := sc.users[0], sc.users[1]
	none := protocol.MessageID{}
	a, b, c, foreign := sc.file(t, alice, none), sc.file(t, alice, none), sc.file(t, alice, none), sc.file(t, bob, none)
	r := w.request("files")
	r.Attachments = []protocol.FileID{b, a, b}
	reply, err := do(w, (*State).sendMessage, by(alice), r)
	if err != nil {
		t.Fatal(err)
	}
	m := reply.(*protocol.Message)
	if len(m.Attachments) != 2 || m.Attachments[0].ID != b || m.Attachments[1].ID != a || m.Attachments[0].Filename != "f.png" {
		t.Errorf("attached %+v", m.Attachments)
	}
	w.settle()
	for name, file := range map[string]protocol.FileID{"of somebody else": foreign, "in use": a} {
		r := w.request("x")
		r.Attachments = []protocol.FileID{file}
		if _, err := do(w, (*State).sendMessage, by(alice), r); !errors.Is(err, errNoAttachment) {
			t.Errorf("file %s: %v", name, err)
		}
	}
	// Out with b, in with c.
	reply, err = do(w, (*State).editMessage, by(alice), protocol.EditMessage{ID: m.ID, Attachments: &[]protocol.FileID{c, a}})
	if err != nil {
		t.Fatal(err)
	}
	edited := reply.(*protocol.Message)
	if len(edited.Attachments) != 2 || edited.Attachments[0].ID != a || edited.Attachments[1].ID != c || edited.EditedAt != nil {
		t.Errorf("after edit %+v", edited)
	}
	w.settle()
	stored, err := w.db.Message(w.ctx, m.ID)
	if err != nil || string(encode(stored)) != string(encode(edited)) {
		t.Errorf("stored\n%s\nwant\n%s\n%v", encode(stored), encode(edited), err)
	}
	var gone bool
	if err := w.db.Pool().QueryRow(w.ctx, `SELECT deleted_at IS NOT NULL FROM file WHERE id = $1`, b).Scan(&gone); err != nil || !gone {
		t.Errorf("file is marked %v: %v", gone, err)
	}
}

func TestOldMessageIsWorkedOnByADetour(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, bob := sc.users[0], sc.users[1]
	old := w.send(alice, "old")
	for range maxRecent {
		w.send(bob, "more")
	}
	if w.s.byID[old.ID] != nil {
		t.Fatal("still in memory")
	}
	reply, err := do(w, (*State).getMessage, by(bob), protocol.GetMessage{ID: old.ID})
	if cold, ok := reply.(*protocol.ColdMessage); err != nil || !ok || cold.ID != old.ID || cold.In != w.in() {
		t.Errorf("get: %+v %v", reply, err)
	}
	for _, who := range []protocol.UserID{bob, alice} {
		if _, err := do(w, (*State).addReaction, by(who), protocol.AddReaction{MessageID: old.ID, Emoji: "👍"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := do(w, (*State).editMessage, by(bob), protocol.EditMessage{ID: old.ID, Spans: new(text("no"))}); !errors.Is(err, protocol.ErrForbidden) {
		t.Errorf("edit by somebody else: %v", err)
	}
	if _, err := do(w, (*State).editMessage, by(alice), protocol.EditMessage{ID: old.ID, Spans: new(text("yes"))}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	stored, err := w.db.Message(w.ctx, old.ID)
	if err != nil || *stored.SearchText != "yes" || len(stored.Reactions) != 1 || !slices.Equal(stored.Reactions[0].UserIDs, []protocol.UserID{bob, alice}) {
		t.Errorf("stored %+v: %v", stored, err)
	}
	if _, err := do(w, (*State).deleteMessage, by(alice), protocol.DeleteMessage{ID: old.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := do(w, (*State).deleteMessage, by(alice), protocol.DeleteMessage{ID: old.ID}); !errors.Is(err, errNoMessage) {
		t.Errorf("again: %v", err)
	}
	if len(w.s.lanes) != 0 {
		t.Errorf("%d lanes are left", len(w.s.lanes))
	}
}

func TestDetoursOfAMessageKeepTheirOrder(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	old := w.send(alice, "old")
	w.settle()
	for range maxRecent {
		w.send(alice, "more")
	}
	type half struct {
		then turn.Then
		err  error
	}
	begin := func(s string) (chan half, *turn.Outcome) {
		t.Helper()
		out, err := w.s.editMessage(w.turn(by(alice)), protocol.EditMessage{ID: old.ID, Spans: new(text(s))})
		if err != nil || out.Commit == nil {
			t.Fatalf("%+v %v", out, err)
		}
		return make(chan half, 1), &out
	}
	firstDone, first := begin("first")
	secondDone, second := begin("second")
	go func() {
		then, err := second.Commit(w.ctx)
		secondDone <- half{then, err}
	}()
	go func() {
		then, err := first.Commit(w.ctx)
		firstDone <- half{then, err}
	}()
	// A hot turn of somebody else goes on meanwhile.
	w.send(sc.users[1], "hot")
	h := <-firstDone
	select {
	case <-secondDone:
		t.Fatal("the second detour did not wait for the first one's turn")
	default:
	}
	if _, err := w.finish(h.then(w.turn(protocol.Caller{}))); err != nil {
		t.Fatal(err)
	}
	h = <-secondDone
	if _, err := w.finish(h.then(w.turn(protocol.Caller{}))); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if stored, err := w.db.Message(w.ctx, old.ID); err != nil || *stored.SearchText != "second" {
		t.Errorf("stored %+v: %v", stored, err)
	}
}

func TestRightsTakenAwayDuringADetour(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	old := w.send(alice, "old")
	for range maxRecent {
		w.send(alice, "more")
	}
	for name, c := range map[string]struct {
		change func()
		want   error
	}{
		"answer taken back": {func() {
			delete(w.house.may, alice)
		}, protocol.ErrUnavailable},
		"kicked": {func() { w.allow(alice) }, protocol.ErrForbidden},
		"gone":   {func() { w.house.gone = true; w.s.Vanish() }, protocol.ErrForbidden},
	} {
		w.house.gone = false
		w.load()
		w.allow(alice, protocol.ActionReadMessage)
		out, err := w.s.editMessage(w.turn(by(alice)), protocol.EditMessage{ID: old.ID, Spans: new(text("x"))})
		if err != nil {
			t.Fatal(name, err)
		}
		c.change()
		if _, err := w.finish(out, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestRowsOfAuthorsWhoAreGone(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	ghost := protocol.UserID(protocol.NewID[tag]())
	w.allow(ghost, protocol.ActionCreateMessage, protocol.ActionCreateReaction)
	m := w.send(ghost, "boo")
	if _, err := do(w, (*State).addReaction, by(ghost), protocol.AddReaction{MessageID: m.ID, Emoji: "x"}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	stored, err := w.db.Message(w.ctx, m.ID)
	if err != nil || stored.AuthorID != nil || len(stored.Reactions) != 0 {
		t.Errorf("stored %+v: %v", stored, err)
	}
}

var _ persistence.Row = (*persistence.MessageRow)(nil)
