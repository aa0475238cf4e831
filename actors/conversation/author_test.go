package conversation

import (
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func TestAuthorGone(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, bob := sc.users[0], sc.users[1]
	his, hers := w.send(bob, "hi"), w.send(alice, "hello")
	for _, by := range []protocol.Caller{{UserID: alice}, {UserID: bob}} {
		if _, err := do(w, (*State).addReaction, by, protocol.AddReaction{MessageID: hers.ID, Emoji: "👍"}); err != nil {
			t.Fatal(err)
		}
	}
	w.settle()
	if _, err := w.db.Pool().Exec(w.ctx, `DELETE FROM app_user WHERE id = $1`, bob); err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.AuthorGone(turn.Turn{}, &protocol.AuthorGone{User: bob}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []protocol.MessageID{his.ID, hers.ID} {
		stored, err := w.db.Message(w.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(w.s.byID[id].encoded()), string(encode(stored)); got != want {
			t.Errorf("in memory %s\nstored    %s", got, want)
		}
	}
	if m := w.s.byID[his.ID].msg; m.AuthorID != nil {
		t.Errorf("author = %v", m.AuthorID)
	}
}
