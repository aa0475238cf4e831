package persistence_test

import (
	"os"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// readers is a user in a community with channels.
type reader struct {
	*messages
	me protocol.UserID
}

func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{messages: newMessages(t), me: protocol.UserID(protocol.NewID[messageTag]())}
	r.exec(`INSERT INTO app_user (id, username, password_hash) VALUES ($1, 'me', 'x')`, r.me)
	r.exec(`INSERT INTO membership (id, user_id, community_id) VALUES (gen_random_uuid(), $1, $2)`, r.me, protocol.CommunityID{1})
	r.exec(`INSERT INTO role (id, name, community_id, actions) VALUES ($1, 'reader', $2, '{READ_MESSAGE}')`, protocol.RoleID{1}, protocol.CommunityID{1})
	r.exec(`INSERT INTO role_assignment (id, user_id, community_id, role_id) VALUES (gen_random_uuid(), $1, $2, $3)`, r.me, protocol.CommunityID{1}, protocol.RoleID{1})
	return r
}

func (r *reader) unread(marks ...persistence.Mark) []protocol.Unread {
	r.t.Helper()
	list, err := r.db.Unread(r.t.Context(), r.me, false, marks)
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func deref(id *protocol.MessageID) protocol.MessageID {
	if id == nil {
		return protocol.MessageID{}
	}
	return *id
}

func TestUnread(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	if list := r.unread(); len(list) != 0 {
		t.Errorf("nothing was said: %+v", list)
	}
	in := protocol.InChannel(r.channel)
	// 1 root, 2 own, 3 reply, 4 deleted, 5 of nobody, 6 root that names me
	for seq := range 6 {
		r.mustStore(&persistence.MessageRow{Message: r.message(int64(seq+1), "x")})
	}
	r.exec(`UPDATE message SET author_id = $1 WHERE seq = 2`, r.me)
	r.exec(`UPDATE message SET parent_message_id = (SELECT id FROM message WHERE seq = 1) WHERE seq = 3`)
	r.exec(`UPDATE message SET deleted_at = now() WHERE seq = 4`)
	r.exec(`UPDATE message SET author_id = NULL WHERE seq = 5`)
	r.exec(`INSERT INTO notification (id, user_id, type, message_id, channel_id, author_id, read, dismissed)
		SELECT gen_random_uuid(), $1, type, NULL, $2, $3, read, dismissed FROM (VALUES ('USER_MENTION', false, false), ('CHANNEL_MESSAGE', false, false),
			('THREAD_REPLY', false, false), ('SPECIAL_MENTION', true, false), ('USER_MENTION', false, true)) AS n (type, read, dismissed)`, r.me, r.channel, r.user)
	want := func(unread, mentions int, marks ...persistence.Mark) {
		t.Helper()
		list := r.unread(marks...)
		if len(list) != 1 || list[0].UnreadCount != unread || list[0].MentionCount != mentions || *list[0].ChannelID != r.channel {
			t.Errorf("unread = %+v, want %d and %d", list, unread, mentions)
		}
	}
	want(3, 1)
	want(2, 1, persistence.Mark{In: in, Watermark: protocol.Watermark{Seq: 2, At: 1}})

	read := func(seq int64, seen bool) persistence.Advanced {
		t.Helper()
		var id protocol.MessageID
		if err := r.db.Pool().QueryRow(t.Context(), `SELECT id FROM message WHERE seq = $1`, seq).Scan(&id); err != nil {
			t.Fatal(err)
		}
		a, err := r.db.AdvanceReceipt(t.Context(), persistence.Advance{User: r.me, In: in, Message: id, Seq: seq, SentAt: 1, At: protocol.Instant(1_800_000_000_000 + seq), Seen: seen})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := read(5, false); !a.Moved || a.Seq != 5 || len(a.Seen) != 0 {
		t.Errorf("first = %+v", a)
	}
	want(1, 1)
	if a := read(1, false); a.Moved || a.Seq != 5 || a.Receipt.LastReadAt != 1_800_000_000_005 {
		t.Errorf("back = %+v", a)
	}
	want(1, 1, persistence.Mark{In: in, Watermark: protocol.Watermark{Seq: 3, At: 1}}) // an older one changes nothing
	if a := read(6, true); !a.Moved || len(a.Seen) != 3 {                              // not the reply
		t.Errorf("seen = %+v", a)
	}
	want(0, 0)
	// What is deleted moves the pointer back to what is shown, and not the watermark.
	points := func(seq int64, own protocol.Watermark) {
		t.Helper()
		var id protocol.MessageID
		if err := r.db.Pool().QueryRow(t.Context(), `SELECT id FROM message WHERE seq = $1`, seq).Scan(&id); err != nil && seq > 0 {
			t.Fatal(err)
		}
		if list := r.unread(persistence.Mark{In: in, Watermark: own}); len(list) != 1 || deref(list[0].LastReadMessageID) != id || list[0].UnreadCount != 0 {
			t.Errorf("watermark = %+v, want %s", list, id)
		}
		if last, err := r.db.LastRead(t.Context(), r.me, in, own); err != nil || last != id {
			t.Errorf("last read = %s, %v, want %s", last, err, id)
		}
	}
	points(6, protocol.Watermark{})
	r.exec(`DELETE FROM message WHERE seq = 6`)
	points(5, protocol.Watermark{})
	r.exec(`UPDATE message SET deleted_at = now() WHERE seq = 5`)
	points(2, protocol.Watermark{})
	var removed protocol.MessageID
	if err := r.db.Pool().QueryRow(t.Context(), `SELECT id FROM message WHERE seq = 5`).Scan(&removed); err != nil {
		t.Fatal(err)
	}
	points(2, protocol.Watermark{Message: removed, Seq: 7, At: 1}) // one that is on its way
	r.exec(`DELETE FROM message WHERE seq < 4`)
	points(0, protocol.Watermark{})

	// What he may not read any more is dropped: without a role, a way in, a channel.
	r.exec(`UPDATE role SET actions = '{}'`)
	if list := r.unread(); len(list) != 0 {
		t.Errorf("without a role: %+v", list)
	}
	r.exec(`UPDATE role SET actions = '{READ_MESSAGE}'`)
	r.exec(`UPDATE channel SET is_private = true`)
	if list := r.unread(); len(list) != 0 {
		t.Errorf("not let in: %+v", list)
	}
	r.exec(`UPDATE channel SET is_private = false, deleted_at = now()`)
	if list := r.unread(); len(list) != 0 {
		t.Errorf("deleted: %+v", list)
	}
}

// Many read at the same time; the watermark is that of the last.
func TestAdvanceAtOnce(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	const n = 40
	done := make(chan error, n)
	for i := range n {
		go func() {
			a, err := r.db.AdvanceReceipt(t.Context(), persistence.Advance{User: r.me, In: protocol.InChannel(r.channel), Seq: int64(i + 1), SentAt: 1, At: 1})
			if err == nil && a.Seq < int64(i+1) {
				t.Errorf("%d is behind %d", a.Seq, i+1)
			}
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	var seq int
	if err := r.db.Pool().QueryRow(t.Context(), `SELECT last_read_seq FROM read_receipt`).Scan(&seq); err != nil || seq != n {
		t.Errorf("watermark = %d, %v", seq, err)
	}
}

// TestUnreadSize measures what counting costs with 500 channels, one of which has
// a million unread messages. It asserts the number only.
func TestUnreadSize(t *testing.T) {
	if os.Getenv("ROOKERY_SOAK") == "" {
		t.Skip("writes a million messages")
	}
	r := newReader(t)
	r.exec(`INSERT INTO channel (id, name, community_id) SELECT gen_random_uuid(), 'n' || i, $1 FROM generate_series(1, 499) AS i`, protocol.CommunityID{1})
	r.exec(`INSERT INTO message (id, channel_id, seq, author_id, spans) SELECT gen_random_uuid(), $1, i, $2, '[]' FROM generate_series(1, 1000000) AS i`, r.channel, r.user)
	r.exec(`INSERT INTO message (id, channel_id, seq, author_id, spans) SELECT gen_random_uuid(), c.id, i, $2, '[]' FROM channel c, generate_series(1, 1200) AS i WHERE c.id <> $1`, r.channel, r.user)
	r.exec(`ANALYZE`)
	for _, behind := range []int{1200, 20, 0} {
		r.exec(`DELETE FROM read_receipt`)
		r.exec(`INSERT INTO read_receipt (id, user_id, channel_id, last_read_seq, last_read_sent_at)
			SELECT gen_random_uuid(), $1, id, 1200 - $2, now() FROM channel WHERE id <> $3`, r.me, behind, r.channel)
		var took time.Duration
		for range 3 {
			from := time.Now()
			list := r.unread()
			took = time.Since(from)
			sum := 0
			for _, u := range list {
				sum += u.UnreadCount
			}
			if want := protocol.MaxUnread + 499*min(behind, protocol.MaxUnread); sum != want {
				t.Errorf("%d unread, want %d", sum, want)
			}
		}
		t.Logf("500 channels, one with 1,000,000 unread, the others with %d: %v", behind, took)
	}
}
