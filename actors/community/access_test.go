package community

import (
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func (w *world) ask(c protocol.ChannelID, who protocol.Caller) *protocol.Access {
	w.t.Helper()
	r := w.run(w.s.answerAccess(w.turn(protocol.Caller{}), &protocol.AskAccess{Channel: c, User: who.UserID, Owner: who.Owner}))
	return r.reply.(*protocol.Access)
}

func TestAccess(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	member, outsider := w.member(admin, "mia"), w.user("otto")
	owner := w.user("olga")
	owner.Owner = true
	general := w.s.channels[0].ID

	a := w.ask(general, member)
	if a.Actions != memberRole().Set() || !a.Member || a.Settings.Missing || a.Settings.Community != w.s.id || a.Version != w.s.version {
		t.Errorf("member: %+v", a)
	}
	if a := w.ask(general, outsider); a.Actions != 0 || a.Member {
		t.Errorf("outsider: %+v", a)
	}
	if a := w.ask(general, owner); a.Actions != everything || a.Member {
		t.Errorf("owner: %+v", a)
	}
	if a := w.ask(protocol.ChannelID(protocol.NewID[row]()), member); !a.Settings.Missing || a.Actions != 0 {
		t.Errorf("unknown channel: %+v", a)
	}

	t.Run("timeout", func(t *testing.T) {
		until := w.now + 100_000
		w.exec(`INSERT INTO community_timeout (id, community_id, user_id, expires_at) VALUES (gen_random_uuid(), $1, $2, $3)`, w.s.id, member.UserID, until)
		w.run(w.s.reload(w.turn(protocol.Caller{}), &protocol.ReloadCommunity{}))
		if a := w.ask(general, member); a.TimeoutUntil != until {
			t.Errorf("timeout until %v, want %v", a.TimeoutUntil, until)
		}
		if a := w.s.access(until, &protocol.AskAccess{Channel: general, User: member.UserID}); a.TimeoutUntil != 0 {
			t.Errorf("an expired timeout holds: %+v", a)
		}
	})
}

func TestTakeBack(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	member := w.member(admin, "mia")
	first, second := w.s.channels[0].ID, w.channel(admin, "news", protocol.ChannelText, false).ID
	w.ask(first, member)
	w.ask(second, member)
	before := w.s.version
	reload := func() result {
		w.t.Helper()
		return w.run(w.s.reload(w.turn(protocol.Caller{}), &protocol.ReloadCommunity{}))
	}

	w.exec(`UPDATE role SET actions = '{READ_CHANNEL}' WHERE community_id = $1 AND name = 'Member'`, w.s.id)
	r := reload()
	if r.err != nil || len(r.asks) != 2 {
		t.Fatalf("result = %+v", r)
	}
	for _, q := range r.asks {
		m := q.Msg.(*protocol.AccessChanged)
		if q.Kind != protocol.KindChannel || m.Users != nil || m.Version <= before || m.Gone {
			t.Errorf("ask = %+v %+v", q, m)
		}
	}
	if a := w.ask(first, member); a.Actions != protocol.NewActionSet(protocol.ActionReadChannel) || a.Version <= before {
		t.Errorf("access = %+v", a)
	}

	t.Run("only holders are asked", func(t *testing.T) {
		if r := reload(); len(r.asks) != 1 || r.asks[0].ID != first.String() {
			t.Errorf("asks = %+v", r.asks)
		}
		if r := reload(); len(r.asks) != 0 {
			t.Errorf("asks = %+v", r.asks)
		}
	})
	t.Run("asked again until confirmed", func(t *testing.T) {
		w.ask(first, member)
		w.ask(second, member)
		refused := 0
		w.answer = func(a turn.Ask) turn.Answer {
			if a.ID == second.String() && refused < confirmRounds-1 {
				refused++
				return turn.Answer{Err: protocol.ErrDeadline}
			}
			return turn.Answer{Reply: &protocol.Done{}}
		}
		if r := reload(); r.err != nil || len(r.asks) != 2+refused {
			t.Errorf("result = %+v", r)
		}
	})
	t.Run("never confirmed", func(t *testing.T) {
		w.ask(second, member)
		w.answer = func(turn.Ask) turn.Answer { return turn.Answer{Err: protocol.ErrDeadline} }
		wantError(t, reload().err, errUnconfirmed)
		w.answer = nil
		if r := reload(); r.err != nil || len(r.asks) != 1 {
			t.Errorf("the channel is not asked again: %+v", r)
		}
	})
	t.Run("asked while it confirms", func(t *testing.T) {
		w.ask(first, member)
		w.answer = func(turn.Ask) turn.Answer {
			w.s.holders[first] = w.s.version // it needed the new answer at once
			return turn.Answer{Reply: &protocol.Done{}}
		}
		reload()
		w.answer = nil
		if r := reload(); len(r.asks) != 1 {
			t.Errorf("a holder was forgotten: %+v", r)
		}
	})
	t.Run("channel gone", func(t *testing.T) {
		w.ask(second, member)
		w.exec(`DELETE FROM channel WHERE id = $1`, second)
		if r := reload(); len(r.asks) != 1 || !r.asks[0].Msg.(*protocol.AccessChanged).Gone {
			t.Errorf("asks = %+v", r.asks)
		}
	})
	t.Run("next activation", func(t *testing.T) {
		version := w.s.version
		w.activate(w.s.id)
		if w.s.version <= version {
			t.Errorf("version went back from %d to %d", version, w.s.version)
		}
		if r := reload(); len(r.asks) != len(w.s.channels) {
			t.Errorf("%d channels were asked, want all: any may hold answers of the activation before", len(r.asks))
		}
	})
}

func TestStrangerJoins(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	otto := w.user("otto")
	w.ask(w.s.channels[0].ID, otto)
	r := w.add(admin, otto)
	if len(r.asks) != 2 || r.trace[1] != "AccessChanged" || r.trace[2] != "MemberJoined" {
		t.Fatalf("order = %v", r.trace)
	}
	if m := r.asks[0].Msg.(*protocol.AccessChanged); len(m.Users) != 1 || m.Users[0] != otto.UserID {
		t.Errorf("took back %+v", m)
	}
	if r := w.add(admin, w.user("new")); len(r.asks) != 1 {
		t.Errorf("nobody holds an answer about a new user: %v", r.trace)
	}

	var s strangers
	for range maxStrangers + 1 {
		s.add(protocol.UserID(protocol.NewID[row]()))
	}
	if len(s.users) != maxStrangers || !s.take(protocol.UserID{}) {
		t.Error("strangers are not bounded, or the surplus is taken for known")
	}
}
