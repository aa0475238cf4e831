package persistence

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// Networks from which an account was entered: how many are remembered, the
// latest, and for how long.
const (
	maxPlaces  = 20
	keepPlaces = 90 * 24 * time.Hour
)

var (
	noteLoginPlace = query(`
		INSERT INTO login_place (user_id, network, used_at) VALUES ($1, $2, $3)
		ON CONFLICT (user_id, network) DO UPDATE SET used_at = greatest(login_place.used_at, excluded.used_at)`)

	boundLoginPlaces = query(`
		DELETE FROM login_place WHERE user_id = $1 AND network IN (
			SELECT network FROM login_place WHERE user_id = $1 ORDER BY used_at DESC, network OFFSET $2)`)

	deleteLoginPlaces = query(`DELETE FROM login_place WHERE user_id = $1`)

	sweepLoginPlaces = query(`DELETE FROM login_place WHERE used_at < $1`)

	knownLoginPlace = query(`SELECT EXISTS (SELECT FROM login_place WHERE user_id = $1 AND network = $2)`)
)

// KnownPlace reports whether an account was entered from a network before.
func (db *DB) KnownPlace(ctx context.Context, user protocol.UserID, network string) (known bool, err error) {
	if err := db.pool.QueryRow(ctx, knownLoginPlace, user, network).Scan(&known); err != nil {
		return false, oneLine(fmt.Errorf("look for login place: %w", err))
	}
	return known, nil
}
