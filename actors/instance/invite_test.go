package instance

import (
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

func TestCreateInvite(t *testing.T) {
	t.Parallel()
	w, owner, first := ready(t)
	three, until := 3, w.now+1_000_000
	i := w.invite(owner, protocol.CreateInvite{MaxUses: &three, ValidUntil: &until, CommunityIDs: []protocol.CommunityID{first, first}})
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{12}$`).MatchString(i.Code) ||
		*i.CreatedByID != owner.UserID || *i.MaxUses != 3 || *i.ValidUntil != until || i.Uses != 0 || i.Disabled {
		t.Errorf("invite = %+v", i)
	}
	if len(i.DefaultCommunities) != 1 || i.DefaultCommunities[0].CommunityID != first || i.DefaultCommunities[0].InviteID != i.ID {
		t.Errorf("communities = %+v", i.DefaultCommunities)
	}
	body, err := json.Marshal(i)
	if err != nil || strings.Contains(string(body), `"createdBy":`) || !strings.Contains(string(body), `"usages":[]`) {
		t.Errorf("body = %s, %v", body, err)
	}

	t.Run("public", func(t *testing.T) {
		w.user("mia", i.Code)
		p, err := w.db.InvitePublic(t.Context(), i.Code)
		if err != nil || p.Uses != 1 || len(p.Usages) != 0 || (*p.CreatedBy).Username != "ada" || len(p.DefaultCommunities) != 1 {
			t.Errorf("public = %+v, %v", p, err)
		}
		_, err = w.db.InvitePublic(t.Context(), strings.ToLower(i.Code)+"x")
		wantError(t, err, protocol.NotFound("Invite not found"))
	})
	t.Run("list", func(t *testing.T) {
		mia := w.count(`SELECT count(*) FROM app_user WHERE username = 'mia'`)
		list, err := w.db.Invites(t.Context(), owner.UserID)
		if err != nil || len(list) != 2 || list[0].ID != i.ID || len(list[0].Usages) != mia || len(list[1].Usages) != 0 {
			t.Errorf("list = %+v, %v", list, err)
		}
		all, err := w.db.Invites(t.Context(), protocol.UserID{})
		if err != nil || len(all) != 2 {
			t.Errorf("all = %+v, %v", all, err)
		}
		none, err := w.db.Invites(t.Context(), protocol.UserID(protocol.NewID[row]()))
		if err != nil || none == nil || len(none) != 0 {
			t.Errorf("none = %+v, %v", none, err)
		}
		w.exec(`UPDATE instance_invite SET created_by = NULL`)
		all, err = w.db.Invites(t.Context(), protocol.UserID{})
		if err != nil || len(all) != 2 {
			t.Fatalf("all = %+v, %v", all, err)
		}
		if body, err := json.Marshal(all[0]); err != nil || !strings.Contains(string(body), `"createdBy":null`) {
			t.Errorf("body = %s, %v", body, err)
		}
	})
	t.Run("too many uses", func(t *testing.T) {
		many := math.MaxInt32 + 1
		r := w.run(w.s.createInvite(w.turn(owner), protocol.CreateInvite{MaxUses: &many}))
		wantError(t, r.err, &protocol.Error{Code: protocol.CodeInvalid, Message: "maxUses must not be greater than 2147483647"})
	})
	t.Run("placement", func(t *testing.T) {
		code := w.invite(owner, protocol.CreateInvite{CommunityIDs: []protocol.CommunityID{first}}).Code
		member := w.user("nia", code)
		moderator := w.user("mo", code)
		w.exec(`INSERT INTO role_assignment (id, user_id, community_id, role_id)
			SELECT gen_random_uuid(), $1, $2, id FROM role WHERE community_id = $2 AND name = 'Moderator'`, moderator.ID, first)
		into := protocol.CreateInvite{CommunityIDs: []protocol.CommunityID{first}}
		nowhere := protocol.CreateInvite{CommunityIDs: []protocol.CommunityID{first, protocol.CommunityID(protocol.NewID[row]())}}
		for name, row := range map[string]struct {
			by   protocol.Caller
			req  protocol.CreateInvite
			want *protocol.Error
		}{
			"member":    {protocol.Caller{UserID: member.ID}, into, protocol.ErrForbidden},
			"nowhere":   {owner, nowhere, protocol.NotFound("Community not found")},
			"moderator": {protocol.Caller{UserID: moderator.ID}, into, nil},
			"instance":  {protocol.Caller{UserID: member.ID}, protocol.CreateInvite{}, nil},
		} {
			t.Run(name, func(t *testing.T) {
				r := w.run(w.s.createInvite(w.turn(row.by), row.req))
				if row.want != nil {
					wantError(t, r.err, row.want)
				} else if r.err != nil {
					t.Error(r.err)
				}
			})
		}
	})
}

func TestDeleteInvite(t *testing.T) {
	t.Parallel()
	w, owner, _ := ready(t)
	code := w.invite(owner, protocol.CreateInvite{}).Code
	mia := protocol.Caller{UserID: w.user("mia", code).ID}
	remove := func(by protocol.Caller, code string) result {
		return w.run(w.s.deleteInvite(w.turn(by), protocol.DeleteInvite{Code: code}))
	}
	hers, other := w.invite(mia, protocol.CreateInvite{}).Code, w.invite(mia, protocol.CreateInvite{}).Code
	wantError(t, remove(owner, "nothing").err, protocol.NotFound("Invite not found"))
	wantError(t, remove(mia, code).err, protocol.Forbidden("Unauthorized to delete this invite"))
	for by, code := range map[*protocol.Caller]string{&mia: hers, &owner: other} {
		if r := remove(*by, code); r.err != nil {
			t.Error(r.err)
		}
		if _, err := w.db.Invite(t.Context(), code); err == nil {
			t.Error("the invite is still there")
		}
	}
	i, err := w.db.Invite(t.Context(), code)
	if err != nil || len(i.Usages) != 1 || i.Usages[0].UserID != mia.UserID {
		t.Errorf("invite = %+v, %v", i, err)
	}
	w.exec(`UPDATE instance_invite SET created_by = NULL WHERE code = $1`, code)
	wantError(t, remove(mia, code).err, protocol.Forbidden("Unauthorized to delete this invite"))
	if r := remove(owner, code); r.err != nil || !w.s.rows.HasInvites {
		t.Errorf("result = %+v", r)
	}
	if n := w.count(`SELECT count(*) FROM instance_invite_usage`); n != 0 {
		t.Errorf("%d uses are left", n)
	}
}

func TestManyUses(t *testing.T) {
	t.Parallel()
	w, owner, _ := ready(t)
	i := w.invite(owner, protocol.CreateInvite{})
	w.exec(`INSERT INTO app_user (id, username, password_hash) SELECT gen_random_uuid(), 'u' || n, 'x' FROM generate_series(1, 120) AS n`)
	w.exec(`INSERT INTO instance_invite_usage (id, invite_id, user_id, used_at)
		SELECT gen_random_uuid(), $1, id, '2026-01-01'::timestamptz + substr(username, 2)::int * interval '1 hour' FROM app_user WHERE username LIKE 'u%'`, i.ID)
	list, err := w.db.Invites(t.Context(), owner.UserID)
	if err != nil || len(list) != 2 {
		t.Fatalf("list = %+v, %v", list, err)
	}
	one, err := w.db.Invite(t.Context(), i.Code)
	if err != nil {
		t.Fatal(err)
	}
	for _, usages := range [][]protocol.InviteUsage{list[0].Usages, one.Usages} {
		if n := len(usages); n != 100 || usages[0].UsedAt >= usages[n-1].UsedAt || usages[n-1].UsedAt.String() != "2026-01-06T00:00:00.000Z" {
			t.Errorf("%d uses, want the last 100", n)
		}
	}
}
