package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

const subscriptionColumns = `s.id, s.user_id, s.endpoint, s.keys ->> 'p256dh', s.keys ->> 'auth', s.user_agent, s.created_at, s.updated_at`

var (
	// Of two nodes that start at the same time one stores its keys, the other finds them.
	agreeVAPID = query(`
		UPDATE instance_settings SET vapid_public_key = $1, vapid_private_key = $2, updated_at = updated_at
		WHERE vapid_public_key IS NULL OR vapid_private_key IS NULL`)
	selectVAPID = query(`SELECT vapid_public_key, vapid_private_key, coalesce(vapid_subject, '') FROM instance_settings
		WHERE vapid_public_key IS NOT NULL AND vapid_private_key IS NOT NULL`)

	upsertSubscription = query(`
		INSERT INTO push_subscription (id, user_id, endpoint, keys, user_agent, created_at, updated_at)
		VALUES ($1, $2, $3, jsonb_build_object('p256dh', $4::text, 'auth', $5::text), $6, $7, $7)
		ON CONFLICT (endpoint) DO UPDATE SET user_id = excluded.user_id, keys = excluded.keys, user_agent = excluded.user_agent, updated_at = excluded.updated_at`)

	trimSubscriptions = query(`
		DELETE FROM push_subscription WHERE id IN (
			SELECT id FROM push_subscription WHERE user_id = $1 ORDER BY updated_at DESC, id DESC OFFSET $2)`)

	deleteSubscription = query(`DELETE FROM push_subscription WHERE endpoint = $1 AND user_id = $2`)

	deleteDeadSubscription = query(`DELETE FROM push_subscription WHERE id = $1 AND endpoint = $2`)

	selectSubscriptions = query(`SELECT ` + subscriptionColumns + ` FROM push_subscription s WHERE s.user_id = $1 ORDER BY s.created_at, s.id`)

	// All that one delivery needs. The text of a message goes to those only who are
	// still where it was said.
	selectDelivery = query(`
		WITH listed AS (SELECT * FROM notification WHERE id = $1), shown AS (` + shownNotificationNamed + `)
		SELECT n.*, ` + subscriptionColumns + `, coalesce(t.do_not_disturb, false), t.dnd_start_time, t.dnd_end_time, t.time_zone
		FROM shown n JOIN push_subscription s ON s.id = $2 AND s.user_id = n.user_id
		LEFT JOIN user_notification_settings t ON t.user_id = n.user_id`)

	selectPushes = query(`
		SELECT n.id, s.id FROM unnest($1::uuid[]) AS wanted (id) JOIN notification n ON n.id = wanted.id
		JOIN push_subscription s ON s.user_id = n.user_id`)
)

// shownNotificationNamed is shownNotification with names for all columns, and the
// name of the channel.
const shownNotificationNamed = `
	SELECT n.id AS id, n.user_id AS user_id, n.type, n.channel_id, n.direct_message_group_id, c.community_id, c.name,
		a.username, a.display_name, m.spans
	FROM listed n JOIN app_user a ON a.id = n.author_id
	LEFT JOIN channel c ON c.id = n.channel_id AND c.deleted_at IS NULL
	LEFT JOIN message m ON m.id = n.message_id AND m.deleted_at IS NULL
	WHERE n.message_id IS NULL OR m.id IS NOT NULL AND (
		EXISTS (SELECT FROM membership s WHERE s.user_id = n.user_id AND s.community_id = c.community_id
			AND (NOT c.is_private OR EXISTS (SELECT FROM channel_membership cm WHERE cm.user_id = n.user_id AND cm.channel_id = c.id)))
		OR EXISTS (SELECT FROM direct_message_group_member g WHERE g.user_id = n.user_id AND g.group_id = m.direct_message_group_id))`

// VAPID are the keys by which push services know this instance.
type VAPID struct {
	Public, Private string // base64url: the uncompressed point, the number
	Subject         string // empty: none was stored
}

// AgreeVAPID stores the keys offered, unless there are some, and returns those
// that are stored.
func (db *DB) AgreeVAPID(ctx context.Context, offer VAPID) (VAPID, error) {
	b := &pgx.Batch{}
	b.Queue(ensureSettings, protocol.NewRandomID[memberRow]())
	b.Queue(agreeVAPID, offer.Public, offer.Private)
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return VAPID{}, oneLine(fmt.Errorf("store VAPID keys: %w", err))
	}
	return db.VAPID(ctx)
}

// VAPID reads the stored keys; the zero VAPID: there are none.
func (db *DB) VAPID(ctx context.Context) (VAPID, error) {
	var v VAPID
	err := db.pool.QueryRow(ctx, selectVAPID).Scan(&v.Public, &v.Private, &v.Subject)
	if errors.Is(err, pgx.ErrNoRows) {
		return VAPID{}, nil
	}
	return v, shown(err, "read VAPID keys")
}

func subscriptionFields(s *protocol.PushSubscription) []any {
	return []any{&s.ID, &s.UserID, &s.Endpoint, &s.Keys.P256DH, &s.Keys.Auth, &s.UserAgent, &s.CreatedAt, &s.UpdatedAt}
}

// PushSubscriptions lists where a user can be reached.
func (db *DB) PushSubscriptions(ctx context.Context, user protocol.UserID) ([]protocol.PushSubscription, error) {
	rows, err := db.pool.Query(ctx, selectSubscriptions, user)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list push subscriptions of %s: %w", user, err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (protocol.PushSubscription, error) {
		var s protocol.PushSubscription
		err := row.Scan(subscriptionFields(&s)...)
		return s, err
	})
	return list, shown(err, "list push subscriptions")
}

// Subscribe stores a subscription, which may have been somebody else's; beyond
// the most that one may have the oldest go.
func (db *DB) Subscribe(ctx context.Context, user protocol.UserID, s protocol.Subscribe, at protocol.Instant) error {
	b := &pgx.Batch{}
	b.Queue(upsertSubscription, protocol.NewRandomID[memberRow](), user, s.Endpoint, s.Keys.P256DH, s.Keys.Auth, s.UserAgent, at)
	b.Queue(trimSubscriptions, user, protocol.MaxSubscriptions)
	return shown(db.pool.SendBatch(ctx, b).Close(), "store push subscription")
}

// Unsubscribe removes a subscription of the user, if it is one.
func (db *DB) Unsubscribe(ctx context.Context, user protocol.UserID, endpoint string) error {
	_, err := db.pool.Exec(ctx, deleteSubscription, endpoint, user)
	return shown(err, "delete push subscription")
}

// DropSubscription removes one that its push service does not know any more.
func (db *DB) DropSubscription(ctx context.Context, id protocol.AnyID, endpoint string) error {
	_, err := db.pool.Exec(ctx, deleteDeadSubscription, id, endpoint)
	return shown(err, "delete push subscription")
}

// Delivery is a notification on its way to one subscription.
type Delivery struct {
	ID           protocol.AnyID // of the notification
	User         protocol.UserID
	Type         string
	Channel      *protocol.ChannelID
	Group        *protocol.GroupID
	Community    *protocol.CommunityID
	ChannelName  *string
	AuthorName   string
	AuthorShown  *string
	Spans        []byte // of the message; nil: there is none
	Subscription protocol.PushSubscription

	DoNotDisturb     bool
	DNDStart, DNDEnd *string
	TimeZone         *string
}

// PushDelivery reads what a delivery needs; nil when notification, message or
// subscription are gone.
func (db *DB) PushDelivery(ctx context.Context, notification, subscription protocol.AnyID) (*Delivery, error) {
	var d Delivery
	fields := []any{&d.ID, &d.User, &d.Type, &d.Channel, &d.Group, &d.Community, &d.ChannelName, &d.AuthorName, &d.AuthorShown, &d.Spans}
	fields = append(fields, subscriptionFields(&d.Subscription)...)
	fields = append(fields, &d.DoNotDisturb, &d.DNDStart, &d.DNDEnd, &d.TimeZone)
	err := db.pool.QueryRow(ctx, selectDelivery, notification, subscription).Scan(fields...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, shown(err, "read delivery")
	}
	return &d, nil
}

// Push is one delivery to be made.
type Push struct {
	Notification protocol.AnyID
	Subscription protocol.AnyID
}
