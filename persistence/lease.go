package persistence

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
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

// sweepLeases finds leases of what is not there any more. They must be old: the owner of what is
// about to be created takes its lease first.
var sweepLeases = query(`
	DELETE FROM actor_lease WHERE (kind, id) IN (
		SELECT kind, id FROM actor_lease l WHERE taken_at < $1 AND CASE kind
			WHEN 'user' THEN NOT EXISTS (SELECT FROM app_user WHERE app_user.id = l.id::uuid)
			WHEN 'community' THEN NOT EXISTS (SELECT FROM community WHERE community.id = l.id::uuid)
			WHEN 'channel' THEN NOT EXISTS (SELECT FROM channel WHERE channel.id = l.id::uuid)
			WHEN 'dm' THEN NOT EXISTS (SELECT FROM direct_message_group g WHERE g.id = l.id::uuid)
			ELSE false END
		LIMIT $2 FOR UPDATE SKIP LOCKED)`)

// leaseKept is how long the lease of something deleted stays at least.
const leaseKept = 24 * time.Hour

// sweepBatch bounds the rows that one step of a clean-up deletes.
const sweepBatch = 1000

// SweepLeases deletes some leases of deleted users, communities, channels and groups, and tells whether
// there may be more. An actor that still has one is refused at its next write, as it would be
// anyway, because what it writes about is gone.
func (db *DB) SweepLeases(ctx context.Context, now protocol.Instant) (more bool, err error) {
	tag, err := db.pool.Exec(ctx, sweepLeases, protocol.InstantOf(now.Time().Add(-leaseKept)), sweepBatch)
	if err != nil {
		return false, oneLine(fmt.Errorf("sweep leases: %w", err))
	}
	return tag.RowsAffected() == sweepBatch, nil
}

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
