package conversation

import (
	"context"
	"errors"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// Postgres being away fails what needs it, in a way that can be tried again,
// and nothing else.
func TestDetourThatCanNotRead(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	old := w.send(alice, "old")
	for range maxRecent {
		w.send(alice, "more")
	}
	away, cancel := context.WithCancel(t.Context())
	cancel()
	run := func(ctx context.Context, out turn.Outcome) error {
		t.Helper()
		then, err := out.Commit(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.finish(then(w.turn(protocol.Caller{})))
		return err
	}
	begin := func(req protocol.EditMessage) turn.Outcome {
		t.Helper()
		out, err := w.s.editMessage(w.turn(by(alice)), req)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := begin(protocol.EditMessage{ID: old.ID, Spans: new(text("lost"))})
	second := begin(protocol.EditMessage{ID: old.ID, Spans: new(text("kept"))})
	if err := run(away, first); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("first: %v", err)
	}
	w.send(alice, "talk goes on")
	if err := run(t.Context(), second); err != nil {
		t.Errorf("second: %v", err)
	}
	if len(w.s.lanes) != 0 {
		t.Errorf("%d lanes are left", len(w.s.lanes))
	}
	w.settle()
	if stored, err := w.db.Message(w.ctx, old.ID); err != nil || *stored.SearchText != "kept" {
		t.Errorf("stored %+v: %v", stored, err)
	}
	// When nobody can say what is true any more, the activation ends.
	if err := run(away, w.s.reread(w.owner, old.ID)); err != nil || !w.stopped {
		t.Errorf("stopped %v: %v", w.stopped, err)
	}
}

// What an author sends while his files are looked up comes after them.
func TestSendsOfAnAuthorKeepTheirOrder(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, bob := sc.users[0], sc.users[1]
	withFile, plain := w.request("first"), w.request("second")
	withFile.Attachments = []protocol.FileID{sc.file(t, alice, protocol.MessageID{})}
	first, err := w.s.sendMessage(w.turn(by(alice)), withFile)
	if err != nil || first.Commit == nil {
		t.Fatalf("%+v %v", first, err)
	}
	second, err := w.s.sendMessage(w.turn(by(alice)), plain)
	if err != nil || second.Commit == nil {
		t.Fatalf("%+v %v", second, err)
	}
	if m := w.send(bob, "others are not held up"); m.Seq != 1 {
		t.Errorf("seq %d", m.Seq)
	}
	for i, out := range []turn.Outcome{first, second} {
		reply, err := w.finish(out, nil)
		if err != nil {
			t.Fatal(err)
		}
		if m := reply.(*protocol.Message); m.Seq != int64(i+2) || len(m.Attachments) != 1-i {
			t.Errorf("message %d: %+v", i, m)
		}
	}
	w.settle()
}
