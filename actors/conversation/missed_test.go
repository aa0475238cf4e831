package conversation

import (
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

// What was missed is told whole or not at all: the ring has no thread replies.
func TestMissed(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	whole := func(behind int64) (bool, int) {
		t.Helper()
		out, err := w.s.missed(w.turn(by(alice)), &protocol.AskMissed{Seq: behind})
		if err != nil {
			t.Fatal(err)
		}
		m := out.Reply.(*protocol.Missed)
		return m.Whole, len(m.Events)
	}
	check := func(when string, behind int64, want bool, events int) {
		t.Helper()
		if got, n := whole(behind); got != want || n != events {
			t.Errorf("%s, behind %d: whole %v with %d events", when, behind, got, n)
		}
	}
	parent := w.send(alice, "one")
	w.send(alice, "two")
	check("two messages", 0, true, 2)
	w.reply(alice, parent.ID, "three")
	w.send(alice, "four")
	for range 2 {
		check("a reply", 2, false, 0)
		check("a reply", 3, true, 1)
		w.load()
	}
	w.reply(alice, parent.ID, "five")
	w.load()
	check("a reply at the end", 4, false, 0)
	check("a reply at the end", 5, true, 0)
}
