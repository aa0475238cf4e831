package persistence_test

import (
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// Leases of what is gone go; those of what is there, of what is about to be
// created, and of actors that are no rows stay.
func TestSweepLeases(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	user, gone := protocol.NewID[struct{}](), protocol.NewID[struct{}]()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := db.Pool().Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO app_user (id, username, password_hash) VALUES ($1, 'ada', '')`, user)
	old := time.Now().Add(-48 * time.Hour)
	exec(`INSERT INTO actor_lease (kind, id, epoch, node, taken_at) VALUES ('user', $1, 1, 'n', $3), ('user', $2, 1, 'n', $3),
		('community', $2, 1, 'n', $3), ('channel', $2, 1, 'n', $3), ('instance', 'instance', 1, 'n', $3), ('other', 'x', 1, 'n', $3)`,
		user.String(), gone.String(), old)
	exec(`INSERT INTO actor_lease (kind, id, epoch, node) VALUES ('community', $1, 1, 'n')`, user.String())
	exec(`INSERT INTO actor_lease (kind, id, epoch, node, taken_at) SELECT 'channel', gen_random_uuid()::text, 1, 'n', $1 FROM generate_series(1, 1500)`, old)
	now := protocol.InstantOf(time.Now())
	for i, want := range []bool{true, false} {
		if more, err := db.SweepLeases(t.Context(), now); err != nil || more != want {
			t.Fatalf("step %d: more %v, %v", i+1, more, err)
		}
	}
	var left []string
	if err := db.Pool().QueryRow(t.Context(), `SELECT array_agg(kind ORDER BY kind) FROM actor_lease`).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if len(left) != 4 || left[0] != "community" || left[1] != "instance" || left[2] != "other" || left[3] != "user" {
		t.Errorf("left are %v", left)
	}
}

func TestSweepSecrets(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	_, err := db.Pool().Exec(t.Context(), `INSERT INTO instance_secret (name, value, expires_at) VALUES
		('expired', 'x', now() - interval '1 minute'), ('valid', 'x', now() + interval '1 minute'), ('shared', 'x', NULL)`)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SweepSecrets(t.Context(), protocol.InstantOf(time.Now())); err != nil {
		t.Fatal(err)
	}
	var left []string
	if err := db.Pool().QueryRow(t.Context(), `SELECT array_agg(name ORDER BY name) FROM instance_secret`).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 || left[0] != "shared" || left[1] != "valid" {
		t.Errorf("left are %v", left)
	}
}

func TestSweepSessions(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	user := protocol.NewID[struct{}]()
	now := time.Now()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := db.Pool().Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO app_user (id, username, password_hash) VALUES ($1, 'ada', '')`, user)
	token := func(device string, expires, consumed time.Duration) {
		var at *time.Time
		if consumed != 0 {
			v := now.Add(-consumed)
			at = &v
		}
		exec(`INSERT INTO refresh_token (id, user_id, family_id, token_hash, created_at, last_used_at, expires_at, consumed_at, device_name)
			VALUES (gen_random_uuid(), $1, gen_random_uuid(), sha256(convert_to($5, 'UTF8')), $2, $2, $3, $4, $5)`, user, now.Add(-30*24*time.Hour), now.Add(expires), at, device)
	}
	token("live", time.Hour, 0)
	token("expired", -time.Minute, 0)
	token("used lately", time.Hour, 6*24*time.Hour)
	token("used long ago", time.Hour, 8*24*time.Hour)
	exec(`INSERT INTO revoked_token (id, user_id, revoked_at, expires_at) VALUES (gen_random_uuid(), $1, now(), now() - interval '1 minute'),
		(gen_random_uuid(), $1, now(), now() + interval '1 minute')`, user)
	if err := db.SweepSessions(t.Context(), protocol.InstantOf(now)); err != nil {
		t.Fatal(err)
	}
	var left []string
	var revoked int
	err := db.Pool().QueryRow(t.Context(), `SELECT array_agg(device_name ORDER BY device_name), (SELECT count(*) FROM revoked_token) FROM refresh_token`).Scan(&left, &revoked)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 || left[0] != "live" || left[1] != "used lately" || revoked != 1 {
		t.Errorf("left are %v and %d revocations", left, revoked)
	}
}
