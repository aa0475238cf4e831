package main

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// TestKilledBetweenCommitAndNotification kills the node that makes the
// notification of a message which is stored and answered: a lock on the table
// holds it up for as long as it takes. The node comes back, or another is there:
// who was named is told once, and counts once.
func TestKilledBetweenCommitAndNotification(t *testing.T) {
	for _, c := range []struct {
		name  string
		after func(t *testing.T, database string, n *node) *node // who is there when it is dead
	}{
		{"comes back", func(_ *testing.T, _ string, n *node) *node {
			n.crash()
			n.start()
			return n
		}},
		{"another is there", func(t *testing.T, database string, n *node) *node {
			other := joinCluster(t, database, []*node{n})
			awaitMembers(t, n, 2)
			n.crash()
			awaitMembers(t, other, 1)
			return other
		}},
	} {
		t.Run(c.name, func(t *testing.T) { killedBeforeNotification(t, c.after) })
	}
}

func killedBeforeNotification(t *testing.T, after func(t *testing.T, database string, n *node) *node) {
	t.Helper()
	ctx := within(t)
	database := pgtest.URL(t)
	first := joinCluster(t, database, nil)
	setup, err := first.api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id, token, err := first.api().Register(ctx, "bob", setup.Invite)
	if err != nil {
		t.Fatal(err)
	}
	db, err := pgxpool.New(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	nobodyWorks := func() bool {
		var open int
		err := db.QueryRow(ctx, `SELECT count(*) FROM notice`).Scan(&open)
		return err == nil && open == 0
	}
	await(t, "nothing is left to notify of", nobodyWorks)
	before := (&ear{t: t, name: "bob", api: first.api().As(token)}).unread()[setup.General]

	held, err := db.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback(context.Background()) // it is over by then, unless the test failed
	if _, err := held.Exec(ctx, `LOCK TABLE notification IN EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	owner := first.api().As(setup.Token)
	var m load.Message
	name := func(text string) map[string]any {
		return mentioning(setup.General, text, map[string]any{"type": "USER_MENTION", "text": "@bob", "userId": id})
	}
	if err := owner.Call(ctx, "POST", "/api/messages", name("are you there"), &m); err != nil {
		t.Fatal(err)
	}
	await(t, "the node is about to notify", func() bool {
		var waiting int
		err := db.QueryRow(ctx, `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'notification'::regclass
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&waiting)
		return err == nil && waiting == 1
	})
	survivor := after(t, database, first)
	bob := hear(t, "bob", id, token, survivor)
	var made, left int
	if err := held.QueryRow(ctx, `SELECT (SELECT count(*) FROM notification), (SELECT count(*) FROM notice)`).Scan(&made, &left); err != nil || made != 0 || left != 1 {
		t.Errorf("%d notifications and %d notices, %v", made, left, err)
	}
	if err := held.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	n := bob.told("are you there")
	if n.Type != "USER_MENTION" || n.MessageID != m.ID || n.ChannelID != setup.General || n.AuthorID != setup.UserID {
		t.Errorf("event = %+v", n)
	}
	// The last word: what would come twice has come by then.
	if err := survivor.api().As(setup.Token).Call(ctx, "POST", "/api/messages", name("last word"), nil); err != nil {
		t.Fatal(err)
	}
	last := bob.told("last word")
	await(t, "nothing is left to notify of", nobodyWorks)
	bob.never("newNotification", "are you there")
	var page struct {
		Notifications []struct{ ID, MessageID string }
		UnreadCount   int
	}
	bob.call("GET", "/api/notifications?limit=100", nil, &page)
	if len(page.Notifications) != 2 || page.UnreadCount != 2 || page.Notifications[0].ID != last.NotificationID || page.Notifications[1].ID != n.NotificationID {
		t.Errorf("notifications = %+v", page)
	}
	if u := bob.unread()[setup.General]; u.UnreadCount != before.UnreadCount+2 || u.MentionCount != before.MentionCount+2 {
		t.Errorf("unread = %+v, before %+v", u, before)
	}
	for _, line := range survivor.problems() {
		t.Errorf("%s logged %s", survivor.addr, line)
	}
}
