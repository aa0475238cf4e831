package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// Bounds of one answer: invites, and of each the last uses.
const (
	maxInvites = 1000
	maxUsages  = 100
)

const inviteColumns = `i.id, i.code, i.created_by, i.max_uses, i.uses, i.valid_until, i.created_at, i.disabled`

const invitePage = `(
	SELECT * FROM instance_invite WHERE $1::uuid IS NULL OR created_by = $1 ORDER BY created_at DESC, id DESC LIMIT $2
) AS i`

var (
	insertInvite = query(`
		INSERT INTO instance_invite (id, code, created_by, max_uses, valid_until, created_at) VALUES ($1, $2, $3, $4, $5, $6)`)

	insertInviteCommunity = query(`INSERT INTO instance_invite_default_community (id, invite_id, community_id) VALUES ($1, $2, $3)`)

	insertInviteUsage = query(`INSERT INTO instance_invite_usage (id, invite_id, user_id, used_at) VALUES ($1, $2, $3, $4)`)

	// The row lock of the update makes parallel uses wait for each other, and
	// each sees the count that the one before left.
	redeemInvite = query(`
		UPDATE instance_invite SET uses = uses + 1, disabled = coalesce(uses + 1 >= max_uses, false)
		WHERE code = $1 AND NOT disabled AND (valid_until IS NULL OR valid_until >= $2) AND (max_uses IS NULL OR uses < max_uses)
		RETURNING id`)

	// Which of the communities exist, and in which of them the user may place
	// people: he is a member and a role of his says so.
	selectPlacement = query(`
		SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT FROM membership m WHERE m.user_id = $2 AND m.community_id = c.id)
			AND EXISTS (SELECT FROM role_assignment a JOIN role r ON r.id = a.role_id
				WHERE a.user_id = $2 AND a.community_id = c.id AND 'CREATE_MEMBER' = ANY (r.actions)))
		FROM community c WHERE c.id = ANY ($1) AND c.deleted_at IS NULL`)

	selectInvites = query(`
		SELECT ` + inviteColumns + `, u.username, u.display_name
		FROM ` + invitePage + ` LEFT JOIN app_user u ON u.id = i.created_by ORDER BY i.created_at DESC, i.id DESC`)

	selectInvitesCommunities = query(`
		SELECT d.id, d.invite_id, d.community_id
		FROM ` + invitePage + ` JOIN instance_invite_default_community d ON d.invite_id = i.id ORDER BY d.invite_id, d.id`)

	selectInvitesUsages = query(`
		SELECT s.id, s.invite_id, s.user_id, s.used_at FROM ` + invitePage + `, LATERAL (
			SELECT * FROM instance_invite_usage WHERE invite_id = i.id ORDER BY used_at DESC, id DESC LIMIT $3
		) AS s ORDER BY s.used_at, s.id`)

	selectInviteByCode = query(`
		SELECT ` + inviteColumns + `, u.username, u.display_name
		FROM instance_invite i LEFT JOIN app_user u ON u.id = i.created_by WHERE i.code = $1`)

	selectInviteCommunitiesByCode = query(`
		SELECT d.id, d.invite_id, d.community_id
		FROM instance_invite i JOIN instance_invite_default_community d ON d.invite_id = i.id WHERE i.code = $1 ORDER BY d.id`)

	selectInviteUsagesByCode = query(`
		SELECT id, invite_id, user_id, used_at FROM (
			SELECT s.* FROM instance_invite i JOIN instance_invite_usage s ON s.invite_id = i.id
			WHERE i.code = $1 ORDER BY s.used_at DESC, s.id DESC LIMIT $2
		) AS s ORDER BY used_at, id`)

	deleteInvite = query(`DELETE FROM instance_invite WHERE code = $1`)

	lockInvite = query(`SELECT created_by FROM instance_invite WHERE code = $1 FOR UPDATE`)

	selectHasInvites = query(`SELECT EXISTS (SELECT FROM instance_invite WHERE NOT disabled)`)
)

func scanInvite(row pgx.CollectableRow) (protocol.Invite, error) {
	i := protocol.Invite{DefaultCommunities: []protocol.InviteCommunity{}, Usages: []protocol.InviteUsage{}}
	var username, displayName *string
	err := row.Scan(&i.ID, &i.Code, &i.CreatedByID, &i.MaxUses, &i.Uses, &i.ValidUntil, &i.CreatedAt, &i.Disabled, &username, &displayName)
	var by *protocol.InviteCreator
	if i.CreatedByID != nil && username != nil {
		by = &protocol.InviteCreator{ID: *i.CreatedByID, Username: *username, DisplayName: displayName}
	}
	i.CreatedBy = &by
	return i, err
}

func scanInviteCommunity(row pgx.CollectableRow) (protocol.InviteCommunity, error) {
	var c protocol.InviteCommunity
	err := row.Scan(&c.ID, &c.InviteID, &c.CommunityID)
	return c, err
}

func scanInviteUsage(row pgx.CollectableRow) (protocol.InviteUsage, error) {
	var u protocol.InviteUsage
	err := row.Scan(&u.ID, &u.InviteID, &u.UserID, &u.UsedAt)
	return u, err
}

// CreateInvite stores an invite in one fenced transaction. Who is not an owner
// of the instance needs CREATE_MEMBER in every community it leads to.
func (db *DB) CreateInvite(ctx context.Context, owner Owner, i protocol.Invite, asOwner bool) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if err := checkPlacement(ctx, tx, i, asOwner); err != nil {
			return err
		}
		b := &pgx.Batch{}
		queueInvite(b, i)
		return tx.SendBatch(ctx, b).Close()
	})
	return shown(err, "create invite")
}

func checkPlacement(ctx context.Context, tx pgx.Tx, i protocol.Invite, asOwner bool) error {
	if len(i.DefaultCommunities) == 0 {
		return nil
	}
	ids := make([]protocol.CommunityID, len(i.DefaultCommunities))
	for n, c := range i.DefaultCommunities {
		ids[n] = c.CommunityID
	}
	var found, allowed int
	if err := tx.QueryRow(ctx, selectPlacement, ids, i.CreatedByID).Scan(&found, &allowed); err != nil {
		return err
	}
	switch {
	case found < len(ids):
		return protocol.NotFound("Community not found")
	case allowed < found && !asOwner:
		return protocol.ErrForbidden
	}
	return nil
}

func queueInvite(b *pgx.Batch, i protocol.Invite) {
	b.Queue(insertInvite, i.ID, i.Code, i.CreatedByID, i.MaxUses, i.ValidUntil, i.CreatedAt)
	for _, c := range i.DefaultCommunities {
		b.Queue(insertInviteCommunity, c.ID, c.InviteID, c.CommunityID)
	}
}

// Invites lists the invites of a creator, of everybody when creator is zero,
// newest first: a thousand at most, each with its last hundred uses.
func (db *DB) Invites(ctx context.Context, creator protocol.UserID) ([]protocol.Invite, error) {
	var list []protocol.Invite
	var communities []protocol.InviteCommunity
	var usages []protocol.InviteUsage
	b := &pgx.Batch{}
	queueList(b, &list, scanInvite, selectInvites, creator, maxInvites)
	queueList(b, &communities, scanInviteCommunity, selectInvitesCommunities, creator, maxInvites)
	queueList(b, &usages, scanInviteUsage, selectInvitesUsages, creator, maxInvites, maxUsages)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, oneLine(fmt.Errorf("list invites: %w", err))
	}
	byID := make(map[protocol.InviteID]*protocol.Invite, len(list))
	for n := range list {
		byID[list[n].ID] = &list[n]
	}
	for _, c := range communities {
		if i := byID[c.InviteID]; i != nil {
			i.DefaultCommunities = append(i.DefaultCommunities, c)
		}
	}
	for _, u := range usages {
		if i := byID[u.InviteID]; i != nil {
			i.Usages = append(i.Usages, u)
		}
	}
	return list, nil
}

// Invite finds an invite by its exact code, whatever its state, with its last
// hundred uses. An unknown code is a NotFound.
func (db *DB) Invite(ctx context.Context, code string) (protocol.Invite, error) {
	return db.invite(ctx, code, true)
}

// InvitePublic is Invite without telling who used it.
func (db *DB) InvitePublic(ctx context.Context, code string) (protocol.Invite, error) {
	return db.invite(ctx, code, false)
}

func (db *DB) invite(ctx context.Context, code string, withUsages bool) (protocol.Invite, error) {
	var list []protocol.Invite
	var communities []protocol.InviteCommunity
	var usages []protocol.InviteUsage
	b := &pgx.Batch{}
	queueList(b, &list, scanInvite, selectInviteByCode, code)
	queueList(b, &communities, scanInviteCommunity, selectInviteCommunitiesByCode, code)
	if withUsages {
		queueList(b, &usages, scanInviteUsage, selectInviteUsagesByCode, code, maxUsages)
	}
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return protocol.Invite{}, oneLine(fmt.Errorf("find invite: %w", err))
	}
	if len(list) == 0 {
		return protocol.Invite{}, protocol.NotFound("Invite not found")
	}
	list[0].DefaultCommunities = append(list[0].DefaultCommunities, communities...)
	list[0].Usages = append(list[0].Usages, usages...)
	return list[0], nil
}

// DeleteInvite deletes an invite in one fenced transaction and reports whether
// there are others that are not disabled. Who is not an owner of the instance
// deletes his own only.
func (db *DB) DeleteInvite(ctx context.Context, owner Owner, code string, by protocol.UserID, asOwner bool) (others bool, err error) {
	err = db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		var creator protocol.UserID // zero: his account is gone
		err := tx.QueryRow(ctx, lockInvite, code).Scan(&creator)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return protocol.NotFound("Invite not found")
		case err != nil:
			return err
		case creator != by && !asOwner:
			return protocol.Forbidden("Unauthorized to delete this invite")
		}
		if _, err := tx.Exec(ctx, deleteInvite, code); err != nil {
			return err
		}
		return tx.QueryRow(ctx, selectHasInvites).Scan(&others)
	})
	return others, shown(err, "delete invite")
}
