package conversation

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

// awaiting is a message that waits for uploads.
func (w *world) awaiting(u protocol.UserID, uploads int) *protocol.Message {
	w.t.Helper()
	req := w.request("files follow")
	req.PendingAttachments = &uploads
	reply, err := do(w, (*State).sendMessage, by(u), req)
	if err != nil {
		w.t.Fatalf("send: %v", err)
	}
	w.settle() // as for who has the ack
	return reply.(*protocol.Message)
}

// stored is the message in Postgres, which is what memory has.
func (w *world) stored(id protocol.MessageID) *protocol.Message {
	w.t.Helper()
	w.settle()
	m, err := w.db.Message(w.ctx, id)
	if err != nil {
		w.t.Fatalf("read: %v", err)
	}
	if e := w.s.byID[id]; e != nil && string(encode(e.msg)) != string(encode(m)) {
		w.t.Fatalf("in memory\n%s\nstored\n%s", encode(e.msg), encode(m))
	}
	return m
}

func TestUploads(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	alice, bob := sc.users[0], sc.users[1]
	for name, world := range map[string]func(fataler) *world{"channel": sc.world, "group": sc.groupWorld} {
		t.Run(name, func(t *testing.T) {
			w := world(t)
			m := w.awaiting(alice, 3)
			first, foreign := sc.file(t, alice, m.ID), sc.file(t, bob, m.ID)
			add := func(u protocol.UserID, file *protocol.FileID) error {
				t.Helper()
				_, err := do(w, (*State).addAttachment, by(u), protocol.AddAttachment{ID: m.ID, FileID: file})
				return err
			}
			check := func(what string, files, left int) {
				t.Helper()
				if s := w.stored(m.ID); len(s.Attachments) != files || *s.PendingAttachments != left {
					t.Errorf("%s: %d files, %d to come", what, len(s.Attachments), *s.PendingAttachments)
				}
			}
			if err := add(bob, nil); !errors.Is(err, protocol.ErrForbidden) {
				t.Errorf("somebody else: %v", err)
			}
			if err := add(alice, &foreign); !errors.Is(err, errNoAttachment) {
				t.Errorf("a file of somebody else: %v", err)
			}
			check("refused", 0, 3)
			for range 2 { // a repeat does not count
				if err := add(alice, &first); err != nil {
					t.Fatal(err)
				}
			}
			check("one", 1, 2)
			for _, e := range w.events {
				if e.Name == "updateMessage" && string(e.Payload) != `{"message":`+string(w.s.byID[m.ID].encoded())+`}` {
					t.Errorf("event %s", e.Payload)
				}
			}
			w.load() // moves to another node
			if err := add(alice, nil); err != nil {
				t.Fatal(err)
			}
			check("one that will not come", 1, 1)
			for range maxRecent { // out of memory
				w.send(bob, "more")
			}
			second := sc.file(t, alice, m.ID)
			if err := add(alice, &second); err != nil {
				t.Fatal(err)
			}
			check("all", 2, 0)
			before := len(w.events)
			if err := add(alice, nil); err != nil || len(w.events) != before {
				t.Errorf("nothing left to wait for: %v, %d events", err, len(w.events)-before)
			}
			check("never below nothing", 2, 0)
			for range protocol.MaxAttachments - 2 {
				f := sc.file(t, alice, m.ID)
				if err := add(alice, &f); err != nil {
					t.Fatal(err)
				}
			}
			if f := sc.file(t, alice, m.ID); !errors.Is(add(alice, &f), errManyAttachments) {
				t.Error("more attachments than a message can have")
			}
		})
	}
}

func TestUploadsAreGivenUp(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	quiet, busy := w.awaiting(alice, 2), w.awaiting(alice, 2)
	w.now += protocol.UploadPatience - 1
	file := sc.file(t, alice, busy.ID)
	if _, err := do(w, (*State).addAttachment, by(alice), protocol.AddAttachment{ID: busy.ID, FileID: &file}); err != nil {
		t.Fatal(err)
	}
	expire := func() {
		t.Helper()
		w.settle()
		list, err := w.db.StaleUploads(w.ctx, w.now-protocol.UploadPatience, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range list {
			if u.Channel == w.channel {
				if _, err := w.finish(w.s.expireUploads(w.turn(protocol.Caller{}), &protocol.ExpireUploads{Message: u.ID})); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	left := func(m *protocol.Message) int { return *w.stored(m.ID).PendingAttachments }
	if expire(); left(quiet) != 2 {
		t.Errorf("given up too early: %d", left(quiet))
	}
	w.now += 2
	events := len(w.events)
	if expire(); left(quiet) != 0 || left(busy) != 1 || len(w.events) != events+1 {
		t.Errorf("%d and %d are left, %d events", left(quiet), left(busy), len(w.events)-events)
	}
	w.load() // which does not remember the upload
	if expire(); left(busy) != 0 || len(w.stored(busy.ID).Attachments) != 1 {
		t.Errorf("%d are left", left(busy))
	}
	if expire(); len(w.events) != events+2 {
		t.Errorf("%d events", len(w.events)-events)
	}
}

// TestRemovedMessageLetsGo: what a message had is marked for those who remove it,
// however it goes.
func TestRemovedMessageLetsGo(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, mod := sc.users[0], sc.users[3]
	w.allow(mod, protocol.ActionReadMessage, protocol.ActionDeleteAnyMessage)
	used := func() (bytes int64) {
		t.Helper()
		if err := sc.db.Pool().QueryRow(w.ctx, `SELECT storage_used_bytes FROM app_user WHERE id = $1`, alice).Scan(&bytes); err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	for name, remove := range map[string]func(protocol.MessageID) error{
		"deleted": func(id protocol.MessageID) error {
			_, err := do(w, (*State).deleteMessage, by(alice), protocol.DeleteMessage{ID: id})
			return err
		},
		"removed": func(id protocol.MessageID) error {
			_, err := do(w, (*State).removeMessage, by(mod), protocol.RemoveMessage{MessageID: id})
			return err
		},
	} {
		m := w.awaiting(alice, 1)
		before := used()
		file := sc.file(t, alice, m.ID)
		if used() <= before {
			t.Fatal("the file does not count")
		}
		if _, err := do(w, (*State).addAttachment, by(alice), protocol.AddAttachment{ID: m.ID, FileID: &file}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		sc.exec(t, `INSERT INTO notification (id, user_id, type, message_id, author_id) VALUES (gen_random_uuid(), $1, 'USER_MENTION', $2, $3)`, mod, m.ID, alice)
		if err := remove(m.ID); err != nil {
			t.Fatal(err)
		}
		w.settle()
		var gone bool
		var path string
		var notices int
		err := sc.db.Pool().QueryRow(w.ctx, `SELECT deleted_at IS NOT NULL, storage_path, (SELECT count(*) FROM notification WHERE user_id = $2) FROM file WHERE id = $1`,
			file, mod).Scan(&gone, &path, &notices)
		if err != nil || !gone || path == "" || notices != 0 {
			t.Errorf("%s: marked %v, path %q, %d notifications, %v", name, gone, path, notices, err)
		}
		if used() != before {
			t.Errorf("%s: the file takes %d bytes of the quota", name, used()-before)
		}
		if _, err := w.aroundPage(m.ID, 10); !errors.Is(err, errNoMessage) {
			t.Errorf("%s: around: %v", name, err)
		}
	}
}

// Who has the thread of a reply open hears of its files, too.
func TestUploadsOfReplies(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice := sc.users[0]
	parent := w.send(alice, "parent")
	req := w.replying(parent.ID, "files follow")
	two := 2
	req.PendingAttachments = &two
	reply, err := do(w, (*State).sendReply, by(alice), req)
	if err != nil {
		t.Fatal(err)
	}
	w.settle()
	id := reply.(*protocol.Message).ID
	file := sc.file(t, alice, id)
	for _, f := range []*protocol.FileID{&file, nil} {
		w.events = nil
		if _, err := do(w, (*State).addAttachment, by(alice), protocol.AddAttachment{ID: id, FileID: f}); err != nil {
			t.Fatal(err)
		}
		if got := names(w.events); !slices.Equal(got, []string{"updateMessage", "updateThreadReply"}) || !strings.Contains(string(w.events[1].Payload), file.String()) {
			t.Errorf("events %v", got)
		}
	}
	w.stored(id)
}
