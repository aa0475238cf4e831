-- Uploads: where their bytes are, and what they take of a quota.

-- +goose Up
ALTER TABLE file DROP CONSTRAINT file_storage_type_check;
ALTER TABLE file ADD CONSTRAINT file_storage_type_check CHECK (storage_type IN ('LOCAL', 'S3', 'AZURE_BLOB', 'GCS'));

-- What lies in the storage is looked up here before it counts as left behind.
CREATE INDEX file_storage_path_idx ON file (storage_path);
CREATE INDEX file_thumbnail_path_idx ON file (thumbnail_path) WHERE thumbnail_path IS NOT NULL;

-- Every way in which a file comes or goes counts for its uploader, in the same transaction. Users
-- are locked in one order for all.
-- +goose StatementBegin
CREATE FUNCTION file_count() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    users uuid[];
    bytes bigint[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(c.id ORDER BY c.id), array_agg(c.bytes ORDER BY c.id) INTO users, bytes FROM (
            SELECT uploaded_by AS id, sum(size)::bigint AS bytes FROM added
            WHERE deleted_at IS NULL AND uploaded_by IS NOT NULL GROUP BY uploaded_by
        ) AS c WHERE c.bytes <> 0;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(c.id ORDER BY c.id), array_agg(c.bytes ORDER BY c.id) INTO users, bytes FROM (
            SELECT uploaded_by AS id, -sum(size)::bigint AS bytes FROM gone
            WHERE deleted_at IS NULL AND uploaded_by IS NOT NULL GROUP BY uploaded_by
        ) AS c WHERE c.bytes <> 0;
    ELSE
        SELECT array_agg(c.id ORDER BY c.id), array_agg(c.bytes ORDER BY c.id) INTO users, bytes FROM (
            SELECT e.id, sum(e.size)::bigint AS bytes FROM (
                SELECT uploaded_by AS id, size FROM added WHERE deleted_at IS NULL
                UNION ALL SELECT uploaded_by, -size FROM gone WHERE deleted_at IS NULL
            ) AS e WHERE e.id IS NOT NULL GROUP BY e.id
        ) AS c WHERE c.bytes <> 0;
    END IF;
    IF users IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM id FROM app_user WHERE id = ANY (users) ORDER BY id FOR NO KEY UPDATE;
    UPDATE app_user u SET storage_used_bytes = greatest(0, u.storage_used_bytes + c.bytes)
    FROM unnest(users, bytes) AS c (id, bytes) WHERE u.id = c.id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER file_added AFTER INSERT ON file REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION file_count();
CREATE TRIGGER file_changed AFTER UPDATE ON file REFERENCING OLD TABLE AS gone NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION file_count();
CREATE TRIGGER file_gone AFTER DELETE ON file REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION file_count();
