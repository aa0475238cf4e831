package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// NoticeRow announces a message that may notify somebody. It is stored with the
// message, so that a crash loses neither without the other.
type NoticeRow struct {
	Message protocol.MessageID
}

// When it runs again after the notifications were made they are made again, which
// adds nothing.
var insertNotices = newStatement(Statement{
	Name:  "insert notices",
	Stage: 2,
	SQL: `
	INSERT INTO notice (message_id) SELECT DISTINCT m.id FROM unnest($1::uuid[]) AS n (id) JOIN message m ON m.id = n.id
	ON CONFLICT (message_id) DO NOTHING`,
	Args: func(rows []Row) []any {
		return []any{Column(rows, func(r *NoticeRow) protocol.MessageID { return r.Message })}
	},
})

// Statement implements Row.
func (*NoticeRow) Statement() *Statement { return insertNotices }

// Size implements Row.
func (*NoticeRow) Size() int { return rowSize }

// NoticePiece is how many users one step looks at.
const NoticePiece = 1000

// Notice is a message whose notifications are to be made.
type Notice struct {
	Message protocol.MessageID
	After   *protocol.UserID // those up to here have theirs
	In      protocol.Place
	Parent  *protocol.MessageID
	Author  *protocol.UserID // nil: the account is gone
	Seq     int64
	Spans   []byte
	Gone    bool // the message, its author or its channel

	Community   protocol.CommunityID
	ChannelName *string
	Private     bool
	Shown       protocol.Author // of the author

	Users []protocol.UserID // named
	Alias []protocol.AnyID  // groups of the community named
	Here  bool
	All   bool // @channel
	Loud  bool // somebody wants to hear of every message here, and they are not too many
}

// Silent reports whether the message is one of those that notify only who wants
// to hear of every message.
func (n *Notice) Silent() bool {
	return n.Parent == nil && n.In.Group.IsZero() && len(n.Users)+len(n.Alias) == 0 && !n.Here && !n.All
}

var (
	// Others pass over what one works on. Of a crowded community nobody is counted
	// beyond what matters.
	claimNotice = query(`
		SELECT n.message_id, n.after_user, m.channel_id, m.direct_message_group_id, m.parent_message_id, m.author_id, m.seq, m.spans,
			m.deleted_at IS NOT NULL OR a.id IS NULL OR (m.channel_id IS NOT NULL AND (c.deleted_at IS NOT NULL OR co.deleted_at IS NOT NULL)),
			c.community_id, c.name, coalesce(c.is_private, false), a.id, coalesce(a.username, ''), a.display_name, a.avatar_file_id,
			named.users, named.aliases, coalesce(named.here, false), coalesce(named.everybody, false),
			m.parent_message_id IS NULL AND m.channel_id IS NOT NULL
				AND (EXISTS (SELECT FROM channel_notification_override o WHERE o.channel_id = m.channel_id AND o.level = 'all')
					OR EXISTS (SELECT FROM user_notification_settings s JOIN membership h ON h.user_id = s.user_id AND h.community_id = c.community_id
						WHERE s.default_channel_level = 'all'))
				AND (c.is_private OR (SELECT count(*) FROM (SELECT FROM membership h WHERE h.community_id = c.community_id LIMIT $2 + 1) AS h) <= $2)
		FROM (
			SELECT message_id, after_user FROM notice WHERE queued_at <= $1 ORDER BY queued_at, message_id LIMIT 1 FOR UPDATE SKIP LOCKED
		) AS n
		JOIN message m ON m.id = n.message_id
		LEFT JOIN app_user a ON a.id = m.author_id
		LEFT JOIN channel c ON c.id = m.channel_id
		LEFT JOIN community co ON co.id = c.community_id
		LEFT JOIN LATERAL (
			SELECT array_agg(x.user_id) FILTER (WHERE x.user_id IS NOT NULL) AS users,
				array_agg(g.id) FILTER (WHERE g.community_id = c.community_id) AS aliases,
				bool_or(x.special_kind = 'here') AS here, bool_or(x.special_kind = 'channel') AS everybody
			FROM message_mention x LEFT JOIN alias_group g ON g.id = x.alias_id WHERE x.message_id = m.id
		) AS named ON true`)

	endNotice = query(`DELETE FROM notice WHERE message_id = $1`)

	// What fails is put off, so that it does not hold up the others.
	postponeNotice = query(`UPDATE notice SET queued_at = $1::timestamptz + interval '1 minute' WHERE message_id = (
		SELECT message_id FROM notice WHERE queued_at <= $1 ORDER BY queued_at, message_id LIMIT 1 FOR UPDATE SKIP LOCKED)`)

	sweepNotices = query(`
		DELETE FROM notice WHERE message_id IN (
			SELECT n.message_id FROM notice n JOIN message m ON m.id = n.message_id WHERE m.sent_at < $1 LIMIT $2)`)
)

// notify makes the notifications of one message for one piece of those who may
// get one, walked in the order of their ids. Parameters: the message $1, its
// channel $2 or group $3, parent $4, author $5; the community $6, whether the
// channel is private $7; who is named: users $8, alias groups $9, everybody $10;
// whether every message counts $11; from where $12, how many $13, now $14.
//
// What it decides is what rules.Notify decides; a test holds them together.
func notify(candidates string) string {
	return `
	WITH page AS (
		SELECT user_id FROM (` + candidates + `) AS candidate
		WHERE $12::uuid IS NULL OR user_id > $12::uuid ORDER BY user_id LIMIT $13
	), judged AS (
		SELECT p.user_id, CASE
			WHEN $3::uuid IS NOT NULL THEN CASE
				WHEN NOT coalesce(s.dm_notifications, true) THEN NULL
				WHEN t.user_id IS NOT NULL THEN 'THREAD_REPLY'
				WHEN $4::uuid IS NULL OR named.id IS NOT NULL THEN 'DIRECT_MESSAGE' END
			WHEN t.user_id IS NOT NULL THEN 'THREAD_REPLY'
			WHEN coalesce(o.level, s.default_channel_level, 'mentions') = 'none' THEN NULL
			WHEN $10::boolean OR named.id IS NOT NULL
				OR EXISTS (SELECT FROM alias_group_member g WHERE g.user_id = p.user_id AND g.alias_group_id = ANY ($9::uuid[])) THEN 'USER_MENTION'
			WHEN $11::boolean AND $4::uuid IS NULL AND coalesce(o.level, s.default_channel_level) = 'all' THEN 'CHANNEL_MESSAGE' END AS type
		FROM page p
		JOIN app_user u ON u.id = p.user_id AND NOT u.banned AND u.leaving_at IS NULL
		LEFT JOIN user_notification_settings s ON s.user_id = p.user_id
		LEFT JOIN channel_notification_override o ON o.user_id = p.user_id AND o.channel_id = $2::uuid
		LEFT JOIN thread_subscriber t ON t.user_id = p.user_id AND t.parent_message_id = $4::uuid
		LEFT JOIN (SELECT DISTINCT id FROM unnest($8::uuid[]) AS n (id)) AS named ON named.id = p.user_id
		WHERE p.user_id <> $5::uuid
			AND NOT EXISTS (SELECT FROM user_block b WHERE b.blocker_id = p.user_id AND b.blocked_id = $5::uuid)
			AND CASE WHEN $3::uuid IS NOT NULL
				THEN EXISTS (SELECT FROM direct_message_group_member g WHERE g.group_id = $3::uuid AND g.user_id = p.user_id)
				ELSE EXISTS (SELECT FROM membership h WHERE h.user_id = p.user_id AND h.community_id = $6::uuid)
					AND (NOT $7::boolean OR EXISTS (SELECT FROM channel_membership cm WHERE cm.user_id = p.user_id AND cm.channel_id = $2::uuid))
					AND (u.role = 'OWNER' OR EXISTS (SELECT FROM role_assignment ra JOIN role r ON r.id = ra.role_id
						WHERE ra.user_id = p.user_id AND ra.community_id = $6::uuid AND 'READ_MESSAGE' = ANY (r.actions))) END
	), added AS (
		INSERT INTO notification (id, user_id, type, message_id, channel_id, direct_message_group_id, author_id, parent_message_id, created_at)
		SELECT gen_random_uuid(), user_id, type, $1::uuid, $2::uuid, $3::uuid, $5::uuid, $4::uuid, $14::timestamptz
		FROM judged WHERE type IS NOT NULL
		ON CONFLICT (message_id, user_id, type) WHERE message_id IS NOT NULL DO NOTHING
		RETURNING id, user_id, type
	), walked AS (
		SELECT count(*) AS n, (SELECT user_id FROM page ORDER BY user_id DESC LIMIT 1) AS last FROM page
	), over AS (
		DELETE FROM notice WHERE message_id = $1::uuid AND (SELECT n FROM walked) < $13
	), later AS (
		UPDATE notice SET after_user = w.last FROM walked w WHERE message_id = $1::uuid AND w.n >= $13
	)
	SELECT a.id, a.user_id, a.type, a.id IS NOT NULL AND EXISTS (SELECT FROM push_subscription s WHERE s.user_id = a.user_id), w.n >= $13
	FROM walked w LEFT JOIN added a ON true`
}

var (
	notifyCommunity = query(notify(`SELECT user_id FROM membership WHERE community_id = $6`))
	notifyChannel   = query(notify(`SELECT user_id FROM channel_membership WHERE channel_id = $2`))
	notifyNamed     = query(notify(`
		SELECT id AS user_id FROM unnest($8::uuid[]) AS n (id)
		UNION SELECT user_id FROM alias_group_member WHERE alias_group_id = ANY ($9::uuid[])
		UNION SELECT user_id FROM thread_subscriber WHERE parent_message_id = $4`))
	notifyGroup = query(notify(`SELECT user_id FROM direct_message_group_member WHERE group_id = $3`))
)

// candidatesOf is where those may be found who are notified.
func (n *Notice) candidates() string {
	switch {
	case !n.In.Group.IsZero():
		return notifyGroup
	case !n.All && !n.Loud:
		return notifyNamed
	case n.Private:
		return notifyChannel
	default:
		return notifyCommunity
	}
}

// Noticed is what came of one step.
type Noticed struct {
	Notice Notice
	Items  []protocol.Notice // new notifications
	At     protocol.Instant
	More   bool // there are others of this message
}

// NotifyStep makes the notifications of one message for up to NoticePiece users,
// in one transaction. online tells who of a community is online, for messages that
// name those who are; push stores deliveries with the notifications. False: there is nothing to do.
func (db *DB) NotifyStep(
	ctx context.Context, now protocol.Instant, online func(context.Context, protocol.CommunityID) ([]protocol.UserID, error),
	push func(context.Context, pgx.Tx, []Push) error,
) (Noticed, bool, error) {
	r := Noticed{At: now}
	found := false
	err := pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		n := &r.Notice
		err := claim(ctx, tx, now, n)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		if n.Gone || n.Silent() && !n.Loud {
			_, err := tx.Exec(ctx, endNotice, n.Message)
			return err
		}
		users := n.Users
		if n.Here && !n.All {
			list, err := online(ctx, n.Community)
			if err != nil {
				return fmt.Errorf("who is online: %w", err)
			}
			users = append(users[:len(users):len(users)], list...)
		}
		pushed, err := step(ctx, tx, &r, users)
		if err != nil || push == nil || len(pushed) == 0 {
			return err
		}
		rows, err := tx.Query(ctx, selectPushes, pushed)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Push])
		if err != nil {
			return err
		}
		return push(ctx, tx, list)
	})
	return r, found, shown(err, "make notifications")
}

func claim(ctx context.Context, tx pgx.Tx, now protocol.Instant, n *Notice) error {
	var community *protocol.CommunityID
	var author *protocol.UserID
	err := tx.QueryRow(ctx, claimNotice, now, protocol.CrowdedAbove).Scan(
		&n.Message, &n.After, &n.In.Channel, &n.In.Group, &n.Parent, &n.Author, &n.Seq, &n.Spans, &n.Gone,
		&community, &n.ChannelName, &n.Private, &author, &n.Shown.Username, &n.Shown.DisplayName, &n.Shown.AvatarURL,
		&n.Users, &n.Alias, &n.Here, &n.All, &n.Loud)
	if community != nil {
		n.Community = *community
	}
	if author != nil {
		n.Shown.ID = *author
	}
	return err
}

// step returns those of the new notifications whose users have subscribed to push.
func step(ctx context.Context, tx pgx.Tx, r *Noticed, users []protocol.UserID) (pushed []protocol.AnyID, err error) {
	n := &r.Notice
	if users == nil {
		users = []protocol.UserID{}
	}
	alias := n.Alias
	if alias == nil {
		alias = []protocol.AnyID{}
	}
	rows, err := tx.Query(ctx, n.candidates(), n.Message, n.In.Channel, n.In.Group, n.Parent, n.Author, n.Community, n.Private,
		users, alias, n.All, n.Loud, n.After, NoticePiece, r.At)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id *protocol.AnyID
		var user *protocol.UserID
		var kind *string
		var reachable bool
		if err := rows.Scan(&id, &user, &kind, &reachable, &r.More); err != nil {
			return nil, err
		}
		if id == nil {
			continue
		}
		r.Items = append(r.Items, protocol.Notice{ID: *id, User: *user, Type: *kind})
		if reachable {
			pushed = append(pushed, *id)
		}
	}
	return pushed, rows.Err()
}

// PushNotification stores the deliveries of one notification that was made.
func (db *DB) PushNotification(ctx context.Context, id protocol.AnyID, push func(context.Context, pgx.Tx, []Push) error) error {
	err := pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, selectPushes, []protocol.AnyID{id})
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Push])
		if err != nil {
			return err
		}
		return push(ctx, tx, list)
	})
	return shown(err, "push notification")
}

// PostponeNotice puts off the message that is next, because it fails.
func (db *DB) PostponeNotice(ctx context.Context, now protocol.Instant) error {
	_, err := db.pool.Exec(ctx, postponeNotice, now)
	return shown(err, "postpone notice")
}

// noticesKept is how long what fails again and again is tried.
const noticesKept = 24 * 60 * 60 * 1000

// SweepNotices gives up messages that could not be announced for a day.
func (db *DB) SweepNotices(ctx context.Context, now protocol.Instant) (more bool, err error) {
	tag, err := db.pool.Exec(ctx, sweepNotices, now-noticesKept, sweepBatch)
	if err != nil {
		return false, oneLine(fmt.Errorf("sweep notices: %w", err))
	}
	return tag.RowsAffected() == sweepBatch, nil
}
