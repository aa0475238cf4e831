-- The index of what messages say. It is made behind the messages, by batches (search_index.go);
-- package fulltext knows what is in it. A context is a channel or a direct message group.

-- +goose Up

-- Up to which seq messages of a context are in the index. What is newer is looked at as it is.
CREATE TABLE search_state (
    context_id  uuid   PRIMARY KEY,
    indexed_seq bigint NOT NULL DEFAULT 0
);

-- Messages of one context that were indexed together: at most 4096 seqs, none in two segments.
CREATE TABLE search_segment (
    context_id uuid           NOT NULL,
    first_seq  bigint         NOT NULL,
    last_seq   bigint         NOT NULL CHECK (last_seq >= first_seq),
    oldest_at  timestamptz(3) NOT NULL,
    newest_at  timestamptz(3) NOT NULL,
    shards     integer        NOT NULL,
    PRIMARY KEY (context_id, first_seq)
);

-- The terms of a segment. Rows are of the size that needs no other place, and packed.
CREATE TABLE search_shard (
    context_id uuid    NOT NULL,
    first_seq  bigint  NOT NULL,
    shard      integer NOT NULL,
    data       bytea   NOT NULL,
    PRIMARY KEY (context_id, first_seq, shard)
);
ALTER TABLE search_shard ALTER COLUMN data SET STORAGE EXTERNAL;

-- Messages that say something else, or have other files, than when they were indexed. They are
-- looked at as they are, until their segment is made again.
CREATE TABLE search_changed (
    context_id uuid           NOT NULL,
    seq        bigint         NOT NULL,
    at         timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (context_id, seq)
);

-- Triggers, so that no statement can forget it. A new message fires none.
-- +goose StatementBegin
CREATE FUNCTION search_message_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_changed (context_id, seq) VALUES (coalesce(NEW.channel_id, NEW.direct_message_group_id), NEW.seq)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION search_files_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_changed (context_id, seq)
    SELECT coalesce(m.channel_id, m.direct_message_group_id), m.seq FROM message m WHERE m.id = NEW.message_id
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER message_search_changed AFTER UPDATE OF search_text ON message
    FOR EACH ROW WHEN (OLD.search_text IS DISTINCT FROM NEW.search_text) EXECUTE FUNCTION search_message_changed();
CREATE TRIGGER message_search_changed AFTER INSERT ON message_attachment FOR EACH ROW EXECUTE FUNCTION search_files_changed();

