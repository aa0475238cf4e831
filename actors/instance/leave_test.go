package instance

import (
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func TestDeleteUser(t *testing.T) {
	t.Parallel()
	w, owner, first := ready(t)
	code := w.invite(owner, protocol.CreateInvite{CommunityIDs: []protocol.CommunityID{first}}).Code
	mia := w.user("mia", code)
	w.exec(`INSERT INTO refresh_token (id, user_id, family_id, token_hash, expires_at)
		VALUES (gen_random_uuid(), $1, gen_random_uuid(), sha256('x'), now() + interval '1 day')`, mia.ID)
	w.exec(`INSERT INTO message (id, channel_id, seq, author_id)
		SELECT gen_random_uuid(), id, n, $1 FROM channel, generate_series(100, 1300) AS n WHERE name = 'general'`, mia.ID)
	w.exec(`INSERT INTO file (id, filename, mime_type, file_type, size, checksum, uploaded_by, resource_type, storage_path, user_id)
		VALUES (gen_random_uuid(), 'a', 'b', 'IMAGE', 1, 'c', $1, 'USER_AVATAR', 'p', $1),
			(gen_random_uuid(), 'forgotten', 'b', 'IMAGE', 1, 'c', $1, 'MESSAGE_ATTACHMENT', 'p', NULL)`, mia.ID)
	w.exec(`INSERT INTO file (id, filename, mime_type, file_type, size, checksum, uploaded_by, resource_type, storage_path, message_id)
		SELECT gen_random_uuid(), 'shown', 'b', 'IMAGE', 1, 'c', $1, 'MESSAGE_ATTACHMENT', 'p', id FROM message WHERE seq = 100`, mia.ID)
	w.exec(`UPDATE app_user SET banned_by = $1 WHERE id = $2`, mia.ID, owner.UserID) // does not keep her here

	r := w.run(w.s.deleteUser(w.turn(owner), mia.ID, &protocol.Text{Message: "done"}), nil)
	if r.err != nil || *r.reply.(*protocol.Text) != (protocol.Text{Message: "done"}) {
		t.Fatalf("result = %+v", r)
	}
	if !slices.Equal(r.accounts, []protocol.UserID{mia.ID}) || len(r.timers) != 1 || len(r.asks) != 2 ||
		*r.asks[0].Msg.(*protocol.AccountGone) != (protocol.AccountGone{Reason: reasonDeleted}) ||
		r.asks[1].ID != first.String() || *r.asks[1].Msg.(*protocol.ReloadMember) != (protocol.ReloadMember{User: mia.ID, Gone: true}) {
		t.Errorf("who is told: %+v", r)
	}
	for what, sql := range map[string]string{
		"the account":        `SELECT count(*) FROM app_user WHERE username = 'mia'`,
		"logins":             `SELECT count(*) FROM refresh_token`,
		"messages of hers":   `SELECT count(*) FROM message WHERE author_id IS NOT NULL AND seq >= 100`,
		"files not marked":   `SELECT count(*) FROM file WHERE deleted_at IS NULL AND filename <> 'shown'`,
		"an attachment less": `SELECT count(*) FROM file WHERE deleted_at IS NOT NULL AND filename = 'shown'`,
	} {
		if n := w.count(sql); n != 0 {
			t.Errorf("%s: %d are left", what, n)
		}
	}
	if n := w.count(`SELECT count(*) FROM message WHERE seq >= 100`); n != 1201 {
		t.Errorf("%d messages stayed", n)
	}
	wantError(t, w.run(w.s.deleteUser(w.turn(owner), mia.ID, nil), nil).err, protocol.NotFound("User not found"))
	wantError(t, w.run(w.s.deleteUser(w.turn(owner), owner.UserID, nil), nil).err,
		protocol.Forbidden("Cannot delete the last owner. Promote another user first."))
	bob := w.user("bob", code)
	w.exec(`UPDATE app_user SET role = 'OWNER' WHERE id = $1`, bob.ID)
	wantError(t, w.run(w.s.deleteUser(w.turn(owner), bob.ID, nil), nil).err, protocol.Forbidden("Cannot delete an instance owner"))
	if r := w.run(w.s.deleteUser(w.turn(owner), owner.UserID, nil), nil); r.err != nil {
		t.Errorf("one owner of two: %v", r.err)
	}
}

// A deletion that was cut short locks the account and is brought to its end by
// whoever comes next.
func TestFinishLeaving(t *testing.T) {
	t.Parallel()
	w, owner, _ := ready(t)
	mia := w.user("mia", w.invite(owner, protocol.CreateInvite{}).Code)
	out := w.s.deleteUser(w.turn(owner), mia.ID, nil)
	if _, err := out.Commit(t.Context()); err != nil { // and then nothing more
		t.Fatal(err)
	}
	w.run(w.s.banUser(w.turn(owner), protocol.SetUserBan{ID: mia.ID, Banned: false}))
	if s, err := w.db.AccountState(t.Context(), mia.ID, w.now); err != nil || !s.Banned {
		t.Errorf("a leaving account is open again: %+v, %v", s, err)
	}
	w.activate()
	r := w.run(w.s.sweepLeaving(w.turn(protocol.Caller{}), &sweepLeaving{}))
	if r.err != nil || len(r.timers) != 2 || r.timers[0].After != sweepEvery {
		t.Fatalf("sweep = %+v", r)
	}
	if r := w.run(w.s.finishLeaving(w.turn(protocol.Caller{}), r.timers[1].Msg.(*finishLeaving))); r.err != nil || len(r.accounts) != 1 {
		t.Errorf("finish = %+v", r)
	}
	if n := w.count(`SELECT count(*) FROM app_user WHERE id = $1`, mia.ID); n != 0 {
		t.Error("the account is still there")
	}
}

func TestDeleteAccount(t *testing.T) {
	t.Parallel()
	w, owner, _ := ready(t)
	mia := w.user("mia", w.invite(owner, protocol.CreateInvite{}).Code)
	remove := func(by, who protocol.UserID) result {
		return w.run(w.s.deleteAccount(w.turn(protocol.Caller{UserID: by}), protocol.DeleteUser{ID: who}))
	}
	wantError(t, remove(mia.ID, mia.ID).err, protocol.Forbidden("Cannot delete your own account through admin panel"))
	wantError(t, remove(mia.ID, owner.UserID).err, protocol.Forbidden("Cannot delete an instance owner"))
	wantError(t, remove(mia.ID, protocol.UserID(protocol.NewID[row]())).err, protocol.NotFound("User not found"))
	if r := remove(owner.UserID, mia.ID); r.err != nil || !r.reply.(*protocol.Success).Success {
		t.Errorf("result = %+v", r)
	}
}

func TestEmitEvent(t *testing.T) {
	t.Parallel()
	s := &State{}
	id := protocol.NewID[row]()
	out, err := s.emitEvent(turn.Turn{}, protocol.EmitEvent{Event: "ping", RoomType: "user", RoomID: id.String(), Payload: []byte(`{"a":1}`)})
	if err != nil || len(out.Events) != 1 || out.Events[0].Name != "ping" || out.Events[0].Topics[0] != protocol.UserTopic(protocol.UserID(id)) ||
		*out.Reply.(*protocol.Emitted) != (protocol.Emitted{Success: true, Room: "user:" + id.String(), Event: "ping"}) {
		t.Errorf("outcome = %+v, %v", out, err)
	}
	out, err = s.emitEvent(turn.Turn{}, protocol.EmitEvent{Event: "ping", RoomType: "channel", RoomID: "x"})
	if err != nil || len(out.Events) != 0 {
		t.Errorf("outcome = %+v, %v", out, err)
	}
}
