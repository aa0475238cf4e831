package community

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func (w *world) ban(by, who protocol.Caller, until *protocol.Instant) result {
	w.t.Helper()
	reason := "noise"
	return w.run(w.s.banMember(w.turn(by), protocol.BanMember{CommunityID: w.s.id, UserID: who.UserID, Reason: &reason, ExpiresAt: until}))
}

func (w *world) unban(by, who protocol.Caller) result {
	w.t.Helper()
	return w.run(w.s.unbanMember(w.turn(by), protocol.UnbanMember{CommunityID: w.s.id, UserID: who.UserID}))
}

func (w *world) kick(by, who protocol.Caller) result {
	w.t.Helper()
	return w.run(w.s.kickMember(w.turn(by), protocol.KickMember{CommunityID: w.s.id, UserID: who.UserID}))
}

func (w *world) silence(by, who protocol.Caller, seconds int) result {
	w.t.Helper()
	return w.run(w.s.timeoutMember(w.turn(by), protocol.TimeoutMember{CommunityID: w.s.id, UserID: who.UserID, DurationSeconds: seconds}))
}

func (w *world) unsilence(by, who protocol.Caller) result {
	w.t.Helper()
	return w.run(w.s.removeTimeout(w.turn(by), protocol.RemoveTimeout{CommunityID: w.s.id, UserID: who.UserID}))
}

// lastEntry is the newest entry of the log.
func (w *world) lastEntry() protocol.ModerationEntry {
	w.t.Helper()
	log, err := w.db.ModerationLog(w.t.Context(), w.s.id, "", 1, 0)
	if err != nil || len(log.Logs) != 1 {
		w.t.Fatalf("log = %+v, %v", log, err)
	}
	return log.Logs[0]
}

func (w *world) done(r result, text string) {
	w.t.Helper()
	if r.err != nil {
		w.t.Fatal(r.err)
	}
	if m, ok := r.reply.(*protocol.Moderated); !ok || !m.Success || m.Message != text {
		w.t.Errorf("reply = %+v, want %s", r.reply, text)
	}
}

// TestModerationRank tries every action on everybody: who does not outrank is
// refused with the text of the action, in whatever way he is no member.
func TestModerationRank(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	mod, second, mia := w.member(admin, "mod"), w.member(admin, "second"), w.member(admin, "mia")
	w.promote(mod, rules.RoleModerator)
	w.promote(second, rules.RoleCommunityAdmin)
	olga := w.member(admin, "olga")
	w.exec(`UPDATE app_user SET role = 'OWNER' WHERE id = $1`, olga.UserID)
	owner := w.user("otto")
	owner.Owner = true
	w.exec(`UPDATE app_user SET role = 'OWNER' WHERE id = $1`, owner.UserID)
	away := w.user("away")
	w.exec(`UPDATE app_user SET role = 'OWNER' WHERE id = $1`, away.UserID)
	eve := w.user("eve")
	named := w.custom("Boss", "READ_MEMBER")
	w.assign(owner, mia, named.ID)
	w.exec(`UPDATE role SET name = 'Owner' WHERE id = $1`, named.ID) // of an imported database
	w.run(w.s.reload(w.turn(protocol.Caller{}), &protocol.ReloadCommunity{}))

	acts := []struct {
		name string
		rank *protocol.Error
		do   func(by, who protocol.Caller) result
	}{
		{"ban", errBanRank, func(by, who protocol.Caller) result { return w.ban(by, who, nil) }},
		{"kick", errRank, w.kick},
		{"timeout", errTimeoutRank, func(by, who protocol.Caller) result { return w.silence(by, who, 60) }},
	}
	for _, a := range acts {
		for _, c := range []struct {
			name    string
			by, who protocol.Caller
			want    *protocol.Error
		}{
			{"himself", admin, admin, a.rank},
			{"an equal", admin, second, a.rank},
			{"a higher one", mod, admin, a.rank},
			{"a moderator by one with a name", mia, mod, a.rank},
			{"an owner of the instance", admin, olga, a.rank},
			{"an owner by another", owner, olga, a.rank},
			{"an owner who is no member", admin, away, a.rank},
			{"an owner on himself", owner, owner, a.rank},
			{"an outsider", admin, eve, errNotMember},
			{"an outsider by an owner", owner, eve, errNotMember},
		} {
			t.Run(a.name+" "+c.name, func(t *testing.T) { wantError(t, a.do(c.by, c.who).err, c.want) })
		}
	}
	for i, a := range acts {
		who := w.member(admin, "victim"+string(rune('0'+i)))
		if r := a.do(mod, who); r.err != nil {
			t.Errorf("%s of a member by a moderator: %v", a.name, r.err)
		}
	}
	w.done(w.kick(owner, second), "User kicked successfully")
}

func TestBan(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	mia := w.member(admin, "mia")
	w.ask(w.s.channels[0].ID, mia)
	group := w.alias("birds", mia)

	r := w.ban(admin, mia, nil)
	w.done(r, "User banned successfully")
	if !slices.Equal(r.trace, []string{"userBanned", "AccessChanged", "MemberLeft"}) {
		t.Errorf("order = %v", r.trace)
	}
	if want := []protocol.Topic{protocol.UserTopic(mia.UserID), protocol.CommunityTopic(w.s.id)}; !slices.Equal(r.events[0].Topics, want) {
		t.Errorf("topics = %v", r.events[0].Topics)
	}
	if left := r.asks[1].Msg.(*protocol.MemberLeft); !slices.Equal(left.Aliases, []protocol.AliasGroupID{group}) {
		t.Errorf("left = %+v", left)
	}
	if got := string(r.events[0].Payload); strings.Contains(got, "expiresAt") || !strings.Contains(got, `"reason":"noise"`) {
		t.Errorf("payload = %s", got)
	}
	if e := w.lastEntry(); e.Action != protocol.LogBan || *e.Reason != "noise" || string(e.Metadata) != "{}" ||
		*e.TargetUserID != mia.UserID || *e.ModeratorID != admin.UserID || e.TargetUser.Username != "mia" || e.Moderator.Username != "ada" || e.TargetMessageID != nil {
		t.Errorf("entry = %+v", e)
	}
	wantError(t, w.add(admin, mia).err, errBanned)
	wantError(t, w.ban(admin, mia, nil).err, errNotMember)

	w.done(w.unban(admin, mia), "User unbanned successfully")
	if e := w.lastEntry(); e.Action != protocol.LogUnban || e.Reason != nil || string(e.Metadata) != "null" {
		t.Errorf("entry = %+v", e)
	}
	wantError(t, w.unban(admin, mia).err, errNotBanned)
	wantError(t, w.unban(admin, admin).err, errNotBanned)

	t.Run("with an end", func(t *testing.T) {
		if r := w.add(admin, mia); r.err != nil {
			t.Fatal(r.err)
		}
		until := w.now + 50_000
		r := w.ban(admin, mia, &until)
		w.done(r, "User banned successfully")
		var p protocol.UserBanned
		if err := json.Unmarshal(r.events[0].Payload, &p); err != nil || p.ExpiresAt == nil || *p.ExpiresAt != until {
			t.Errorf("payload = %+v, %v", p, err)
		}
		if e := w.lastEntry(); !strings.Contains(string(e.Metadata), `"expiresAt"`) {
			t.Errorf("metadata = %s", e.Metadata)
		}
		list, err := w.db.Bans(t.Context(), w.s.id, w.now, protocol.AnyID{}, 10)
		if err != nil || len(list) != 1 || list[0].UserID != mia.UserID || !list[0].Active || *list[0].ExpiresAt != until ||
			list[0].User.Username != "mia" || list[0].Moderator.Username != "ada" || *list[0].Reason != "noise" {
			t.Errorf("bans = %+v, %v", list, err)
		}
		wantError(t, w.add(admin, mia).err, errBanned)
		w.now = until
		if r := w.add(admin, mia); r.err != nil {
			t.Errorf("after the end: %v", r.err)
		}
		list, err = w.db.Bans(t.Context(), w.s.id, w.now, protocol.AnyID{}, 10)
		if err != nil || len(list) != 0 {
			t.Errorf("bans = %+v, %v", list, err)
		}
	})
}

func TestKick(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	mia := w.member(admin, "mia")
	r := w.kick(admin, mia)
	w.done(r, "User kicked successfully")
	if !slices.Equal(r.trace, []string{"userKicked", "MemberLeft"}) {
		t.Errorf("order = %v", r.trace)
	}
	if e := w.lastEntry(); e.Action != protocol.LogKick || string(e.Metadata) != "null" {
		t.Errorf("entry = %+v", e)
	}
	if r := w.add(admin, mia); r.err != nil {
		t.Errorf("back again: %v", r.err)
	}
	t.Run("a channel does not confirm", func(t *testing.T) {
		w.ask(w.s.channels[0].ID, mia)
		w.answer = func(a turn.Ask) turn.Answer {
			if a.Kind == protocol.KindChannel {
				return turn.Answer{Err: protocol.ErrDeadline}
			}
			return turn.Answer{Reply: &protocol.Done{}}
		}
		wantError(t, w.kick(admin, mia).err, errUnconfirmed)
	})
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	mia := w.member(admin, "mia")
	general := w.s.channels[0].ID
	w.ask(general, mia)
	status := func() protocol.TimeoutStatus {
		r := w.run(w.s.timeoutStatus(w.turn(admin), protocol.GetTimeout{CommunityID: w.s.id, UserID: mia.UserID}))
		return *r.reply.(*protocol.TimeoutStatus)
	}
	if s := status(); s.IsTimedOut || s.ExpiresAt != nil {
		t.Errorf("status = %+v", s)
	}
	r := w.silence(admin, mia, 60)
	w.done(r, "User timed out successfully")
	if !slices.Equal(r.trace, []string{"userTimedOut", "AccessChanged"}) || r.events[0].Topics[0] != protocol.CommunityTopic(w.s.id) {
		t.Errorf("order = %v", r.trace)
	}
	var p protocol.UserTimedOut
	if err := json.Unmarshal(r.events[0].Payload, &p); err != nil || p.DurationSeconds != 60 || p.UserID != mia.UserID || p.ExpiresAt <= w.now {
		t.Errorf("payload = %+v, %v", p, err)
	}
	if s := status(); !s.IsTimedOut || *s.ExpiresAt != p.ExpiresAt {
		t.Errorf("status = %+v", s)
	}
	if a := w.ask(general, mia); a.TimeoutUntil != p.ExpiresAt {
		t.Errorf("channels are told %v", a.TimeoutUntil)
	}
	if e := w.lastEntry(); e.Action != protocol.LogTimeout || !strings.Contains(string(e.Metadata), `"durationSeconds": 60`) {
		t.Errorf("entry = %+v %s", e, e.Metadata)
	}
	w.done(w.silence(admin, mia, 120), "User timed out successfully")
	list, err := w.db.Timeouts(t.Context(), w.s.id, w.now, protocol.AnyID{}, 10)
	if err != nil || len(list) != 1 || list[0].ExpiresAt != *status().ExpiresAt || list[0].User.Username != "mia" {
		t.Errorf("timeouts = %+v, %v", list, err)
	}
	r = w.unsilence(admin, mia)
	w.done(r, "Timeout removed successfully")
	told[protocol.TimeoutRemoved](w, r, "timeoutRemoved")
	if status().IsTimedOut {
		t.Error("still timed out")
	}
	wantError(t, w.unsilence(admin, mia).err, errNotTimedOut)

	t.Run("expired", func(t *testing.T) {
		w.silence(admin, mia, 60)
		w.now += 61_000
		if s := status(); s.IsTimedOut {
			t.Errorf("status = %+v", s)
		}
		w.done(w.run(w.s.removeTimeout(w.turn(admin), protocol.RemoveTimeout{UserID: mia.UserID})), "Timeout removed successfully")
		w.silence(admin, mia, 60)
		w.now += 61_000
		if list, err := w.db.Timeouts(t.Context(), w.s.id, w.now, protocol.AnyID{}, 10); err != nil || len(list) != 0 {
			t.Errorf("timeouts = %+v, %v", list, err)
		}
		wantError(t, w.unsilence(admin, mia).err, errNotTimedOut) // the list has tidied up
		next := w.member(admin, "next")
		w.s.timeouts[mia.UserID] = w.now
		w.finish(w.s.timeoutMember(w.turn(admin), protocol.TimeoutMember{UserID: next.UserID, DurationSeconds: 60}))
		if _, kept := w.s.timeouts[mia.UserID]; kept {
			t.Error("an expired timeout is kept")
		}
	})
	t.Run("a channel does not confirm", func(t *testing.T) {
		w.ask(general, mia)
		w.answer = func(turn.Ask) turn.Answer { return turn.Answer{Err: protocol.ErrDeadline} }
		wantError(t, w.silence(admin, mia, 60).err, errUnconfirmed)
	})
}

func TestModerationLog(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	mia := w.member(admin, "mia")
	long := strings.Repeat("ä", protocol.MaxReason+10)
	for range 3 {
		w.run(w.s.timeoutMember(w.turn(admin), protocol.TimeoutMember{UserID: mia.UserID, DurationSeconds: 60, Reason: &long}))
	}
	w.kick(admin, mia)
	for _, c := range []struct {
		action        string
		limit, offset int
		rows, total   int
	}{{"", 50, 0, 4, 4}, {"", 2, 1, 2, 4}, {"", 50, 4, 0, 4}, {protocol.LogTimeout, 2, 0, 2, 3}, {protocol.LogBan, 50, 0, 0, 0}} {
		log, err := w.db.ModerationLog(t.Context(), w.s.id, c.action, c.limit, c.offset)
		if err != nil || len(log.Logs) != c.rows || log.Total != c.total {
			t.Errorf("%+v: %d of %d, %v", c, len(log.Logs), log.Total, err)
		}
	}
	log, err := w.db.ModerationLog(t.Context(), w.s.id, "", 50, 0)
	if err != nil || log.Logs[0].Action != protocol.LogKick || len([]rune(*log.Logs[1].Reason)) != protocol.MaxReason {
		t.Errorf("log = %+v, %v", log, err)
	}
	w.exec(`DELETE FROM app_user WHERE id = $1`, mia.UserID)
	if e := w.lastEntry(); e.TargetUserID != nil || e.TargetUser != nil || e.Moderator == nil {
		t.Errorf("entry about nobody = %+v", e)
	}
}
