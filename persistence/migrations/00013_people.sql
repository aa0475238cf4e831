-- Finding users by parts of their names, page by page, and what the administration lists.

-- +goose Up
CREATE INDEX app_user_created_at_idx ON app_user (created_at, id);
CREATE INDEX app_user_username_prefix_idx ON app_user (username text_pattern_ops);
CREATE INDEX app_user_display_name_prefix_idx ON app_user (lower(display_name) text_pattern_ops);
CREATE INDEX app_user_banned_idx ON app_user (created_at, id) WHERE banned;

-- How full a user's quota is, for the list of the fullest.
CREATE INDEX app_user_storage_idx ON app_user
    ((CASE WHEN storage_quota_bytes = 0 THEN 0 ELSE storage_used_bytes::float8 / storage_quota_bytes END), id);

-- An invite that a thousand people used shows the last of them.
CREATE INDEX instance_invite_usage_invite_id_used_at_idx ON instance_invite_usage (invite_id, used_at, id);

-- pg_trgm is part of every Postgres distribution but may be missing or forbidden. Without it
-- users are found by the beginnings of their names, and by parts among the first of them.
-- +goose StatementBegin
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX app_user_name_trgm_idx ON app_user
        USING gin (lower(username || E'\n' || coalesce(display_name, '')) gin_trgm_ops);
    CREATE INDEX app_user_email_trgm_idx ON app_user USING gin (lower(email) gin_trgm_ops);
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'pg_trgm is not available (%): users are found by the beginnings of their names', SQLERRM;
END
$$;
-- +goose StatementEnd
