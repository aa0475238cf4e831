package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

const (
	workers     = 2                // chores at a time on a node
	turn        = 20 * time.Second // after which a chore with more to do gives way
	pause       = 50 * time.Millisecond
	maxRun      = 5 * time.Minute  // of one step
	rescueAfter = 6 * time.Minute  // longer than any run: the node that had it is dead
	maxAttempts = 10               // over about four hours
	remembered  = 72 * time.Hour   // what is done, so that it is not done twice
	pollEvery   = 15 * time.Second // jobs are announced; this is for lost announcements
)

// Config is what a node's chores work with. DB is needed.
type Config struct {
	DB     *persistence.DB
	Chores []Chore
	Log    *slog.Logger // nil: silent

	// Thumbnails of videos; nil: none are made, and nobody asks for them.
	Thumbnails *Thumbnails

	// RescueAfter is how long a job runs before its node counts as dead; six minutes when zero.
	// Nothing may run for longer.
	RescueAfter time.Duration

	// Deliver sends a push; nil: this node sends none.
	Deliver func(ctx context.Context, p persistence.Push) error
}

// Runner works chores on this node and, while it is elected, says when they are due.
type Runner struct {
	client     *river.Client[pgx.Tx]
	thumbnails *Thumbnails
}

// Start takes part in the cluster's scheduled work. Migrate must have run.
func Start(ctx context.Context, cfg Config) (*Runner, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	rc := riverConfig(cfg)
	chores := cfg.Chores
	if cfg.Thumbnails != nil {
		chores = append(slices.Clip(chores), thumbnailSweep(cfg.DB))
	}
	for _, c := range chores {
		schedule, err := parseSchedule(c)
		if err != nil {
			return nil, err
		}
		river.AddWorkerArgs(rc.Workers, job{chore: c.Name}, &worker{chore: c})
		rc.PeriodicJobs = append(rc.PeriodicJobs, river.NewPeriodicJob(schedule, announce(c, schedule),
			&river.PeriodicJobOpts{ID: c.Name, RunOnStart: true})) // to make up for what was missed
	}
	if t := cfg.Thumbnails; t != nil {
		river.AddWorker(rc.Workers, &painter{Thumbnails: *t, db: cfg.DB, log: cfg.Log})
		if t.FFmpeg != "" {
			rc.Queues[thumbnailQueue] = river.QueueConfig{MaxWorkers: 1}
		}
	}
	if cfg.Deliver != nil {
		river.AddWorker(rc.Workers, &pushWorker{deliver: cfg.Deliver})
		rc.Queues[pushQueue] = river.QueueConfig{MaxWorkers: pushWorkers}
	}
	client, err := river.NewClient(riverpgxv5.New(cfg.DB.Pool()), rc)
	if err != nil {
		return nil, fmt.Errorf("configure scheduled work: %w", err)
	}
	// The context is only for starting: work ends by Stop, in its place among everything else.
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, fmt.Errorf("start scheduled work: %w", err)
	}
	return &Runner{client: client, thumbnails: cfg.Thumbnails}, nil
}

func riverConfig(cfg Config) *river.Config {
	rc := &river.Config{
		CompletedJobRetentionPeriod: remembered,
		ErrorHandler:                failures{cfg.Log},
		FetchPollInterval:           pollEvery,
		JobTimeout:                  maxRun,
		Logger:                      quiet(cfg.Log),
		MaxAttempts:                 maxAttempts,
		Queues:                      map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
		RescueStuckJobsAfter:        rescueAfter,
		Schema:                      schema,
		Workers:                     river.NewWorkers(),
	}
	if cfg.RescueAfter != 0 {
		rc.RescueStuckJobsAfter, rc.JobTimeout = cfg.RescueAfter, cfg.RescueAfter/2
	}
	return rc
}

// Stop lets go of what this node works on, so that another goes on with it, and waits until it is
// over, at most until ctx ends.
func (r *Runner) Stop(ctx context.Context) error { return r.client.StopAndCancel(ctx) }

// job is what is stored of one run of a chore.
type job struct {
	Due time.Time `json:"due"`

	chore string
}

// Kind names the chore.
func (j job) Kind() string { return j.chore }

// early is how much too early a timer may fire, by the rounding of clocks.
const early = time.Second

// announce makes the job of the newest due time. It is there already when another node was
// quicker, or it has been done.
func announce(c Chore, schedule due) river.PeriodicJobConstructor {
	return func() (river.JobArgs, *river.InsertOpts) {
		at := schedule.last(time.Now().Add(early))
		if at.IsZero() { // in more than a year from now
			return nil, nil
		}
		return job{Due: at.UTC(), chore: c.Name}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}}
	}
}

// worker does the steps of one chore.
type worker struct {
	river.WorkerDefaults[job]
	chore Chore
}

// Work repeats the step while there is more to do. After a while, or when the node stops, the job
// goes back to the queue.
func (w *worker) Work(ctx context.Context, _ *river.Job[job]) error {
	giveWay := time.After(turn)
	for {
		more, err := w.chore.Do(ctx, protocol.InstantOf(time.Now()))
		switch {
		case errors.Is(ctx.Err(), context.Canceled): // this node stops
			return river.JobSnooze(0)
		case err != nil || !more:
			return err
		}
		select {
		case <-giveWay:
			return river.JobSnooze(0)
		case <-ctx.Done(): // seen above, after a step that ends at once
		case <-time.After(pause):
		}
	}
}
