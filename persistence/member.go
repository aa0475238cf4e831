package persistence

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	// One row per set of roles, however many members: there are few sets.
	selectMemberGroups = query(`
		SELECT roles, array_agg(user_id) FROM (
			SELECT m.user_id, coalesce(array_agg(a.role_id ORDER BY a.role_id) FILTER (WHERE a.role_id IS NOT NULL), '{}') AS roles
			FROM membership m
			LEFT JOIN role_assignment a ON a.user_id = m.user_id AND a.community_id = m.community_id
			WHERE m.community_id = $1 GROUP BY m.user_id
		) AS member GROUP BY roles`)

	selectMembers = query(`
		SELECT m.id, m.user_id, m.community_id, m.joined_at, ` + publicUserColumns + `
		FROM membership m JOIN app_user u ON u.id = m.user_id
		WHERE m.community_id = $1 AND (m.joined_at, m.id) > (coalesce($2, '-infinity'::timestamptz), $3::uuid) ORDER BY m.joined_at, m.id LIMIT $4`)

	// By username, so that whoever types the first letter is answered from the
	// first rows of the index; rare parts of names are found by their trigrams.
	selectMembersNamed = query(`
		SELECT m.id, m.user_id, m.community_id, m.joined_at, ` + publicUserColumns + `
		FROM membership m JOIN app_user u ON u.id = m.user_id
		WHERE m.community_id = $1 AND lower(u.username || E'\n' || coalesce(u.display_name, '')) LIKE $2
		ORDER BY u.username LIMIT $3`)

	selectMembersByName = query(`
		SELECT m.id, m.user_id, m.community_id, m.joined_at, ` + publicUserColumns + `
		FROM membership m JOIN app_user u ON u.id = m.user_id
		WHERE m.community_id = $1 ORDER BY u.username LIMIT $2`)

	selectMembershipsOf = query(`
		SELECT m.id, m.user_id, m.community_id, m.joined_at, c.id, c.name, c.description, c.avatar_file_id
		FROM membership m JOIN community c ON c.id = m.community_id
		WHERE m.user_id = $1 AND c.deleted_at IS NULL ORDER BY m.joined_at, m.id`)

	selectMemberRow = query(`
		SELECT id, user_id, community_id, joined_at FROM membership WHERE community_id = $1 AND user_id = $2`)

	selectMemberRoles = query(`
		SELECT r.id, r.name, r.actions, r.created_at, r.is_default
		FROM role_assignment a JOIN role r ON r.id = a.role_id
		WHERE a.community_id = $1 AND a.user_id = $2 ORDER BY r.id`)

	selectMemberPrivate = query(`
		SELECT c.id FROM channel_membership cm JOIN channel c ON c.id = cm.channel_id
		WHERE c.community_id = $1 AND cm.user_id = $2 AND c.is_private AND c.deleted_at IS NULL`)

	// The row is locked, so that the user can't be deleted before commit.
	lockUser = query(`SELECT true FROM app_user WHERE id = $1 FOR KEY SHARE`)

	insertMembership = query(`INSERT INTO membership (id, joined_at, user_id, community_id) VALUES ($1, $2, $3, $4)`)

	deleteMemberChannels = query(`
		DELETE FROM channel_membership cm USING channel c
		WHERE c.id = cm.channel_id AND c.community_id = $1 AND cm.user_id = $2`)

	deleteMemberRoles = query(`DELETE FROM role_assignment WHERE community_id = $1 AND user_id = $2`)

	deleteMemberAliases = query(`
		DELETE FROM alias_group_member a USING alias_group g
		WHERE g.id = a.alias_group_id AND g.community_id = $1 AND a.user_id = $2 RETURNING g.id`)

	deleteMembership = query(`DELETE FROM membership WHERE community_id = $1 AND user_id = $2`)

	selectIsOwner = query(`SELECT role = 'OWNER' FROM app_user WHERE id = $1`)

	endExpiredBan = query(`
		UPDATE community_ban SET active = false
		WHERE community_id = $1 AND user_id = $2 AND active AND expires_at <= $3`)

	selectMemberBanned = query(`
		SELECT EXISTS (SELECT FROM community_ban
			WHERE community_id = $1 AND user_id = $2 AND active AND (expires_at IS NULL OR expires_at > $3))`)
)

func scanMemberGroup(row pgx.CollectableRow) (MemberGroup, error) {
	var g MemberGroup
	err := row.Scan(&g.Roles, &g.Users)
	return g, err
}

func scanMembership(row pgx.CollectableRow) (protocol.Membership, error) {
	var m protocol.Membership
	err := row.Scan(&m.ID, &m.UserID, &m.CommunityID, &m.JoinedAt)
	return m, err
}

func scanMember(row pgx.CollectableRow) (protocol.Membership, error) {
	m := protocol.Membership{User: &protocol.PublicUser{}}
	err := row.Scan(append([]any{&m.ID, &m.UserID, &m.CommunityID, &m.JoinedAt}, publicUserFields(m.User)...)...)
	return m, err
}

func scanOwnMembership(row pgx.CollectableRow) (protocol.Membership, error) {
	m := protocol.Membership{Community: &protocol.MemberCommunity{}}
	c := m.Community
	err := row.Scan(&m.ID, &m.UserID, &m.CommunityID, &m.JoinedAt, &c.ID, &c.Name, &c.Description, &c.Avatar)
	return m, err
}

// Members lists at most limit members of a community with their users, those
// who joined first leading, from after a place on.
func (db *DB) Members(ctx context.Context, community protocol.CommunityID, after protocol.MemberPlace, limit int) ([]protocol.Membership, error) {
	return listRows(ctx, db, "list members", scanMember, selectMembers, community, after.JoinedAt, zeroable(after.ID), limit)
}

// SearchMembers lists at most limit members whose username or display name has
// the text in it, in any case, by username.
func (db *DB) SearchMembers(ctx context.Context, community protocol.CommunityID, text string, limit int) ([]protocol.Membership, error) {
	if text == "" {
		return listRows(ctx, db, "list members by name", scanMember, selectMembersByName, community, limit)
	}
	return listRows(ctx, db, "search members", scanMember, selectMembersNamed, community, containing(text), limit)
}

// containing is the LIKE pattern of lower-case texts with this one in them.
func containing(text string) string { return "%" + likePattern(strings.ToLower(text)) + "%" }

// zeroable passes an id whose zero is a value, not NULL.
func zeroable(id protocol.AnyID) [16]byte { return id }

// MembershipsOf lists the memberships of a user with their communities.
func (db *DB) MembershipsOf(ctx context.Context, user protocol.UserID) ([]protocol.Membership, error) {
	return listRows(ctx, db, "list memberships of user", scanOwnMembership, selectMembershipsOf, user)
}

// Membership reads one membership; a missing one is a NotFound.
func (db *DB) Membership(ctx context.Context, community protocol.CommunityID, user protocol.UserID) (protocol.Membership, error) {
	list, err := listRows(ctx, db, "read membership", scanMembership, selectMemberRow, community, user)
	if err == nil && len(list) == 0 {
		return protocol.Membership{}, protocol.NotFound("Membership not found")
	}
	if err != nil {
		return protocol.Membership{}, err
	}
	return list[0], nil
}

// listRows runs a query and scans all its rows.
func listRows[T any](ctx context.Context, db *DB, doing string, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, oneLine(fmt.Errorf("%s: %w", doing, err))
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, oneLine(fmt.Errorf("%s: %w", doing, err))
	}
	return list, nil
}

// NewMember is a membership with what comes with it.
type NewMember struct {
	Membership protocol.Membership
	Role       protocol.Role      // given to the member
	CreateRole bool               // the community lost it
	Channel    protocol.ChannelID // the channel that new members are let into; zero: none
	AddedBy    protocol.UserID
}

// AddMember stores a membership in one fenced transaction. Errors for the
// caller are those of the contract.
func (db *DB) AddMember(ctx context.Context, owner Owner, n NewMember) error {
	m := n.Membership
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		var there, banned bool
		b := &pgx.Batch{}
		b.Queue(lockUser, m.UserID).QueryRow(func(row pgx.Row) error {
			if err := row.Scan(&there); !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			return nil
		})
		b.Queue(endExpiredBan, m.CommunityID, m.UserID, m.JoinedAt)
		b.Queue(selectMemberBanned, m.CommunityID, m.UserID, m.JoinedAt).QueryRow(func(row pgx.Row) error { return row.Scan(&banned) })
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		switch {
		case !there:
			return protocol.NotFound("User or community not found")
		case banned:
			return protocol.Forbidden("You are banned from this community")
		}
		b = &pgx.Batch{}
		b.Queue(insertMembership, m.ID, m.JoinedAt, m.UserID, m.CommunityID)
		if n.CreateRole {
			b.Queue(insertRole, n.Role.ID, n.Role.Name, m.CommunityID, n.Role.IsDefault, n.Role.Actions, n.Role.CreatedAt)
		}
		b.Queue(insertAssignment, protocol.NewRandomID[memberRow](), m.UserID, m.CommunityID, n.Role.ID)
		if !n.Channel.IsZero() {
			b.Queue(insertChannelMembership, protocol.NewRandomID[memberRow](), m.JoinedAt, m.UserID, n.Channel, n.AddedBy)
		}
		return tx.SendBatch(ctx, b).Close()
	})
	return shown(err, "add member")
}

// Departed is what a user had in a community that his sockets have to leave,
// besides its channels.
type Departed struct {
	Aliases []protocol.AliasGroupID
}

// queueDeparture takes a user out of a community: his membership and all that
// hangs on it. It is part of every transaction that ends a membership.
func queueDeparture(b *pgx.Batch, community protocol.CommunityID, user protocol.UserID, d *Departed) {
	b.Queue(deleteMemberChannels, community, user)
	b.Queue(deleteMemberRoles, community, user)
	queueList(b, &d.Aliases, pgx.RowTo[protocol.AliasGroupID], deleteMemberAliases, community, user)
	b.Queue(deleteMembership, community, user)
}

// RemoveMember takes a member out in one fenced transaction. An owner of the
// instance is taken out only if spareOwner is nil, which is the error otherwise.
func (db *DB) RemoveMember(ctx context.Context, owner Owner, community protocol.CommunityID, user protocol.UserID, spareOwner error) (Departed, error) {
	var d Departed
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if spareOwner != nil {
			var isOwner bool
			err := tx.QueryRow(ctx, selectIsOwner, user).Scan(&isOwner)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			if isOwner {
				return spareOwner
			}
		}
		b := &pgx.Batch{}
		queueDeparture(b, community, user, &d)
		return tx.SendBatch(ctx, b).Close()
	})
	return d, shown(err, "remove member")
}

// MemberRows is what a community keeps of one member.
type MemberRows struct {
	Membership *protocol.Membership // nil: not a member
	Roles      []protocol.Role
	Private    []protocol.ChannelID // private channels that he was let into
}

// Member reads one member in one round trip.
func (db *DB) Member(ctx context.Context, community protocol.CommunityID, user protocol.UserID) (MemberRows, error) {
	var r MemberRows
	b := &pgx.Batch{}
	b.Queue(selectMemberRow, community, user).Query(func(rows pgx.Rows) error {
		list, err := pgx.CollectRows(rows, scanMembership)
		if err == nil && len(list) > 0 {
			r.Membership = &list[0]
		}
		return err
	})
	queueList(b, &r.Roles, scanRole, selectMemberRoles, community, user)
	queueList(b, &r.Private, pgx.RowTo[protocol.ChannelID], selectMemberPrivate, community, user)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return MemberRows{}, oneLine(fmt.Errorf("read member %s of %s: %w", user, community, err))
	}
	return r, nil
}
