package persistence_test

import (
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// What was deleted goes piece by piece, and nothing else does.
func TestPurgeDeleted(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ctx := t.Context()
	at := protocol.InstantOf(time.Now())
	ada := addUser(t, db, "ada")
	nest, barn := newCommunity("Nest", ada, at), newCommunity("Barn", ada, at)
	for i, n := range []protocol.Community{nest.Community, barn.Community} {
		c := nest
		if i == 1 {
			c = barn
		}
		if err := db.CreateCommunity(ctx, own(t, db, "community", n.ID.String()), c); err != nil {
			t.Fatal(err)
		}
		channel := c.Channels[0].ID
		run(t, db, `INSERT INTO message (id, channel_id, seq, author_id) SELECT gen_random_uuid(), $1, n, $2 FROM generate_series(1, 25) n`, channel, ada)
		run(t, db, `UPDATE message SET parent_message_id = (SELECT id FROM message WHERE channel_id = $1 AND seq = 1) WHERE channel_id = $1 AND seq > 20`, channel)
		run(t, db, `INSERT INTO message_reaction (id, message_id, emoji, user_id) SELECT gen_random_uuid(), id, 'x', $2 FROM message WHERE channel_id = $1`, channel, ada)
		run(t, db, `INSERT INTO read_receipt (id, user_id, channel_id, last_read_seq, last_read_sent_at) VALUES (gen_random_uuid(), $2, $1, 3, now())`, channel, ada)
		run(t, db, `INSERT INTO file (id, filename, mime_type, file_type, size, checksum, uploaded_by, resource_type, storage_path, message_id)
			SELECT gen_random_uuid(), 'a', 'image/png', 'IMAGE', 1, 'c', $2, 'MESSAGE_ATTACHMENT', 'p', id FROM message WHERE channel_id = $1 AND seq = 7`, channel, ada)
		run(t, db, `INSERT INTO file (id, filename, mime_type, file_type, size, checksum, uploaded_by, resource_type, storage_path, community_id)
			VALUES (gen_random_uuid(), 'e', 'image/png', 'IMAGE', 1, 'c', $2, 'CUSTOM_EMOJI', 'p', $1)`, n.ID, ada)
		run(t, db, `INSERT INTO alias_group (id, name, community_id) VALUES (gen_random_uuid(), 'g', $1)`, n.ID)
		run(t, db, `INSERT INTO moderation_log (id, community_id, action) VALUES (gen_random_uuid(), $1, 'BAN_USER')`, n.ID)
	}
	if more, err := db.PurgeDeleted(ctx, 10); more || err != nil {
		t.Fatalf("purged the living: %v, %v", more, err)
	}
	if _, err := db.DeleteCommunity(ctx, own(t, db, "community", nest.Community.ID.String()), nest.Community, at); err != nil {
		t.Fatal(err)
	}
	rounds := 0
	for {
		var before, after int
		if err := db.Pool().QueryRow(ctx, `SELECT count(*) FROM message`).Scan(&before); err != nil {
			t.Fatal(err)
		}
		more, err := db.PurgeDeleted(ctx, 10)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Pool().QueryRow(ctx, `SELECT count(*) FROM message`).Scan(&after); err != nil {
			t.Fatal(err)
		}
		if before-after > 10 {
			t.Errorf("%d messages went at once", before-after)
		}
		if !more {
			break
		}
		rounds++
	}
	if rounds < 5 {
		t.Errorf("all in %d rounds", rounds)
	}
	for sql, want := range map[string]int{
		`SELECT count(*) FROM community`:                           1,
		`SELECT count(*) FROM channel`:                             1,
		`SELECT count(*) FROM message`:                             25,
		`SELECT count(*) FROM message_reaction`:                    25,
		`SELECT count(*) FROM membership`:                          1,
		`SELECT count(*) FROM role`:                                1,
		`SELECT count(*) FROM alias_group`:                         1,
		`SELECT count(*) FROM moderation_log`:                      1,
		`SELECT count(*) FROM read_receipt`:                        1,
		`SELECT count(*) FROM file`:                                4,
		`SELECT count(*) FROM file WHERE deleted_at IS NOT NULL`:   2,
		`SELECT count(*) FROM app_user WHERE username = 'ada'`:     1,
		`SELECT count(*) FROM file WHERE community_id IS NOT NULL`: 1,
		`SELECT count(*) FROM file WHERE message_id IS NOT NULL`:   1,
	} {
		var n int
		if err := db.Pool().QueryRow(ctx, sql).Scan(&n); err != nil || n != want {
			t.Errorf("%s = %d, want %d, %v", sql, n, want, err)
		}
	}
}
