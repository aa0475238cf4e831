package persistence_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// The rows that the tables below refer to, by one digit: u1 is 00000000-...-1, and so on.
const seedRows = `
	INSERT INTO app_user (id, username, email, password_hash) VALUES (@u1, 'ada', 'ada@example.org', 'x'), (@u2, 'bob', NULL, 'x'), (@u3, 'eve', NULL, 'x');
	INSERT INTO community (id, name) VALUES (@c1, 'one'), (@c2, 'two');
	INSERT INTO channel (id, name, community_id) VALUES (@h1, 'general', @c1), (@h2, 'general', @c2);
	INSERT INTO direct_message_group (id, pair_low, pair_high) VALUES (@g1, @u1, @u2);
	INSERT INTO message (id, channel_id, seq, author_id, search_text) VALUES (@m1, @h1, 1, @u1, 'the quick foxes'), (@m2, @h1, 2, @u2, NULL);
	INSERT INTO message (id, channel_id, seq, author_id, parent_message_id) VALUES (@m3, @h1, 3, @u2, @m1);
	INSERT INTO role (id, name, community_id) VALUES (@r1, 'Member', @c1), (@r2, 'Instance Admin', NULL);
	INSERT INTO role_assignment (id, user_id, community_id, role_id) VALUES (@x1, @u1, @c1, @r1), (@x2, @u1, NULL, @r2);
	INSERT INTO friendship (id, user_a_id, user_b_id) VALUES (@x1, @u1, @u2);
	INSERT INTO file (id, filename, mime_type, file_type, size, checksum, resource_type, storage_path, user_id, uploaded_by)
		VALUES (@f1, 'a.png', 'image/png', 'IMAGE', 1, 'x', 'USER_AVATAR', 'p', @u1, @u1);
	UPDATE app_user SET avatar_file_id = @f1, banned_by = @u3 WHERE id = @u1;
	INSERT INTO read_receipt (id, user_id, channel_id, last_read_message_id, last_read_seq, last_read_sent_at) VALUES (@x1, @u1, @h1, @m2, 2, now());
	INSERT INTO instance_settings (id) VALUES (@x1);
	INSERT INTO instance_invite (id, code, created_by, max_uses) VALUES (@x1, 'welcome', @u1, 1);
	INSERT INTO notification (id, user_id, type, message_id, channel_id, author_id) VALUES (@x1, @u1, 'USER_MENTION', @m2, @h1, @u2);
	INSERT INTO refresh_token (id, user_id, family_id, token_hash, expires_at) VALUES (@x1, @u1, @x2, sha256('a'), now());`

// withIDs writes out ids like @u1.
func withIDs(sql string) string {
	for i, kind := range "uchgmrxf" {
		for n := range 9 {
			id := "'00000000-0000-4000-8000-0000000000" + string(rune('1'+i)) + string(rune('0'+n)) + "'"
			sql = strings.ReplaceAll(sql, "@"+string(kind)+string(rune('0'+n)), id)
		}
	}
	return sql
}

func seededDB(t *testing.T) *persistence.DB {
	t.Helper()
	db := pgtest.New(t)
	if _, err := db.Pool().Exec(t.Context(), withIDs(seedRows)); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	db := seededDB(t)
	rows := []struct{ sql, constraint string }{
		{`INSERT INTO app_user (id, username, password_hash) VALUES (@u4, 'ada', 'x')`, "app_user_username_key"},
		{`INSERT INTO app_user (id, username, email, password_hash) VALUES (@u4, 'x', 'ada@example.org', 'x')`, "app_user_email_key"},
		{`UPDATE app_user SET role = 'GOD'`, "app_user_role_check"},
		{`UPDATE app_user SET storage_used_bytes = -1`, "app_user_storage_used_bytes_check"},
		{`INSERT INTO friendship (id, user_a_id, user_b_id) VALUES (@x3, @u2, @u1)`, "friendship_pair_key"},
		{`INSERT INTO friendship (id, user_a_id, user_b_id) VALUES (@x3, @u2, @u2)`, "friendship_check"},
		{`INSERT INTO user_block (id, blocker_id, blocked_id) VALUES (@x3, @u2, @u2)`, "user_block_check"},
		{`INSERT INTO instance_settings (id) VALUES (@x3)`, "instance_settings_singleton_key"},
		{`INSERT INTO instance_settings (id, singleton) VALUES (@x3, false)`, "instance_settings_singleton_check"},
		{`UPDATE instance_invite SET uses = 2`, "instance_invite_max_uses_reached_check"},
		{`INSERT INTO community (id, name) VALUES (@c3, 'one')`, "community_name_key"},
		{`INSERT INTO channel (id, name, community_id) VALUES (@h3, 'general', @c1)`, "channel_community_id_name_key"},
		{`UPDATE channel SET type = 'SMELL'`, "channel_type_check"},
		{`INSERT INTO role (id, name, community_id) VALUES (@r3, 'Member', @c1)`, "role_community_id_name_key"},
		{`INSERT INTO role (id, name) VALUES (@r3, 'Instance Admin')`, "role_instance_name_key"},
		{`UPDATE role SET actions = '{CREATE_MESSAGE,FLY}'`, "role_actions_check"},
		{`INSERT INTO role_assignment (id, user_id, community_id, role_id) VALUES (@x3, @u1, @c1, @r1)`, "role_assignment_user_id_community_id_role_id_key"},
		{`INSERT INTO role_assignment (id, user_id, role_id) VALUES (@x3, @u1, @r2)`, "role_assignment_user_id_role_id_key"},
		{`INSERT INTO role_assignment (id, user_id, community_id, role_id) VALUES (@x3, @u1, @c2, @r1)`, "role_assignment_role_id_community_id_fkey"},
		{`INSERT INTO message (id, channel_id, seq) VALUES (@m4, @h1, 1)`, "message_channel_id_seq_key"},
		{`INSERT INTO message (id, seq) VALUES (@m4, 4)`, "message_context_check"},
		{`INSERT INTO message (id, channel_id, direct_message_group_id, seq) VALUES (@m4, @h1, @g1, 4)`, "message_context_check"},
		{`INSERT INTO message (id, channel_id, seq) VALUES (@m4, @h1, 0)`, "message_seq_check"},
		{`INSERT INTO message (id, channel_id, seq) VALUES (@m4, @h1, 4), (@m5, @h1, 4)`, "message_channel_id_seq_key"},
		{`INSERT INTO message (id, direct_message_group_id, seq) VALUES (@m4, @g1, 4), (@m5, @g1, 4)`, "message_direct_message_group_id_seq_key"},
		{`INSERT INTO message (id, channel_id, seq) VALUES (@m4, @h3, 4)`, "message_channel_id_fkey"},
		{`UPDATE message SET reply_count = -1`, "message_reply_count_check"},
		{`DELETE FROM message WHERE id = @m1`, "message_parent_message_id_fkey"},
		{`INSERT INTO message_mention (message_id) VALUES (@m1)`, "message_mention_what_check"},
		{`INSERT INTO message_mention (message_id, user_id) VALUES (@m1, @u4)`, "message_mention_user_id_fkey"},
		{`INSERT INTO message_reaction (id, message_id, emoji, user_id) VALUES (@x3, @m1, '+', @u1), (@x4, @m1, '+', @u1)`, "message_reaction_message_id_emoji_user_id_key"},
		{`INSERT INTO direct_message_group (id, pair_low, pair_high) VALUES (@g2, @u1, @u2)`, "direct_message_group_pair_low_pair_high_key"},
		{`INSERT INTO direct_message_group (id, pair_low, pair_high) VALUES (@g2, @u2, @u1)`, "direct_message_group_pair_check"},
		{`INSERT INTO direct_message_group (id, pair_low) VALUES (@g2, @u1)`, "direct_message_group_pair_check"},
		{`INSERT INTO read_receipt (id, user_id, last_read_seq, last_read_sent_at) VALUES (@x3, @u1, 1, now())`, "read_receipt_context_check"},
		{`INSERT INTO read_receipt (id, user_id, channel_id, last_read_seq, last_read_sent_at) VALUES (@x3, @u1, @h1, 1, now())`, "read_receipt_user_id_channel_id_key"},
		{`UPDATE file SET community_id = @c1`, "file_owner_check"},
		{`UPDATE refresh_token SET token_hash = 'short'`, "refresh_token_token_hash_check"},
		{`INSERT INTO refresh_token (id, user_id, token_hash, expires_at) VALUES (@x3, @u1, sha256('b'), now())`, ""},
	}
	for _, row := range rows {
		_, err := db.Pool().Exec(t.Context(), withIDs(row.sql))
		var pe *pgconn.PgError
		if !errors.As(err, &pe) || pe.ConstraintName != row.constraint || !strings.HasPrefix(pe.Code, "23") {
			t.Errorf("%s\n\tgot %v (constraint %q), want %s", row.sql, err, constraintOf(pe), row.constraint)
		}
	}
}

func constraintOf(pe *pgconn.PgError) string {
	if pe == nil {
		return ""
	}
	return pe.ConstraintName
}

// What is left of the seed after deleting something: each query must give true.
func TestSchemaDeletes(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, do string
		want     []string
	}{
		{"message keeps the watermark", `DELETE FROM message WHERE id = @m2`, []string{
			`SELECT last_read_message_id IS NULL AND last_read_seq = 2 FROM read_receipt`,
			`SELECT count(*) = 0 FROM notification`,
		}},
		{"user", `DELETE FROM app_user WHERE id = @u1`, []string{
			`SELECT author_id IS NULL FROM message WHERE id = @m1`,
			`SELECT count(*) = 0 FROM refresh_token`,
			`SELECT count(*) = 0 FROM friendship`,
			`SELECT count(*) = 0 FROM role_assignment`,
			`SELECT count(*) = 0 FROM read_receipt`,
			`SELECT count(*) = 0 FROM file`,
			`SELECT created_by IS NULL FROM instance_invite`,
		}},
		{"user who banned others", `DELETE FROM app_user WHERE id = @u3`, []string{`SELECT banned_by IS NULL FROM app_user WHERE id = @u1`}},
		{"file", `DELETE FROM file`, []string{`SELECT avatar_file_id IS NULL FROM app_user WHERE id = @u1`}},
		{"role", `DELETE FROM role WHERE id = @r1`, []string{`SELECT count(*) = 1 FROM role_assignment`}},
		{"channel with a thread", `DELETE FROM channel WHERE id = @h1`, []string{
			`SELECT count(*) = 0 FROM message`, `SELECT count(*) = 0 FROM read_receipt`, `SELECT count(*) = 0 FROM notification`,
		}},
		{"community", `DELETE FROM community WHERE id = @c1`, []string{
			`SELECT count(*) = 1 FROM channel`, `SELECT count(*) = 0 FROM message`, `SELECT count(*) = 1 FROM role`,
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			db := seededDB(t)
			if _, err := db.Pool().Exec(t.Context(), withIDs(row.do)); err != nil {
				t.Fatal(err)
			}
			for _, q := range row.want {
				var ok bool
				if err := db.Pool().QueryRow(t.Context(), withIDs(q)).Scan(&ok); err != nil || !ok {
					t.Errorf("%s: %v, %v", q, ok, err)
				}
			}
		})
	}
}

// A foreign key without an index behind it makes every delete of what it points to a scan.
func TestEveryForeignKeyIsIndexed(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows, err := db.Pool().Query(t.Context(), `
		SELECT c.conrelid::regclass || ' ' || c.conname FROM pg_constraint c
		WHERE c.contype = 'f' AND NOT EXISTS (
			SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1]
		)`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		t.Errorf("no index behind %s", name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
