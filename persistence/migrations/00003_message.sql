-- Direct message groups, messages and everything that hangs on a message.

-- +goose Up

-- The pair columns are set, smaller id first, exactly for one-to-one conversations: their
-- unique key lets two concurrent requests agree on one group.
CREATE TABLE direct_message_group (
    id         uuid           PRIMARY KEY,
    name       text,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    is_group   boolean        NOT NULL DEFAULT false,
    pair_low   uuid,
    pair_high  uuid,
    UNIQUE (pair_low, pair_high),
    CONSTRAINT direct_message_group_pair_check CHECK (
        num_nulls(pair_low, pair_high) = 2 OR (NOT is_group AND num_nulls(pair_low, pair_high) = 0 AND pair_low < pair_high))
);

CREATE TABLE direct_message_group_member (
    id        uuid           PRIMARY KEY,
    group_id  uuid           NOT NULL REFERENCES direct_message_group ON DELETE CASCADE,
    user_id   uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    joined_at timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (group_id, user_id)
);
CREATE INDEX direct_message_group_member_user_id_idx ON direct_message_group_member (user_id);

-- seq counts 1, 2, 3 ... within the channel or group, thread replies included, without a
-- gap: it is the order of history and of every cursor, so sent_at (which never goes back
-- within one of them) needs no index of its own. nonce is the client's idempotency key.
CREATE TABLE message (
    id                      uuid           PRIMARY KEY,
    channel_id              uuid           REFERENCES channel ON DELETE CASCADE,
    direct_message_group_id uuid           REFERENCES direct_message_group ON DELETE CASCADE,
    seq                     bigint         NOT NULL CHECK (seq > 0),
    author_id               uuid           REFERENCES app_user ON DELETE SET NULL,
    sent_at                 timestamptz(3) NOT NULL DEFAULT now(),
    edited_at               timestamptz(3),
    deleted_at              timestamptz(3),
    nonce                   text,
    pending_attachments     integer        DEFAULT 0 CHECK (pending_attachments >= 0),
    search_text             text,
    pinned                  boolean        NOT NULL DEFAULT false,
    pinned_at               timestamptz(3),
    pinned_by               uuid           REFERENCES app_user ON DELETE SET NULL,
    deleted_by              uuid           REFERENCES app_user ON DELETE SET NULL,
    deleted_by_reason       text,
    parent_message_id       uuid           REFERENCES message,     -- delete the replies first
    reply_count             integer        NOT NULL DEFAULT 0 CHECK (reply_count >= 0),
    last_reply_at           timestamptz(3),
    search_vector           tsvector       GENERATED ALWAYS AS (to_tsvector('english', coalesce(search_text, ''))) STORED,
    CONSTRAINT message_context_check CHECK (num_nonnulls(channel_id, direct_message_group_id) = 1),
    CONSTRAINT message_parent_check CHECK (parent_message_id <> id)
);
CREATE UNIQUE INDEX message_channel_id_seq_key ON message (channel_id, seq) WHERE channel_id IS NOT NULL;
CREATE UNIQUE INDEX message_direct_message_group_id_seq_key ON message (direct_message_group_id, seq)
    WHERE direct_message_group_id IS NOT NULL;
-- History shows no replies: without this a long thread would be waded through by every page.
CREATE INDEX message_channel_id_root_idx ON message (channel_id, seq)
    WHERE channel_id IS NOT NULL AND parent_message_id IS NULL;
CREATE INDEX message_parent_message_id_seq_idx ON message (parent_message_id, seq) WHERE parent_message_id IS NOT NULL;
CREATE INDEX message_channel_id_pinned_at_idx ON message (channel_id, pinned_at) WHERE pinned;
CREATE INDEX message_author_id_idx ON message (author_id, channel_id, seq) WHERE author_id IS NOT NULL;
CREATE INDEX message_pinned_by_idx ON message (pinned_by) WHERE pinned_by IS NOT NULL;
CREATE INDEX message_deleted_by_idx ON message (deleted_by) WHERE deleted_by IS NOT NULL;
CREATE INDEX message_search_vector_idx ON message USING gin (search_vector);

-- community_id has no foreign key: of a COMMUNITY_MENTION clients send the id of a channel.
CREATE TABLE message_span (
    id           uuid    PRIMARY KEY,
    message_id   uuid    NOT NULL REFERENCES message ON DELETE CASCADE,
    position     integer NOT NULL,
    type         text    NOT NULL CHECK (type IN ('PLAINTEXT', 'USER_MENTION', 'SPECIAL_MENTION', 'COMMUNITY_MENTION', 'ALIAS_MENTION')),
    text         text,
    user_id      uuid    REFERENCES app_user ON DELETE SET NULL,
    special_kind text,
    community_id uuid,
    alias_id     uuid    REFERENCES alias_group ON DELETE SET NULL,
    UNIQUE (message_id, position)
);
CREATE INDEX message_span_user_id_idx ON message_span (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX message_span_alias_id_idx ON message_span (alias_id) WHERE alias_id IS NOT NULL;

CREATE TABLE message_reaction (
    id         uuid           PRIMARY KEY,
    message_id uuid           NOT NULL REFERENCES message ON DELETE CASCADE,
    emoji      text           NOT NULL,
    user_id    uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (message_id, emoji, user_id)
);
CREATE INDEX message_reaction_user_id_idx ON message_reaction (user_id);

CREATE TABLE message_attachment (
    id         uuid    PRIMARY KEY,
    message_id uuid    NOT NULL REFERENCES message ON DELETE CASCADE,
    file_id    uuid    NOT NULL REFERENCES file ON DELETE CASCADE,
    position   integer NOT NULL DEFAULT 0,
    UNIQUE (message_id, file_id)
);
CREATE INDEX message_attachment_file_id_idx ON message_attachment (file_id);

ALTER TABLE file ADD FOREIGN KEY (message_id) REFERENCES message ON DELETE CASCADE;

CREATE TABLE thread_subscriber (
    id                uuid           PRIMARY KEY,
    user_id           uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    parent_message_id uuid           NOT NULL REFERENCES message ON DELETE CASCADE,
    subscribed_at     timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (user_id, parent_message_id)
);
CREATE INDEX thread_subscriber_parent_message_id_idx ON thread_subscriber (parent_message_id);

-- The watermark is last_read_seq (and its sent_at); last_read_message_id is only the pointer
-- that clients want. A deleted message takes the pointer away, never the watermark.
CREATE TABLE read_receipt (
    id                      uuid           PRIMARY KEY,
    user_id                 uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    channel_id              uuid           REFERENCES channel ON DELETE CASCADE,
    direct_message_group_id uuid           REFERENCES direct_message_group ON DELETE CASCADE,
    last_read_message_id    uuid           REFERENCES message ON DELETE SET NULL,
    last_read_seq           bigint         NOT NULL CHECK (last_read_seq >= 0),
    last_read_sent_at       timestamptz(3) NOT NULL,
    last_read_at            timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (user_id, channel_id),
    UNIQUE (user_id, direct_message_group_id),
    CONSTRAINT read_receipt_context_check CHECK (num_nonnulls(channel_id, direct_message_group_id) = 1)
);
CREATE INDEX read_receipt_channel_id_idx ON read_receipt (channel_id, last_read_seq) WHERE channel_id IS NOT NULL;
CREATE INDEX read_receipt_direct_message_group_id_idx ON read_receipt (direct_message_group_id, last_read_seq)
    WHERE direct_message_group_id IS NOT NULL;
CREATE INDEX read_receipt_last_read_message_id_idx ON read_receipt (last_read_message_id) WHERE last_read_message_id IS NOT NULL;

CREATE TABLE notification (
    id                      uuid           PRIMARY KEY,
    user_id                 uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    type                    text           NOT NULL CHECK (type IN ('USER_MENTION', 'SPECIAL_MENTION', 'DIRECT_MESSAGE', 'CHANNEL_MESSAGE', 'THREAD_REPLY')),
    message_id              uuid           REFERENCES message ON DELETE CASCADE,
    channel_id              uuid           REFERENCES channel ON DELETE CASCADE,
    direct_message_group_id uuid           REFERENCES direct_message_group ON DELETE CASCADE,
    author_id               uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    parent_message_id       uuid           REFERENCES message ON DELETE SET NULL,
    read                    boolean        NOT NULL DEFAULT false,
    dismissed               boolean        NOT NULL DEFAULT false,
    created_at              timestamptz(3) NOT NULL DEFAULT now(),
    CONSTRAINT notification_context_check CHECK (num_nonnulls(channel_id, direct_message_group_id) <= 1)
);
CREATE INDEX notification_user_id_created_at_idx ON notification (user_id, created_at, id);
CREATE INDEX notification_user_id_unread_idx ON notification (user_id, channel_id, direct_message_group_id) WHERE NOT read;
CREATE INDEX notification_message_id_idx ON notification (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX notification_channel_id_idx ON notification (channel_id) WHERE channel_id IS NOT NULL;
CREATE INDEX notification_direct_message_group_id_idx ON notification (direct_message_group_id) WHERE direct_message_group_id IS NOT NULL;
CREATE INDEX notification_author_id_idx ON notification (author_id);
CREATE INDEX notification_parent_message_id_idx ON notification (parent_message_id) WHERE parent_message_id IS NOT NULL;
