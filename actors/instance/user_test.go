package instance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errName   = protocol.Conflict("A user with this username already exists.")
	errEmail  = protocol.Conflict("A user with this email already exists.")
	errInvite = protocol.NotFound("No invite found for the provided code.")
	errClosed = protocol.Forbidden("Registration is closed")
)

func TestRegister(t *testing.T) {
	t.Parallel()
	w, owner, first := ready(t)
	barn := protocol.CommunityID(protocol.NewID[row]())
	w.exec(`INSERT INTO community (id, name) VALUES ($1, 'Barn')`, barn) // without a role Member
	w.exec(`INSERT INTO channel (id, name, community_id) VALUES (gen_random_uuid(), 'general', $1)`, barn)
	w.exec(`UPDATE instance_settings SET default_storage_quota_bytes = 1000`)
	w.activate()
	code := w.invite(owner, protocol.CreateInvite{CommunityIDs: []protocol.CommunityID{first, barn, first}}).Code

	email := "Mia@Example.org"
	req := registration("Mia", code)
	req.Email = &email
	r := w.register(req)
	if r.err != nil {
		t.Fatal(r.err)
	}
	u := r.reply.(*protocol.PublicUser)
	if u.ID != req.ID || u.Username != "mia" || *u.DisplayName != "mia" || u.Role != protocol.RoleUser {
		t.Errorf("reply = %+v", u)
	}
	var told []string
	for _, a := range r.asks {
		told = append(told, a.ID)
		if m := a.Msg.(*protocol.ReloadMember); a.Kind != protocol.KindCommunity || m.User != u.ID {
			t.Errorf("ask = %+v %+v", a, m)
		}
	}
	want := []string{first.String(), barn.String()}
	slices.Sort(told)
	slices.Sort(want)
	if !slices.Equal(told, want) {
		t.Errorf("communities told %v, want %v", told, want)
	}
	for _, c := range []protocol.CommunityID{first, barn} {
		m, err := w.db.Member(t.Context(), c, u.ID)
		if err != nil || m.Membership == nil || len(m.Roles) != 1 || m.Roles[0].Name != "Member" || len(m.Roles[0].Actions) != 11 {
			t.Errorf("member = %+v, %v", m, err)
		}
	}
	if n := w.count(`SELECT count(*) FROM channel_membership cm JOIN channel c ON c.id = cm.channel_id WHERE cm.user_id = $1 AND c.name = 'general'`, u.ID); n != 2 {
		t.Errorf("is in %d channels general, want 2", n)
	}
	if n := w.count(`SELECT storage_quota_bytes FROM app_user WHERE id = $1`, u.ID); n != 1000 {
		t.Errorf("quota = %d", n)
	}
	login, err := w.db.UserForLogin(t.Context(), "mia")
	if err != nil || login.ID != u.ID || login.Hash != req.Hash || login.Role != protocol.RoleUser {
		t.Errorf("login = %+v, %v", login, err)
	}

	t.Run("sent again", func(t *testing.T) {
		again := w.register(req)
		if again.err != nil || *again.reply.(*protocol.PublicUser).DisplayName != "mia" || len(again.asks) != 2 {
			t.Errorf("again = %+v", again)
		}
	})
	t.Run("errors", func(t *testing.T) {
		past := w.now - 1
		one := 1
		expired := w.invite(owner, protocol.CreateInvite{ValidUntil: &past}).Code
		used := w.invite(owner, protocol.CreateInvite{MaxUses: &one}).Code
		w.user("uma", used)
		twice := registration("other", code)
		twice.Email = &email
		for name, row := range map[string]struct {
			req  protocol.RegisterUser
			want *protocol.Error
		}{
			"name":           {registration("MIA", code), errName},
			"invite first":   {registration("mia", "nothing"), errInvite},
			"email":          {twice, errEmail},
			"unknown invite": {registration("a1", "nothing"), errInvite},
			"no invite":      {registration("a2", ""), errInvite},
			"expired":        {registration("a3", expired), errInvite},
			"used up":        {registration("a4", used), errInvite},
		} {
			t.Run(name, func(t *testing.T) { wantError(t, w.register(row.req).err, row.want) })
		}
		if n := w.count(`SELECT uses FROM instance_invite WHERE code = $1`, code); n != 1 {
			t.Errorf("refused registrations used the invite: %d uses, want 1", n)
		}
		empty := registration("blank", code)
		empty.Email = new(string)
		for range 2 {
			if r := w.register(empty); r.err != nil {
				t.Error(r.err)
			}
			empty.ID, empty.Username = protocol.UserID(protocol.NewID[row]()), "blank2"
		}
	})
	t.Run("modes", func(t *testing.T) {
		w.exec(`UPDATE instance_settings SET registration_mode = 'OPEN'`)
		w.activate()
		w.user("open", "")
		wantError(t, w.register(registration("open2", "nothing")).err, errInvite)
		if r := w.register(registration("open3", code)); r.err != nil || len(r.asks) != 2 {
			t.Errorf("result = %+v", r)
		}
		w.exec(`UPDATE instance_settings SET registration_mode = 'CLOSED'`)
		w.activate()
		wantError(t, w.register(registration("closed", code)).err, errClosed)
		wantError(t, w.register(registration("mia", code)).err, errClosed)
	})
}

func TestFirstUserRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`UPDATE instance_settings SET registration_mode = 'OPEN'`)
	w.activate()
	outs := make([]turn.Outcome, 20)
	for i := range outs {
		outs[i] = w.commit(w.s.registerUser(w.turn(protocol.Caller{}), registration(fmt.Sprintf("user%d", i), "")))
	}
	if got := tally(race(t, outs)); got[""] != 20 {
		t.Errorf("results = %v", got)
	}
	if n := w.count(`SELECT count(*) FROM app_user WHERE role = 'OWNER' AND verified`); n != 1 {
		t.Errorf("%d owners, want 1", n)
	}
}

func TestRegisterRace(t *testing.T) {
	t.Parallel()
	w, owner, _ := ready(t)
	five := 5
	code := w.invite(owner, protocol.CreateInvite{MaxUses: &five}).Code
	var same, uses []turn.Outcome
	for i := range 20 {
		uses = append(uses, w.commit(w.s.registerUser(w.turn(protocol.Caller{}), registration(fmt.Sprintf("user%d", i), code))))
	}
	if got := tally(race(t, uses)); got[""] != 5 || got[errInvite.Message] != 15 {
		t.Errorf("uses of an invite for 5: %v", got)
	}
	i, err := w.db.InvitePublic(t.Context(), code)
	if err != nil || i.Uses != 5 || !i.Disabled {
		t.Errorf("invite = %+v, %v", i, err)
	}
	code = w.invite(owner, protocol.CreateInvite{}).Code
	for range 20 {
		same = append(same, w.commit(w.s.registerUser(w.turn(protocol.Caller{}), registration("twin", code))))
	}
	if got := tally(race(t, same)); got[""] != 1 || got[errName.Message] != 19 {
		t.Errorf("one name 20 times: %v", got)
	}
}

// commit is an outcome that must be structural.
func (w *world) commit(out turn.Outcome, err error) turn.Outcome {
	w.t.Helper()
	if err != nil || out.Commit == nil {
		w.t.Fatalf("outcome = %+v, %v", out, err)
	}
	return out
}
