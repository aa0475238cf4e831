package persistence_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

func TestRolesOfUser(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ada := addUser(t, db, "ada")
	nest := newCommunity("Nest", ada, protocol.InstantOf(time.Now()))
	if err := db.CreateCommunity(t.Context(), own(t, db, "community", nest.Community.ID.String()), nest); err != nil {
		t.Fatal(err)
	}
	eve := addUser(t, db, "eve") // with a role, but no member
	run(t, db, `INSERT INTO role_assignment (id, user_id, community_id, role_id) VALUES (gen_random_uuid(), $1, $2, $3)`, eve, nest.Community.ID, nest.Admin)
	for user, want := range map[protocol.UserID]int{ada: 1, eve: 0} {
		inside, err := db.RolesInCommunity(t.Context(), user, nest.Community.ID)
		if err != nil || len(inside) != want {
			t.Errorf("in community: %+v, %v", inside, err)
		}
		inChannel, err := db.RolesInChannel(t.Context(), user, nest.Channels[0].ID)
		if err != nil || len(inChannel) != want {
			t.Errorf("in channel: %+v, %v", inChannel, err)
		}
	}
	holders, err := db.RoleHolders(t.Context(), nest.Admin, protocol.UserID{}, 10)
	if err != nil || len(holders) != 1 || holders[0].UserID != ada || holders[0].Username != "ada" || holders[0].DisplayName != nil {
		t.Errorf("holders = %+v, %v", holders, err)
	}
}

func TestRoleHoldersInWindows(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	role := protocol.RoleID(protocol.NewID[tag]())
	run(t, db, `INSERT INTO role (id, name) VALUES ($1, 'many')`, role)
	var want []protocol.UserID
	for i := range 25 {
		want = append(want, addUser(t, db, fmt.Sprint("user", i)))
	}
	run(t, db, `INSERT INTO role_assignment (id, user_id, role_id) SELECT gen_random_uuid(), id, $1 FROM app_user`, role)
	slices.SortFunc(want, func(a, b protocol.UserID) int { return bytes.Compare(a[:], b[:]) })
	var got []protocol.UserID
	for after := (protocol.UserID{}); ; {
		window, err := db.RoleHolders(t.Context(), role, after, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range window {
			got = append(got, h.UserID)
		}
		if len(window) < 10 {
			break
		}
		after = window[len(window)-1].UserID
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d users, want %d in the order of ids", len(got), len(want))
	}
}
