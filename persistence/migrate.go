package persistence

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// migrations are the schema as numbered SQL files, applied in order. They only go forward:
// a file that has been released is never edited, a mistake is mended by the next file.
//
//go:embed migrations/*.sql
var migrations embed.FS

const (
	// migrationLock is the advisory lock that one node holds while it migrates
	// ("rookery" in ASCII).
	migrationLock = 0x726f6f6b657279

	migrationPoll = 100 * time.Millisecond
)

var (
	tryMigrationLock = query(`SELECT pg_try_advisory_lock($1)`)
	unlockMigration  = query(`SELECT pg_advisory_unlock($1)`)
)

// Migrate brings the schema up to the newest version. Nodes that start together take
// turns; whoever comes late finds nothing to do.
func (db *DB) Migrate(ctx context.Context) error {
	return db.LockMigrations(ctx, func() error { return db.migrate(ctx) })
}

// LockMigrations runs f while no other node migrates this database.
func (db *DB) LockMigrations(ctx context.Context, f func() error) error {
	conn, err := pgx.ConnectConfig(ctx, db.pool.Config().ConnConfig)
	if err != nil {
		return oneLine(fmt.Errorf("connect to migrate: %w", err))
	}
	// Closing the session frees the lock, whatever happened in between.
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := lockMigrations(ctx, conn); err != nil {
		return oneLine(fmt.Errorf("lock migrations: %w", err))
	}
	if err := f(); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, unlockMigration, int64(migrationLock)); err != nil {
		return oneLine(fmt.Errorf("unlock migrations: %w", err))
	}
	return nil
}

func (db *DB) migrate(ctx context.Context) error {
	sqlDB := stdlib.OpenDB(*db.pool.Config().ConnConfig)
	defer func() { _ = sqlDB.Close() }()
	provider, err := goose.NewProvider(goose.DialectPostgres, sqlDB, Migrations(),
		goose.WithTableName("schema_migration"), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	done, err := provider.Up(ctx)
	if err != nil {
		return oneLine(fmt.Errorf("migrate database: %w", err))
	}
	for _, m := range done {
		db.log.Info("database migrated", "version", m.Source.Version, "took", m.Duration)
	}
	return nil
}

// lockMigrations asks again and again instead of waiting inside Postgres, because a waiting
// statement holds a snapshot that would block CREATE INDEX CONCURRENTLY in a migration.
func lockMigrations(ctx context.Context, conn *pgx.Conn) error {
	for {
		var ok bool
		if err := conn.QueryRow(ctx, tryMigrationLock, int64(migrationLock)).Scan(&ok); err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(migrationPoll):
		}
	}
}

// Migrations is the content of the embedded migrations, for tools that compare schemas.
func Migrations() fs.FS {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil { // the directory is embedded: cannot happen
		panic(err)
	}
	return files
}
