package dm

import (
	"errors"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Membership is enough for everything; nothing else is.
func TestJudge(t *testing.T) {
	alice, bob, owner := protocol.UserID{1}, protocol.UserID{2}, protocol.UserID{3}
	s := &State{group: &persistence.Group{Members: []protocol.UserID{alice, bob}}}
	all := protocol.NewActionSet(protocol.AllActions()...)
	for _, op := range []*protocol.Operation{&protocol.MessageSend.Operation, &protocol.MessageGet.Operation, &protocol.MessageRemove.Operation} {
		for name, c := range map[string]struct {
			who  protocol.Caller
			want bool
		}{
			"member":                {protocol.Caller{UserID: alice}, true},
			"outsider":              {protocol.Caller{UserID: owner, Actions: all}, false},
			"owner of the instance": {protocol.Caller{UserID: owner, Owner: true, Actions: all}, false},
			"owner who is a member": {protocol.Caller{UserID: bob, Owner: true}, true},
		} {
			if v := s.judge(turn.Turn{Caller: c.who}, op); v.Allowed != c.want || v.Ask != nil {
				t.Errorf("%s, %s: %+v", op.Name, name, v)
			}
			if err := s.Still(c.who, op.Permission); (err == nil) != c.want || err != nil && !errors.Is(err, protocol.ErrForbidden) {
				t.Errorf("%s, %s, again: %v", op.Name, name, err)
			}
		}
	}
	nowhere := &State{}
	if nowhere.judge(turn.Turn{Caller: protocol.Caller{UserID: alice, Owner: true}}, &protocol.MessageGet.Operation).Allowed {
		t.Error("somebody is let into nothing")
	}
}

func TestBlockedPair(t *testing.T) {
	s := &State{group: &persistence.Group{}}
	if a, b := s.MaySend(turn.Turn{}, 0), s.MayTouch(turn.Turn{}); a != nil || b != nil {
		t.Errorf("%v, %v", a, b)
	}
	s.group.Blocked = true
	if a, b := s.MaySend(turn.Turn{}, 0), s.MayTouch(turn.Turn{}); !errors.Is(a, protocol.ErrForbidden) || !errors.Is(b, protocol.ErrForbidden) {
		t.Errorf("%v, %v", a, b)
	}
}
