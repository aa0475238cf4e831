package persistence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// What users are found by. It is the expression of an index (00013_people.sql).
const userName = `lower(u.username || E'\n' || coalesce(u.display_name, ''))`

// Of users that fit, this many are looked at: whoever types a single letter, or
// looks for the few who are not members yet, does not make the server read all.
const searchWindow = `10000`

// Members of the community $3 are left out, unless the caller $4 is an outsider
// there: whoever is not in it does not learn who is. $5: he owns the instance.
const notMembers = ` WHERE NOT EXISTS (SELECT FROM membership m WHERE m.community_id = $3 AND m.user_id = u.id
	AND ($5 OR EXISTS (SELECT FROM membership own WHERE own.community_id = $3 AND own.user_id = $4)))
	ORDER BY u.username LIMIT $2`

var (
	selectUserByName = query(`SELECT ` + publicUserColumns + ` FROM app_user u WHERE u.username = $1`)

	selectUsers = query(`SELECT ` + publicUserColumns + ` FROM app_user u ORDER BY u.username LIMIT $1`)

	selectUsersAfter = query(`
		SELECT ` + publicUserColumns + ` FROM app_user u
		WHERE u.username > (SELECT username FROM app_user WHERE id = $2) ORDER BY u.username LIMIT $1`)

	searchUsers = query(`
		SELECT ` + publicUserColumns + ` FROM (
			SELECT ` + publicUserColumns + ` FROM app_user u WHERE ` + userName + ` LIKE '%' || lower($1) || '%'
			ORDER BY u.username LIMIT ` + searchWindow + `
		) AS u` + notMembers)

	// For what the index can't find: any part among the first users, and those
	// whose name begins with it. On instances that are not large it is the same.
	searchUsersPlainly = query(`
		WITH hit AS (
			(SELECT u.id FROM (SELECT id, username, display_name FROM app_user ORDER BY username LIMIT ` + searchWindow + `) AS u
				WHERE ` + userName + ` LIKE '%' || lower($1) || '%')
			UNION (SELECT id FROM app_user WHERE username LIKE lower($1) || '%' ORDER BY username LIMIT ` + searchWindow + `)
			UNION (SELECT id FROM app_user WHERE lower(display_name) LIKE lower($1) || '%' ORDER BY username LIMIT ` + searchWindow + `)
		)
		SELECT ` + publicUserColumns + ` FROM hit JOIN app_user u ON u.id = hit.id` + notMembers)

	selectTrigrams = query(`SELECT to_regclass('app_user_name_trgm_idx') IS NOT NULL`)
)

// UserByName finds a user by his exact name; an unknown one is a NotFound.
func (db *DB) UserByName(ctx context.Context, name string) (protocol.PublicUser, error) {
	var u protocol.PublicUser
	err := db.pool.QueryRow(ctx, selectUserByName, name).Scan(publicUserFields(&u)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return u, protocol.NotFound("User not found")
	}
	if err != nil {
		return u, oneLine(fmt.Errorf("read user by name: %w", err))
	}
	return u, nil
}

// Users lists a page of all users by name: those after a user, from the
// beginning when that is zero. After a user that is not there comes nobody.
func (db *DB) Users(ctx context.Context, after protocol.UserID, limit int) (protocol.UserPage, error) {
	sql, args := selectUsers, []any{limit + 1}
	if !after.IsZero() {
		sql, args = selectUsersAfter, append(args, after)
	}
	list, err := collect(ctx, db, scanPublicUser, sql, args...)
	if err != nil {
		return protocol.UserPage{}, oneLine(fmt.Errorf("list users: %w", err))
	}
	p := protocol.UserPage{Users: list}
	if len(list) > limit {
		p.Users = list[:limit]
		p.ContinuationToken = &p.Users[limit-1].ID
	}
	return p, nil
}

// UserSearch says who is looked for.
type UserSearch struct {
	Part      string
	Limit     int
	Community protocol.CommunityID // whose members are left out; zero: nobody is
	Caller    protocol.UserID
	Owner     bool // the caller is an owner of the instance
}

// SearchUsers finds users by a part of name or display name, in any case, by
// name. The cost is bounded however many users there are.
func (db *DB) SearchUsers(ctx context.Context, s UserSearch) ([]protocol.PublicUser, error) {
	part := likePattern(s.Part)
	sql := searchUsersPlainly
	if hasTrigram(part) {
		indexed, err := db.hasTrigrams(ctx)
		if err != nil {
			return nil, oneLine(fmt.Errorf("search users: %w", err))
		}
		if indexed {
			sql = searchUsers
		}
	}
	// Planned anew each time: the best plan depends on how rare the part is.
	list, err := collect(ctx, db, scanPublicUser, sql, pgx.QueryExecModeDescribeExec, part, s.Limit, s.Community, s.Caller, s.Owner)
	if err != nil {
		return nil, oneLine(fmt.Errorf("search users: %w", err))
	}
	return list, nil
}

// hasTrigrams reports whether the migration could make the index of trigrams.
func (db *DB) hasTrigrams(ctx context.Context) (bool, error) {
	if known := db.trigrams.Load(); known != nil {
		return *known, nil
	}
	var there bool
	if err := db.pool.QueryRow(ctx, selectTrigrams).Scan(&there); err != nil {
		return false, err
	}
	db.trigrams.Store(&there)
	return there, nil
}

var likeEscapes = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// likePattern takes away the meaning that LIKE gives to some characters.
func likePattern(text string) string { return likeEscapes.Replace(text) }

// hasTrigram reports whether an index of trigrams can find the text: they are
// made of three letters or digits in a row.
func hasTrigram(text string) bool {
	run := 0
	for _, c := range text {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			run = 0
		} else if run++; run == 3 {
			return true
		}
	}
	return false
}

// collect runs a query and reads all its rows.
func collect[T any](ctx context.Context, db *DB, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}
