package jobs

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Pushes have a queue of their own, so that chores don't wait for push services.
const (
	pushQueue    = "push"
	pushWorkers  = 8
	pushAttempts = 5 // over about five minutes: then it is no news any more
)

// pushJob is one delivery.
type pushJob struct {
	Notification protocol.AnyID `json:"n"`
	Subscription protocol.AnyID `json:"s"`
}

// Kind implements river.JobArgs.
func (pushJob) Kind() string { return "push.deliver" }

// pushWorker delivers.
type pushWorker struct {
	river.WorkerDefaults[pushJob]
	deliver func(ctx context.Context, p persistence.Push) error
}

// Work sends one push; an error is tried again.
func (w *pushWorker) Work(ctx context.Context, j *river.Job[pushJob]) error {
	return w.deliver(ctx, persistence.Push{Notification: j.Args.Notification, Subscription: j.Args.Subscription})
}

// Push stores deliveries in a transaction, all by one statement.
func (r *Runner) Push(ctx context.Context, tx pgx.Tx, list []persistence.Push) error {
	if len(list) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(list))
	for i, p := range list {
		params[i] = river.InsertManyParams{
			Args:       pushJob{Notification: p.Notification, Subscription: p.Subscription},
			InsertOpts: &river.InsertOpts{Queue: pushQueue, MaxAttempts: pushAttempts},
		}
	}
	if _, err := r.client.InsertManyFastTx(ctx, tx, params); err != nil {
		return fmt.Errorf("store pushes: %w", err)
	}
	return nil
}

// sweptPushes bounds what one step of sweepPushes deletes.
const sweptPushes = 5000

// sweepPushes removes deliveries that are done: what is done is remembered for
// days only because of chores.
func sweepPushes(db *persistence.DB) func(context.Context, protocol.Instant) (bool, error) {
	return func(ctx context.Context, _ protocol.Instant) (bool, error) {
		tag, err := db.Pool().Exec(ctx, `
			DELETE FROM `+schema+`.river_job WHERE id IN (
				SELECT id FROM `+schema+`.river_job
				WHERE state IN ('completed', 'cancelled', 'discarded') AND finalized_at < now() - interval '10 minutes' AND queue = $1
				LIMIT $2)`, pushQueue, sweptPushes)
		if err != nil {
			return false, fmt.Errorf("sweep pushes: %w", err)
		}
		return tag.RowsAffected() == sweptPushes, nil
	}
}
