package persistence_test

import (
	"sync"
	"testing"

	"github.com/rookery-chat/rookery/persistence/pgtest"
)

func TestMigrateEmptyTwice(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	for range 2 {
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var tables int
	err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`).Scan(&tables)
	if err != nil {
		t.Fatal(err)
	}
	// 35 of the relational model, revoked_token, instance_secret, actor_lease, three of
	// 00012_account.sql, four of 00016_message_search.sql, notice and the table of the migrations themselves.
	if want := 35 + 3 + 3 + 4 + 1 + 1; tables != want {
		t.Errorf("%d tables, want %d", tables, want)
	}
}

func TestMigrateConcurrently(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	var nodes sync.WaitGroup
	for range 4 {
		nodes.Go(func() {
			if err := db.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
}
