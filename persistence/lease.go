package persistence

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// takeoverPatience is how long a writer of the old epoch may keep its successor waiting
// without sending anything. A transaction is sent in one piece and commits in milliseconds;
// one that stands still for longer belongs to a node that is paused or cut off.
const takeoverPatience = 2 * time.Second

var takeLease = query(`
	INSERT INTO actor_lease AS l (kind, id, epoch, node) VALUES ($1, $2, 1, $3)
	ON CONFLICT (kind, id) DO UPDATE SET epoch = l.epoch + 1, node = excluded.node, taken_at = now()
	RETURNING epoch`)

// evictSilent ends the sessions that keep $1 waiting and are themselves waiting for their
// client. Those that work, or wait for a lock, go on.
var evictSilent = query(`
	SELECT pg_terminate_backend(a.pid) FROM unnest(pg_blocking_pids($1)) AS b (pid)
	JOIN pg_stat_activity a ON a.pid = b.pid WHERE a.wait_event_type = 'Client'`)

// TakeLease makes the caller the owner of actor (kind, id) and returns the epoch under which
// it may write. Whoever held a lower epoch is refused by every Writer from then on. It
// returns only after all that was being committed under the old epoch is committed, so what
// the caller loads afterwards is complete. A transaction of the old owner that stands still
// because its node does is rolled back after two seconds. node is for people who look at the
// table.
func (db *DB) TakeLease(ctx context.Context, kind, id, node string) (epoch int64, err error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return 0, oneLine(fmt.Errorf("take lease of %s %s: %w", kind, id, err))
	}
	defer conn.Release()
	stop := db.evictAfter(ctx, conn.Conn().PgConn().PID())
	defer stop()
	if err := conn.QueryRow(ctx, takeLease, kind, id, node).Scan(&epoch); err != nil {
		return 0, oneLine(fmt.Errorf("take lease of %s %s: %w", kind, id, err))
	}
	return epoch, nil
}

// evictAfter ends silent sessions that keep session pid waiting, again and again until stop
// is called.
func (db *DB) evictAfter(ctx context.Context, pid uint32) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		tick := time.NewTicker(takeoverPatience)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if err := db.evict(ctx, pid); err != nil && ctx.Err() == nil {
				db.log.Warn("cannot end a session that holds a lease", "error", oneLine(err))
			}
		}
	}()
	return cancel
}

// evict uses a connection of its own: those of the pool may all be waiting for leases.
func (db *DB) evict(ctx context.Context, pid uint32) error {
	conn, err := pgx.ConnectConfig(ctx, db.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, evictSilent, pid)
	return err
}
