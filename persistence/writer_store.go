package persistence

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

const (
	minBackoff  = 50 * time.Millisecond
	maxBackoff  = 2 * time.Second
	remindAfter = 30 * time.Second // between two log lines of one outage

	// attemptTimeout ends a transaction that got stuck, with the server or on the way to it.
	attemptTimeout = 30 * time.Second
)

// store decides every write of batch. It comes back when that is done, however long the
// database is away.
func (l *lane) store(batch []pending) {
	for len(batch) > 0 {
		err := l.commit(batch)
		stale := staleLeases(err)
		switch {
		case err == nil:
			l.decideAll(batch, nil)
			return
		case len(stale) > 0:
			batch = l.refuseStale(batch, stale)
		case l.w.abort.Err() != nil:
			l.decideAll(batch, errClosing)
			return
		case isClosedPool(err):
			l.decideAll(batch, fmt.Errorf("store: %w", err))
			return
		case writesIn(batch) > 1:
			// One of them is bad. Halves in order keep the order of each owner.
			l.store(batch[:len(batch)/2])
			batch = batch[len(batch)/2:]
		default:
			l.decideAll(batch, err)
			return
		}
	}
}

func (l *lane) decideAll(batch []pending, err error) {
	for _, p := range batch {
		if len(p.Rows) == 0 {
			l.w.decide(p, nil) // only wanted to know that the turn has come
			continue
		}
		l.w.decide(p, err)
	}
}

// refuseStale refuses the writes of the owners at the given positions and returns the others.
func (l *lane) refuseStale(batch []pending, stale []int) []pending {
	owners := ownersIn(batch)
	lost := make(map[Owner]bool, len(stale))
	for _, i := range stale {
		if i >= 0 && i < len(owners) {
			lost[owners[i]] = true
		}
	}
	rest := make([]pending, 0, len(batch))
	for _, p := range batch {
		if lost[p.Owner] && len(p.Rows) > 0 {
			l.w.decide(p, fmt.Errorf("store for %s: %w", p.Owner, ErrFenced))
			continue
		}
		rest = append(rest, p)
	}
	return rest
}

// ownersIn lists the owners of a batch that have rows, each once, in order of appearance.
func ownersIn(batch []pending) []Owner {
	seen := make(map[Owner]struct{})
	var list []Owner
	for _, p := range batch {
		if _, ok := seen[p.Owner]; ok || len(p.Rows) == 0 {
			continue
		}
		seen[p.Owner] = struct{}{}
		list = append(list, p.Owner)
	}
	return list
}

func writesIn(batch []pending) int {
	n := 0
	for _, p := range batch {
		if len(p.Rows) > 0 {
			n++
		}
	}
	return n
}

// commit stores the batch in one transaction, trying again for as long as the failure has
// nothing to do with the rows. The error is one that trying again would not change.
func (l *lane) commit(batch []pending) error {
	work, err := prepare(batch)
	if err != nil || len(work.owners) == 0 {
		return err
	}
	wait := minBackoff
	var reminded time.Time
	for tries := 0; ; tries++ {
		if err = l.attempt(work); err == nil {
			l.w.counters.commits.Add(1)
			l.w.counters.executions.Add(uint64(len(work.args)))
			if !reminded.IsZero() {
				l.w.cfg.Log.Info("database is back, storing goes on", "tries", tries)
			}
			return nil
		}
		if !l.link.transient(err) || l.w.abort.Err() != nil {
			return err
		}
		l.w.counters.retries.Add(1)
		if tries > 0 && time.Since(reminded) > remindAfter {
			reminded = time.Now()
			l.w.cfg.Log.Warn("cannot store, trying again", "error", oneLine(err), "queued", l.w.rows.Load())
		}
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-l.w.abort.Done():
		}
		wait = min(2*wait, maxBackoff)
	}
}

func (l *lane) attempt(work transaction) error {
	ctx, cancel := context.WithTimeout(l.w.abort, attemptTimeout)
	defer cancel()
	return l.link.run(ctx, work)
}

// transaction is a batch ready to be sent, as often as needed.
type transaction struct {
	owners []Owner
	parts  []execution
	args   [][]any // of parts
}

// prepare makes the arguments. A panic in it is a defect of one row's statement and must
// not take down the rows of others, or the process.
func prepare(batch []pending) (t transaction, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("make arguments: panic: %v", r)
		}
	}()
	t = transaction{owners: ownersIn(batch), parts: plan(batch)}
	for _, p := range t.parts {
		t.args = append(t.args, p.statement.Args(p.rows))
	}
	return t, nil
}

func isClosedPool(err error) bool { return errors.Is(err, puddle.ErrClosedPool) }

// transientCode reports whether an error of the server says that the same transaction can
// succeed later: connection (08), resources (53), operator intervention and cancel (57),
// system (58), serialization, deadlock, a lock not got in time, a standby that was asked, and
// a pooler that forgot a prepared statement.
func transientCode(pe *pgconn.PgError) bool {
	switch pe.Code {
	case "40001", "40003", "40P01", "55P03", "55006", "25006", "26000":
		return true
	}
	switch pe.Code[:min(2, len(pe.Code))] {
	case "08", "53", "57", "58":
		return true
	}
	return pe.Code == "0A000" && pe.Routine == "RevalidateCachedQuery" // the table changed under us
}
