-- Fencing: who may write for an actor.

-- +goose Up

-- The last activation that took (kind, id) has the highest epoch; rows of a lower one are
-- refused. id is text because not every actor is named by a UUID.
CREATE TABLE actor_lease (
    kind     text           NOT NULL,
    id       text           NOT NULL,
    epoch    bigint         NOT NULL CHECK (epoch > 0),
    node     text           NOT NULL,
    taken_at timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, id)
);

-- actor_lease_check locks the leases of the given owners until the end of the transaction
-- and raises RKF01 when any of them is not the current one, with the positions (from 1) of
-- those in DETAIL. The lock is shared: writers of different actors do not wait for each
-- other, but taking a lease over waits until what was written under the old one has been
-- committed, so the next activation loads all of it.
-- +goose StatementBegin
CREATE FUNCTION actor_lease_check(kinds text[], ids text[], epochs bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    held  bigint[];
    stale text;
BEGIN
    SELECT array_agg(n) INTO held FROM (
        SELECT w.n
        FROM unnest(kinds, ids, epochs) WITH ORDINALITY AS w (kind, id, epoch, n)
        JOIN actor_lease l ON l.kind = w.kind AND l.id = w.id AND l.epoch = w.epoch
        FOR SHARE OF l
    ) AS locked;
    IF coalesce(cardinality(held), 0) < cardinality(kinds) THEN
        SELECT string_agg(n::text, ',') INTO stale
        FROM generate_series(1, cardinality(kinds)) AS n
        WHERE n <> ALL (coalesce(held, '{}'));
        RAISE EXCEPTION 'stale actor lease' USING ERRCODE = 'RKF01', DETAIL = stale;
    END IF;
END
$$;
-- +goose StatementEnd
