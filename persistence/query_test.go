package persistence_test

import (
	"testing"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// Every statement of the package must be one that Postgres accepts against the newest schema.
func TestPrepareAllQueries(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn, err := db.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	all := persistence.DeclaredQueries()
	if len(all) == 0 {
		t.Fatal("no query is declared")
	}
	for where, sql := range all {
		t.Run(where, func(t *testing.T) {
			if _, err := conn.Conn().Prepare(t.Context(), where, sql); err != nil {
				t.Errorf("%v in\n%s", err, sql)
			}
		})
	}
}
