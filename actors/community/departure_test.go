package community

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// promote gives a member one of the default roles.
func (w *world) promote(who protocol.Caller, role string) {
	w.t.Helper()
	w.exec(`INSERT INTO role_assignment (id, user_id, community_id, role_id)
		SELECT gen_random_uuid(), $1, $2, id FROM role WHERE community_id = $2 AND name = $3`, who.UserID, w.s.id, role)
	w.run(w.s.reloadMember(w.turn(protocol.Caller{}), &protocol.ReloadMember{User: who.UserID}))
}

// alias makes an alias group with the user in it.
func (w *world) alias(name string, who protocol.Caller) protocol.AliasGroupID {
	w.t.Helper()
	id := protocol.AliasGroupID(protocol.NewID[row]())
	w.exec(`INSERT INTO alias_group (id, name, community_id) VALUES ($1, $2, $3)`, id, name, w.s.id)
	w.exec(`INSERT INTO alias_group_member (id, alias_group_id, user_id) VALUES (gen_random_uuid(), $1, $2)`, id, who.UserID)
	return id
}

func (w *world) rows(sql string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.Pool().QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) leave(who protocol.Caller) result {
	w.t.Helper()
	return w.run(w.s.leaveCommunity(w.turn(who), protocol.LeaveCommunity{CommunityID: w.s.id}))
}

func (w *world) remove(by, who protocol.Caller) result {
	w.t.Helper()
	return w.run(w.s.removeMember(w.turn(by), protocol.RemoveMember{CommunityID: w.s.id, UserID: who.UserID}))
}

func TestLeave(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	secret := w.channel(admin, "secret", protocol.ChannelText, true)
	mia := w.member(admin, "mia")
	w.exec(`INSERT INTO channel_membership (id, user_id, channel_id) VALUES (gen_random_uuid(), $1, $2)`, mia.UserID, secret.ID)
	w.run(w.s.reloadMember(w.turn(protocol.Caller{}), &protocol.ReloadMember{User: mia.UserID}))
	group := w.alias("birds", mia)
	w.ask(secret.ID, mia)
	w.s.online[mia.UserID] = w.now

	r := w.leave(mia)
	if r.err != nil || len(r.events) != 0 || !slices.Equal(r.trace, []string{"AccessChanged", "MemberLeft"}) {
		t.Fatalf("result = %+v", r)
	}
	left := r.asks[1].Msg.(*protocol.MemberLeft)
	want := []protocol.Topic{
		protocol.CommunityTopic(w.s.id), protocol.ChannelTopic(w.s.channels[0].ID), protocol.ChannelTopic(secret.ID), protocol.AliasTopic(group),
	}
	if r.asks[1].ID != mia.UserID.String() || !slices.Equal(left.Topics(), want) {
		t.Errorf("left %+v, want %v", left, want)
	}
	if _, online := w.s.online[mia.UserID]; online || w.s.roster.has(mia.UserID) {
		t.Error("still there")
	}
	for what, sql := range map[string]string{
		"membership": `SELECT count(*) FROM membership WHERE user_id = $1`,
		"roles":      `SELECT count(*) FROM role_assignment WHERE user_id = $1`,
		"channels":   `SELECT count(*) FROM channel_membership WHERE user_id = $1`,
		"aliases":    `SELECT count(*) FROM alias_group_member WHERE user_id = $1`,
	} {
		if n := w.rows(sql, mia.UserID); n != 0 {
			t.Errorf("%d %s are left", n, what)
		}
	}
	wantError(t, w.leave(mia).err, errNoMember)

	t.Run("last admin", func(t *testing.T) {
		wantError(t, w.leave(admin).err, errLast)
		wantError(t, w.remove(admin, admin).err, errLast)
		w.promote(w.member(admin, "second"), rules.RoleCommunityAdmin)
		if r := w.leave(admin); r.err != nil {
			t.Error(r.err)
		}
	})
}

func TestRemoveMember(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	mod, second, mia := w.member(admin, "mod"), w.member(admin, "second"), w.member(admin, "mia")
	w.promote(mod, rules.RoleModerator)
	w.promote(second, rules.RoleCommunityAdmin)
	olga := w.member(admin, "olga")
	w.exec(`UPDATE app_user SET role = 'OWNER' WHERE id = $1`, olga.UserID)
	owner := w.user("otto")
	owner.Owner = true

	for _, c := range []struct {
		name    string
		by, who protocol.Caller
		want    *protocol.Error
	}{
		{"an equal", admin, second, errRank},
		{"a member by a member", mia, mod, errRank},
		{"an owner of the instance", admin, olga, errRank},
		{"an owner by another", owner, olga, errRank},
		{"an outsider", admin, w.user("eve"), errNoMember},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, w.remove(c.by, c.who).err, c.want) })
	}

	r := w.remove(admin, mia)
	if r.err != nil || !slices.Equal(r.trace, []string{"userKicked", "MemberLeft"}) {
		t.Fatalf("result = %+v", r)
	}
	var p protocol.UserKicked
	if err := json.Unmarshal(r.events[0].Payload, &p); err != nil {
		t.Fatal(err)
	}
	if p.UserID != mia.UserID || p.ModeratorID != admin.UserID || p.CommunityID != w.s.id || p.Reason != nil {
		t.Errorf("payload = %+v", p)
	}
	if want := []protocol.Topic{protocol.UserTopic(mia.UserID), protocol.CommunityTopic(w.s.id)}; !slices.Equal(r.events[0].Topics, want) {
		t.Errorf("topics = %v", r.events[0].Topics)
	}
	if r := w.remove(owner, second); r.err != nil {
		t.Errorf("by an owner: %v", r.err)
	}

	t.Run("user actor is away", func(t *testing.T) {
		w.answer = func(a turn.Ask) turn.Answer {
			if a.Kind == protocol.KindUser {
				return turn.Answer{Err: protocol.ErrUnavailable}
			}
			return turn.Answer{Reply: &protocol.Done{}}
		}
		r := w.remove(admin, mod)
		if r.err != nil || len(r.rooms) != 1 || r.rooms[0].Of != protocol.UserTopic(mod.UserID) || len(r.rooms[0].Leave) != 2 {
			t.Errorf("result = %+v", r)
		}
	})
}
