package channel

import (
	"errors"
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// bare is a channel without a database, for turns that need none.
func bare(settings protocol.ChannelSettings) *State {
	return newState(protocol.ChannelID{1}, &persistence.ChannelLog{Settings: settings}, archive{})
}

func TestJudge(t *testing.T) {
	alice := protocol.UserID{2}
	op := &protocol.MessageSend.Operation
	community := protocol.CommunityID{3}
	s := bare(protocol.ChannelSettings{Community: community})
	in := func(c protocol.Caller) turn.Turn { return turn.Turn{Caller: c} }
	if !s.judge(in(protocol.Caller{UserID: alice, Owner: true}), op).Allowed {
		t.Error("owner is refused")
	}
	v := s.judge(in(by(alice)), op)
	if v.Allowed || v.Ask == nil || v.Ask.ID != community.String() || *v.Ask.Msg.(*protocol.AskAccess) != (protocol.AskAccess{Channel: s.id, User: alice}) {
		t.Fatalf("verdict %+v", v)
	}
	answer := func(version int64, actions ...protocol.Action) turn.Answer {
		return turn.Answer{Reply: &protocol.Access{User: alice, Actions: protocol.NewActionSet(actions...), Version: version, Settings: s.settings}}
	}
	if _, err := s.accessChanged(turn.Turn{}, &protocol.AccessChanged{Users: []protocol.UserID{alice}, Version: 5}); err != nil {
		t.Fatal(err)
	}
	v.Learn(turn.Turn{}, answer(4, protocol.ActionCreateMessage))
	if s.judge(in(by(alice)), op).Ask == nil {
		t.Error("an answer that was taken back on its way was used")
	}
	v.Learn(turn.Turn{}, answer(5, protocol.ActionCreateMessage))
	if got := s.judge(in(by(alice)), op); !got.Allowed || got.Ask != nil {
		t.Errorf("verdict %+v", got)
	}
	if got := s.judge(in(by(alice)), &protocol.MessageList.Operation); got.Allowed || got.Ask != nil {
		t.Errorf("another action: %+v", got)
	}
	for _, users := range [][]protocol.UserID{nil, {alice}} {
		v.Learn(turn.Turn{}, answer(9, protocol.ActionCreateMessage))
		if _, err := s.accessChanged(turn.Turn{}, &protocol.AccessChanged{Users: users, Version: 6}); err != nil {
			t.Fatal(err)
		}
		if s.judge(in(by(alice)), op).Ask == nil {
			t.Errorf("taking back from %v had no effect", users)
		}
	}
	v.Learn(turn.Turn{}, turn.Answer{Reply: &protocol.Done{}})
	if got := s.judge(in(by(alice)), op); got.Allowed || got.Ask != nil {
		t.Errorf("an answer that is none: %+v", got)
	}
}

func TestMissingChannel(t *testing.T) {
	alice := protocol.UserID{2}
	gone := bare(protocol.ChannelSettings{})
	if _, err := gone.accessChanged(turn.Turn{}, &protocol.AccessChanged{Gone: true}); err != nil {
		t.Fatal(err)
	}
	told := bare(protocol.ChannelSettings{})
	told.learn(alice, &protocol.Access{Settings: protocol.ChannelSettings{Missing: true}})
	for name, s := range map[string]*State{
		"never there": bare(protocol.ChannelSettings{Missing: true}), "deleted": gone, "unknown to its community": told,
	} {
		op := &protocol.MessageList.Operation
		if v := s.judge(turn.Turn{Caller: by(alice)}, op); v.Allowed || v.Ask != nil {
			t.Errorf("%s: %+v", name, v)
		}
		owner := turn.Turn{Caller: protocol.Caller{UserID: alice, Owner: true}}
		if !s.judge(owner, op).Allowed {
			t.Errorf("%s: owner is not let through to be told", name)
		}
		if _, err := there((*State).listMessages)(s, owner, protocol.ListMessages{}); !errors.Is(err, errNoChannel) {
			t.Errorf("%s: %v", name, err)
		}
		if out, err := s.typingChanged(owner, &protocol.Typing{User: alice, Active: true}); err != nil || len(out.Events) > 0 {
			t.Errorf("%s: typing %+v %v", name, out, err)
		}
	}
}

func TestAccessCacheIsBounded(t *testing.T) {
	s := bare(protocol.ChannelSettings{})
	for i := range maxAccess + 100 {
		s.learn(protocol.UserID{byte(i), byte(i >> 8)}, &protocol.Access{})
		s.sentAt(protocol.UserID{byte(i), byte(i >> 8)}, protocol.Instant(i+1))
	}
	if len(s.access.users) > maxAccess || len(s.lastSend) > maxLastSends {
		t.Errorf("%d answers, %d senders", len(s.access.users), len(s.lastSend))
	}
}

func TestTyping(t *testing.T) {
	alice, bob := protocol.UserID{2}, protocol.UserID{3}
	conn := protocol.ConnID{4}
	s := bare(protocol.ChannelSettings{})
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
		return `{"userId":"` + u.String() + `","channelId":"` + s.id.String() + `","isTyping":` + active + `}`
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
