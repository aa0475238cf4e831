package jobs

import (
	"context"
	"sync"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// purgeChunk bounds what one step of the purge deletes: a transaction of well under a second.
const purgeChunk = 2000

// Chores is the scheduled work of the server.
func Chores(db *persistence.DB) []Chore {
	return []Chore{
		{"session.sweep", "0 6 * * *", whole(db.SweepSessions)},
		{"secret.sweep", "10 * * * *", whole(db.SweepSecrets)},
		{"lease.sweep", "30 4 * * *", db.SweepLeases},
		{"notice.sweep", "15 * * * *", db.SweepNotices},
		{"notification.sweep", "45 * * * *", sweepNotifications(db)},
		{"push.sweep", "*/10 * * * *", sweepPushes(db)},
		{"storage.recount", "0 3 * * *", func(ctx context.Context, _ protocol.Instant) (bool, error) {
			_, err := db.RecountStorage(ctx)
			return false, err
		}},
		// Every minute, so that what was deleted goes soon; a look at nothing costs next to
		// nothing.
		{"community.purge", "* * * * *", func(ctx context.Context, _ protocol.Instant) (bool, error) {
			return db.PurgeDeleted(ctx, purgeChunk)
		}},
		// What the indexers of the nodes did not get to, such as messages of a node that died.
		{"search.index", "*/10 * * * *", db.IndexLagging},
		{"search.sweep", "20 3 * * *", func(ctx context.Context, _ protocol.Instant) (bool, error) {
			return db.SweepSearch(ctx, purgeChunk)
		}},
	}
}

// FileChores is the scheduled work on the bytes of files.
func FileChores(db *persistence.DB, blobs *persistence.Blobs) []Chore {
	s := &persistence.FileSweeper{DB: db, Blobs: blobs}
	return []Chore{
		{"file.sweep", "*/10 * * * *", s.SweepDeleted},
		{"file.orphans", "20 4 * * *", s.SweepOrphans},
	}
}

// sweepNotifications walks all users step by step; a node that takes over begins
// anew.
func sweepNotifications(db *persistence.DB) func(context.Context, protocol.Instant) (bool, error) {
	var mu sync.Mutex
	var after protocol.UserID
	return func(ctx context.Context, now protocol.Instant) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		next, err := db.SweepNotifications(ctx, after, now)
		if err == nil {
			after = next
		}
		return !after.IsZero(), err
	}
}

// whole makes a step of work that is done in one go.
func whole(do func(context.Context, protocol.Instant) error) func(context.Context, protocol.Instant) (bool, error) {
	return func(ctx context.Context, now protocol.Instant) (bool, error) { return false, do(ctx, now) }
}
