package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rookery-chat/rookery/protocol"
)

const communityColumns = `c.id, c.name, c.created_at, c.avatar_file_id, c.banner_file_id, c.description`

var (
	selectCommunity = query(`SELECT ` + communityColumns + ` FROM community c WHERE c.id = $1 AND c.deleted_at IS NULL`)

	selectCommunitiesOf = query(`
		SELECT ` + communityColumns + ` FROM membership m JOIN community c ON c.id = m.community_id
		WHERE m.user_id = $1 AND c.deleted_at IS NULL ORDER BY m.joined_at, m.id`)

	insertCommunity = query(`
		INSERT INTO community (id, name, created_at, avatar_file_id, banner_file_id, description)
		VALUES ($1, $2, $3, $4, $5, $6)`)

	countOwnFiles = query(`SELECT count(*) FROM file WHERE id = ANY ($1) AND uploaded_by = $2 AND deleted_at IS NULL`)

	updateCommunity = query(`
		UPDATE community SET name = $2, avatar_file_id = $3, banner_file_id = $4, description = $5 WHERE id = $1`)

	// A picture of a community: uploaded as one, by the user, for no other community.
	selectPicture = query(`
		SELECT EXISTS (SELECT FROM file WHERE id = $1 AND uploaded_by = $2 AND resource_type = $3 AND deleted_at IS NULL
			AND (community_id IS NULL OR community_id = $4))`)

	// Pictures that no community shows any more.
	deletePictures = query(`
		UPDATE file f SET deleted_at = $2 WHERE f.id = ANY ($1) AND f.deleted_at IS NULL
			AND NOT EXISTS (SELECT FROM community c WHERE c.deleted_at IS NULL AND c.avatar_file_id = f.id)
			AND NOT EXISTS (SELECT FROM community c WHERE c.deleted_at IS NULL AND c.banner_file_id = f.id)`)

	buryCommunity = query(`UPDATE community SET deleted_at = $2 WHERE id = $1`)

	buryChannels = query(`UPDATE channel SET deleted_at = $2 WHERE community_id = $1 AND deleted_at IS NULL`)

	deleteCommunityInvites = query(`DELETE FROM instance_invite_default_community WHERE community_id = $1`)

	selectAliasGroupIDs = query(`SELECT id FROM alias_group WHERE community_id = $1`)

	selectBans = query(`
		SELECT user_id, expires_at FROM community_ban
		WHERE community_id = $1 AND active AND (expires_at IS NULL OR expires_at > $2)`)

	selectTimeouts = query(`SELECT user_id, expires_at FROM community_timeout WHERE community_id = $1 AND expires_at > $2`)
)

func scanCommunity(row pgx.CollectableRow) (protocol.Community, error) {
	var c protocol.Community
	err := row.Scan(&c.ID, &c.Name, &c.CreatedAt, &c.Avatar, &c.Banner, &c.Description)
	return c, err
}

// CommunityRows is all that the owner of a community keeps in memory.
type CommunityRows struct {
	Community *protocol.Community // nil: there is no such community
	Channels  []protocol.Channel  // in the order of lists
	Members   []MemberGroup
	Private   []PrivateChannel
	Roles     []protocol.Role // oldest first
	Bans      []Restriction   // those in force
	Timeouts  []Restriction   // those in force
}

// MemberGroup is the members of a community that have the same roles.
type MemberGroup struct {
	Roles []protocol.RoleID // ordered; empty: no role
	Users []protocol.UserID
}

// PrivateChannel is who was let into a private channel.
type PrivateChannel struct {
	Channel protocol.ChannelID
	Users   []protocol.UserID
}

// Restriction is a ban or a timeout of a user; Until 0 is for ever.
type Restriction struct {
	User  protocol.UserID
	Until protocol.Instant
}

// Community reads everything of a community in one round trip. Roles are read
// after the members, so that every role that a member has is among them.
func (db *DB) Community(ctx context.Context, id protocol.CommunityID, now protocol.Instant) (CommunityRows, error) {
	var r CommunityRows
	b := &pgx.Batch{}
	b.Queue(selectCommunity, id).Query(func(rows pgx.Rows) error {
		list, err := pgx.CollectRows(rows, scanCommunity)
		if err == nil && len(list) > 0 {
			r.Community = &list[0]
		}
		return err
	})
	queueList(b, &r.Members, scanMemberGroup, selectMemberGroups, id)
	queueList(b, &r.Channels, scanChannel, selectChannels, id)
	queueList(b, &r.Private, scanPrivateChannel, selectPrivateChannels, id)
	queueList(b, &r.Roles, scanRole, selectRoles, id)
	queueList(b, &r.Bans, scanRestriction, selectBans, id, now)
	queueList(b, &r.Timeouts, scanRestriction, selectTimeouts, id, now)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return CommunityRows{}, oneLine(fmt.Errorf("read community %s: %w", id, err))
	}
	if r.Community == nil {
		return CommunityRows{}, nil // deleted, but not purged
	}
	return r, nil
}

// queueList adds a query whose rows become *list.
func queueList[T any](b *pgx.Batch, list *[]T, scan pgx.RowToFunc[T], sql string, args ...any) {
	b.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
		*list, err = pgx.CollectRows(rows, scan)
		return err
	})
}

func scanRestriction(row pgx.CollectableRow) (Restriction, error) {
	var r Restriction
	err := row.Scan(&r.User, &r.Until)
	return r, err
}

// NewCommunity is a community with all that it starts with.
type NewCommunity struct {
	Community protocol.Community
	Founder   protocol.UserID // becomes a member and gets Admin
	Channels  []protocol.Channel
	Roles     []protocol.Role
	Admin     protocol.RoleID // one of Roles
}

// CreateCommunity stores a community in one fenced transaction. Errors for the
// caller: a taken name is a conflict, avatar and banner have to be files that
// the founder uploaded.
func (db *DB) CreateCommunity(ctx context.Context, owner Owner, c NewCommunity) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if err := checkOwnFiles(ctx, tx, c.Founder, c.Community.Avatar, c.Community.Banner); err != nil {
			return err
		}
		return insertWholeCommunity(ctx, tx, c)
	})
	return shown(err, "create community")
}

// insertWholeCommunity adds a community, its first channels and roles, and its
// first member, in one round trip.
func insertWholeCommunity(ctx context.Context, tx pgx.Tx, c NewCommunity) error {
	b := &pgx.Batch{}
	at := c.Community.CreatedAt
	b.Queue(insertCommunity, c.Community.ID, c.Community.Name, at, c.Community.Avatar, c.Community.Banner, c.Community.Description)
	b.Queue(insertMembership, protocol.NewRandomID[memberRow](), at, c.Founder, c.Community.ID)
	for _, ch := range c.Channels {
		queueChannel(b, ch, c.Founder)
	}
	for _, r := range c.Roles {
		b.Queue(insertRole, r.ID, r.Name, c.Community.ID, r.IsDefault, r.Actions, r.CreatedAt)
	}
	b.Queue(insertAssignment, protocol.NewRandomID[memberRow](), c.Founder, c.Community.ID, c.Admin)
	return tx.SendBatch(ctx, b).Close()
}

// memberRow tags ids of rows that nothing refers to.
type memberRow struct{}

func checkOwnFiles(ctx context.Context, tx pgx.Tx, user protocol.UserID, files ...*protocol.FileID) error {
	distinct := map[protocol.FileID]struct{}{}
	var ids []protocol.FileID
	for _, f := range files {
		if f == nil {
			continue
		}
		if _, again := distinct[*f]; !again {
			distinct[*f] = struct{}{}
			ids = append(ids, *f)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var found int
	if err := tx.QueryRow(ctx, countOwnFiles, ids, user).Scan(&found); err != nil {
		return err
	}
	if found != len(ids) {
		return protocol.NotFound("File not found")
	}
	return nil
}

// Resource types of files that communities show.
const (
	resourceAvatar = "COMMUNITY_AVATAR"
	resourceBanner = "COMMUNITY_BANNER"
)

// UpdateCommunity stores what a community is now. New pictures have to be the
// user's own uploads for this; old ones are marked as deleted. A taken name is a
// conflict.
func (db *DB) UpdateCommunity(ctx context.Context, owner Owner, was, is protocol.Community, user protocol.UserID, now protocol.Instant) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		var old []protocol.FileID
		for _, f := range []struct {
			was, is  *protocol.FileID
			resource string
		}{{was.Avatar, is.Avatar, resourceAvatar}, {was.Banner, is.Banner, resourceBanner}} {
			if sameFile(f.was, f.is) {
				continue
			}
			if f.was != nil {
				old = append(old, *f.was)
			}
			if err := checkPicture(ctx, tx, f.is, user, f.resource, is.ID); err != nil {
				return err
			}
		}
		b := &pgx.Batch{}
		b.Queue(updateCommunity, is.ID, is.Name, is.Avatar, is.Banner, is.Description)
		if len(old) > 0 {
			b.Queue(deletePictures, old, now)
		}
		return tx.SendBatch(ctx, b).Close()
	})
	return shown(err, "update community")
}

func sameFile(a, b *protocol.FileID) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func checkPicture(ctx context.Context, tx pgx.Tx, file *protocol.FileID, user protocol.UserID, resource string, c protocol.CommunityID) error {
	if file == nil {
		return nil
	}
	var fits bool
	if err := tx.QueryRow(ctx, selectPicture, *file, user, resource, c).Scan(&fits); err != nil {
		return err
	}
	if !fits {
		return protocol.NotFound("File not found")
	}
	return nil
}

// DeleteCommunity makes a community and its channels disappear and returns its
// alias groups. What they hold goes later (PurgeDeleted).
func (db *DB) DeleteCommunity(ctx context.Context, owner Owner, c protocol.Community, now protocol.Instant) (aliases []protocol.AliasGroupID, err error) {
	var pictures []protocol.FileID
	for _, f := range []*protocol.FileID{c.Avatar, c.Banner} {
		if f != nil {
			pictures = append(pictures, *f)
		}
	}
	err = db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(buryCommunity, c.ID, now)
		b.Queue(buryChannels, c.ID, now)
		b.Queue(deleteCommunityInvites, c.ID)
		b.Queue(deletePictures, pictures, now)
		queueList(b, &aliases, pgx.RowTo[protocol.AliasGroupID], selectAliasGroupIDs, c.ID)
		return tx.SendBatch(ctx, b).Close()
	})
	return aliases, shown(err, "delete community")
}

// CommunitiesOf lists the communities of a user in the order of joining.
func (db *DB) CommunitiesOf(ctx context.Context, user protocol.UserID) ([]protocol.Community, error) {
	rows, err := db.pool.Query(ctx, selectCommunitiesOf, user)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list communities of user: %w", err))
	}
	list, err := pgx.CollectRows(rows, scanCommunity)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list communities of user: %w", err))
	}
	return list, nil
}

// violations are the constraints whose violation is the caller's to know.
var violations = map[string]*protocol.Error{
	"community_name_key":                                  protocol.Conflict("Duplicate community name"),
	"community_avatar_file_id_fkey":                       protocol.NotFound("File not found"),
	"community_banner_file_id_fkey":                       protocol.NotFound("File not found"),
	"channel_community_id_name_key":                       protocol.Conflict("Channel with this name already exists in the community"),
	"membership_user_id_community_id_key":                 protocol.Conflict("User is already a member of this community"),
	"membership_user_id_fkey":                             protocol.NotFound("User or community not found"),
	"membership_community_id_fkey":                        protocol.NotFound("User or community not found"),
	"app_user_username_key":                               protocol.Conflict("A user with this username already exists."),
	"app_user_email_key":                                  protocol.Conflict("A user with this email already exists."),
	"user_appearance_settings_user_id_fkey":               protocol.NotFound("User not found"),
	"role_community_id_name_key":                          protocol.Conflict("A role with this name already exists in this community"),
	"role_instance_name_key":                              protocol.Conflict("A role with this name already exists"),
	"role_assignment_user_id_fkey":                        protocol.NotFound("User not found"),
	"role_assignment_user_id_community_id_role_id_key":    protocol.Conflict("User already has this role"),
	"role_assignment_user_id_role_id_key":                 protocol.Conflict("User already has this instance role"),
	"instance_invite_default_community_community_id_fkey": protocol.NotFound("Community not found"),
	"file_user_id_fkey":                                   protocol.NotFound("User not found"),
	"file_community_id_fkey":                              protocol.NotFound("Community not found"),
	"file_message_id_fkey":                                protocol.NotFound("Message not found"),

	"user_notification_settings_user_id_fkey":       protocol.NotFound("User not found"),
	"channel_notification_override_user_id_fkey":    protocol.NotFound("User not found"),
	"channel_notification_override_channel_id_fkey": protocol.NotFound("Channel not found"),
	"push_subscription_user_id_fkey":                protocol.NotFound("User not found"),
	"notification_user_id_fkey":                     protocol.NotFound("User not found"),
	"notification_author_id_fkey":                   protocol.NotFound("User not found"),
	"read_receipt_user_id_fkey":                     protocol.NotFound("User not found"),
	"read_receipt_channel_id_fkey":                  protocol.NotFound("Channel not found"),
	"read_receipt_direct_message_group_id_fkey":     protocol.NotFound("DM group not found"),
}

// codeBadText is what Postgres says of text with a zero byte.
const codeBadText = "22021"

// shown turns violations that a caller caused into their errors and says of
// every other failure what was being done.
func shown(err error, doing string) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		return e
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		if e := violations[pe.ConstraintName]; e != nil {
			return e
		}
		if pe.Code == codeBadText {
			return protocol.BadRequest("Text must not contain null characters")
		}
	}
	return oneLine(fmt.Errorf("%s: %w", doing, err))
}

var selectKnownCommunity = query(`SELECT id FROM community WHERE id = $1 AND deleted_at IS NULL`)

// KnownCommunity returns the id when there is such a community, and NotFound
// when there is none.
func (db *DB) KnownCommunity(ctx context.Context, id protocol.CommunityID) (protocol.CommunityID, error) {
	var known protocol.CommunityID
	err := db.pool.QueryRow(ctx, selectKnownCommunity, id).Scan(&known)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return known, protocol.NotFound("Community not found")
	case err != nil:
		return known, oneLine(fmt.Errorf("look for community %s: %w", id, err))
	}
	return known, nil
}
