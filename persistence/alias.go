package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	selectCommunityOfAlias = query(`SELECT community_id FROM alias_group WHERE id = $1`)

	selectAliases = query(`
		SELECT g.id, g.name, g.community_id, (SELECT count(*) FROM alias_group_member a WHERE a.alias_group_id = g.id)
		FROM alias_group g WHERE g.community_id = $1 ORDER BY g.name, g.id`)

	selectAlias = query(`SELECT id, name, community_id, created_at FROM alias_group WHERE id = $1`)

	selectAliasMembers = query(`
		SELECT u.id, u.username, u.display_name, u.avatar_file_id FROM alias_group_member a JOIN app_user u ON u.id = a.user_id
		WHERE a.alias_group_id = $1 ORDER BY u.username`)

	lockAlias = query(`SELECT id FROM alias_group WHERE id = $1 AND community_id = $2 FOR UPDATE`)

	selectAliasTaken = query(`SELECT EXISTS (SELECT FROM alias_group WHERE community_id = $1 AND name = $2 AND id <> $3)`)

	countAliases = query(`SELECT count(*) FROM alias_group WHERE community_id = $1`)

	insertAlias = query(`INSERT INTO alias_group (id, name, community_id, created_at) VALUES ($1, $2, $3, $4)`)

	renameAlias = query(`UPDATE alias_group SET name = $2 WHERE id = $1`)

	deleteAlias = query(`DELETE FROM alias_group WHERE id = $1`)

	selectAliasTraces = query(`
		SELECT DISTINCT m.channel_id, m.direct_message_group_id FROM message_mention t JOIN message m ON m.id = t.message_id
		WHERE t.alias_id = $1 LIMIT $2`)

	countAliasMembers = query(`SELECT count(*) FROM alias_group_member WHERE alias_group_id = $1`)

	// Rows of those who stay are kept.
	insertAliasMembers = query(`
		INSERT INTO alias_group_member (id, alias_group_id, user_id)
		SELECT gen_random_uuid(), $1, n FROM unnest($2::uuid[]) AS n
		ON CONFLICT (alias_group_id, user_id) DO NOTHING RETURNING user_id`)

	deleteAliasMembers = query(`DELETE FROM alias_group_member WHERE alias_group_id = $1 AND user_id = ANY ($2) RETURNING user_id`)

	deleteOtherAliasMembers = query(`DELETE FROM alias_group_member WHERE alias_group_id = $1 AND user_id <> ALL ($2) RETURNING user_id`)
)

var errNoAlias = protocol.NotFound("Alias group not found")

// CommunityOfAlias finds the community of an alias group; it never changes. An
// unknown group is a NotFound.
func (db *DB) CommunityOfAlias(ctx context.Context, id protocol.AliasGroupID) (protocol.CommunityID, error) {
	var c protocol.CommunityID
	err := db.pool.QueryRow(ctx, selectCommunityOfAlias, id).Scan(&c)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return c, errNoAlias
	case err != nil:
		return c, oneLine(fmt.Errorf("find community of alias group %s: %w", id, err))
	}
	return c, nil
}

// Aliases lists the alias groups of a community by name.
func (db *DB) Aliases(ctx context.Context, community protocol.CommunityID) ([]protocol.AliasSummary, error) {
	rows, err := db.pool.Query(ctx, selectAliases, community)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list alias groups: %w", err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[protocol.AliasSummary])
	if err != nil {
		return nil, oneLine(fmt.Errorf("list alias groups: %w", err))
	}
	return list, nil
}

// Alias reads an alias group with its members by name.
func (db *DB) Alias(ctx context.Context, id protocol.AliasGroupID) (*protocol.AliasGroup, error) {
	g := &protocol.AliasGroup{}
	b := &pgx.Batch{}
	queueAlias(b, id, g)
	err := db.pool.SendBatch(ctx, b).Close()
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, errNoAlias
	case err != nil:
		return nil, oneLine(fmt.Errorf("read alias group %s: %w", id, err))
	}
	return g, nil
}

func queueAlias(b *pgx.Batch, id protocol.AliasGroupID, g *protocol.AliasGroup) {
	b.Queue(selectAlias, id).QueryRow(func(row pgx.Row) error {
		return row.Scan(&g.ID, &g.Name, &g.CommunityID, &g.CreatedAt)
	})
	b.Queue(selectAliasMembers, id).Query(func(rows pgx.Rows) (err error) {
		g.Members = []protocol.Author{}
		g.Members, err = pgx.AppendRows(g.Members, rows, pgx.RowToStructByPos[protocol.Author])
		g.MemberCount = len(g.Members)
		return err
	})
}

func checkAliasName(ctx context.Context, tx pgx.Tx, community protocol.CommunityID, name string, except protocol.AliasGroupID) error {
	var taken bool
	if err := tx.QueryRow(ctx, selectAliasTaken, community, name, except).Scan(&taken); err != nil {
		return err
	}
	if taken {
		return protocol.Conflict(`Alias group "` + name + `" already exists in this community`)
	}
	return nil
}

// CreateAlias stores an alias group with its members. bad, when not nil, is what
// is wrong with them; a taken name is told first.
func (db *DB) CreateAlias(ctx context.Context, owner Owner, g protocol.AliasGroup, members []protocol.UserID, bad error) (*protocol.AliasGroup, error) {
	stored := &protocol.AliasGroup{}
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if err := checkAliasName(ctx, tx, g.CommunityID, g.Name, g.ID); err != nil {
			return err
		}
		if bad != nil {
			return bad
		}
		var groups int
		if err := tx.QueryRow(ctx, countAliases, g.CommunityID).Scan(&groups); err != nil {
			return err
		}
		if groups >= protocol.MaxAliasGroups {
			return protocol.Conflict("The community has as many alias groups as it can have")
		}
		b := &pgx.Batch{}
		b.Queue(insertAlias, g.ID, g.Name, g.CommunityID, g.CreatedAt)
		b.Queue(insertAliasMembers, g.ID, members)
		queueAlias(b, g.ID, stored)
		return tx.SendBatch(ctx, b).Close()
	})
	return stored, shown(err, "create alias group")
}

// inAlias runs f on an alias group of the community, in one fenced transaction.
func (db *DB) inAlias(ctx context.Context, owner Owner, community protocol.CommunityID, id protocol.AliasGroupID, f func(pgx.Tx) error) error {
	err := db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		var there protocol.AliasGroupID
		err := tx.QueryRow(ctx, lockAlias, id, community).Scan(&there)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return errNoAlias
		case err != nil:
			return err
		}
		return f(tx)
	})
	return shown(err, "change alias group")
}

// RenameAlias gives an alias group another name.
func (db *DB) RenameAlias(ctx context.Context, owner Owner, community protocol.CommunityID, id protocol.AliasGroupID, name string) (*protocol.AliasGroup, error) {
	g := &protocol.AliasGroup{}
	err := db.inAlias(ctx, owner, community, id, func(tx pgx.Tx) error {
		if err := checkAliasName(ctx, tx, community, name, id); err != nil {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(renameAlias, id, name)
		queueAlias(b, id, g)
		return tx.SendBatch(ctx, b).Close()
	})
	return g, err
}

// DeleteAlias removes an alias group and lists conversations in which it was named:
// in any community, and in direct messages.
func (db *DB) DeleteAlias(ctx context.Context, owner Owner, community protocol.CommunityID, id protocol.AliasGroupID) (named []protocol.Place, err error) {
	err = db.inAlias(ctx, owner, community, id, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, selectAliasTraces, id, maxTraces)
		if err != nil {
			return err
		}
		if named, err = pgx.CollectRows(rows, scanPlace); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, deleteAlias, id)
		return err
	})
	return named, err
}

// AliasChange is who came into an alias group and who left it.
type AliasChange struct {
	Joined, Left []protocol.UserID
}

// AddAliasMember puts a user into an alias group. bad, when not nil, is what is
// wrong with him; a group that is not there is told first.
func (db *DB) AddAliasMember(ctx context.Context, owner Owner, community protocol.CommunityID, id protocol.AliasGroupID, user protocol.UserID, bad error) error {
	return db.inAlias(ctx, owner, community, id, func(tx pgx.Tx) error {
		if bad != nil {
			return bad
		}
		var members int
		if err := tx.QueryRow(ctx, countAliasMembers, id).Scan(&members); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, insertAliasMembers, id, []protocol.UserID{user})
		switch {
		case err != nil:
			return err
		case tag.RowsAffected() == 0:
			return protocol.Conflict("User is already a member of this group")
		case members >= protocol.MaxAliasMembers:
			return protocol.Conflict("The group has as many members as it can have")
		}
		return nil
	})
}

// RemoveAliasMember takes a user out of an alias group.
func (db *DB) RemoveAliasMember(ctx context.Context, owner Owner, community protocol.CommunityID, id protocol.AliasGroupID, user protocol.UserID) error {
	none := protocol.NotFound("User is not a member of this group")
	return db.inAlias(ctx, owner, community, id, func(tx pgx.Tx) error {
		return found(tx.Exec(ctx, deleteAliasMembers, id, []protocol.UserID{user}))(none)
	})
}

// SetAliasMembers makes the users the members of an alias group.
func (db *DB) SetAliasMembers(ctx context.Context, owner Owner, community protocol.CommunityID, id protocol.AliasGroupID, users []protocol.UserID, bad error) (AliasChange, error) {
	var c AliasChange
	err := db.inAlias(ctx, owner, community, id, func(tx pgx.Tx) error {
		if bad != nil {
			return bad
		}
		b := &pgx.Batch{}
		queueList(b, &c.Left, pgx.RowTo[protocol.UserID], deleteOtherAliasMembers, id, users)
		queueList(b, &c.Joined, pgx.RowTo[protocol.UserID], insertAliasMembers, id, users)
		return tx.SendBatch(ctx, b).Close()
	})
	return c, err
}
