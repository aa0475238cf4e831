package persistence

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	updateInstance = query(`
		UPDATE instance_settings SET updated_at = $1, name = coalesce($2, name),
			description = CASE WHEN $3 THEN $4 ELSE description END, registration_mode = coalesce($5, registration_mode),
			default_storage_quota_bytes = coalesce($6, default_storage_quota_bytes), max_file_size_bytes = coalesce($7, max_file_size_bytes)`)

	selectStats = query(`
		SELECT (SELECT count(*) FROM app_user), (SELECT count(*) FROM community WHERE deleted_at IS NULL), (SELECT count(*) FROM channel WHERE deleted_at IS NULL),
			(SELECT count(*) FROM message WHERE deleted_at IS NULL),
			(SELECT count(*) FROM instance_invite WHERE NOT disabled AND (valid_until IS NULL OR valid_until >= $1)),
			(SELECT count(*) FROM app_user WHERE banned)`)
)

// UpdateInstance stores what is given of the settings, in one fenced transaction.
func (db *DB) UpdateInstance(ctx context.Context, owner Owner, c protocol.UpdateInstanceSettings, at protocol.Instant) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, updateInstance, at, c.Name, c.Description.Given, c.Description.Value, c.RegistrationMode,
			c.DefaultStorageQuotaBytes, c.MaxFileSizeBytes)
		return err
	})
	return shown(err, "update instance settings")
}

// Stats counts what the instance has. It reads every message: ask rarely.
func (db *DB) Stats(ctx context.Context, at protocol.Instant) (protocol.InstanceStats, error) {
	var s protocol.InstanceStats
	err := db.pool.QueryRow(ctx, selectStats, at).Scan(&s.TotalUsers, &s.TotalCommunities, &s.TotalChannels, &s.TotalMessages,
		&s.ActiveInvites, &s.BannedUsers)
	if err != nil {
		return s, oneLine(fmt.Errorf("count what the instance has: %w", err))
	}
	return s, nil
}
