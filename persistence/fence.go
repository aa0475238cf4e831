package persistence

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Owner is an activation of an actor together with the epoch under which it may write.
type Owner struct {
	Kind, ID string
	Epoch    int64 // from DB.TakeLease
}

func (o Owner) String() string { return fmt.Sprintf("%s %s epoch %d", o.Kind, o.ID, o.Epoch) }

// ErrFenced refuses a write because another activation has taken the lease since. The
// activation that gets it must stop; its callers may try again with the new one.
var ErrFenced = errors.New("the lease was taken over by another activation")

// codeFenced is the SQLSTATE that actor_lease_check raises.
const codeFenced = "RKF01"

var checkLeases = query(`SELECT actor_lease_check($1::text[], $2::text[], $3::bigint[])`)

// leaseArgs are the arguments of checkLeases.
func leaseArgs(owners []Owner) []any {
	kinds, ids, epochs := make([]string, len(owners)), make([]string, len(owners)), make([]int64, len(owners))
	for i, o := range owners {
		kinds[i], ids[i], epochs[i] = o.Kind, o.ID, o.Epoch
	}
	return []any{kinds, ids, epochs}
}

// Fenced runs f in one transaction that commits only while owner holds the lease: the way
// of structural changes, which do not go through a Writer. It fails with ErrFenced before f
// runs when the lease is lost.
func (db *DB) Fenced(ctx context.Context, owner Owner, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, checkLeases, leaseArgs([]Owner{owner})...)
		if len(staleLeases(err)) > 0 {
			return fmt.Errorf("write for %s: %w", owner, ErrFenced)
		}
		if err != nil {
			return fmt.Errorf("check lease of %s: %w", owner, err)
		}
		return f(tx)
	})
}

// staleLeases are the positions, from 0, of the owners that actor_lease_check refused; nil
// when err is something else.
func staleLeases(err error) []int {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pe.Code != codeFenced {
		return nil
	}
	var stale []int
	for text := range strings.SplitSeq(pe.Detail, ",") {
		if n, err := strconv.Atoi(text); err == nil {
			stale = append(stale, n-1)
		}
	}
	return stale
}
