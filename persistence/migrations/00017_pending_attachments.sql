-- Messages whose uploads have not all arrived, oldest first: they are given up after a while.

-- +goose Up
CREATE INDEX message_pending_idx ON message (sent_at) WHERE pending_attachments > 0;
