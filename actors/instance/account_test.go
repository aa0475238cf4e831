package instance

import (
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func TestBan(t *testing.T) {
	t.Parallel()
	w, owner, _ := ready(t)
	mia := w.user("mia", w.invite(owner, protocol.CreateInvite{}).Code)
	w.exec(`INSERT INTO refresh_token (id, user_id, family_id, token_hash, expires_at)
		VALUES (gen_random_uuid(), $1, gen_random_uuid(), sha256('x'), now() + interval '1 day')`, mia.ID)
	ban := func(by protocol.Caller, who protocol.UserID, on bool) result {
		t.Helper()
		return w.run(w.s.banUser(w.turn(by), protocol.SetUserBan{ID: who, Banned: on}))
	}

	r := ban(owner, mia.ID, true)
	if r.err != nil {
		t.Fatal(r.err)
	}
	u := r.reply.(*protocol.AdminUser)
	if !u.Banned || u.BannedAt == nil || *u.BannedByID != owner.UserID || u.Username != "mia" || u.StorageQuotaBytes == 0 || u.CreatedAt == 0 {
		t.Errorf("reply = %+v", u)
	}
	if len(r.asks) != 1 || r.asks[0].ID != mia.ID.String() || *r.asks[0].Msg.(*protocol.EndSessions) != (protocol.EndSessions{Reason: reasonBanned}) {
		t.Errorf("asks = %+v", r.asks)
	}
	if len(r.accounts) != 1 || r.accounts[0] != mia.ID || len(r.timers) != 1 {
		t.Errorf("gates are not told: %+v", r)
	}
	if again := w.run(w.s.endAgain(w.turn(protocol.Caller{}), r.timers[0].Msg.(*endAgain))); len(again.tells) != 1 || again.tells[0].ID != mia.ID.String() {
		t.Errorf("tells = %+v", again.tells)
	}
	if n := w.count(`SELECT count(*) FROM refresh_token`); n != 0 {
		t.Errorf("%d logins of a banned account are left", n)
	}
	if s, err := w.db.AccountState(t.Context(), mia.ID, w.now); err != nil || !s.Banned {
		t.Errorf("account = %+v, %v", s, err)
	}

	r = ban(owner, mia.ID, false)
	if u := r.reply.(*protocol.AdminUser); u.Banned || u.BannedAt != nil || u.BannedByID != nil || len(r.asks) != 0 || len(r.accounts) != 1 {
		t.Errorf("unban = %+v", r)
	}

	w.exec(`UPDATE app_user SET role = 'OWNER' WHERE id = $1`, mia.ID)
	wantError(t, ban(owner, mia.ID, true).err, protocol.Forbidden("Cannot ban an instance owner"))
	wantError(t, ban(owner, owner.UserID, true).err, protocol.Forbidden("Cannot ban yourself"))
	wantError(t, ban(owner, owner.UserID, false).err, protocol.Forbidden("Cannot ban yourself"))
	wantError(t, ban(owner, protocol.UserID(protocol.NewID[row]()), true).err, protocol.NotFound("User not found"))
}

func TestAccountState(t *testing.T) {
	t.Parallel()
	w, owner, _ := ready(t)
	mia := w.user("mia", w.invite(owner, protocol.CreateInvite{}).Code)
	for _, name := range []string{"User Manager", "Invite Manager"} {
		w.exec(`INSERT INTO role_assignment (id, user_id, role_id) SELECT gen_random_uuid(), $1, id FROM role WHERE name = $2 AND community_id IS NULL`, mia.ID, name)
	}
	live, expired := protocol.AnyID(protocol.NewID[row]()), protocol.AnyID(protocol.NewID[row]())
	w.exec(`INSERT INTO revoked_token (id, user_id, expires_at) VALUES ($1, $2, $3)`, live, mia.ID, w.now+1000)
	w.exec(`INSERT INTO revoked_token (id, user_id, expires_at) VALUES ($1, $2, $3)`, expired, mia.ID, w.now-1)
	s, err := w.db.AccountState(t.Context(), mia.ID, w.now)
	if err != nil || s.Actions.Len() != 10 || !s.Actions.Has(protocol.ActionBanUser) || len(s.Revoked) != 1 || s.Revoked[0] != live || s.Username != "mia" {
		t.Errorf("account = %+v, %v", s, err)
	}
	_, err = w.db.AccountState(t.Context(), protocol.UserID(protocol.NewID[row]()), w.now)
	wantError(t, err, protocol.NotFound("User not found"))
}

func TestRole(t *testing.T) {
	t.Parallel()
	w, owner, _ := ready(t)
	code := w.invite(owner, protocol.CreateInvite{}).Code
	mia, uma := w.user("mia", code), w.user("uma", code)
	set := func(by protocol.UserID, who protocol.UserID, role string) result {
		t.Helper()
		return w.run(w.s.setRole(w.turn(protocol.Caller{UserID: by}), protocol.SetUserRole{ID: who, Role: role}))
	}
	last := protocol.Forbidden("Cannot demote the last owner. Promote another user first.")

	wantError(t, set(owner.UserID, protocol.UserID(protocol.NewID[row]()), protocol.RoleOwner).err, protocol.NotFound("User not found"))
	wantError(t, set(owner.UserID, owner.UserID, protocol.RoleUser).err, last)
	wantError(t, set(mia.ID, mia.ID, protocol.RoleOwner).err, protocol.ErrForbidden)
	wantError(t, set(mia.ID, owner.UserID, protocol.RoleUser).err, protocol.ErrForbidden)
	if r := set(mia.ID, uma.ID, protocol.RoleUser); r.err != nil {
		t.Errorf("a role that he has: %v", r.err)
	}
	r := set(owner.UserID, mia.ID, protocol.RoleOwner)
	if r.err != nil || r.reply.(*protocol.AdminUser).Role != protocol.RoleOwner || len(r.accounts) != 1 || r.accounts[0] != mia.ID {
		t.Fatalf("result = %+v", r)
	}
	if len(r.tells) != 1 || r.tells[0].ID != mia.ID.String() {
		t.Errorf("tells = %+v", r.tells)
	}
	w.exec(`UPDATE app_user SET banned = true WHERE id = $1`, mia.ID)
	wantError(t, set(owner.UserID, owner.UserID, protocol.RoleUser).err, last)
	w.exec(`UPDATE app_user SET banned = false WHERE id = $1`, mia.ID)

	outs := []turn.Outcome{
		w.commit(w.s.setRole(w.turn(owner), protocol.SetUserRole{ID: mia.ID, Role: protocol.RoleUser})),
		w.commit(w.s.setRole(w.turn(protocol.Caller{UserID: mia.ID}), protocol.SetUserRole{ID: owner.UserID, Role: protocol.RoleUser})),
	}
	if got := tally(race(t, outs)); got[""] != 1 {
		t.Errorf("two owners demote each other: %v", got)
	}
	if n := w.count(`SELECT count(*) FROM app_user WHERE role = 'OWNER'`); n != 1 {
		t.Errorf("%d owners are left, want 1", n)
	}
}
