-- Communities, their channels, members and roles, and the files that users, communities
-- and messages point to and are pointed to from.

-- +goose Up
CREATE TABLE community (
    id             uuid           PRIMARY KEY,
    name           text           NOT NULL UNIQUE,
    created_at     timestamptz(3) NOT NULL DEFAULT now(),
    avatar_file_id uuid,                                           -- foreign keys: below
    banner_file_id uuid,
    description    text
);

-- A file belongs to at most one user (avatar, banner, clip), community (avatar, banner,
-- emoji) or message (attachment) and goes with it.
CREATE TABLE file (
    id             uuid           PRIMARY KEY,
    filename       text           NOT NULL,
    mime_type      text           NOT NULL,
    file_type      text           NOT NULL CHECK (file_type IN ('IMAGE', 'VIDEO', 'AUDIO', 'DOCUMENT', 'OTHER')),
    size           bigint         NOT NULL CHECK (size >= 0),      -- bytes
    checksum       text           NOT NULL,
    uploaded_by    uuid           REFERENCES app_user ON DELETE SET NULL,
    uploaded_at    timestamptz(3) NOT NULL DEFAULT now(),
    deleted_at     timestamptz(3),
    resource_type  text           NOT NULL CHECK (resource_type IN ('USER_AVATAR', 'USER_BANNER', 'COMMUNITY_BANNER',
                                  'COMMUNITY_AVATAR', 'MESSAGE_ATTACHMENT', 'CUSTOM_EMOJI', 'REPLAY_CLIP')),
    storage_type   text           NOT NULL DEFAULT 'LOCAL' CHECK (storage_type IN ('LOCAL', 'S3', 'AZURE_BLOB')),
    storage_path   text           NOT NULL,
    thumbnail_path text,
    user_id        uuid           REFERENCES app_user ON DELETE CASCADE,
    community_id   uuid           REFERENCES community ON DELETE CASCADE,
    message_id     uuid,                                           -- foreign key: 00003_message.sql
    CONSTRAINT file_owner_check CHECK (num_nonnulls(user_id, community_id, message_id) <= 1)
);
CREATE INDEX file_deleted_at_idx ON file (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX file_uploaded_by_idx ON file (uploaded_by) WHERE uploaded_by IS NOT NULL;
CREATE INDEX file_user_id_idx ON file (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX file_community_id_idx ON file (community_id) WHERE community_id IS NOT NULL;
CREATE INDEX file_message_id_idx ON file (message_id) WHERE message_id IS NOT NULL;

ALTER TABLE app_user
    ADD FOREIGN KEY (avatar_file_id) REFERENCES file ON DELETE SET NULL,
    ADD FOREIGN KEY (banner_file_id) REFERENCES file ON DELETE SET NULL;
CREATE INDEX app_user_avatar_file_id_idx ON app_user (avatar_file_id) WHERE avatar_file_id IS NOT NULL;
CREATE INDEX app_user_banner_file_id_idx ON app_user (banner_file_id) WHERE banner_file_id IS NOT NULL;
ALTER TABLE community
    ADD FOREIGN KEY (avatar_file_id) REFERENCES file ON DELETE SET NULL,
    ADD FOREIGN KEY (banner_file_id) REFERENCES file ON DELETE SET NULL;
CREATE INDEX community_avatar_file_id_idx ON community (avatar_file_id) WHERE avatar_file_id IS NOT NULL;
CREATE INDEX community_banner_file_id_idx ON community (banner_file_id) WHERE banner_file_id IS NOT NULL;

CREATE TABLE membership (
    id           uuid           PRIMARY KEY,
    joined_at    timestamptz(3) NOT NULL DEFAULT now(),
    user_id      uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    community_id uuid           NOT NULL REFERENCES community ON DELETE CASCADE,
    UNIQUE (user_id, community_id)
);
CREATE INDEX membership_community_id_idx ON membership (community_id, joined_at, id);

CREATE TABLE channel (
    id               uuid           PRIMARY KEY,
    name             text           NOT NULL,
    community_id     uuid           NOT NULL REFERENCES community ON DELETE CASCADE,
    created_at       timestamptz(3) NOT NULL DEFAULT now(),
    type             text           NOT NULL DEFAULT 'TEXT' CHECK (type IN ('TEXT', 'VOICE')),
    position         integer        NOT NULL DEFAULT 0,
    slowmode_seconds integer        NOT NULL DEFAULT 0 CHECK (slowmode_seconds >= 0),
    is_private       boolean        NOT NULL DEFAULT false,
    UNIQUE (community_id, name)
);
CREATE INDEX channel_community_id_type_position_idx ON channel (community_id, type, position);

CREATE TABLE channel_membership (
    id         uuid           PRIMARY KEY,
    joined_at  timestamptz(3) NOT NULL DEFAULT now(),
    user_id    uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    channel_id uuid           NOT NULL REFERENCES channel ON DELETE CASCADE,
    added_by   uuid           REFERENCES app_user ON DELETE SET NULL,
    UNIQUE (user_id, channel_id)
);
CREATE INDEX channel_membership_channel_id_idx ON channel_membership (channel_id);
CREATE INDEX channel_membership_added_by_idx ON channel_membership (added_by) WHERE added_by IS NOT NULL;

CREATE TABLE channel_notification_override (
    id         uuid           PRIMARY KEY,
    user_id    uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    channel_id uuid           NOT NULL REFERENCES channel ON DELETE CASCADE,
    level      text           NOT NULL CHECK (level IN ('all', 'mentions', 'none')),
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    updated_at timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (user_id, channel_id)
);
CREATE INDEX channel_notification_override_channel_id_idx ON channel_notification_override (channel_id);

-- community_id null: a role of the instance. Names are unique among the roles of one
-- community and among those of the instance (two indexes, because NULLS NOT DISTINCT
-- needs Postgres 15).
CREATE TABLE role (
    id           uuid           PRIMARY KEY,
    name         text           NOT NULL,
    community_id uuid           REFERENCES community ON DELETE CASCADE,
    is_default   boolean        NOT NULL DEFAULT false,
    actions      text[]         NOT NULL DEFAULT '{}',
    created_at   timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (id, community_id),
    CONSTRAINT role_actions_check CHECK (actions <@ ARRAY[
        'DELETE_MESSAGE', 'DELETE_CHANNEL', 'DELETE_COMMUNITY', 'DELETE_INVITE', 'DELETE_USER', 'DELETE_ROLE',
        'DELETE_ALIAS_GROUP', 'DELETE_ALIAS_GROUP_MEMBER', 'DELETE_INSTANCE_INVITE', 'DELETE_MEMBER', 'DELETE_REACTION',
        'CREATE_MESSAGE', 'CREATE_CHANNEL', 'CREATE_COMMUNITY', 'CREATE_INVITE', 'CREATE_ROLE', 'CREATE_ALIAS_GROUP',
        'CREATE_ALIAS_GROUP_MEMBER', 'CREATE_INSTANCE_INVITE', 'CREATE_MEMBER', 'CREATE_REACTION', 'JOIN_CHANNEL',
        'READ_MESSAGE', 'READ_CHANNEL', 'READ_COMMUNITY', 'READ_ALL_COMMUNITIES', 'READ_USER', 'READ_ROLE',
        'READ_ALIAS_GROUP', 'READ_ALIAS_GROUP_MEMBER', 'READ_INSTANCE_INVITE', 'READ_MEMBER', 'UPDATE_COMMUNITY',
        'UPDATE_CHANNEL', 'UPDATE_USER', 'UPDATE_ROLE', 'UPDATE_ALIAS_GROUP', 'UPDATE_ALIAS_GROUP_MEMBER',
        'UPDATE_INSTANCE_INVITE', 'UPDATE_MEMBER', 'CAPTURE_REPLAY', 'READ_INSTANCE_SETTINGS', 'UPDATE_INSTANCE_SETTINGS',
        'READ_INSTANCE_STATS', 'MANAGE_USER_STORAGE', 'BAN_USER', 'KICK_USER', 'TIMEOUT_USER', 'UNBAN_USER',
        'PIN_MESSAGE', 'UNPIN_MESSAGE', 'DELETE_ANY_MESSAGE', 'VIEW_BAN_LIST', 'VIEW_MODERATION_LOGS', 'MUTE_PARTICIPANT'])
);
CREATE UNIQUE INDEX role_community_id_name_key ON role (community_id, name) WHERE community_id IS NOT NULL;
CREATE UNIQUE INDEX role_instance_name_key ON role (name) WHERE community_id IS NULL;

-- The second foreign key on role_id keeps a role of one community out of another one.
CREATE TABLE role_assignment (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES app_user ON DELETE CASCADE,
    community_id uuid REFERENCES community ON DELETE CASCADE,      -- null: instance role
    role_id      uuid NOT NULL REFERENCES role ON DELETE CASCADE,
    FOREIGN KEY (role_id, community_id) REFERENCES role (id, community_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX role_assignment_user_id_community_id_role_id_key ON role_assignment (user_id, community_id, role_id)
    WHERE community_id IS NOT NULL;
CREATE UNIQUE INDEX role_assignment_user_id_role_id_key ON role_assignment (user_id, role_id) WHERE community_id IS NULL;
CREATE INDEX role_assignment_user_id_idx ON role_assignment (user_id);
CREATE INDEX role_assignment_role_id_idx ON role_assignment (role_id);
CREATE INDEX role_assignment_community_id_idx ON role_assignment (community_id) WHERE community_id IS NOT NULL;

CREATE TABLE alias_group (
    id           uuid           PRIMARY KEY,
    name         text           NOT NULL,
    community_id uuid           NOT NULL REFERENCES community ON DELETE CASCADE,
    created_at   timestamptz(3) NOT NULL DEFAULT now(),
    UNIQUE (community_id, name)
);

CREATE TABLE alias_group_member (
    id             uuid PRIMARY KEY,
    alias_group_id uuid NOT NULL REFERENCES alias_group ON DELETE CASCADE,
    user_id        uuid NOT NULL REFERENCES app_user ON DELETE CASCADE,
    UNIQUE (alias_group_id, user_id)
);
CREATE INDEX alias_group_member_user_id_idx ON alias_group_member (user_id);
