package persistence

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// Every online user is noted once a minute and none of it matters after a crash,
// so the notes of a node are written together and the commit does not wait for
// the disk. Rows that somebody else holds are left for the next time: a note is
// not worth waiting, and rows that are locked in another order than somebody
// else's would be a deadlock.
var touchUsers = query(`
	WITH free AS (
		SELECT u.id, seen.at FROM unnest($1::uuid[], $2::timestamptz[]) AS seen (id, at), app_user AS u,
			(SELECT set_config('synchronous_commit', 'off', true)) AS lazily
		WHERE u.id = seen.id FOR NO KEY UPDATE OF u SKIP LOCKED
	), touched AS (
		UPDATE app_user SET last_seen = free.at FROM free
		WHERE app_user.id = free.id AND (last_seen IS NULL OR last_seen < free.at)
	)
	SELECT id FROM free`)

// Bounds of the notes of last presence.
const (
	seenDelay   = 100 * time.Millisecond // how long a note waits for others
	seenTimeout = 10 * time.Second
	seenPiece   = 1000 // users in one statement
	seenTries   = 3    // for a user whose row is locked, or gone
)

// seenUsers are the notes that wait to be written. There are no more than users
// that came, went or were online for a minute during the delay.
type seenUsers struct {
	mu    sync.Mutex
	notes map[protocol.UserID]seenNote
	timer *time.Timer // nil: nothing waits
	write sync.Mutex  // one at a time
}

type seenNote struct {
	at    protocol.Instant
	tries uint8
}

// SawUser notes when a user was last online; an older moment changes nothing. The
// note is written a little later, together with others. It is lost when the
// database is away, as the next minute brings another one.
func (db *DB) SawUser(id protocol.UserID, at protocol.Instant) {
	db.noteSeen(id, seenNote{at: at})
}

func (db *DB) noteSeen(id protocol.UserID, n seenNote) {
	s := &db.seen
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.notes[id]; ok && have.at >= n.at {
		return
	}
	if s.notes == nil {
		s.notes = map[protocol.UserID]seenNote{}
	}
	s.notes[id] = n
	if s.timer == nil {
		s.timer = time.AfterFunc(seenDelay, db.FlushSeen)
	}
}

// FlushSeen writes what waits of SawUser.
func (db *DB) FlushSeen() {
	s := &db.seen
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.Lock()
	notes := s.notes
	s.notes = nil
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.mu.Unlock()
	ids := make([]protocol.UserID, 0, len(notes))
	for id := range notes {
		ids = append(ids, id)
	}
	ctx, cancel := context.WithTimeout(context.Background(), seenTimeout)
	defer cancel()
	for piece := range slices.Chunk(ids, seenPiece) {
		if err := db.touchUsers(ctx, piece, notes); err != nil {
			db.log.Debug("last presence of users not noted", "users", len(piece), "error", err)
			return
		}
	}
}

// touchUsers writes some notes and keeps those that could not be.
func (db *DB) touchUsers(ctx context.Context, ids []protocol.UserID, notes map[protocol.UserID]seenNote) error {
	at := make([]protocol.Instant, len(ids))
	for i, id := range ids {
		at[i] = notes[id].at
	}
	rows, _ := db.pool.Query(ctx, touchUsers, ids, at)
	free, err := pgx.CollectRows(rows, pgx.RowTo[protocol.UserID])
	if err != nil {
		return oneLine(err)
	}
	if len(free) == len(ids) {
		return nil
	}
	for _, id := range free {
		delete(notes, id)
	}
	for _, id := range ids {
		if n, held := notes[id]; held && n.tries+1 < seenTries {
			n.tries++
			db.noteSeen(id, n)
		}
	}
	return nil
}
