package community

import (
	"testing"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

func crowd(n int) (*State, []protocol.UserID) {
	users := make([]protocol.UserID, n)
	for i := range users {
		users[i] = protocol.UserID(protocol.NewRandomID[row]())
	}
	s := &State{
		cfg: Config{}.withDefaults(), holders: map[protocol.ChannelID]int64{}, online: map[protocol.UserID]protocol.Instant{},
	}
	s.replace(persistence.CommunityRows{Community: &protocol.Community{}, Members: []persistence.MemberGroup{{Users: users}}})
	return s, users
}

func TestPresence(t *testing.T) {
	t.Parallel()
	s, users := crowd(300)
	w := &world{t: t, s: s, now: 1_000_000}
	say := func(u protocol.UserID, online bool) (protocol.PresenceScope, result) {
		t.Helper()
		r := w.finish(s.memberPresence(w.turn(protocol.Caller{}), &protocol.MemberPresence{User: u, Online: online}))
		return *r.reply.(*protocol.PresenceScope), r
	}

	p, r := say(users[0], true)
	if p != (protocol.PresenceScope{Online: 1, Changed: true}) || len(r.timers) != 1 {
		t.Errorf("first = %+v, %d timers", p, len(r.timers))
	}
	if p, r = say(users[0], true); p.Changed || len(r.timers) != 0 {
		t.Errorf("a sign of life = %+v, %d timers", p, len(r.timers))
	}
	for _, u := range users[1:251] {
		p, _ = say(u, true)
	}
	if p.Online != 251 || !p.Quiet {
		t.Errorf("crowd = %+v", p)
	}
	if p, _ = say(users[250], false); p.Online != 250 || p.Quiet || !p.Changed {
		t.Errorf("one left = %+v", p)
	}
	if p, _ = say(users[250], false); p.Changed {
		t.Errorf("left again = %+v", p)
	}
	if p, _ = say(protocol.UserID(protocol.NewRandomID[row]()), true); p.Changed || p.Online != 250 {
		t.Errorf("an outsider = %+v", p)
	}

	t.Run("not heard of", func(t *testing.T) {
		w.now += instants(s.cfg.StaleAfter)
		say(users[0], true)
		r := w.finish(s.sweepOnline(w.turn(protocol.Caller{}), &sweep{}))
		if len(r.tells) != 249 || len(r.timers) != 1 {
			t.Errorf("%d users were asked, want 249", len(r.tells))
		}
		w.now += instants(s.cfg.StaleAfter)
		say(users[0], true)
		w.finish(s.sweepOnline(w.turn(protocol.Caller{}), &sweep{}))
		if len(s.online) != 1 {
			t.Errorf("%d are online, want 1", len(s.online))
		}
	})
	t.Run("after loading", func(t *testing.T) {
		s.since = w.now
		if p, _ := say(users[5], false); !p.Changed {
			t.Error("who was online before the activation is not known, but an absence was taken for known")
		}
	})
}
