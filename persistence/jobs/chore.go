package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/rookery-chat/rookery/protocol"
)

// Chore is work that is done on a schedule, once in the cluster.
type Chore struct {
	// Name is noun.verb, and river's kind of job.
	Name string
	// Schedule is a line of crontab, five fields in the server's local time. At least once a
	// day: what is done is remembered for three.
	Schedule string
	// Do does one step, which should take a few seconds at most, and tells whether there is more
	// to do. It may be repeated, also while it runs elsewhere.
	Do func(ctx context.Context, now protocol.Instant) (more bool, err error)
}

// due tells when a chore is to run.
type due struct{ cron.Schedule }

func parseSchedule(c Chore) (due, error) {
	s, err := cron.ParseStandard(c.Schedule)
	if err != nil {
		return due{}, fmt.Errorf("schedule of %s: %w", c.Name, err)
	}
	return due{s}, nil
}

// looks are how far back last searches: the short ones keep it from stepping through the minutes
// of a day.
var looks = []time.Duration{3 * time.Minute, 3 * time.Hour, 26 * time.Hour, 8 * 24 * time.Hour, 400 * 24 * time.Hour}

// last is the newest due time that is not after now; zero when there is none in a year.
func (d due) last(now time.Time) time.Time {
	for _, look := range looks {
		var last time.Time
		for at := d.Next(now.Add(-look)); !at.IsZero() && !at.After(now); at = d.Next(at) {
			last = at
		}
		if !last.IsZero() {
			return last
		}
	}
	return time.Time{}
}
