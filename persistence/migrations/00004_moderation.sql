-- Bans and timeouts of communities, and the log of what moderators did.

-- +goose Up
CREATE TABLE community_ban (
    id           uuid           PRIMARY KEY,
    community_id uuid           NOT NULL REFERENCES community ON DELETE CASCADE,
    user_id      uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    moderator_id uuid           REFERENCES app_user ON DELETE SET NULL,
    reason       text,
    created_at   timestamptz(3) NOT NULL DEFAULT now(),
    expires_at   timestamptz(3),
    active       boolean        NOT NULL DEFAULT true,
    UNIQUE (community_id, user_id)
);
CREATE INDEX community_ban_community_id_active_idx ON community_ban (community_id, active);
CREATE INDEX community_ban_expires_at_idx ON community_ban (expires_at) WHERE active AND expires_at IS NOT NULL;
CREATE INDEX community_ban_user_id_idx ON community_ban (user_id);
CREATE INDEX community_ban_moderator_id_idx ON community_ban (moderator_id) WHERE moderator_id IS NOT NULL;

CREATE TABLE community_timeout (
    id           uuid           PRIMARY KEY,
    community_id uuid           NOT NULL REFERENCES community ON DELETE CASCADE,
    user_id      uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    moderator_id uuid           REFERENCES app_user ON DELETE SET NULL,
    reason       text,
    created_at   timestamptz(3) NOT NULL DEFAULT now(),
    expires_at   timestamptz(3) NOT NULL,
    UNIQUE (community_id, user_id)
);
CREATE INDEX community_timeout_community_id_expires_at_idx ON community_timeout (community_id, expires_at);
CREATE INDEX community_timeout_user_id_idx ON community_timeout (user_id);
CREATE INDEX community_timeout_moderator_id_idx ON community_timeout (moderator_id) WHERE moderator_id IS NOT NULL;

CREATE TABLE moderation_log (
    id                uuid           PRIMARY KEY,
    community_id      uuid           NOT NULL REFERENCES community ON DELETE CASCADE,
    moderator_id      uuid           REFERENCES app_user ON DELETE SET NULL,
    target_user_id    uuid           REFERENCES app_user ON DELETE SET NULL,
    target_message_id uuid           REFERENCES message ON DELETE SET NULL,
    action            text           NOT NULL CHECK (action IN ('BAN_USER', 'UNBAN_USER', 'KICK_USER', 'TIMEOUT_USER', 'REMOVE_TIMEOUT',
                                     'DELETE_MESSAGE', 'PIN_MESSAGE', 'UNPIN_MESSAGE')),
    reason            text,
    metadata          jsonb,
    created_at        timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX moderation_log_community_id_created_at_idx ON moderation_log (community_id, created_at, id);
CREATE INDEX moderation_log_moderator_id_idx ON moderation_log (moderator_id) WHERE moderator_id IS NOT NULL;
CREATE INDEX moderation_log_target_user_id_idx ON moderation_log (target_user_id) WHERE target_user_id IS NOT NULL;
CREATE INDEX moderation_log_target_message_id_idx ON moderation_log (target_message_id) WHERE target_message_id IS NOT NULL;
