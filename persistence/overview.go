package persistence

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	selectOverview = query(`
		SELECT c.id, c.name FROM membership m JOIN community c ON c.id = m.community_id
		WHERE m.user_id = $1 AND c.deleted_at IS NULL ORDER BY m.joined_at, m.id`)

	selectOverviewUnread = query(`
		SELECT c.id, c.name, coalesce(u.unread, 0)::int, coalesce(u.mentions, 0)::int
		FROM membership m JOIN community c ON c.id = m.community_id
		LEFT JOIN (
			SELECT of.community_id, sum(un.unread) AS unread, sum(un.mentions) AS mentions
			FROM (` + unreadIn("channel_id", readableChannels) + `) AS un (id, unread, mentions, message_id, at)
			JOIN channel of ON of.id = un.id GROUP BY 1
		) AS u ON u.community_id = c.id
		WHERE m.user_id = $1 AND c.deleted_at IS NULL ORDER BY m.joined_at, m.id`)
)

// Overview is where a user is and, if that is wanted, how much he has not read
// there: at most protocol.MaxOverviewUnread of each channel and group. It is one
// round trip, whatever the number of channels. Watermarks that Postgres may not
// have yet are marks.
func (db *DB) Overview(ctx context.Context, user protocol.UserID, m *protocol.AskOverview, marks []Mark) (*protocol.Overview, error) {
	o := &protocol.Overview{}
	b := &pgx.Batch{}
	if m.Unread {
		args := slices.Concat([]any{user, m.Owner}, markArgs(marks), []any{4 * protocol.MaxOverviewUnread, protocol.MaxOverviewUnread})
		b.Queue(selectOverviewUnread, args...).Query(func(rows pgx.Rows) (err error) {
			o.Communities, err = pgx.CollectRows(rows, pgx.RowToStructByPos[protocol.CommunityOverview])
			return err
		})
		b.Queue(selectUnreadGroups, args...).Query(func(rows pgx.Rows) error {
			list, err := pgx.CollectRows(rows, scanUnreadIn(groupPlace))
			for _, u := range list {
				o.Groups = append(o.Groups, protocol.GroupOverview{ID: *u.DirectMessageGroupID, Unread: &u.UnreadCount, Mentions: &u.MentionCount})
			}
			return err
		})
	} else {
		b.Queue(selectOverview, user).Query(func(rows pgx.Rows) (err error) {
			o.Communities, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c protocol.CommunityOverview, err error) {
				err = row.Scan(&c.ID, &c.Name)
				return c, err
			})
			return err
		})
	}
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, oneLine(fmt.Errorf("look over what %s has not read: %w", user, err))
	}
	return o, nil
}
