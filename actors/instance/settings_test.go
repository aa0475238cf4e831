package instance

import (
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	w, owner, _ := ready(t)
	get := func() protocol.InstanceSettings {
		t.Helper()
		r := w.run(w.s.getSettings(w.turn(owner), protocol.GetInstanceSettings{}))
		if r.err != nil {
			t.Fatal(r.err)
		}
		return *r.reply.(*protocol.InstanceSettings)
	}
	first := get()
	if first.ID.IsZero() || first.Name != "Rookery" || first.RegistrationMode != "INVITE_ONLY" || first.DefaultStorageQuotaBytes != 53687091200 ||
		first.MaxFileSizeBytes != 524288000 || first.CreatedAt == 0 || first.VapidPublicKey != nil {
		t.Errorf("settings = %+v", first)
	}
	name, open, quota, size := "Nest", "OPEN", int64(7), int64(8)
	r := w.run(w.s.updateSettings(w.turn(owner), protocol.UpdateInstanceSettings{
		Name: &name, Description: protocol.To(""), RegistrationMode: &open, DefaultStorageQuotaBytes: &quota,
	}))
	if r.err != nil {
		t.Fatal(r.err)
	}
	want := first
	want.Name, want.RegistrationMode, want.DefaultStorageQuotaBytes = name, open, quota
	got := *r.reply.(*protocol.InstanceSettings)
	if got.Description == nil || *got.Description != "" || got.UpdatedAt <= first.UpdatedAt {
		t.Errorf("settings = %+v", got)
	}
	got.Description, got.UpdatedAt = want.Description, want.UpdatedAt
	if got != want {
		t.Errorf("settings = %+v, want %+v", got, want)
	}
	w.run(w.s.updateSettings(w.turn(owner), protocol.UpdateInstanceSettings{Description: protocol.Cleared[string]()}))
	if s := get(); s.Description != nil || s.Name != name {
		t.Errorf("settings = %+v", s)
	}
	r = w.run(w.s.updateStorageSettings(w.turn(owner), protocol.UpdateStorageSettings{MaxFileSizeBytes: &size}))
	if r.err != nil || !r.reply.(*protocol.Success).Success || get().MaxFileSizeBytes != size || get().DefaultStorageQuotaBytes != quota {
		t.Errorf("result = %+v, settings %+v", r, get())
	}
	public := w.run(w.s.publicSettings(w.turn(protocol.Caller{}), protocol.GetPublicSettings{}))
	if *public.reply.(*protocol.PublicSettings) != (protocol.PublicSettings{Name: name, RegistrationMode: open, MaxFileSizeBytes: size}) {
		t.Errorf("public = %+v", public.reply)
	}
	w.user("newcomer", "") // the mode counts at once
	if n := w.count(`SELECT storage_quota_bytes FROM app_user WHERE username = 'newcomer'`); n != 7 {
		t.Errorf("quota of a new user = %d", n)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	w, owner, _ := ready(t)
	past := w.now - 1
	w.invite(owner, protocol.CreateInvite{ValidUntil: &past})
	code := w.invite(owner, protocol.CreateInvite{}).Code
	w.user("mia", code)
	w.exec(`UPDATE app_user SET banned = true WHERE username = 'mia'`)
	w.exec(`INSERT INTO message (id, channel_id, seq, deleted_at) SELECT gen_random_uuid(), id, 77, now() FROM channel WHERE name = 'general'`)
	got, err := w.db.Stats(t.Context(), w.now)
	want := protocol.InstanceStats{TotalUsers: 2, TotalCommunities: 1, TotalChannels: 3, TotalMessages: 1, ActiveInvites: 2, BannedUsers: 1}
	if err != nil || got != want {
		t.Errorf("stats = %+v, %v, want %+v", got, err, want)
	}
}

func TestUserStorage(t *testing.T) {
	t.Parallel()
	w, owner, _ := ready(t)
	w.exec(`INSERT INTO file (id, filename, mime_type, file_type, size, checksum, resource_type, storage_path, uploaded_by, deleted_at)
		SELECT gen_random_uuid(), 'a', 'b', 'IMAGE', n, 'c', 'MESSAGE_ATTACHMENT', 'p', $1, CASE WHEN n > 30 THEN now() END
		FROM unnest('{10,20,40}'::int[]) AS n`, owner.UserID)
	r := w.run(w.s.recountStorage(w.turn(owner), protocol.RecountUserStorage{UserID: owner.UserID}))
	if r.err != nil || r.reply.(*protocol.UserStorage).UsedBytes != 30 {
		t.Fatalf("result = %+v", r)
	}
	r = w.run(w.s.setQuota(w.turn(owner), protocol.SetUserQuota{UserID: owner.UserID, QuotaBytes: 90}))
	want := protocol.UserStorage{UserID: owner.UserID, Username: "ada", UsedBytes: 30, QuotaBytes: 90, PercentUsed: 33.33, FileCount: 2}
	if r.err != nil || *r.reply.(*protocol.UserStorage) != want {
		t.Errorf("result = %+v", r)
	}
	r = w.run(w.s.setQuota(w.turn(owner), protocol.SetUserQuota{UserID: owner.UserID}))
	if r.err != nil || r.reply.(*protocol.UserStorage).PercentUsed != 0 {
		t.Errorf("no quota: %+v", r)
	}
	nobody := protocol.UserID(protocol.NewID[row]())
	wantError(t, w.run(w.s.recountStorage(w.turn(owner), protocol.RecountUserStorage{UserID: nobody})).err, protocol.NotFound("User not found"))
	wantError(t, w.run(w.s.setQuota(w.turn(owner), protocol.SetUserQuota{UserID: nobody})).err, protocol.NotFound("User not found"))
}
