package user

import (
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func TestPresence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	small, crowded, known := w.community("Small"), w.community("Crowded"), w.community("Known")
	w.activate(w.s.user.ID)
	scopes := map[protocol.CommunityID]protocol.PresenceScope{
		small: {Online: 2, Changed: true}, crowded: {Online: 900, Quiet: true, Changed: true}, known: {Online: 2},
	}
	w.scope = func(id protocol.CommunityID) turn.Answer {
		p := scopes[id]
		return turn.Answer{Reply: &p}
	}

	first, r := w.connect("n1")
	if len(r.asks) != 3 || len(r.events) != 1 || !r.wide {
		t.Fatalf("first socket: %+v", r)
	}
	e := r.events[0]
	want := []protocol.Topic{protocol.UserTopic(w.s.user.ID), protocol.CommunityTopic(small)}
	if e.Name != "userOnline" || !slices.Equal(e.Topics, want) {
		t.Errorf("event = %+v", e)
	}
	if p := payload[protocol.UserPresence](t, e); p.UserID != w.s.user.ID || p.Username != "ada" || *p.DisplayName != "ada" || p.AvatarURL != nil {
		t.Errorf("payload = %+v", p)
	}

	second, r := w.connect("n2")
	if len(r.asks)+len(r.events) != 0 {
		t.Errorf("second socket: %+v", r)
	}
	if r = w.disconnect(first); len(r.timers) != 0 {
		t.Errorf("one socket is left: %+v", r)
	}

	t.Run("back within grace", func(t *testing.T) {
		gone := w.disconnect(second)
		if !w.s.online || !w.s.busy() {
			t.Error("offline at once")
		}
		second, r = w.connect("n2")
		if len(r.events) != 0 {
			t.Errorf("events = %+v", r.events)
		}
		if r := wait[*grace](w, gone); len(r.events) != 0 || !w.s.online {
			t.Errorf("went offline while connected: %+v", r)
		}
	})
	t.Run("gone", func(t *testing.T) {
		gone := w.disconnect(second)
		again := w.disconnect(second) // said twice: the last grace period counts
		if r := wait[*grace](w, gone); len(r.events) != 0 {
			t.Errorf("events = %+v", r.events)
		}
		r := wait[*grace](w, again)
		if len(r.events) != 1 || r.events[0].Name != "userOffline" || !slices.Equal(r.events[0].Topics, want) || !r.wide {
			t.Errorf("events = %+v", r.events)
		}
		if w.s.user.LastSeen == nil || *w.s.user.LastSeen < w.now-10 || w.s.busy() {
			t.Errorf("last seen = %v, now %v", w.s.user.LastSeen, w.now)
		}
	})
}

func TestPresenceIsSerial(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.community("Nest")
	w.activate(w.s.user.ID)
	w.s.online = true
	out, err := w.s.announcePresence(w.turn(), &announce{})
	if err == nil {
		var then turn.Then
		if then, err = out.Commit(t.Context()); err == nil {
			out, err = then(w.turn())
		}
	}
	if err != nil || len(out.Asks) != 1 {
		t.Fatalf("outcome = %+v, %v", out, err)
	}
	w.s.online = false
	if r := w.run(w.s.announcePresence(w.turn(), &announce{})); len(r.asks) != 0 {
		t.Error("two announcements run at once")
	}
	r := w.run(out.Then(w.turn(), []turn.Answer{{Reply: &protocol.PresenceScope{Changed: true}}}))
	if len(r.events) != 2 || r.events[0].Name != "userOnline" || r.events[1].Name != "userOffline" || w.s.announced {
		t.Errorf("events = %+v", r.events)
	}
}

func TestPresenceRepeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nest := w.community("Nest")
	w.activate(w.s.user.ID)
	conn, r := w.connect("n1")
	told, seen := 0, 0
	for range 12 { // 6 minutes of 30 s
		w.run(w.s.heartbeat(w.turn(), &protocol.Heartbeat{Connect: protocol.Connect{Conn: conn, Node: "n1"}}))
		last := w.s.seen
		r = wait[*sweep](w, r)
		told += len(r.tells)
		if w.s.seen != last {
			seen++
		}
		if len(r.events) != 0 {
			t.Errorf("a sign of life is no event: %+v", r.events)
		}
	}
	if told != 3 || seen != 6 {
		t.Errorf("communities were told %d times, want 3; last seen was written %d times, want 6", told, seen)
	}

	t.Run("asked", func(t *testing.T) {
		r := w.run(w.s.presenceStale(w.turn(), &protocol.PresenceStale{Community: nest}))
		if len(r.tells) != 1 || !r.tells[0].Msg.(*protocol.MemberPresence).Online {
			t.Errorf("online: %+v", r)
		}
		w.activate(w.s.user.ID) // the one with the socket died
		r = w.run(w.s.presenceStale(w.turn(), &protocol.PresenceStale{Community: nest}))
		if len(r.events) != 1 || r.events[0].Name != "userOffline" {
			t.Errorf("offline: %+v", r)
		}
	})
}

func TestPresenceOfTheLonely(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, r := w.connect("n1"); len(r.events) != 1 || len(r.events[0].Topics) != 1 {
		t.Errorf("own sockets are not told: %+v", r.events)
	}
}
