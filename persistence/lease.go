package persistence

import (
	"context"
	"fmt"
)

var takeLease = query(`
	INSERT INTO actor_lease AS l (kind, id, epoch, node) VALUES ($1, $2, 1, $3)
	ON CONFLICT (kind, id) DO UPDATE SET epoch = l.epoch + 1, node = excluded.node, taken_at = now()
	RETURNING epoch`)

// TakeLease makes the caller the owner of actor (kind, id) and returns the epoch under which
// it may write. Whoever held a lower epoch is refused by every Writer from then on. It
// returns only after all that was being committed under the old epoch is committed, so what
// the caller loads afterwards is complete. node is for people who look at the table.
func (db *DB) TakeLease(ctx context.Context, kind, id, node string) (epoch int64, err error) {
	if err := db.pool.QueryRow(ctx, takeLease, kind, id, node).Scan(&epoch); err != nil {
		return 0, oneLine(fmt.Errorf("take lease of %s %s: %w", kind, id, err))
	}
	return epoch, nil
}
