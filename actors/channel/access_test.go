package channel

import (
	"errors"
	"testing"

	"github.com/rookery-chat/rookery/actors/conversation"
	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func by(u protocol.UserID) protocol.Caller { return protocol.Caller{UserID: u} }

// bare is a channel without a log, for turns that need none.
func bare(settings protocol.ChannelSettings) *State {
	s := newState(protocol.ChannelID{1}, settings)
	s.log = conversation.Nowhere(s)
	return s
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
		if err := s.Gone(); !errors.Is(err, errNoChannel) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAccessCacheIsBounded(t *testing.T) {
	s := bare(protocol.ChannelSettings{})
	for i := range maxAccess + 100 {
		s.learn(protocol.UserID{byte(i), byte(i >> 8)}, &protocol.Access{})
	}
	if len(s.access.users) > maxAccess {
		t.Errorf("%d answers", len(s.access.users))
	}
}

func TestStill(t *testing.T) {
	alice := protocol.UserID{2}
	s := bare(protocol.ChannelSettings{})
	needs := protocol.ActionReadMessage
	if err := s.Still(by(alice), needs); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("an answer that was taken back: %v", err)
	}
	s.learn(alice, &protocol.Access{Actions: protocol.NewActionSet(needs)})
	if err := s.Still(by(alice), needs); err != nil {
		t.Error(err)
	}
	if err := s.Still(by(alice), protocol.ActionCreateMessage); !errors.Is(err, protocol.ErrForbidden) {
		t.Errorf("another action: %v", err)
	}
	s.vanish()
	owner := protocol.Caller{UserID: alice, Owner: true}
	if a, b := s.Still(by(alice), needs), s.Still(owner, needs); !errors.Is(a, protocol.ErrForbidden) || !errors.Is(b, errNoChannel) {
		t.Errorf("gone: %v, owner %v", a, b)
	}
}

func TestTimeoutAndSlowMode(t *testing.T) {
	alice := protocol.UserID{2}
	for name, c := range map[string]struct {
		slowmode int
		access   protocol.Access
		owner    bool
		last     protocol.Instant
		touch    bool
		send     bool
	}{
		"nothing":        {touch: true, send: true, last: 9000},
		"timed out":      {access: protocol.Access{TimeoutUntil: 10_500}},
		"timeout over":   {access: protocol.Access{TimeoutUntil: 9500}, touch: true, send: true},
		"owner":          {access: protocol.Access{TimeoutUntil: 10_500}, owner: true, slowmode: 10, last: 9000, touch: true, send: true},
		"slow mode":      {slowmode: 10, last: 9000, touch: true},
		"first":          {slowmode: 10, touch: true, send: true},
		"slow mode over": {slowmode: 1, last: 9000, touch: true, send: true},
		"moderator": {slowmode: 10, last: 9000, touch: true, send: true,
			access: protocol.Access{Actions: protocol.NewActionSet(protocol.ActionDeleteAnyMessage)}},
	} {
		s := bare(protocol.ChannelSettings{})
		a := c.access
		a.Settings.Slowmode = c.slowmode
		s.learn(alice, &a)
		at := turn.Turn{Now: 10_000, Caller: protocol.Caller{UserID: alice, Owner: c.owner}}
		if err := s.MayTouch(at); (err == nil) != c.touch || err != nil && !errors.Is(err, rules.TimedOut(0)) {
			t.Errorf("%s: touch %v", name, err)
		}
		if err := s.MaySend(at, c.last); (err == nil) != c.send {
			t.Errorf("%s: send %v", name, err)
		}
	}
}
