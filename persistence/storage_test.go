package persistence_test

import (
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

func TestStorage(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := db.Pool().Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO instance_settings (id) VALUES (gen_random_uuid())`)
	for i, used := range []int{0, 24, 25, 74, 75, 90, 120} {
		exec(`INSERT INTO app_user (id, username, password_hash, storage_used_bytes, storage_quota_bytes) VALUES ($1, $2, 'x', $3, 100)`, uid(i), "u"+uid(i).String()[35:], used)
	}
	exec(`UPDATE app_user SET storage_quota_bytes = 0 WHERE id = $1`, uid(0))
	exec(`INSERT INTO file (id, filename, mime_type, file_type, size, checksum, resource_type, storage_path, uploaded_by)
		SELECT gen_random_uuid(), 'a', 'b', 'IMAGE', 5, 'c', CASE WHEN n < 3 THEN 'USER_AVATAR' ELSE 'MESSAGE_ATTACHMENT' END, 'p', $1 FROM generate_series(1, 7) AS n`, uid(6))

	list, err := db.FullestUsers(t.Context(), protocol.ListStorage{Skip: 1, Take: 2, MinPercentUsed: 25})
	if err != nil || list.Total != 5 || len(list.Users) != 2 || list.Users[0].UsedBytes != 90 || list.Users[1].PercentUsed != 75 {
		t.Errorf("list = %+v, %v", list, err)
	}
	if list, err = db.FullestUsers(t.Context(), protocol.ListStorage{Take: 9}); err != nil || list.Total != 7 || list.Users[0].FileCount != 7 || list.Users[6].PercentUsed != 0 {
		t.Errorf("list = %+v, %v", list, err)
	}
	s, err := db.InstanceStorage(t.Context())
	if err != nil || s.TotalStorageUsedBytes != 35 || s.TotalFileCount != 7 || s.TotalUserCount != 7 || s.AverageStoragePerUserBytes != 5 ||
		s.UserStorageDistribution != (protocol.StorageDistribution{
			Under25Percent: 2, Under50Percent: 1, Under75Percent: 1, Under90Percent: 1, Over90Percent: 2}) ||
		s.UsersApproachingQuota != 1 || s.UsersOverQuota != 2 || s.DefaultQuotaBytes != 53687091200 || s.MaxFileSizeBytes != 524288000 ||
		len(s.StorageByType) != 2 || s.StorageByType[1] != (protocol.TypeStorage{Type: "USER_AVATAR", Bytes: 10, Count: 2}) {
		t.Errorf("storage = %+v, %v", s, err)
	}
	if n, err := db.RecountStorage(t.Context()); err != nil || n != 6 {
		t.Errorf("%d users corrected, %v, want 6", n, err)
	}
	if u, err := db.UserStorage(t.Context(), uid(6)); err != nil || u.UsedBytes != 35 {
		t.Errorf("storage = %+v, %v", u, err)
	}
}

// Uploads and deletions go on while all is counted again, and in the end what
// is noted is what is stored.
func TestRecountBesideUploads(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	exec := func(tx pgx.Tx, sql string, args ...any) error {
		_, err := tx.Exec(t.Context(), sql, args...)
		return err
	}
	if err := db.InTx(t.Context(), func(tx pgx.Tx) error {
		return exec(tx, `INSERT INTO app_user (id, username, password_hash) SELECT gen_random_uuid(), 'u' || n, 'x' FROM generate_series(1, 1100) AS n`)
	}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				id, name := protocol.NewRandomID[int](), "u"+string(rune('1'+(worker+n)%9))
				err := db.InTx(t.Context(), func(tx pgx.Tx) error {
					return exec(tx, `INSERT INTO file (id, filename, mime_type, file_type, size, checksum, resource_type, storage_path, uploaded_by)
						SELECT $1, 'a', 'b', 'IMAGE', 5, 'c', 'USER_AVATAR', 'p', id FROM app_user WHERE username = $2`, id, name)
				})
				if err == nil && n%2 == 0 {
					err = db.InTx(t.Context(), func(tx pgx.Tx) error {
						return exec(tx, `UPDATE file SET deleted_at = now() WHERE id = $1`, id)
					})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 10 {
		if n, err := db.RecountStorage(t.Context()); err != nil || n != 0 {
			t.Errorf("%d users corrected although nothing was wrong, %v", n, err)
		}
	}
	close(done)
	all.Wait()
	var wrong int
	if err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM app_user u
		WHERE storage_used_bytes <> (SELECT coalesce(sum(size), 0) FROM file f WHERE f.uploaded_by = u.id AND f.deleted_at IS NULL)`).Scan(&wrong); err != nil || wrong != 0 {
		t.Errorf("%d users have a wrong sum, %v", wrong, err)
	}
}
