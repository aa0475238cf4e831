-- Spans live in the row of their message: they are read and written with it and never by
-- themselves, and a row of their own cost more than the message. They are json and not
-- jsonb, because pages pass the text on as it is.
--
-- The text has one form, that of the contract without white space:
--
--   [{"id":"...","messageId":"...","position":0,"type":"PLAINTEXT","text":"...","userId":null,
--     "specialKind":null,"communityId":null,"aliasId":null}, ...]
--
-- communityId names a community or, of a COMMUNITY_MENTION, a channel, and may be stale. A
-- userId or aliasId names what exists: whatever a span names has a row in message_mention,
-- whose foreign keys let no unknown id in, and when it is deleted the id becomes null.

-- +goose Up
ALTER TABLE message ADD COLUMN spans json NOT NULL DEFAULT '[]';

-- Search gets an index of its own that knows more than English; message_channel_id_seq_key
-- is as good for pages as this one, which costs every message an entry.
ALTER TABLE message DROP COLUMN search_vector;
DROP INDEX message_channel_id_root_idx;
-- Only the foreign key uses it, and equal keys take next to no room.
DROP INDEX message_author_id_idx;

-- One row for each user, alias group or special kind (here, channel) that a message names.
CREATE TABLE message_mention (
    message_id   uuid NOT NULL REFERENCES message ON DELETE CASCADE,
    user_id      uuid REFERENCES app_user ON DELETE CASCADE,
    alias_id     uuid REFERENCES alias_group ON DELETE CASCADE,
    special_kind text,
    CONSTRAINT message_mention_what_check CHECK (num_nonnulls(user_id, alias_id, special_kind) = 1)
);

UPDATE message m SET spans = s.list
FROM (
    SELECT message_id, ('[' || string_agg(
        '{"id":"' || id || '","messageId":"' || message_id || '","position":' || position || ',"type":"' || type
        || '","text":' || coalesce(to_json(text)::text, 'null')
        || ',"userId":' || coalesce(to_json(user_id)::text, 'null')
        || ',"specialKind":' || coalesce(to_json(special_kind)::text, 'null')
        || ',"communityId":' || coalesce(to_json(community_id)::text, 'null')
        || ',"aliasId":' || coalesce(to_json(alias_id)::text, 'null') || '}', ',' ORDER BY position) || ']')::json AS list
    FROM message_span GROUP BY message_id
) AS s
WHERE m.id = s.message_id;

INSERT INTO message_mention (message_id, user_id, alias_id, special_kind)
SELECT message_id, user_id, NULL, NULL FROM message_span WHERE user_id IS NOT NULL
UNION SELECT message_id, NULL, alias_id, NULL FROM message_span WHERE alias_id IS NOT NULL
UNION SELECT message_id, NULL, NULL, special_kind FROM message_span WHERE special_kind IS NOT NULL;

DROP TABLE message_span;

CREATE INDEX message_author_id_idx ON message (author_id) WHERE author_id IS NOT NULL;
CREATE INDEX message_mention_message_id_idx ON message_mention (message_id);
CREATE INDEX message_mention_user_id_idx ON message_mention (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX message_mention_alias_id_idx ON message_mention (alias_id) WHERE alias_id IS NOT NULL;

-- Spans with the ids of users and alias groups that do not exist nulled: clients may name any.
-- +goose StatementBegin
CREATE FUNCTION message_spans_known(spans json) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT ('[' || string_agg(
        '{"id":' || (s -> 'id')::text || ',"messageId":' || (s -> 'messageId')::text || ',"position":' || (s -> 'position')::text
        || ',"type":' || (s -> 'type')::text || ',"text":' || (s -> 'text')::text
        || ',"userId":' || coalesce('"' || (SELECT u.id FROM app_user u WHERE u.id = (s ->> 'userId')::uuid) || '"', 'null')
        || ',"specialKind":' || (s -> 'specialKind')::text || ',"communityId":' || (s -> 'communityId')::text
        || ',"aliasId":' || coalesce('"' || (SELECT a.id FROM alias_group a WHERE a.id = (s ->> 'aliasId')::uuid) || '"', 'null')
        || '}', ',' ORDER BY n) || ']')::json
    FROM json_array_elements(spans) WITH ORDINALITY AS list (s, n)
$$;
-- +goose StatementEnd

-- Before and not after: the foreign keys of message_mention forget who was named. Whoever
-- stores a message that names the row holds a lock on it until then, so none is missed. Within
-- the text of a span every quote is escaped: there the pattern finds nothing.
-- +goose StatementBegin
CREATE FUNCTION message_span_forget_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE message m SET spans = replace(m.spans::text, '"userId":"' || OLD.id || '"', '"userId":null')::json
    WHERE m.id IN (SELECT named.message_id FROM message_mention named WHERE named.user_id = OLD.id);
    RETURN OLD;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION message_span_forget_alias() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE message m SET spans = replace(m.spans::text, '"aliasId":"' || OLD.id || '"', '"aliasId":null')::json
    WHERE m.id IN (SELECT named.message_id FROM message_mention named WHERE named.alias_id = OLD.id);
    RETURN OLD;
END $$;
-- +goose StatementEnd

CREATE TRIGGER message_span_forget BEFORE DELETE ON app_user FOR EACH ROW EXECUTE FUNCTION message_span_forget_user();
CREATE TRIGGER message_span_forget BEFORE DELETE ON alias_group FOR EACH ROW EXECUTE FUNCTION message_span_forget_alias();
