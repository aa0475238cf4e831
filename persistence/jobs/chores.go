package jobs

import (
	"context"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Chores is the scheduled work of the server.
func Chores(db *persistence.DB) []Chore {
	return []Chore{
		{"session.sweep", "0 6 * * *", whole(db.SweepSessions)},
		{"secret.sweep", "10 * * * *", whole(db.SweepSecrets)},
		{"lease.sweep", "30 4 * * *", db.SweepLeases},
	}
}

// whole makes a step of work that is done in one go.
func whole(do func(context.Context, protocol.Instant) error) func(context.Context, protocol.Instant) (bool, error) {
	return func(ctx context.Context, now protocol.Instant) (bool, error) { return false, do(ctx, now) }
}
