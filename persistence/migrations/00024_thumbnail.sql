-- Pictures of videos: which are still to be made.

-- +goose Up

-- How often one was begun. Who has none and was not tried too often is found by the index, which
-- holds next to nothing; the bound is that of the statement that looks.
ALTER TABLE file ADD COLUMN thumbnail_tries smallint NOT NULL DEFAULT 0;
CREATE INDEX file_thumbnail_missing_idx ON file (id)
    WHERE file_type = 'VIDEO' AND thumbnail_path IS NULL AND deleted_at IS NULL AND thumbnail_tries < 5;
