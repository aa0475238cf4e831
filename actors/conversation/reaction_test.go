package conversation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/protocol"
)

func TestReactions(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, bob := sc.users[0], sc.users[1]
	m := w.send(alice, "hi")
	w.events = nil
	add := func(u protocol.UserID, emoji string) *protocol.ReactedMessage {
		t.Helper()
		w.now++
		reply, err := do(w, (*State).addReaction, by(u), protocol.AddReaction{MessageID: m.ID, Emoji: emoji})
		if err != nil {
			t.Fatal(err)
		}
		return reply.(*protocol.ReactedMessage)
	}
	remove := func(u protocol.UserID, emoji string) *protocol.ReactedMessage {
		t.Helper()
		reply, err := do(w, (*State).removeReaction, by(u), protocol.RemoveReaction{MessageID: m.ID, Emoji: emoji})
		if err != nil {
			t.Fatal(err)
		}
		return reply.(*protocol.ReactedMessage)
	}
	for _, c := range []struct {
		reply *protocol.ReactedMessage
		want  string
	}{
		{add(bob, "👍"), "👍[bob]"},
		{add(bob, "👍"), "👍[bob]"},
		{add(bob, "🎉"), "👍[bob] 🎉[bob]"},
		{add(alice, "👍"), "👍[bob alice] 🎉[bob]"},
		{remove(alice, "🎉"), "👍[bob alice] 🎉[bob]"},
		{remove(bob, "👍"), "🎉[bob] 👍[alice]"}, // the oldest choice that still stands is of 🎉
		{remove(bob, "🎉"), "👍[alice]"},
	} {
		got := strings.NewReplacer(alice.String(), "alice", bob.String(), "bob").Replace(shortly(c.reply.Reactions))
		if got != c.want {
			t.Errorf("reactions %s, want %s", got, c.want)
		}
	}
	w.settle()
	stored, err := w.db.Message(w.ctx, m.ID)
	if err != nil || shortly(stored.Reactions) != shortly(w.s.byID[m.ID].msg.Reactions) {
		t.Errorf("stored %s: %v", shortly(stored.Reactions), err)
	}
	want := []string{"reactionAdded", "reactionAdded", "reactionAdded", "reactionAdded", "reactionRemoved", "reactionRemoved", "reactionRemoved"}
	if got := names(w.events); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	const head = `{"messageId":"%s","reaction":{"emoji":"👍","userIds":["%s"]},"channelId":"%s","directMessageGroupId":null,"parentMessageId":null}`
	if got, want := string(w.events[0].Payload), fmt.Sprintf(head, m.ID, bob, w.channel); got != want {
		t.Errorf("payload %s\nwant %s", got, want)
	}
	const tail = `{"messageId":"%s","emoji":"🎉","reactions":[{"emoji":"👍","userIds":["%s"]}],"channelId":"%s","directMessageGroupId":null,"parentMessageId":null}`
	if got, want := string(w.events[6].Payload), fmt.Sprintf(tail, m.ID, alice, w.channel); got != want {
		t.Errorf("payload %s\nwant %s", got, want)
	}
}

func shortly(list []protocol.Reaction) string {
	var parts []string
	for _, r := range list {
		parts = append(parts, fmt.Sprintf("%s%v", r.Emoji, r.UserIDs))
	}
	return strings.Join(parts, " ")
}

func TestReactionRefusals(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	m := w.send(alice, "hi")
	for i := range rules.MaxReactionKinds {
		if _, err := do(w, (*State).addReaction, by(alice), protocol.AddReaction{MessageID: m.ID, Emoji: fmt.Sprint("e", i)}); err != nil {
			t.Fatal(err)
		}
	}
	unknown := protocol.MessageID{3}
	for name, c := range map[string]struct {
		who   protocol.Caller
		id    protocol.MessageID
		emoji string
		want  error
		text  string
	}{
		"one kind too many":  {by(alice), m.ID, "one more", errTooManyEmoji, ""},
		"a kind that exists": {by(sc.users[1]), m.ID, "e0", nil, ""},
		"unknown":            {by(alice), unknown, "e", protocol.ErrForbidden, ""},
		"unknown, owner":     {protocol.Caller{UserID: alice, Owner: true}, unknown, "e", protocol.NotFound(""), "Message " + unknown.String() + " not found"},
		"NUL":                {by(alice), m.ID, "\x00", protocol.Invalid([]protocol.FieldError{{}}), ""},
	} {
		_, err := do(w, (*State).addReaction, c.who, protocol.AddReaction{MessageID: c.id, Emoji: c.emoji})
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	w.house.timeout[alice] = w.now + 5
	if _, err := do(w, (*State).addReaction, by(alice), protocol.AddReaction{MessageID: m.ID, Emoji: "e0"}); !errors.Is(err, &protocol.Error{Code: protocol.CodeTimedOut}) {
		t.Errorf("timed out: %v", err)
	}
	w.settle()
}
