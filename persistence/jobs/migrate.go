package jobs

import (
	"context"
	"fmt"

	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/rookery-chat/rookery/persistence"
)

// schema is where river's tables are.
const schema = "river"

// Migrate brings river's tables up to the version of the library. Nodes that start together take
// turns.
func Migrate(ctx context.Context, db *persistence.DB) error {
	err := db.LockMigrations(ctx, func() error {
		if _, err := db.Pool().Exec(ctx, `CREATE SCHEMA IF NOT EXISTS `+schema); err != nil {
			return err
		}
		m, err := rivermigrate.New(riverpgxv5.New(db.Pool()), &rivermigrate.Config{Schema: schema, Logger: quiet(nil)})
		if err != nil {
			return err
		}
		_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrate the job queue: %w", err)
	}
	return nil
}
