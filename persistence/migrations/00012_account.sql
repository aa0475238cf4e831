-- What belongs to an account besides its logins: how it is left, the link that resets its
-- password, the places it was entered from, the export of its data.

-- +goose Up

-- An account that is on its way out: banned from that moment on, and deleted as soon as its
-- messages have no author any more. A node that dies meanwhile leaves the rest to the next.
ALTER TABLE app_user ADD COLUMN leaving_at timestamptz(3);
CREATE INDEX app_user_leaving_at_idx ON app_user (leaving_at) WHERE leaving_at IS NOT NULL;

-- A link with which the password can be set once. by_owner: made by an owner, and so good
-- for accounts of owners too.
CREATE TABLE password_reset (
    token_hash bytea          PRIMARY KEY CHECK (octet_length(token_hash) = 32), -- SHA-256 of a random token
    user_id    uuid           NOT NULL UNIQUE REFERENCES app_user ON DELETE CASCADE,
    created_by uuid           REFERENCES app_user ON DELETE SET NULL,
    by_owner   boolean        NOT NULL,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    expires_at timestamptz(3) NOT NULL,
    used_at    timestamptz(3)
);
CREATE INDEX password_reset_created_by_idx ON password_reset (created_by) WHERE created_by IS NOT NULL;
CREATE INDEX password_reset_expires_at_idx ON password_reset (expires_at);

-- Networks from which an account was entered: guesses from elsewhere cannot lock it there.
CREATE TABLE login_place (
    user_id uuid           NOT NULL REFERENCES app_user ON DELETE CASCADE,
    network text           NOT NULL,
    used_at timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, network)
);

-- The one export of an account's data that is under way, until its time is over.
CREATE TABLE account_export (
    user_id uuid           PRIMARY KEY REFERENCES app_user ON DELETE CASCADE,
    run     uuid           NOT NULL,
    until   timestamptz(3) NOT NULL
);
