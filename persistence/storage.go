package persistence

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

const (
	// How full a user's quota is: the expression of an index (00013_people.sql).
	fullness = `CASE WHEN u.storage_quota_bytes = 0 THEN 0 ELSE u.storage_used_bytes::float8 / u.storage_quota_bytes END`

	userStorageColumns = `u.id, u.username, u.storage_used_bytes, u.storage_quota_bytes,
		(SELECT count(*) FROM file f WHERE f.uploaded_by = u.id AND f.deleted_at IS NULL)`
)

var (
	selectUserStorage = query(`SELECT ` + userStorageColumns + ` FROM app_user u WHERE u.id = $1`)

	selectFullestUsers = query(`
		SELECT ` + userStorageColumns + ` FROM (
			SELECT u.* FROM app_user u WHERE ` + fullness + ` >= $3::float8 / 100
			ORDER BY ` + fullness + ` DESC, u.id DESC OFFSET $1 LIMIT $2
		) AS u ORDER BY ` + fullness + ` DESC, u.id DESC`)

	countFullestUsers = query(`SELECT count(*) FROM app_user u WHERE ` + fullness + ` >= $1::float8 / 100`)

	selectDistribution = query(`
		SELECT count(*), count(*) FILTER (WHERE f < 0.25), count(*) FILTER (WHERE f >= 0.25 AND f < 0.5),
			count(*) FILTER (WHERE f >= 0.5 AND f < 0.75), count(*) FILTER (WHERE f >= 0.75 AND f < 0.9), count(*) FILTER (WHERE f >= 0.9)
		FROM (SELECT ` + fullness + ` AS f FROM app_user u) AS user_fullness`)

	selectStorageByType = query(`
		SELECT resource_type, coalesce(sum(size), 0)::bigint, count(*) FROM file WHERE deleted_at IS NULL
		GROUP BY resource_type ORDER BY resource_type`)

	// A database without a row of settings has those of the first one.
	selectStorageLimits = query(`
		SELECT coalesce(max(default_storage_quota_bytes), 53687091200), coalesce(max(max_file_size_bytes), 524288000) FROM instance_settings`)

	setUserQuota = query(`UPDATE app_user SET storage_quota_bytes = $2 WHERE id = $1`)

	// Whoever uploads or deletes a file changes its row and the user's in one
	// transaction. So who holds the lock on the user's row sees, in a statement
	// that starts after, every file whose bytes are counted there and no other.
	lockForRecount = query(`SELECT id FROM app_user WHERE id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid)
		ORDER BY id LIMIT $2 FOR NO KEY UPDATE`)

	lockUserForRecount = query(`SELECT id FROM app_user WHERE id = $1 FOR NO KEY UPDATE`)

	recountStorage = query(`
		UPDATE app_user u SET storage_used_bytes = stored.bytes FROM (
			SELECT w.id, coalesce(sum(f.size), 0)::bigint AS bytes
			FROM unnest($1::uuid[]) AS w (id) LEFT JOIN file f ON f.uploaded_by = w.id AND f.deleted_at IS NULL
			GROUP BY w.id
		) AS stored
		WHERE u.id = stored.id AND u.storage_used_bytes <> stored.bytes`)
)

// recountBatch is how many users wait at the same time while they are counted.
const recountBatch = 500

func scanUserStorage(row pgx.CollectableRow) (protocol.UserStorage, error) {
	var s protocol.UserStorage
	err := row.Scan(&s.UserID, &s.Username, &s.UsedBytes, &s.QuotaBytes, &s.FileCount)
	s.PercentUsed = percent(s.UsedBytes, s.QuotaBytes)
	return s, err
}

// percent has two decimals; of nothing it is 0.
func percent(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return math.Round(float64(part)/float64(whole)*10000) / 100
}

// UserStorage reads what a user stores; an unknown one is a NotFound.
func (db *DB) UserStorage(ctx context.Context, user protocol.UserID) (protocol.UserStorage, error) {
	s, err := userStorage(ctx, db.pool, user)
	return s, shown(err, "read storage of user")
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func userStorage(ctx context.Context, from querier, user protocol.UserID) (protocol.UserStorage, error) {
	rows, err := from.Query(ctx, selectUserStorage, user)
	if err != nil {
		return protocol.UserStorage{}, err
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanUserStorage)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, protocol.NotFound("User not found")
	}
	return s, err
}

// FullestUsers lists users by how full their quota is, and counts all of them
// that are as full as asked for.
func (db *DB) FullestUsers(ctx context.Context, q protocol.ListStorage) (protocol.UserStorageList, error) {
	var l protocol.UserStorageList
	b := &pgx.Batch{}
	queueList(b, &l.Users, scanUserStorage, selectFullestUsers, q.Skip, q.Take, q.MinPercentUsed)
	b.Queue(countFullestUsers, q.MinPercentUsed).QueryRow(func(row pgx.Row) error { return row.Scan(&l.Total) })
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return l, oneLine(fmt.Errorf("list storage of users: %w", err))
	}
	return l, nil
}

// InstanceStorage adds up what is stored; Server is left empty. It reads every
// user and file: ask rarely.
func (db *DB) InstanceStorage(ctx context.Context) (protocol.InstanceStorage, error) {
	var s protocol.InstanceStorage
	d := &s.UserStorageDistribution
	b := &pgx.Batch{}
	b.Queue(selectDistribution).QueryRow(func(row pgx.Row) error {
		return row.Scan(&s.TotalUserCount, &d.Under25Percent, &d.Under50Percent, &d.Under75Percent, &d.Under90Percent, &d.Over90Percent)
	})
	queueList(b, &s.StorageByType, pgx.RowToStructByPos[protocol.TypeStorage], selectStorageByType)
	b.Queue(selectStorageLimits).QueryRow(func(row pgx.Row) error { return row.Scan(&s.DefaultQuotaBytes, &s.MaxFileSizeBytes) })
	if err := db.pool.SendBatch(ctx, b).Close(); err != nil {
		return s, oneLine(fmt.Errorf("add up storage: %w", err))
	}
	for _, t := range s.StorageByType {
		s.TotalStorageUsedBytes += t.Bytes
		s.TotalFileCount += t.Count
	}
	if s.TotalUserCount > 0 {
		s.AverageStoragePerUserBytes = int64(math.Round(float64(s.TotalStorageUsedBytes) / float64(s.TotalUserCount)))
	}
	s.UsersApproachingQuota, s.UsersOverQuota = d.Under90Percent, d.Over90Percent
	return s, nil
}

// SetUserQuota sets what a user may store, in one fenced transaction.
func (db *DB) SetUserQuota(ctx context.Context, owner Owner, user protocol.UserID, bytes int64) (s protocol.UserStorage, err error) {
	err = db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, setUserQuota, user, bytes); err != nil {
			return err
		}
		s, err = userStorage(ctx, tx, user)
		return err
	})
	return s, shown(err, "set quota of user")
}

// RecountUserStorage adds up again what a user stores, in one fenced transaction.
func (db *DB) RecountUserStorage(ctx context.Context, owner Owner, user protocol.UserID) (s protocol.UserStorage, err error) {
	err = db.Fenced(ctx, owner, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockUserForRecount, user); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, recountStorage, []protocol.UserID{user}); err != nil {
			return err
		}
		s, err = userStorage(ctx, tx, user)
		return err
	})
	return s, shown(err, "recount storage of user")
}

// RecountStorage adds up again what every user stores and returns for how many
// that was something else than was noted. It goes in batches, of which each is
// one short transaction, and may run beside uploads and deletions.
func (db *DB) RecountStorage(ctx context.Context) (corrected int64, err error) {
	var after protocol.AnyID
	for {
		var ids []protocol.AnyID
		err := db.InTx(ctx, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, lockForRecount, after, recountBatch)
			if err != nil {
				return err
			}
			if ids, err = pgx.CollectRows(rows, pgx.RowTo[protocol.AnyID]); err != nil {
				return err
			}
			tag, err := tx.Exec(ctx, recountStorage, ids)
			corrected += tag.RowsAffected()
			return err
		})
		if err != nil {
			return corrected, oneLine(fmt.Errorf("recount storage: %w", err))
		}
		if len(ids) < recountBatch {
			return corrected, nil
		}
		after = ids[len(ids)-1]
	}
}
