-- Direct message groups that nobody is a member of any more are deleted like channels: at
-- once for everybody, and piece by piece for the disk. A pair is free for a new group then.

-- +goose Up
ALTER TABLE direct_message_group ADD COLUMN deleted_at timestamptz(3);
CREATE INDEX direct_message_group_deleted_at_idx ON direct_message_group (deleted_at) WHERE deleted_at IS NOT NULL;
