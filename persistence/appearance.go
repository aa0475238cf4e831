package persistence

import (
	"context"

	"github.com/rookery-chat/rookery/protocol"
)

const appearanceColumns = `s.id, s.user_id, s.theme_mode, s.accent_color, s.intensity, s.created_at, s.updated_at`

var (
	// Makes the row if it is not there. The update that changes nothing is what
	// makes Postgres return the row that somebody else has just made.
	ensureAppearance = query(`
		INSERT INTO user_appearance_settings AS s (id, user_id, created_at, updated_at) VALUES ($1, $2, $3, $3)
		ON CONFLICT (user_id) DO UPDATE SET updated_at = s.updated_at
		RETURNING ` + appearanceColumns)

	changeAppearance = query(`
		INSERT INTO user_appearance_settings AS s (id, user_id, created_at, updated_at, theme_mode, accent_color, intensity)
		VALUES ($1, $2, $3, $3, coalesce($4, 'dark'), coalesce($5, 'blue'), coalesce($6, 'minimal'))
		ON CONFLICT (user_id) DO UPDATE SET updated_at = $3, theme_mode = coalesce($4, s.theme_mode),
			accent_color = coalesce($5, s.accent_color), intensity = coalesce($6, s.intensity)
		RETURNING ` + appearanceColumns)
)

func appearanceFields(a *protocol.Appearance) []any {
	return []any{&a.ID, &a.UserID, &a.ThemeMode, &a.AccentColor, &a.Intensity, &a.CreatedAt, &a.UpdatedAt}
}

// Appearance reads a user's settings, which the first read makes.
func (db *DB) Appearance(ctx context.Context, user protocol.UserID, at protocol.Instant) (protocol.Appearance, error) {
	var a protocol.Appearance
	err := db.pool.QueryRow(ctx, ensureAppearance, protocol.NewRandomID[memberRow](), user, at).Scan(appearanceFields(&a)...)
	return a, shown(err, "read appearance settings")
}

// ChangeAppearance changes what is given, making the row if it is not there.
func (db *DB) ChangeAppearance(ctx context.Context, user protocol.UserID, c protocol.UpdateAppearance, at protocol.Instant) (protocol.Appearance, error) {
	var a protocol.Appearance
	err := db.pool.QueryRow(ctx, changeAppearance, protocol.NewRandomID[memberRow](), user, at, c.ThemeMode, c.AccentColor, c.Intensity).
		Scan(appearanceFields(&a)...)
	return a, shown(err, "change appearance settings")
}
