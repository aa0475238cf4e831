package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

const publicUserColumns = `u.id, u.username, u.role, u.avatar_file_id, u.banner_file_id, u.last_seen, u.display_name, u.bio, u.status`

var (
	selectPublicUser = query(`SELECT ` + publicUserColumns + ` FROM app_user u WHERE u.id = $1`)

	selectCommunityIDs = query(`
		SELECT m.community_id FROM membership m JOIN community c ON c.id = m.community_id
		WHERE m.user_id = $1 AND c.deleted_at IS NULL ORDER BY m.joined_at, m.id`)

	// Everything that a socket of the user may hear, besides the user itself. The
	// first column is the protocol.Room.
	selectTopics = query(`
		SELECT 2, m.community_id FROM membership m JOIN community c ON c.id = m.community_id
		WHERE m.user_id = $1 AND c.deleted_at IS NULL
		UNION ALL
		SELECT 3, c.id FROM membership m JOIN channel c ON c.community_id = m.community_id
		WHERE m.user_id = $1 AND c.deleted_at IS NULL AND (NOT c.is_private
			OR EXISTS (SELECT FROM channel_membership cm WHERE cm.user_id = m.user_id AND cm.channel_id = c.id))
		UNION ALL
		SELECT 4, m.group_id FROM direct_message_group_member m WHERE m.user_id = $1
		UNION ALL
		SELECT 5, g.id FROM alias_group_member a JOIN alias_group g ON g.id = a.alias_group_id
		JOIN membership m ON m.community_id = g.community_id AND m.user_id = a.user_id
		JOIN community c ON c.id = g.community_id
		WHERE a.user_id = $1 AND c.deleted_at IS NULL`)

	// What Topics depends on besides what the user's actor is told: it changes
	// whenever a channel of his communities opens, closes or goes, and when he
	// comes into a direct message group or goes out of one.
	selectRoomsVersion = query(`
		SELECT coalesce(sum(c.rooms_version + 1), 0)::bigint # (
			SELECT coalesce(bit_xor(uuid_hash_extended(g.id, 0)), 0) FROM direct_message_group_member g WHERE g.user_id = $1)
		FROM membership m JOIN community c ON c.id = m.community_id
		WHERE m.user_id = $1 AND c.deleted_at IS NULL`)

	// Registrations and set-up take this lock one after the other: who is the
	// first user is decided by one of them.
	lockInstance = query(`SELECT registration_mode, default_storage_quota_bytes FROM instance_settings FOR NO KEY UPDATE`)

	selectKnownUser = query(`SELECT EXISTS (SELECT FROM app_user WHERE id = $1)`)

	selectTaken = query(`SELECT username FROM app_user WHERE username = $1 OR email = $2`)

	insertUser = query(`
		INSERT INTO app_user AS u (id, username, display_name, email, password_hash, storage_quota_bytes, created_at, role, verified)
		SELECT $1, $2, $2, $3, $4, $5, $6, CASE WHEN first THEN 'OWNER' ELSE 'USER' END, first
		FROM (SELECT NOT EXISTS (SELECT FROM app_user) AS first) AS f
		RETURNING ` + publicUserColumns)

	joinInvitedCommunities = query(`
		INSERT INTO membership (id, joined_at, user_id, community_id)
		SELECT gen_random_uuid(), $3, $2, d.community_id
		FROM instance_invite_default_community d JOIN community c ON c.id = d.community_id
		WHERE d.invite_id = $1 AND c.deleted_at IS NULL`)

	restoreInvitedRoles = query(`
		INSERT INTO role (id, name, community_id, is_default, actions, created_at)
		SELECT gen_random_uuid(), $2, d.community_id, true, $3, $4
		FROM instance_invite_default_community d JOIN community c ON c.id = d.community_id
		WHERE d.invite_id = $1 AND c.deleted_at IS NULL
		ON CONFLICT (community_id, name) WHERE community_id IS NOT NULL DO NOTHING`)

	assignInvitedRoles = query(`
		INSERT INTO role_assignment (id, user_id, community_id, role_id)
		SELECT gen_random_uuid(), $2, r.community_id, r.id
		FROM instance_invite_default_community d JOIN role r ON r.community_id = d.community_id AND r.name = $3
		JOIN community c ON c.id = d.community_id
		WHERE d.invite_id = $1 AND c.deleted_at IS NULL`)

	enterInvitedChannels = query(`
		INSERT INTO channel_membership (id, joined_at, user_id, channel_id)
		SELECT gen_random_uuid(), $3, $2, c.id
		FROM instance_invite_default_community d JOIN channel c ON c.community_id = d.community_id AND c.name = $4
		WHERE d.invite_id = $1 AND c.deleted_at IS NULL`)
)

// publicUserFields are the places for publicUserColumns.
func publicUserFields(u *protocol.PublicUser) []any {
	return []any{&u.ID, &u.Username, &u.Role, &u.AvatarURL, &u.BannerURL, &u.LastSeen, &u.DisplayName, &u.Bio, &u.Status}
}

func scanPublicUser(row pgx.CollectableRow) (protocol.PublicUser, error) {
	var u protocol.PublicUser
	err := row.Scan(publicUserFields(&u)...)
	return u, err
}

// PublicUser reads a user as others see him; an unknown one is a NotFound.
func (db *DB) PublicUser(ctx context.Context, id protocol.UserID) (protocol.PublicUser, error) {
	var u protocol.PublicUser
	err := db.pool.QueryRow(ctx, selectPublicUser, id).Scan(publicUserFields(&u)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return u, protocol.NotFound("User not found")
	}
	if err != nil {
		return u, oneLine(fmt.Errorf("read user %s: %w", id, err))
	}
	return u, nil
}

// UserRows is what the owner of a user keeps in memory.
type UserRows struct {
	User        *protocol.PublicUser // nil: there is no such user
	Communities []protocol.CommunityID
}

// User reads a user with his communities in one round trip.
func (db *DB) User(ctx context.Context, id protocol.UserID) (UserRows, error) {
	var r UserRows
	b := &pgx.Batch{}
	b.Queue(selectPublicUser, id).Query(func(rows pgx.Rows) error {
		list, err := pgx.CollectRows(rows, scanPublicUser)
		if err == nil && len(list) > 0 {
			r.User = &list[0]
		}
		return err
	})
	queueList(b, &r.Communities, pgx.RowTo[protocol.CommunityID], selectCommunityIDs, id)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return UserRows{}, oneLine(fmt.Errorf("read user %s: %w", id, err))
	}
	return r, nil
}

// Topics lists what the user's sockets may hear: himself, his communities, the
// channels in them that he can see, his direct-message and alias groups. The
// version is read before them: as long as RoomsVersion returns it, they are
// what they were.
func (db *DB) Topics(ctx context.Context, id protocol.UserID) (list []protocol.Topic, version int64, err error) {
	b := &pgx.Batch{}
	b.Queue(selectRoomsVersion, id).QueryRow(func(row pgx.Row) error { return row.Scan(&version) })
	b.Queue(selectTopics, id).Query(func(rows pgx.Rows) (err error) {
		list, err = pgx.AppendRows([]protocol.Topic{protocol.UserTopic(id)}, rows, scanTopic)
		return err
	})
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, 0, oneLine(fmt.Errorf("list topics of user %s: %w", id, err))
	}
	return list, version, nil
}

func scanTopic(row pgx.CollectableRow) (protocol.Topic, error) {
	var room int
	var named protocol.AnyID
	err := row.Scan(&room, &named)
	return protocol.Topic{Room: protocol.Room(room), ID: named}, err
}

// RoomsVersion changes when something else than the user's own memberships
// changes what Topics lists.
func (db *DB) RoomsVersion(ctx context.Context, id protocol.UserID) (version int64, err error) {
	err = db.pool.QueryRow(ctx, selectRoomsVersion, id).Scan(&version)
	return version, shown(err, "read version of rooms")
}

// NewUser is a registration.
type NewUser struct {
	ID       protocol.UserID
	Username string // lower case
	Email    *string
	Hash     string
	Code     string // of an invite; may be empty when registration is open
	At       protocol.Instant
	Member   protocol.Role // the role that communities give to members: its name, and actions where it has to be restored
	Channel  string        // name of the channels that new members are let into
}

// Registered is what came of a registration.
type Registered struct {
	User        protocol.PublicUser
	Communities []protocol.CommunityID // of which he became a member
}

// RegisterUser stores a user with all that his invite brings, in one fenced
// transaction. A second call with the same id finds the first one's result.
// Errors for the caller are those of the contract. Whether a name or an address
// is taken is told only to those who could register: where an invite is needed,
// it is looked at first.
func (db *DB) RegisterUser(ctx context.Context, owner Owner, n NewUser) (Registered, error) {
	var r Registered
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		var mode string
		var quota int64
		if err := tx.QueryRow(ctx, lockInstance).Scan(&mode, &quota); err != nil {
			return err
		}
		var again bool
		if err := tx.QueryRow(ctx, selectKnownUser, n.ID).Scan(&again); err != nil {
			return err
		}
		switch {
		case again:
			return readRegistered(ctx, tx, n.ID, &r)
		case mode == RegistrationClosed:
			return protocol.Forbidden("Registration is closed")
		}
		return register(ctx, tx, n, mode, quota, &r)
	})
	return r, shown(err, "register user")
}

// checkTaken tells whether another user has the name or the address.
func checkTaken(ctx context.Context, tx pgx.Tx, n NewUser) error {
	rows, err := tx.Query(ctx, selectTaken, n.Username, n.Email)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		return err
	case slices.Contains(names, n.Username):
		return violations["app_user_username_key"]
	case len(names) > 0:
		return violations["app_user_email_key"]
	}
	return nil
}

func readRegistered(ctx context.Context, tx pgx.Tx, id protocol.UserID, r *Registered) error {
	if err := tx.QueryRow(ctx, selectPublicUser, id).Scan(publicUserFields(&r.User)...); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, selectCommunityIDs, id)
	if err != nil {
		return err
	}
	r.Communities, err = pgx.CollectRows(rows, pgx.RowTo[protocol.CommunityID])
	return err
}

func register(ctx context.Context, tx pgx.Tx, n NewUser, mode string, quota int64, r *Registered) error {
	var invite protocol.InviteID
	if n.Code != "" || mode != RegistrationOpen {
		err := tx.QueryRow(ctx, redeemInvite, n.Code, n.At).Scan(&invite)
		if errors.Is(err, pgx.ErrNoRows) {
			return protocol.NotFound("No invite found for the provided code.")
		}
		if err != nil {
			return err
		}
	}
	if err := checkTaken(ctx, tx, n); err != nil {
		return err
	}
	err := tx.QueryRow(ctx, insertUser, n.ID, n.Username, n.Email, n.Hash, quota, n.At).Scan(publicUserFields(&r.User)...)
	if err != nil || invite.IsZero() {
		return err
	}
	b := &pgx.Batch{}
	b.Queue(insertInviteUsage, protocol.NewRandomID[memberRow](), invite, n.ID, n.At)
	b.Queue(joinInvitedCommunities, invite, n.ID, n.At)
	b.Queue(restoreInvitedRoles, invite, n.Member.Name, n.Member.Actions, n.At)
	b.Queue(assignInvitedRoles, invite, n.ID, n.Member.Name)
	b.Queue(enterInvitedChannels, invite, n.ID, n.At, n.Channel)
	queueList(b, &r.Communities, pgx.RowTo[protocol.CommunityID], selectCommunityIDs, n.ID)
	return tx.SendBatch(ctx, b).Close()
}
