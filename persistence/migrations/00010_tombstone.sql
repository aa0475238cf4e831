-- Communities and channels are deleted in two steps: at once for everybody (deleted_at), and
-- later, piece by piece, for the disk. Every statement that reads them asks for the living.
-- Names are unique among those only.

-- +goose Up
-- rooms_version rises whenever what members may hear of a community changes for more than
-- one of them: a socket that connects meanwhile notices.
ALTER TABLE community
    ADD COLUMN deleted_at    timestamptz(3),
    ADD COLUMN rooms_version bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT community_name_key;
CREATE UNIQUE INDEX community_name_key ON community (name) WHERE deleted_at IS NULL;
CREATE INDEX community_created_at_idx ON community (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX community_deleted_at_idx ON community (deleted_at) WHERE deleted_at IS NOT NULL;

ALTER TABLE channel
    ADD COLUMN deleted_at timestamptz(3),
    DROP CONSTRAINT channel_community_id_name_key;
CREATE UNIQUE INDEX channel_community_id_name_key ON channel (community_id, name) WHERE deleted_at IS NULL;
CREATE INDEX channel_deleted_at_idx ON channel (deleted_at) WHERE deleted_at IS NOT NULL;
