-- Accounts and what belongs to one account only.
--
-- Rules of the whole schema: snake_case, no plurals; ids are UUIDs that the server
-- makes; times are timestamptz(3), because three digits are what clients see (truncate
-- before writing: Postgres rounds); a fixed vocabulary is text with a CHECK, which a later
-- migration can widen without rewriting a table; every foreign key has an index behind it,
-- so that no delete scans a table; constraints keep the names Postgres gives them
-- (<table>_<columns>_key, _fkey, _check), which code may match on.

-- +goose Up
CREATE TABLE app_user (
    id                  uuid           PRIMARY KEY,
    username            text           NOT NULL UNIQUE,            -- lower case
    email               text           UNIQUE,                     -- as given
    verified            boolean        NOT NULL DEFAULT false,
    password_hash       text           NOT NULL,
    role                text           NOT NULL DEFAULT 'USER' CHECK (role IN ('OWNER', 'USER')),
    created_at          timestamptz(3) NOT NULL DEFAULT now(),
    avatar_file_id      uuid,                                      -- foreign keys: 00002_community.sql
    banner_file_id      uuid,
    last_seen           timestamptz(3),
    display_name        text,
    bio                 text,
    status              text,
    status_updated_at   timestamptz(3),
    storage_quota_bytes bigint         NOT NULL DEFAULT 53687091200 CHECK (storage_quota_bytes >= 0),
    storage_used_bytes  bigint         NOT NULL DEFAULT 0 CHECK (storage_used_bytes >= 0),
    banned              boolean        NOT NULL DEFAULT false,
    banned_at           timestamptz(3),
    banned_by           uuid           REFERENCES app_user ON DELETE SET NULL
);
CREATE INDEX app_user_banned_by_idx ON app_user (banned_by) WHERE banned_by IS NOT NULL;
CREATE INDEX app_user_owner_idx ON app_user (id) WHERE role = 'OWNER';

-- One row per refresh token ever handed out. A family is one login session: rotation
-- consumes a row by one conditional UPDATE and adds the next one of the same family.
-- A consumed token that comes back later than the grace period ends the family.
CREATE TABLE refresh_token (
    id           uuid           PRIMARY KEY,
    user_id      uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    family_id    uuid           NOT NULL,
    token_hash   bytea          NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32), -- SHA-256 of a random token
    created_at   timestamptz(3) NOT NULL DEFAULT now(),
    expires_at   timestamptz(3) NOT NULL,
    last_used_at timestamptz(3) NOT NULL DEFAULT now(),
    consumed_at  timestamptz(3),                                   -- null while the token may be used
    replaced_by  uuid,                                             -- the row that rotation made of it
    device_name  text,
    user_agent   text,
    ip_address   text
);
CREATE INDEX refresh_token_family_id_idx ON refresh_token (family_id);
CREATE INDEX refresh_token_user_id_last_used_at_idx ON refresh_token (user_id, last_used_at);
CREATE INDEX refresh_token_expires_at_idx ON refresh_token (expires_at);

-- Access tokens (jti) and whole sessions (sid = refresh_token.family_id) that ended before
-- their time. No foreign key: a row outlives its user. Rows go once expires_at has passed.
CREATE TABLE revoked_token (
    id         uuid           PRIMARY KEY,
    user_id    uuid           NOT NULL,
    revoked_at timestamptz(3) NOT NULL DEFAULT now(),
    expires_at timestamptz(3) NOT NULL
);
CREATE INDEX revoked_token_user_id_idx ON revoked_token (user_id);
CREATE INDEX revoked_token_expires_at_idx ON revoked_token (expires_at);

CREATE TABLE user_appearance_settings (
    id           uuid           PRIMARY KEY,
    user_id      uuid           NOT NULL UNIQUE REFERENCES app_user ON DELETE CASCADE,
    theme_mode   text           NOT NULL DEFAULT 'dark',
    accent_color text           NOT NULL DEFAULT 'blue',
    intensity    text           NOT NULL DEFAULT 'minimal',
    created_at   timestamptz(3) NOT NULL DEFAULT now(),
    updated_at   timestamptz(3) NOT NULL DEFAULT now()
);

CREATE TABLE user_notification_settings (
    id                    uuid           PRIMARY KEY,
    user_id               uuid           NOT NULL UNIQUE REFERENCES app_user ON DELETE CASCADE,
    desktop_enabled       boolean        NOT NULL DEFAULT true,
    play_sound            boolean        NOT NULL DEFAULT true,
    sound_type            text           NOT NULL DEFAULT 'default' CHECK (sound_type IN ('default', 'mention', 'dm')),
    do_not_disturb        boolean        NOT NULL DEFAULT false,
    dnd_start_time        text,                                    -- HH:MM
    dnd_end_time          text,
    default_channel_level text           NOT NULL DEFAULT 'mentions' CHECK (default_channel_level IN ('all', 'mentions', 'none')),
    dm_notifications      boolean        NOT NULL DEFAULT true,
    created_at            timestamptz(3) NOT NULL DEFAULT now(),
    updated_at            timestamptz(3) NOT NULL DEFAULT now()
);

CREATE TABLE user_block (
    id         uuid           PRIMARY KEY,
    blocker_id uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    blocked_id uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (blocker_id, blocked_id),
    CHECK (blocker_id <> blocked_id)
);
CREATE INDEX user_block_blocked_id_idx ON user_block (blocked_id);

-- user_a_id asked, user_b_id was asked; one row per pair whoever asked.
CREATE TABLE friendship (
    id         uuid           PRIMARY KEY,
    user_a_id  uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    user_b_id  uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    status     text           NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'ACCEPTED', 'BLOCKED')),
    CHECK (user_a_id <> user_b_id)
);
CREATE UNIQUE INDEX friendship_pair_key ON friendship (least(user_a_id, user_b_id), greatest(user_a_id, user_b_id));
CREATE INDEX friendship_user_a_id_idx ON friendship (user_a_id);
CREATE INDEX friendship_user_b_id_idx ON friendship (user_b_id);

CREATE TABLE push_subscription (
    id         uuid           PRIMARY KEY,
    user_id    uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    endpoint   text           NOT NULL UNIQUE,
    keys       jsonb          NOT NULL,                            -- {p256dh, auth}
    user_agent text,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    updated_at timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX push_subscription_user_id_idx ON push_subscription (user_id);
