package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

const (
	countMembers  = `(SELECT count(*) FROM membership m WHERE m.community_id = c.id)`
	countChannels = `(SELECT count(*) FROM channel h WHERE h.community_id = c.id AND h.deleted_at IS NULL)`
)

var (
	selectCommunities = query(`
		SELECT ` + communityColumns + ` FROM community c WHERE c.deleted_at IS NULL ORDER BY c.created_at, c.id LIMIT $1`)

	// The counts are of the rows of one page only.
	selectCommunityPage = query(`
		SELECT ` + communityColumns + `, ` + countMembers + `, ` + countChannels + `
		FROM (
			SELECT * FROM community c
			WHERE c.deleted_at IS NULL AND ($1 = '' OR lower(c.name) LIKE $1)
				AND ($2::uuid IS NULL OR (c.created_at, c.id) < (SELECT l.created_at, l.id FROM community l WHERE l.id = $2))
			ORDER BY c.created_at DESC, c.id DESC LIMIT $3
		) AS c ORDER BY c.created_at DESC, c.id DESC`)

	selectCommunityDetail = query(`
		SELECT ` + communityColumns + `, ` + countMembers + `, ` + countChannels + `,
			(SELECT count(*) FROM channel h JOIN message s ON s.channel_id = h.id
				WHERE h.community_id = c.id AND h.deleted_at IS NULL AND s.deleted_at IS NULL)
		FROM community c WHERE c.id = $1 AND c.deleted_at IS NULL`)
)

func scanCommunityStats(row pgx.CollectableRow) (protocol.CommunityStats, error) {
	var c protocol.CommunityStats
	err := row.Scan(&c.ID, &c.Name, &c.CreatedAt, &c.Avatar, &c.Banner, &c.Description, &c.MemberCount, &c.ChannelCount)
	return c, err
}

// Communities lists at most limit communities, the oldest first.
func (db *DB) Communities(ctx context.Context, limit int) ([]protocol.Community, error) {
	return listRows(ctx, db, "list communities", scanCommunity, selectCommunities, limit)
}

// CommunityPage lists at most limit communities whose names have the text in
// them, in any case, with their counts: the newest first, from after a community
// on (zero: from the start).
func (db *DB) CommunityPage(ctx context.Context, text string, after protocol.CommunityID, limit int) ([]protocol.CommunityStats, error) {
	pattern := ""
	if text != "" {
		pattern = containing(text)
	}
	return listRows(ctx, db, "list communities with counts", scanCommunityStats, selectCommunityPage, pattern, after, limit)
}

// CommunityDetail reads a community with all its counts; an unknown one is a
// NotFound.
func (db *DB) CommunityDetail(ctx context.Context, id protocol.CommunityID) (protocol.CommunityDetail, error) {
	var c protocol.CommunityDetail
	err := db.pool.QueryRow(ctx, selectCommunityDetail, id).Scan(&c.ID, &c.Name, &c.CreatedAt, &c.Avatar, &c.Banner, &c.Description,
		&c.MemberCount, &c.ChannelCount, &c.MessageCount)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return c, protocol.NotFound("Community not found")
	case err != nil:
		return c, oneLine(fmt.Errorf("read community %s with counts: %w", id, err))
	}
	return c, nil
}
