package user

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

func (w *world) file(by protocol.UserID, kind string, size int) protocol.FileID {
	w.t.Helper()
	id := protocol.FileID(protocol.NewID[row]())
	w.exec(`INSERT INTO file (id, filename, mime_type, file_type, size, checksum, resource_type, storage_path, uploaded_by)
		VALUES ($1, 'a.png', 'image/png', 'IMAGE', $4, 'x', $3, 'p', $2)`, id, by, kind, size)
	return id
}

func (w *world) number(sql string, args ...any) int64 {
	w.t.Helper()
	var n int64
	if err := w.db.Pool().QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) profile(req protocol.UpdateProfile) result {
	w.t.Helper()
	return w.run(w.s.updateProfile(w.turn(), req))
}

func TestProfile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.s.user.ID
	nest := w.community("Nest")
	group := protocol.GroupID(protocol.NewID[row]())
	w.exec(`INSERT INTO direct_message_group (id) VALUES ($1)`, group)
	w.exec(`INSERT INTO direct_message_group_member (id, group_id, user_id) VALUES (gen_random_uuid(), $1, $2)`, group, id)
	w.activate(id)
	first, second := w.file(id, "USER_AVATAR", 100), w.file(id, "USER_AVATAR", 50)

	r := w.profile(protocol.UpdateProfile{
		DisplayName: protocol.To(" Ada L. "), Avatar: protocol.To(first.String()), Bio: protocol.To(" likes numbers "), Status: protocol.To("busy"),
	})
	if r.err != nil {
		t.Fatal(r.err)
	}
	u := r.reply.(*protocol.PublicUser)
	if *u.DisplayName != "Ada L." || *u.AvatarURL != first || u.BannerURL != nil || *u.Bio != "likes numbers" || *u.Status != "busy" {
		t.Errorf("reply = %+v", u)
	}
	if len(r.events) != 1 || !r.wide || r.events[0].Name != "userProfileUpdated" {
		t.Fatalf("events = %+v", r.events)
	}
	want := []protocol.Topic{protocol.UserTopic(id), protocol.CommunityTopic(nest), {Room: protocol.RoomGroup, ID: group}}
	if !slices.Equal(r.events[0].Topics, want) {
		t.Errorf("topics = %v, want %v", r.events[0].Topics, want)
	}
	p := payload[protocol.ProfileUpdated](t, r.events[0])
	if p.UserID != id || *p.DisplayName != "Ada L." || *p.AvatarURL != first || p.BannerURL != nil || *p.Bio != "likes numbers" || *p.Status != "busy" {
		t.Errorf("payload = %+v", p)
	}
	if body := string(r.events[0].Payload); !strings.Contains(body, `"bannerUrl":null`) {
		t.Errorf("payload = %s", body)
	}
	if n := w.number(`SELECT count(*) FROM app_user WHERE status_updated_at IS NOT NULL`); n != 1 {
		t.Error("the status has no time")
	}

	t.Run("replaced", func(t *testing.T) {
		r := w.profile(protocol.UpdateProfile{Avatar: protocol.To(second.String())})
		if r.err != nil || *r.reply.(*protocol.PublicUser).AvatarURL != second || *r.reply.(*protocol.PublicUser).Bio != "likes numbers" {
			t.Fatalf("result = %+v", r)
		}
		if n := w.number(`SELECT count(*) FROM file WHERE deleted_at IS NOT NULL AND id = $1`, first); n != 1 {
			t.Error("the replaced file is not deleted")
		}
		if n := w.number(`SELECT storage_used_bytes FROM app_user WHERE id = $1`, id); n != 50 {
			t.Errorf("%d bytes used, want 50", n)
		}
		if r = w.profile(protocol.UpdateProfile{Avatar: protocol.To(second.String())}); r.err != nil {
			t.Error(r.err)
		}
		if n := w.number(`SELECT count(*) FROM file WHERE deleted_at IS NULL`); n != 1 {
			t.Error("the file that is shown was deleted")
		}
	})
	t.Run("cleared", func(t *testing.T) {
		r := w.profile(protocol.UpdateProfile{
			DisplayName: protocol.Cleared[string](), Avatar: protocol.To(""), Bio: protocol.To("  "), Status: protocol.Cleared[string](),
		})
		u := r.reply.(*protocol.PublicUser)
		if r.err != nil || *u.DisplayName != "ada" || u.AvatarURL != nil || u.Bio != nil || u.Status != nil {
			t.Errorf("result = %+v", r)
		}
		if r := w.profile(protocol.UpdateProfile{DisplayName: protocol.To("  ")}); *r.reply.(*protocol.PublicUser).DisplayName != "" {
			t.Errorf("blanks became %+v", r.reply)
		}
	})
	t.Run("foreign files", func(t *testing.T) {
		bob := w.account("bob")
		gone := w.file(id, "USER_AVATAR", 1)
		w.exec(`UPDATE file SET deleted_at = now() WHERE id = $1`, gone)
		for name, file := range map[string]string{
			"of another":     w.file(bob, "USER_AVATAR", 1).String(),
			"of another use": w.file(id, "MESSAGE_ATTACHMENT", 1).String(),
			"a banner":       w.file(id, "USER_BANNER", 1).String(),
			"deleted":        gone.String(),
			"unknown":        protocol.NewID[row]().String(),
			"no id":          "x",
		} {
			r := w.profile(protocol.UpdateProfile{Avatar: protocol.To(file)})
			if !errors.Is(r.err, protocol.NotFound("")) || len(r.events) != 0 {
				t.Errorf("%s: %+v", name, r)
			}
		}
	})
	t.Run("nobody", func(t *testing.T) {
		w.activate(protocol.UserID(protocol.NewID[row]()))
		if r := w.profile(protocol.UpdateProfile{}); !errors.Is(r.err, protocol.NotFound("")) {
			t.Errorf("error = %v", r.err)
		}
	})
}

func TestProfileChangedElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`UPDATE app_user SET role = 'OWNER'`)
	if r := w.run(w.s.profileChanged(w.turn(), &protocol.ProfileChanged{})); r.err != nil || w.s.user.Role != protocol.RoleOwner {
		t.Errorf("user = %+v, %v", w.s.user, r.err)
	}
}
