package persistence_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

func TestMembersInWindows(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ctx := t.Context()
	at := protocol.InstantOf(time.Now())
	ada := addUser(t, db, "ada")
	nest := newCommunity("Nest", ada, at)
	id := nest.Community.ID
	if err := db.CreateCommunity(ctx, own(t, db, "community", id.String()), nest); err != nil {
		t.Fatal(err)
	}
	for i := range 9 { // most of them joined in the same moment
		run(t, db, `INSERT INTO membership (id, user_id, community_id, joined_at) VALUES ($1, $2, $3, $4)`,
			protocol.NewRandomID[tag](), addUser(t, db, fmt.Sprintf("user%d", i)), id, at+protocol.Instant(i/4))
	}
	all, err := db.Members(ctx, id, protocol.MemberPlace{}, 100)
	if err != nil || len(all) != 10 {
		t.Fatalf("%d members, %v", len(all), err)
	}
	var seen []protocol.AnyID
	place := protocol.MemberPlace{}
	for {
		window, err := db.Members(ctx, id, place, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(window) == 0 {
			break
		}
		for _, m := range window {
			seen = append(seen, m.ID)
		}
		end := window[len(window)-1]
		place = protocol.ParseMemberPlace(end.JoinedAt.String() + "," + end.ID.String())
		run(t, db, `DELETE FROM membership WHERE id = $1`, end.ID) // the place stays
	}
	for i, m := range all {
		if i >= len(seen) || seen[i] != m.ID {
			t.Fatalf("windows show %v, want %d members in order", seen, len(all))
		}
	}
}

func TestSearchMembers(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ctx := t.Context()
	at := protocol.InstantOf(time.Now())
	ada := addUser(t, db, "ada")
	nest := newCommunity("Nest", ada, at)
	id := nest.Community.ID
	if err := db.CreateCommunity(ctx, own(t, db, "community", id.String()), nest); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"zed", "bo_b", "bob", "eve"} {
		u := addUser(t, db, name)
		run(t, db, `UPDATE app_user SET display_name = $2 WHERE id = $1`, u, "The Great "+name)
		run(t, db, `INSERT INTO membership (id, user_id, community_id) VALUES ($1, $2, $3)`, protocol.NewRandomID[tag](), u, id)
	}
	addUser(t, db, "bobby") // elsewhere
	for text, want := range map[string][]string{
		"": {"ada", "bo_b", "bob"}, "B": {"bo_b", "bob"}, "great Z": {"zed"}, "o_": {"bo_b"}, "%": nil, "nobody": nil,
	} {
		list, err := db.SearchMembers(ctx, id, text, 3)
		var names []string
		for _, m := range list {
			names = append(names, m.User.Username)
		}
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%q finds %v, want %v, %v", text, names, want, err)
		}
	}
	if _, err := db.Membership(ctx, id, ada); err != nil {
		t.Error(err)
	}
	if _, err := db.Membership(ctx, id, protocol.UserID(id)); !errors.Is(err, protocol.NotFound("")) {
		t.Errorf("a stranger: %v", err)
	}
	mine, err := db.MembershipsOf(ctx, ada)
	if err != nil || len(mine) != 1 || mine[0].Community.Name != "Nest" || mine[0].User != nil {
		t.Errorf("memberships = %+v, %v", mine, err)
	}
}

func TestCommunityPages(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ctx := t.Context()
	at := protocol.InstantOf(time.Now())
	ada := addUser(t, db, "ada")
	var names []string
	for i := range 7 {
		n := newCommunity(fmt.Sprintf("Nest %d", i), ada, at+protocol.Instant(i/2))
		owner := own(t, db, "community", n.Community.ID.String())
		if err := db.CreateCommunity(ctx, owner, n); err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			if _, err := db.DeleteCommunity(ctx, owner, n.Community, at); err != nil {
				t.Fatal(err)
			}
			continue
		}
		names = append(names, n.Community.Name)
	}
	var got []string
	var after protocol.CommunityID
	for {
		page, err := db.CommunityPage(ctx, "NEST", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			got = append(got, c.Name)
			if c.MemberCount != 1 || c.ChannelCount != 1 {
				t.Errorf("counts = %+v", c)
			}
		}
		after = page[len(page)-1].ID
	}
	slices.Reverse(got)
	slices.Sort(got[:2]) // of the same moment
	if !slices.Equal(got, names) {
		slices.Sort(got)
		if !slices.Equal(got, names) {
			t.Errorf("pages show %v, want %v", got, names)
		}
	}
	if page, err := db.CommunityPage(ctx, "4", protocol.CommunityID{}, 10); err != nil || len(page) != 1 {
		t.Errorf("search = %+v, %v", page, err)
	}
	if page, err := db.CommunityPage(ctx, "", protocol.CommunityID(ada), 10); err != nil || len(page) != 0 {
		t.Errorf("an unknown token shows %+v, %v", page, err)
	}
	if list, err := db.Communities(ctx, 100); err != nil || len(list) != 6 {
		t.Errorf("all = %d, %v", len(list), err)
	}
}
