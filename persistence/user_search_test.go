package persistence_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

func names(users []protocol.PublicUser) []string {
	list := []string{}
	for _, u := range users {
		list = append(list, u.Username)
	}
	return list
}

func uid(n int) protocol.UserID {
	var id protocol.UserID
	if err := id.UnmarshalText(fmt.Appendf(nil, "00000000-0000-4000-8000-%012d", n)); err != nil {
		panic(err)
	}
	return id
}

func TestSearchUsers(t *testing.T) {
	t.Parallel()
	for _, trigrams := range []bool{true, false} {
		t.Run(fmt.Sprint("trigrams ", trigrams), func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			exec := func(sql string, args ...any) {
				t.Helper()
				if _, err := db.Pool().Exec(t.Context(), sql, args...); err != nil {
					t.Fatal(err)
				}
			}
			if !trigrams {
				exec(`DROP INDEX IF EXISTS app_user_name_trgm_idx`)
			}
			for i, name := range []string{"ada", "bob_1", "bobx1", "canada", "dave", "eve"} {
				exec(`INSERT INTO app_user (id, username, display_name, password_hash) VALUES ($1, $2, $2, 'x')`, uid(i), name)
			}
			exec(`UPDATE app_user SET display_name = 'Grand Canyon 100%' WHERE username = 'dave'`)
			exec(`UPDATE app_user SET display_name = NULL WHERE username = 'eve'`)
			nest := protocol.CommunityID(uid(90))
			exec(`INSERT INTO community (id, name) VALUES ($1, 'nest')`, nest)
			exec(`INSERT INTO membership (id, user_id, community_id) SELECT gen_random_uuid(), id, $1 FROM app_user WHERE username IN ('ada', 'bob_1')`, nest)
			for _, row := range []struct {
				s    persistence.UserSearch
				want []string
			}{
				{persistence.UserSearch{Part: "ada", Limit: 9}, []string{"ada", "canada"}},
				{persistence.UserSearch{Part: "ADA", Limit: 9}, []string{"ada", "canada"}},
				{persistence.UserSearch{Part: "ada", Limit: 1}, []string{"ada"}},
				{persistence.UserSearch{Part: "a", Limit: 9}, []string{"ada", "canada", "dave"}},
				{persistence.UserSearch{Part: "canyon", Limit: 9}, []string{"dave"}},
				{persistence.UserSearch{Part: "b_1", Limit: 9}, []string{"bob_1"}},
				{persistence.UserSearch{Part: "0%", Limit: 9}, []string{"dave"}},
				{persistence.UserSearch{Part: "100%", Limit: 9}, []string{"dave"}},
				{persistence.UserSearch{Part: `\`, Limit: 9}, []string{}},
				{persistence.UserSearch{Part: "nobody", Limit: 9}, []string{}},
				{persistence.UserSearch{Part: "ada", Limit: 9, Community: nest, Caller: uid(1)}, []string{"canada"}},
				{persistence.UserSearch{Part: "ada", Limit: 9, Community: nest, Owner: true}, []string{"canada"}},
				{persistence.UserSearch{Part: "ada", Limit: 9, Community: nest, Caller: uid(5)}, []string{"ada", "canada"}},
				{persistence.UserSearch{Part: "b", Limit: 9, Community: nest, Caller: uid(0)}, []string{"bobx1"}},
			} {
				got, err := db.SearchUsers(t.Context(), row.s)
				if err != nil || !slices.Equal(names(got), row.want) {
					t.Errorf("%+v: %v, %v, want %v", row.s, names(got), err, row.want)
				}
			}
		})
	}
}

func TestListUsers(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for i := range 7 {
		if _, err := db.Pool().Exec(t.Context(), `INSERT INTO app_user (id, username, password_hash, email, created_at, banned, role)
			VALUES ($1, $2, 'x', $3, '2026-01-01'::timestamptz + $4 * interval '1 minute', $5, $6)`,
			uid(i), fmt.Sprint("user", i), fmt.Sprintf("U%d@Example.org", i), i/2, i%2 == 1, []string{"USER", "OWNER"}[i/6]); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	var after protocol.UserID
	for pages := 0; ; pages++ {
		p, err := db.Users(t.Context(), after, 3)
		if err != nil || pages > 3 {
			t.Fatal(err, got)
		}
		got = append(got, names(p.Users)...)
		if p.ContinuationToken == nil {
			break
		}
		after = *p.ContinuationToken
	}
	if want := []string{"user0", "user1", "user2", "user3", "user4", "user5", "user6"}; !slices.Equal(got, want) {
		t.Errorf("pages = %v", got)
	}
	if p, err := db.Users(t.Context(), uid(0), 6); err != nil || len(p.Users) != 6 || p.ContinuationToken != nil {
		t.Errorf("a page that is just full: %+v, %v", p, err)
	}
	if p, err := db.Users(t.Context(), uid(77), 6); err != nil || p.Users == nil || len(p.Users) != 0 {
		t.Errorf("after nobody: %+v, %v", p, err)
	}

	accounts := func(f persistence.AccountFilter, limit int) (list []string, next *protocol.UserID) {
		t.Helper()
		p, err := db.AdminUsers(t.Context(), f, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range p.Users {
			list = append(list, u.Username)
		}
		return list, p.ContinuationToken
	}
	list, next := accounts(persistence.AccountFilter{}, 4)
	if !slices.Equal(list, []string{"user6", "user5", "user4", "user3"}) || next == nil {
		t.Fatalf("accounts = %v, %v", list, next)
	}
	if list, next = accounts(persistence.AccountFilter{After: *next}, 4); !slices.Equal(list, []string{"user2", "user1", "user0"}) || next != nil {
		t.Errorf("accounts = %v, %v", list, next)
	}
	yes := true
	for want, f := range map[string]persistence.AccountFilter{
		"[user5 user3 user1]": {Banned: &yes}, "[user6]": {Role: protocol.RoleOwner}, "[user3]": {Part: "u3@EXAMPLE"}, "[user4]": {Part: "R4"},
		"[]": {After: uid(77)},
	} {
		if list, _ := accounts(f, 9); fmt.Sprint(list) != want {
			t.Errorf("%+v: %v, want %s", f, list, want)
		}
	}
}
