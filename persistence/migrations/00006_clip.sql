-- The replay buffer: recordings that run, and clips that were cut out of them.

-- +goose Up
CREATE TABLE egress_session (
    id           uuid           PRIMARY KEY,
    egress_id    text           NOT NULL UNIQUE,
    user_id      uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    room_name    text           NOT NULL,
    channel_id   uuid           NOT NULL REFERENCES channel ON DELETE CASCADE,
    segment_path text           NOT NULL,
    status       text           NOT NULL CHECK (status IN ('active', 'stopped', 'failed')),
    error        text,
    started_at   timestamptz(3) NOT NULL,
    ended_at     timestamptz(3),
    created_at   timestamptz(3) NOT NULL DEFAULT now(),
    updated_at   timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX egress_session_status_created_at_idx ON egress_session (status, created_at);
CREATE INDEX egress_session_user_id_status_idx ON egress_session (user_id, status);
CREATE INDEX egress_session_channel_id_idx ON egress_session (channel_id);

CREATE TABLE replay_clip (
    id               uuid           PRIMARY KEY,
    user_id          uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    file_id          uuid           NOT NULL REFERENCES file ON DELETE CASCADE,
    channel_id       uuid           REFERENCES channel ON DELETE SET NULL,
    duration_seconds integer        NOT NULL,
    is_public        boolean        NOT NULL DEFAULT false,
    captured_at      timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX replay_clip_user_id_captured_at_idx ON replay_clip (user_id, captured_at);
CREATE INDEX replay_clip_file_id_idx ON replay_clip (file_id);
CREATE INDEX replay_clip_channel_id_idx ON replay_clip (channel_id) WHERE channel_id IS NOT NULL;
