package persistence

import (
	"context"
	"fmt"

	"github.com/rookery-chat/rookery/protocol"
)

var agreeSecret = query(`
	WITH offered AS (
		INSERT INTO instance_secret (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO NOTHING
		RETURNING value
	)
	SELECT value FROM offered
	UNION ALL
	SELECT value FROM instance_secret WHERE name = $1
	LIMIT 1`)

var sweepSecrets = query(`DELETE FROM instance_secret WHERE expires_at < $1`)

// SweepSecrets deletes secrets that have expired, such as the token of a set-up that nobody
// finished.
func (db *DB) SweepSecrets(ctx context.Context, now protocol.Instant) error {
	if _, err := db.pool.Exec(ctx, sweepSecrets, now); err != nil {
		return oneLine(fmt.Errorf("sweep secrets: %w", err))
	}
	return nil
}

// AgreeSecret returns the value of a secret that all nodes on this database
// share. The first node's offer becomes the value.
func (db *DB) AgreeSecret(ctx context.Context, name, value string) (string, error) {
	// Of two first offers at once the loser's insert does nothing while its
	// snapshot does not show the winner's row yet; the second look does.
	for range 2 {
		rows, err := db.pool.Query(ctx, agreeSecret, "shared/"+name, value)
		if err != nil {
			return "", fmt.Errorf("agree on secret %s: %w", name, err)
		}
		var agreed string
		for rows.Next() {
			if err := rows.Scan(&agreed); err != nil {
				rows.Close()
				return "", fmt.Errorf("agree on secret %s: %w", name, err)
			}
		}
		if err := rows.Err(); err != nil {
			return "", fmt.Errorf("agree on secret %s: %w", name, err)
		}
		if agreed != "" {
			return agreed, nil
		}
	}
	return "", fmt.Errorf("agree on secret %s: no value", name)
}
