package conversation

import (
	"fmt"
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
	check("a reply", 2, true, 2) // the reply and the message; its count is a change, of another epoch
	check("a reply", 3, true, 1)
	w.load()
	check("a reply before this activation", 2, false, 0)
	check("a reply before this activation", 3, true, 1)
	w.reply(alice, parent.ID, "five")
	w.load()
	check("a reply at the end", 4, false, 0)
	check("a reply at the end", 5, true, 0)
}

// What happened to messages is told once, in order, and said to be unknown when it
// is of another activation or too long ago.
func TestMissedChanges(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, bob := sc.users[0], sc.users[1]
	ask := func(epoch, seq, rev int64) (*protocol.Missed, string) {
		t.Helper()
		out, err := w.s.missed(w.turn(by(alice)), &protocol.AskMissed{Epoch: epoch, Seq: seq, Rev: rev})
		if err != nil {
			t.Fatal(err)
		}
		m := out.Reply.(*protocol.Missed)
		text := ""
		for _, e := range m.Events {
			text += fmt.Sprintf("%s %d/%d, ", e.Name, e.Seq, e.Rev)
		}
		return m, text
	}
	now := func() int64 { return w.turn(by(alice)).Owner.Epoch }
	react := func(m protocol.MessageID, emoji string) {
		t.Helper()
		if _, err := do(w, (*State).addReaction, by(bob), protocol.AddReaction{MessageID: m, Emoji: emoji}); err != nil {
			t.Fatal(err)
		}
	}
	one := w.send(alice, "one")
	react(one.ID, "a") // 1
	two := w.send(alice, "two")
	react(two.ID, "b")                // 2
	w.reply(alice, one.ID, "a reply") // seq 3, 3 and the count 4
	w.send(alice, "three")            // seq 4
	for _, step := range []struct {
		seq, rev int64
		want     string
	}{
		{4, 4, ""},
		{4, 3, "threadReplyCountUpdated 0/4, "},
		{3, 3, "threadReplyCountUpdated 0/4, newMessage 4/4, "},
		{2, 1, "reactionAdded 0/2, newThreadReply 3/3, threadReplyCountUpdated 0/4, newMessage 4/4, "},
		{0, 0, "newMessage 1/0, reactionAdded 0/1, newMessage 2/1, reactionAdded 0/2, newThreadReply 3/3, threadReplyCountUpdated 0/4, newMessage 4/4, "},
		{2, -1, "reactionAdded 0/2, newThreadReply 3/3, threadReplyCountUpdated 0/4, newMessage 4/4, "}, // it may have seen the reaction
		{4, -1, ""},
	} {
		if m, got := ask(now(), step.seq, step.rev); got != step.want || !m.Whole || !m.Changes || m.Seq != 4 || m.Rev != 4 {
			t.Errorf("behind %d/%d: %v %v %s\nwant %s", step.seq, step.rev, m.Whole, m.Changes, got, step.want)
		}
	}
	if m, got := ask(now()-1, 2, 1); !m.Whole || m.Changes || got != "newThreadReply 3/4, newMessage 4/4, " {
		t.Errorf("of another epoch: %v %v %s", m.Whole, m.Changes, got)
	}
	if m, _ := ask(now(), 4, 5); m.Changes {
		t.Error("a change that never was is known")
	}
	// Beyond the bounds.
	for range maxChanges {
		react(two.ID, "b") // the same again is told again
	}
	if m, got := ask(now(), 4, 3); m.Changes || !m.Whole || got != "" {
		t.Errorf("too many: %v %v %s", m.Whole, m.Changes, got)
	}
	if m, _ := ask(now(), 3, -1); m.Changes {
		t.Error("too many, without a rev: it is said to be all")
	}
	if m, _ := ask(now(), 2, 2); m.Whole {
		t.Error("a reply is lost, and the messages are said to be whole")
	}
	if m, _ := ask(now(), 4, 4); !m.Changes || len(m.Events) != maxChanges {
		t.Errorf("all that is kept: %v, %d events", m.Changes, len(m.Events))
	}
	w.now += maxChangeAge + 1
	react(one.ID, "late")
	if m, got := ask(now(), 4, 4); m.Changes {
		t.Errorf("too old: %s", got)
	}
	if m, got := ask(now(), 4, 4+maxChanges); !m.Changes || got != fmt.Sprintf("reactionAdded 0/%d, ", maxChanges+5) {
		t.Errorf("the newest: %v %s", m.Changes, got)
	}
}
