package conversation

import (
	"errors"
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// bare is a channel without a database, for turns that need none.
func bare() *State {
	s := newState(protocol.InChannel(protocol.ChannelID{1}), newHouse(), &persistence.Log{}, archive{})
	s.notices.quietUntil = 1 << 50 // nobody wants to hear of every message
	return s
}

func TestGone(t *testing.T) {
	alice := protocol.UserID{2}
	s := bare()
	s.rules.(*house).gone = true
	s.Vanish()
	owner := turn.Turn{Caller: protocol.Caller{UserID: alice, Owner: true}}
	if _, err := there((*State).listMessages)(s, owner, protocol.ListMessages{}); !errors.Is(err, errGone) {
		t.Errorf("list: %v", err)
	}
	if out, err := s.typingChanged(owner, &protocol.Typing{User: alice, Active: true}); err != nil || len(out.Events) > 0 {
		t.Errorf("typing %+v %v", out, err)
	}
}

func TestTypingOfWhoMayNotWrite(t *testing.T) {
	alice := protocol.UserID{2}
	s := bare()
	s.rules.(*house).timeout[alice] = 100
	if out, err := s.typingChanged(turn.Turn{Now: 1}, &protocol.Typing{User: alice, Active: true}); err != nil || len(out.Events) > 0 {
		t.Errorf("typing %+v %v", out, err)
	}
}

func TestLastSendsAreBounded(t *testing.T) {
	s := bare()
	for i := range maxLastSends + 100 {
		s.sentAt(protocol.UserID{byte(i), byte(i >> 8)}, protocol.Instant(i+1))
	}
	if len(s.lastSend) > maxLastSends {
		t.Errorf("%d senders", len(s.lastSend))
	}
}

func TestTyping(t *testing.T) {
	alice, bob := protocol.UserID{2}, protocol.UserID{3}
	conn := protocol.ConnID{4}
	s := bare()
	var got []string
	for _, c := range []struct {
		at     protocol.Instant
		user   protocol.UserID
		active bool
	}{
		{0, alice, true}, {1999, alice, true}, {2000, alice, true}, {2001, bob, true},
		{2002, alice, false}, {2003, alice, false}, {2004, alice, true},
	} {
		out, err := s.typingChanged(turn.Turn{Now: 10_000 + c.at}, &protocol.Typing{User: c.user, Conn: conn, Active: c.active})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.Events {
			if e.Name != "userTyping" || e.Except != conn || e.Seq != 0 || e.Topics[0] != s.topic() {
				t.Errorf("event %+v", e)
			}
			got = append(got, string(e.Payload))
		}
	}
	payload := func(u protocol.UserID, active string) string {
		return `{"userId":"` + u.String() + `","channelId":"` + s.channel.String() + `","isTyping":` + active + `}`
	}
	want := []string{payload(alice, "true"), payload(alice, "true"), payload(bob, "true"), payload(alice, "false"), payload(alice, "true")}
	if !slices.Equal(got, want) {
		t.Errorf("events %v\nwant %v", got, want)
	}
	for i := range 3 * maxTyping {
		if _, err := s.typingChanged(turn.Turn{Now: 20_000}, &protocol.Typing{User: protocol.UserID{byte(i), byte(i >> 8), 1}, Active: true}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.typing) > maxTyping {
		t.Errorf("%d typists are kept", len(s.typing))
	}
}

func TestSendsAreBounded(t *testing.T) {
	s := newSends()
	for i := range 3 * maxSends {
		s.add(send{id: protocol.MessageID{byte(i), byte(i >> 8)}, author: protocol.UserID{1}, nonce: string(rune('a' + i)), at: 1})
	}
	if len(s.order) > maxSends || len(s.byID) > maxSends || len(s.byNonce) > maxSends {
		t.Errorf("%d sends, %d ids, %d nonces", len(s.order), len(s.byID), len(s.byNonce))
	}
	s.expire(2+sendWindow, maxSends)
	if len(s.order)+len(s.byID)+len(s.byNonce) != 0 {
		t.Errorf("%d sends, %d ids, %d nonces are kept for ever", len(s.order), len(s.byID), len(s.byNonce))
	}
}
