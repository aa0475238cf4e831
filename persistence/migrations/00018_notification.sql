-- Who is notified of a message, and how much of it is left to do.

-- +goose Up

-- A message notifies nobody twice. Rows of other servers may not have known that.
DELETE FROM notification n USING notification o
WHERE n.message_id = o.message_id AND n.user_id = o.user_id AND n.type = o.type AND (n.created_at, n.id) > (o.created_at, o.id);
CREATE UNIQUE INDEX notification_message_id_user_id_type_key ON notification (message_id, user_id, type) WHERE message_id IS NOT NULL;
DROP INDEX notification_message_id_idx;

-- What is too old is found by it: rows lie about in the order in which they were made.
CREATE INDEX notification_created_at_idx ON notification USING brin (created_at);

-- Recipients are walked in the order of user ids.
CREATE INDEX membership_community_id_user_id_idx ON membership (community_id, user_id);
CREATE INDEX channel_membership_channel_id_user_id_idx ON channel_membership (channel_id, user_id);
DROP INDEX channel_membership_channel_id_idx;

-- Few want to hear of every message; whether anybody does is asked often.
CREATE INDEX channel_notification_override_all_idx ON channel_notification_override (channel_id) WHERE level = 'all';
CREATE INDEX user_notification_settings_all_idx ON user_notification_settings (user_id) WHERE default_channel_level = 'all';

-- Of the times of do-not-disturb; null: the server's.
ALTER TABLE user_notification_settings ADD COLUMN time_zone text;

-- A message whose notifications are not all made yet: stored with the message, gone with the
-- last of them. Recipients up to after_user have theirs.
CREATE TABLE notice (
    message_id uuid           PRIMARY KEY REFERENCES message ON DELETE CASCADE,
    queued_at  timestamptz(3) NOT NULL DEFAULT now(),
    after_user uuid
);
CREATE INDEX notice_queued_at_idx ON notice (queued_at, message_id);
