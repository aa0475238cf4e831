-- Who has a role is read in windows, in the order of user ids.

-- +goose Up
CREATE INDEX role_assignment_role_id_user_id_idx ON role_assignment (role_id, user_id);
DROP INDEX role_assignment_role_id_idx;
