package community

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/protocol"
)

func TestAddMember(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	news := w.channel(admin, "news", protocol.ChannelText, false)
	w.channel(admin, "secret", protocol.ChannelText, true)
	mia := w.user("mia")
	r := w.add(admin, mia)
	if r.err != nil {
		t.Fatal(r.err)
	}
	m := r.reply.(*protocol.Membership)
	if m.UserID != mia.UserID || m.CommunityID != w.s.id || m.User != nil || m.JoinedAt == 0 {
		t.Errorf("reply = %+v", m)
	}
	if !slices.Equal(r.trace, []string{"roleAssigned", "MemberJoined"}) {
		t.Errorf("order = %v", r.trace)
	}
	var p protocol.RoleAssigned
	if err := json.Unmarshal(r.events[0].Payload, &p); err != nil || p.RoleName != rules.RoleMember || p.UserID != mia.UserID {
		t.Errorf("roleAssigned = %+v, %v", p, err)
	}
	joined := r.asks[0].Msg.(*protocol.MemberJoined)
	if general, _ := w.s.channelNamed(general); !slices.Equal(joined.Channels, []protocol.ChannelID{general.ID, news.ID}) {
		t.Errorf("channels = %v", joined.Channels)
	}
	var inside int
	if err := w.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM channel_membership WHERE user_id = $1`, mia.UserID).Scan(&inside); err != nil || inside != 1 {
		t.Errorf("is in %d channels, want general alone: %v", inside, err)
	}

	list, err := w.db.Members(t.Context(), w.s.id, protocol.MemberPlace{}, protocol.MaxMembers)
	if err != nil || len(list) != 2 || list[1].User.Username != "mia" || list[1].ID != m.ID {
		t.Errorf("list = %+v, %v", list, err)
	}

	t.Run("errors", func(t *testing.T) {
		banned, expired := w.user("ben"), w.user("eva")
		w.exec(`INSERT INTO community_ban (id, community_id, user_id) VALUES (gen_random_uuid(), $1, $2)`, w.s.id, banned.UserID)
		w.exec(`INSERT INTO community_ban (id, community_id, user_id, expires_at) VALUES (gen_random_uuid(), $1, $2, $3)`, w.s.id, expired.UserID, w.now)
		wantError(t, w.finish(w.s.addMember(w.turn(admin), protocol.AddMember{UserID: banned.UserID})).err, errBanned) // only Postgres knows
		w.run(w.s.reload(w.turn(protocol.Caller{}), &protocol.ReloadCommunity{}))
		wantError(t, w.add(admin, banned).err, errBanned)
		wantError(t, w.add(admin, mia).err, errAlreadyMember)
		wantError(t, w.add(admin, protocol.Caller{UserID: protocol.UserID(protocol.NewID[row]())}).err, errNoUserOrCommunity)
		if r := w.add(admin, expired); r.err != nil {
			t.Errorf("an expired ban holds: %v", r.err)
		}
		var active bool
		if err := w.db.Pool().QueryRow(t.Context(), `SELECT active FROM community_ban WHERE user_id = $1`, expired.UserID).Scan(&active); err != nil || active {
			t.Errorf("the expired ban is still active: %v", err)
		}
	})
	t.Run("lost role", func(t *testing.T) {
		w.exec(`DELETE FROM role WHERE community_id = $1 AND name = 'Member'`, w.s.id)
		w.run(w.s.reload(w.turn(protocol.Caller{}), &protocol.ReloadCommunity{}))
		nia := w.member(admin, "nia")
		if w.s.roster.actions(nia.UserID) != memberRole().Set() {
			t.Error("the role Member was not restored")
		}
	})
	t.Run("fenced", func(t *testing.T) {
		who := w.user("zoe")
		stale := w.turn(admin)
		if _, err := w.db.TakeLease(t.Context(), "community", w.owner.ID, "n2"); err != nil {
			t.Fatal(err)
		}
		out, err := w.s.addMember(stale, protocol.AddMember{UserID: who.UserID})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Commit(t.Context()); err == nil {
			t.Error("an activation that lost its lease added a member")
		}
	})
}

func TestReloadMember(t *testing.T) {
	t.Parallel()
	w, owner := founded(t)
	rita := w.user("rita")
	w.exec(`INSERT INTO membership (id, user_id, community_id) VALUES (gen_random_uuid(), $1, $2)`, rita.UserID, w.s.id)
	w.exec(`INSERT INTO role_assignment (id, user_id, community_id, role_id)
		SELECT gen_random_uuid(), $1, $2, id FROM role WHERE community_id = $2 AND name = 'Member'`, rita.UserID, w.s.id)
	r := w.run(w.s.reloadMember(w.turn(protocol.Caller{}), &protocol.ReloadMember{User: rita.UserID}))
	if r.err != nil || !slices.Equal(r.trace, []string{"roleAssigned", "MemberJoined"}) {
		t.Fatalf("result = %+v", r)
	}
	if !w.s.roster.actions(rita.UserID).Has(protocol.ActionReadMessage) {
		t.Error("the new member may not read")
	}
	t.Run("gone again", func(t *testing.T) {
		w.exec(`DELETE FROM membership WHERE user_id = $1`, rita.UserID)
		w.exec(`DELETE FROM role_assignment WHERE user_id = $1`, rita.UserID)
		w.s.holders[w.s.channels[0].ID] = w.s.version
		r := w.run(w.s.reloadMember(w.turn(protocol.Caller{}), &protocol.ReloadMember{User: rita.UserID}))
		if r.err != nil || !slices.Equal(r.trace, []string{"AccessChanged", "MemberLeft"}) {
			t.Errorf("result = %+v", r)
		}
	})
	t.Run("account deleted", func(t *testing.T) {
		olga := w.member(owner, "olga")
		w.s.holders[w.s.channels[0].ID] = w.s.version
		w.exec(`DELETE FROM app_user WHERE id = $1`, olga.UserID)
		r := w.run(w.s.reloadMember(w.turn(protocol.Caller{}), &protocol.ReloadMember{User: olga.UserID, Gone: true}))
		if r.err != nil || !slices.Equal(r.trace, []string{"userKicked", "AccessChanged"}) || len(r.tells) != 1 ||
			*r.tells[0].Msg.(*protocol.AuthorGone) != (protocol.AuthorGone{User: olga.UserID}) {
			t.Errorf("result = %+v", r)
		}
	})
}
