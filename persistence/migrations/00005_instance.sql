-- The instance: its one row of settings, its secrets and its invites.

-- +goose Up
CREATE TABLE instance_settings (
    id                          uuid           PRIMARY KEY,
    singleton                   boolean        NOT NULL DEFAULT true UNIQUE CHECK (singleton),
    name                        text           NOT NULL DEFAULT 'Semaphore Chat',
    description                 text,
    registration_mode           text           NOT NULL DEFAULT 'INVITE_ONLY' CHECK (registration_mode IN ('OPEN', 'INVITE_ONLY', 'CLOSED')),
    created_at                  timestamptz(3) NOT NULL DEFAULT now(),
    updated_at                  timestamptz(3) NOT NULL DEFAULT now(),
    default_storage_quota_bytes bigint         NOT NULL DEFAULT 53687091200 CHECK (default_storage_quota_bytes >= 0),
    max_file_size_bytes         bigint         NOT NULL DEFAULT 524288000 CHECK (max_file_size_bytes >= 0),
    vapid_public_key            text,
    vapid_private_key           text,
    vapid_subject               text
);

-- Secrets that all nodes share: the set-up token of onboarding (which expires), signing keys
-- that nobody configured (which do not).
CREATE TABLE instance_secret (
    name       text           PRIMARY KEY,
    value      text           NOT NULL,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    expires_at timestamptz(3)
);

CREATE TABLE instance_invite (
    id          uuid           PRIMARY KEY,
    code        text           NOT NULL UNIQUE,
    created_by  uuid           REFERENCES app_user ON DELETE SET NULL,
    max_uses    integer        CHECK (max_uses > 0),
    uses        integer        NOT NULL DEFAULT 0 CHECK (uses >= 0),
    valid_until timestamptz(3),
    created_at  timestamptz(3) NOT NULL DEFAULT now(),
    disabled    boolean        NOT NULL DEFAULT false,
    CONSTRAINT instance_invite_max_uses_reached_check CHECK (uses <= max_uses)
);
CREATE INDEX instance_invite_created_by_idx ON instance_invite (created_by) WHERE created_by IS NOT NULL;

CREATE TABLE instance_invite_usage (
    id        uuid           PRIMARY KEY,
    invite_id uuid           NOT NULL REFERENCES instance_invite ON DELETE CASCADE,
    user_id   uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    used_at   timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (invite_id, user_id)
);
CREATE INDEX instance_invite_usage_user_id_idx ON instance_invite_usage (user_id);

CREATE TABLE instance_invite_default_community (
    id           uuid PRIMARY KEY,
    invite_id    uuid NOT NULL REFERENCES instance_invite ON DELETE CASCADE,
    community_id uuid NOT NULL REFERENCES community ON DELETE CASCADE,
    UNIQUE (invite_id, community_id)
);
CREATE INDEX instance_invite_default_community_community_id_idx ON instance_invite_default_community (community_id);
