package persistence

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// Registration modes.
const (
	RegistrationOpen       = "OPEN"
	RegistrationInviteOnly = "INVITE_ONLY"
	RegistrationClosed     = "CLOSED"
)

// setupTokenName names the secret that set-up asks for.
const setupTokenName = "onboarding/setup-token"

var (
	ensureSettings = query(`INSERT INTO instance_settings (id) VALUES ($1) ON CONFLICT (singleton) DO NOTHING`)

	selectInstance = query(`
		SELECT s.id, s.name, s.description, s.registration_mode, s.default_storage_quota_bytes, s.max_file_size_bytes,
			s.created_at, s.updated_at, s.vapid_public_key, s.vapid_subject,
			EXISTS (SELECT FROM app_user), EXISTS (SELECT FROM instance_invite WHERE NOT disabled),
			coalesce(t.value, ''), t.expires_at
		FROM instance_settings s LEFT JOIN instance_secret t ON t.name = '` + setupTokenName + `'`)

	putSetupToken = query(`
		INSERT INTO instance_secret (name, value, expires_at) VALUES ('` + setupTokenName + `', $1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value, created_at = now(), expires_at = excluded.expires_at`)

	takeSetupToken = query(`
		DELETE FROM instance_secret WHERE name = '` + setupTokenName + `' AND value = $1 AND expires_at > $2`)

	selectSetupNeeded = query(`SELECT NOT EXISTS (SELECT FROM app_user) AND NOT EXISTS (SELECT FROM instance_invite WHERE NOT disabled)`)

	nameInstance = query(`UPDATE instance_settings SET name = $1, description = $2, updated_at = $3`)

	insertWelcome = query(`
		INSERT INTO message (id, channel_id, seq, author_id, sent_at, search_text, spans) VALUES ($1, $2, 1, $3, $4, $5, $6)`)
)

// InstanceRows is what the owner of the instance keeps in memory.
type InstanceRows struct {
	ID           protocol.AnyID
	Name         string
	Description  *string
	Registration string
	Quota        int64 // of new users, bytes
	MaxFileSize  int64 // bytes
	CreatedAt    protocol.Instant
	UpdatedAt    protocol.Instant
	VapidKey     *string // the public one
	VapidSubject *string

	HasUsers   bool
	HasInvites bool             // that are not disabled
	Token      string           // of set-up; empty: none
	TokenUntil protocol.Instant // when the token expires
}

// Instance makes sure that the settings and the default instance roles are
// there and reads what the owner of the instance needs.
func (db *DB) Instance(ctx context.Context, owner Owner, roles []protocol.Role) (InstanceRows, error) {
	var r InstanceRows
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(ensureSettings, protocol.NewRandomID[memberRow]())
		for _, role := range roles {
			b.Queue(insertInstanceRole, role.ID, role.Name, role.IsDefault, role.Actions, role.CreatedAt)
		}
		b.Queue(selectInstance).QueryRow(func(row pgx.Row) error {
			return row.Scan(&r.ID, &r.Name, &r.Description, &r.Registration, &r.Quota, &r.MaxFileSize,
				&r.CreatedAt, &r.UpdatedAt, &r.VapidKey, &r.VapidSubject, &r.HasUsers, &r.HasInvites, &r.Token, &r.TokenUntil)
		})
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return r, oneLine(fmt.Errorf("read instance: %w", err))
	}
	return r, nil
}

// PutSetupToken stores the token that set-up asks for.
func (db *DB) PutSetupToken(ctx context.Context, owner Owner, token string, until protocol.Instant) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, putSetupToken, token, until)
		return err
	})
	return shown(err, "store set-up token")
}

// NewInstance is everything that set-up makes.
type NewInstance struct {
	Token       string
	At          protocol.Instant
	Name        string
	Description *string

	Admin    protocol.UserID
	Username string // lower case
	Email    *string
	Hash     string
	Role     string // instance role of the admin

	Community *NewCommunity // nil: none
	Welcome   string        // first message in the first channel of Community
	Invite    protocol.Invite
}

// SetUpInstance makes the first owner, and what goes with him, in one fenced
// transaction. Of parallel calls one succeeds.
func (db *DB) SetUpInstance(ctx context.Context, owner Owner, n NewInstance) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		quota, err := checkSetUp(ctx, tx, n)
		if err != nil {
			return err
		}
		var admin protocol.PublicUser
		if err := tx.QueryRow(ctx, insertUser, n.Admin, n.Username, n.Email, n.Hash, quota, n.At).Scan(publicUserFields(&admin)...); err != nil {
			return err
		}
		if n.Community != nil {
			if err := insertWholeCommunity(ctx, tx, *n.Community); err != nil {
				return err
			}
		}
		b := &pgx.Batch{}
		b.Queue(nameInstance, n.Name, n.Description, n.At)
		b.Queue(insertInstanceAssignment, protocol.NewRandomID[memberRow](), n.Admin, n.Role)
		if n.Community != nil && n.Welcome != "" {
			id := protocol.MessageID(protocol.NewID[memberRow]())
			spans := protocol.AppendSpans(nil, []protocol.Span{{
				ID: protocol.AnyID(protocol.NewRandomID[memberRow]()), MessageID: id, Type: protocol.SpanPlaintext, Text: &n.Welcome,
			}})
			b.Queue(insertWelcome, id, n.Community.Channels[0].ID, n.Admin, n.At, strings.ToLower(n.Welcome), spans)
		}
		queueInvite(b, n.Invite)
		return tx.SendBatch(ctx, b).Close()
	})
	return shown(err, "set up instance")
}

// checkSetUp uses up the token and returns the quota of the new user.
func checkSetUp(ctx context.Context, tx pgx.Tx, n NewInstance) (quota int64, err error) {
	var mode string
	if err := tx.QueryRow(ctx, lockInstance).Scan(&mode, &quota); err != nil {
		return 0, err
	}
	var needed bool
	if err := tx.QueryRow(ctx, selectSetupNeeded).Scan(&needed); err != nil {
		return 0, err
	}
	tag, err := tx.Exec(ctx, takeSetupToken, n.Token, n.At)
	switch {
	case err != nil:
		return 0, err
	case tag.RowsAffected() == 0:
		return 0, ErrSetupToken
	case !needed:
		return 0, ErrSetupDone
	}
	return quota, nil
}

// Refusals of set-up.
var (
	ErrSetupToken = protocol.Conflict("Invalid setup token") // wrong, expired or used
	ErrSetupDone  = protocol.Conflict("Instance setup is no longer needed")
)
