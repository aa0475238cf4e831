package persistence_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// tag marks the ids that these tests make.
type tag struct{}

func addUser(t *testing.T, db *persistence.DB, name string) protocol.UserID {
	t.Helper()
	id := protocol.UserID(protocol.NewID[tag]())
	run(t, db, `INSERT INTO app_user (id, username, password_hash) VALUES ($1, $2, 'x')`, id, name)
	return id
}

func run(t *testing.T, db *persistence.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool().Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func own(t *testing.T, db *persistence.DB, kind, id string) persistence.Owner {
	t.Helper()
	epoch, err := db.TakeLease(t.Context(), kind, id, "n1")
	if err != nil {
		t.Fatal(err)
	}
	return persistence.Owner{Kind: kind, ID: id, Epoch: epoch}
}

func newCommunity(name string, founder protocol.UserID, at protocol.Instant) persistence.NewCommunity {
	id := protocol.CommunityID(protocol.NewID[tag]())
	role := protocol.Role{ID: protocol.RoleID(protocol.NewID[tag]()), Name: "Community Admin", Actions: []string{"READ_CHANNEL"}, CreatedAt: at, IsDefault: true}
	return persistence.NewCommunity{
		Community: protocol.Community{ID: id, Name: name, CreatedAt: at}, Founder: founder,
		Channels: []protocol.Channel{{ID: protocol.ChannelID(protocol.NewID[tag]()), Name: "general", CommunityID: id, CreatedAt: at, Type: "TEXT"}},
		Roles:    []protocol.Role{role}, Admin: role.ID,
	}
}

func TestCommunity(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	at := protocol.InstantOf(time.Now())
	ada := addUser(t, db, "ada")
	nest, barn := newCommunity("Nest", ada, at), newCommunity("Barn", ada, at+1)
	for _, n := range []persistence.NewCommunity{nest, barn} {
		if err := db.CreateCommunity(t.Context(), own(t, db, "community", n.Community.ID.String()), n); err != nil {
			t.Fatal(err)
		}
	}
	list, err := db.CommunitiesOf(t.Context(), ada)
	if err != nil || len(list) != 2 || list[0] != nest.Community || list[1] != barn.Community {
		t.Errorf("communities = %+v, %v", list, err)
	}
	if c, err := db.CommunityOfChannel(t.Context(), nest.Channels[0].ID); err != nil || c != nest.Community.ID {
		t.Errorf("community of channel = %v, %v", c, err)
	}
	if _, err := db.CommunityOfChannel(t.Context(), protocol.ChannelID(ada)); !errors.Is(err, protocol.NotFound("")) {
		t.Errorf("unknown channel: %v", err)
	}
	rows, err := db.Community(t.Context(), protocol.CommunityID(ada), at)
	if err != nil || rows.Community != nil {
		t.Errorf("unknown community = %+v, %v", rows, err)
	}

	t.Run("members", func(t *testing.T) {
		run(t, db, `INSERT INTO membership (id, user_id, community_id, joined_at) VALUES ($1, $2, $3, $4)`,
			protocol.NewID[tag](), addUser(t, db, "early"), nest.Community.ID, at-1000)
		list, err := db.Members(t.Context(), nest.Community.ID, protocol.MemberPlace{}, 1)
		if err != nil || len(list) != 1 || list[0].User.Username != "early" {
			t.Errorf("members = %+v, %v", list, err)
		}
		rows, err := db.Community(t.Context(), nest.Community.ID, at)
		if err != nil || len(rows.Members) != 2 {
			t.Errorf("groups of members = %+v, %v", rows.Members, err)
		}
		for _, g := range rows.Members {
			if len(g.Users) != 1 || (g.Users[0] == ada) != (len(g.Roles) == 1 && g.Roles[0] == nest.Admin) {
				t.Errorf("group = %+v", g)
			}
		}
	})
	t.Run("unknown founder", func(t *testing.T) {
		n := newCommunity("Void", protocol.UserID(protocol.NewID[tag]()), at)
		err := db.CreateCommunity(t.Context(), own(t, db, "community", n.Community.ID.String()), n)
		if !errors.Is(err, protocol.NotFound("")) {
			t.Errorf("error = %v", err)
		}
	})
}

// Nobody writes for an actor whose lease he lost.
func TestStructuralWritesAreFenced(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	stale := own(t, db, "community", "a")
	own(t, db, "community", "a")
	at := protocol.InstantOf(time.Now())
	ada := addUser(t, db, "ada")
	n := newCommunity("Nest", ada, at)
	ctx := t.Context()
	for name, err := range map[string]error{
		"create community": db.CreateCommunity(ctx, stale, n),
		"create channel":   db.CreateChannel(ctx, stale, n.Channels[0], ada),
		"add member":       db.AddMember(ctx, stale, persistence.NewMember{}),
		"update channel":   last(db.UpdateChannel(ctx, stale, n.Channels[0], n.Channels[0], ada, at)),
		"move channels":    db.MoveChannels(ctx, stale, n.Channels),
		"delete channel":   db.DeleteChannel(ctx, stale, n.Community.ID, n.Channels[0].ID, at),
		"update community": db.UpdateCommunity(ctx, stale, n.Community, n.Community, ada, at),
		"delete community": last(db.DeleteCommunity(ctx, stale, n.Community, at)),
		"remove member":    last(db.RemoveMember(ctx, stale, n.Community.ID, ada, nil)),
		"let in":           db.AddChannelMember(ctx, stale, protocol.ChannelMembership{UserID: ada}),
		"show out":         db.RemoveChannelMember(ctx, stale, n.Channels[0].ID, ada),
		"create role":      db.CreateRole(ctx, stale, n.Community.ID, protocol.Role{}),
		"update roles":     db.UpdateRoles(ctx, stale, n.Community.ID, nil, nil),
		"delete role":      db.DeleteRole(ctx, stale, protocol.RoleID{}),
		"assign role":      db.AssignRole(ctx, stale, n.Community.ID, ada, protocol.RoleID{}),
		"unassign role":    db.UnassignRole(ctx, stale, n.Community.ID, ada, protocol.RoleID{}),
		"instance role":    db.CreateInstanceRole(ctx, stale, protocol.Role{}),
		"no instance role": db.DeleteInstanceRole(ctx, stale, protocol.RoleID{}, nil),
		"create invite":    db.CreateInvite(ctx, stale, protocol.Invite{}, true),
		"set-up token":     db.PutSetupToken(ctx, stale, "x", at),
		"set up":           db.SetUpInstance(ctx, stale, persistence.NewInstance{}),
		"register":         last(db.RegisterUser(ctx, stale, persistence.NewUser{})),
		"ban":              last(db.SetAccountBan(ctx, stale, persistence.AccountBan{User: ada})),
		"instance":         last(db.Instance(ctx, stale, nil)),
	} {
		if !errors.Is(err, persistence.ErrFenced) {
			t.Errorf("%s: %v, want ErrFenced", name, err)
		}
	}
}

func last[A any](_ A, err error) error { return err }

func TestSawUser(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ada := addUser(t, db, "ada")
	at := protocol.InstantOf(time.Now())
	for _, moment := range []protocol.Instant{at, at + 5, at + 2} {
		db.SawUser(ada, moment)
		if moment == at {
			db.FlushSeen()
		}
	}
	db.SawUser(protocol.UserID(protocol.NewID[tag]()), at)
	db.FlushSeen()
	u, err := db.PublicUser(t.Context(), ada)
	if err != nil || u.LastSeen == nil || *u.LastSeen != at+5 {
		t.Errorf("user = %+v, %v", u, err)
	}
	if _, err := db.PublicUser(t.Context(), protocol.UserID(protocol.NewID[tag]())); !errors.Is(err, protocol.NotFound("")) {
		t.Errorf("unknown user: %v", err)
	}
}
