package notice_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

type tag struct{}

func newID() protocol.AnyID { return protocol.AnyID(protocol.NewID[tag]()) }

// person is one combination of what counts for whether somebody is notified.
type person struct {
	id         protocol.AnyID
	access     string // ok, outsider, outside (of the private channel and of the group), mute (no role that reads)
	blocks     bool
	def, over  string // levels; empty: no row, no override
	dms        bool
	subscribed bool
	named      bool
}

// crowd is a community with everybody in it.
type crowd struct {
	t                       *testing.T
	db                      *persistence.DB
	batch                   *pgx.Batch
	people                  []person
	author                  protocol.AnyID
	community, group, alias protocol.AnyID
	channels                map[bool]protocol.AnyID // by privacy
	seq                     int
}

func (c *crowd) put(sql string, args ...any) { c.batch.Queue(sql, args...) }

func (c *crowd) flush() {
	c.t.Helper()
	if err := c.db.Pool().SendBatch(c.t.Context(), c.batch).Close(); err != nil {
		c.t.Fatal(err)
	}
	c.batch = &pgx.Batch{}
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{t: t, db: pgtest.New(t), batch: &pgx.Batch{}, channels: map[bool]protocol.AnyID{}}
	c.author, c.community, c.group, c.alias = newID(), newID(), newID(), newID()
	role := newID()
	c.put(`INSERT INTO community (id, name) VALUES ($1, 'c')`, c.community)
	c.put(`INSERT INTO role (id, name, community_id, actions) VALUES ($1, 'r', $2, '{READ_MESSAGE}')`, role, c.community)
	for _, private := range []bool{false, true} {
		c.channels[private] = newID()
		c.put(`INSERT INTO channel (id, name, community_id, is_private) VALUES ($1, $2, $3, $4)`, c.channels[private], fmt.Sprint(private), c.community, private)
	}
	c.put(`INSERT INTO direct_message_group (id, is_group) VALUES ($1, true)`, c.group)
	c.put(`INSERT INTO alias_group (id, name, community_id) VALUES ($1, 'a', $2)`, c.alias, c.community)
	c.settle(person{id: c.author, access: "ok", named: true, dms: true}, role)
	levels := []string{"", "all", "mentions", "none"}
	for _, access := range []string{"ok", "outsider", "outside", "mute"} {
		for _, def := range levels {
			for _, over := range levels {
				for bits := range 16 {
					c.settle(person{
						id: newID(), access: access, def: def, over: over,
						blocks: bits&1 > 0, dms: bits&2 > 0, subscribed: bits&4 > 0, named: bits&8 > 0,
					}, role)
				}
			}
		}
	}
	c.flush()
	return c
}

// settle writes a person down.
func (c *crowd) settle(p person, role protocol.AnyID) {
	c.people = append(c.people, p)
	c.put(`INSERT INTO app_user (id, username, password_hash) VALUES ($1, $2, 'x')`, p.id, p.id.String())
	if p.access != "outsider" {
		c.put(`INSERT INTO membership (id, user_id, community_id) VALUES ($1, $2, $3)`, newID(), p.id, c.community)
	}
	if p.access != "mute" && p.access != "outsider" {
		c.put(`INSERT INTO role_assignment (id, user_id, community_id, role_id) VALUES ($1, $2, $3, $4)`, newID(), p.id, c.community, role)
	}
	if p.access != "outside" {
		c.put(`INSERT INTO channel_membership (id, user_id, channel_id) VALUES ($1, $2, $3)`, newID(), p.id, c.channels[true])
		c.put(`INSERT INTO direct_message_group_member (id, user_id, group_id) VALUES ($1, $2, $3)`, newID(), p.id, c.group)
	}
	if p.blocks {
		c.put(`INSERT INTO user_block (id, blocker_id, blocked_id) VALUES ($1, $2, $3)`, newID(), p.id, c.author)
	}
	if p.def != "" || !p.dms {
		level := p.def
		if level == "" {
			level = "mentions"
		}
		c.put(`INSERT INTO user_notification_settings (id, user_id, default_channel_level, dm_notifications) VALUES ($1, $2, $3, $4)`, newID(), p.id, level, p.dms)
	}
	if p.over != "" {
		for _, channel := range c.channels {
			c.put(`INSERT INTO channel_notification_override (id, user_id, channel_id, level) VALUES ($1, $2, $3, $4)`, newID(), p.id, channel, p.over)
		}
	}
	if p.named {
		c.put(`INSERT INTO alias_group_member (id, alias_group_id, user_id) VALUES ($1, $2, $3)`, newID(), c.alias, p.id)
	}
}

// said is a message that somebody may be notified of.
type said struct {
	name    string
	group   bool
	private bool
	reply   bool
	users   bool // those who are named are so by their ids
	alias   bool // ... as a group
	special string
}

// say stores a message with its notice.
func (c *crowd) say(m said) protocol.MessageID {
	c.t.Helper()
	id := newID()
	column, place := "channel_id", c.channels[m.private]
	if m.group {
		column, place = "direct_message_group_id", c.group
	}
	var parent *protocol.AnyID
	if m.reply {
		p := newID()
		parent = &p
		c.seq++
		c.put(`INSERT INTO message (id, `+column+`, seq, author_id) VALUES ($1, $2, $3, $4)`, p, place, c.seq, c.author)
		for _, who := range c.people {
			if who.subscribed {
				c.put(`INSERT INTO thread_subscriber (id, user_id, parent_message_id) VALUES ($1, $2, $3)`, newID(), who.id, p)
			}
		}
	}
	c.seq++
	c.put(`INSERT INTO message (id, `+column+`, seq, author_id, parent_message_id, spans) VALUES ($1, $2, $3, $4, $5, '[{"text":"x"}]')`, id, place, c.seq, c.author, parent)
	for _, who := range c.people {
		if m.users && who.named {
			c.put(`INSERT INTO message_mention (message_id, user_id) VALUES ($1, $2)`, id, who.id)
		}
	}
	if m.alias {
		c.put(`INSERT INTO message_mention (message_id, alias_id) VALUES ($1, $2)`, id, c.alias)
	}
	if m.special != "" {
		c.put(`INSERT INTO message_mention (message_id, special_kind) VALUES ($1, $2)`, id, m.special)
	}
	c.put(`INSERT INTO notice (message_id) VALUES ($1)`, id)
	c.flush()
	return protocol.MessageID(id)
}

// online is who is there: those who are named by other means.
func (c *crowd) online(context.Context, protocol.CommunityID) (list []protocol.UserID, err error) {
	for _, p := range c.people {
		if p.named {
			list = append(list, protocol.UserID(p.id))
		}
	}
	return list, nil
}

// work does all that there is to do.
func (c *crowd) work() (items []protocol.Notice, steps int) {
	c.t.Helper()
	for {
		r, found, err := c.db.NotifyStep(c.t.Context(), 1<<42, c.online, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		if !found {
			return items, steps
		}
		steps++
		items = append(items, r.Items...)
	}
}

// wanted is what the rule says of a person.
func (m said) wanted(p person, author protocol.AnyID, crowded bool) string {
	a := rules.Addressee{
		Author: p.id == author, Blocks: p.blocks, Subscribed: p.subscribed, DMs: p.dms, Level: "mentions",
		Named: p.named && (m.users || m.alias && !m.group || m.special == "here" && !m.group) || m.special == "channel" && !m.group,
		Reads: p.access == "ok" || p.access == "outside" && !m.private,
	}
	if m.group {
		a.Reads = p.access != "outside"
	}
	for _, level := range []string{p.def, p.over} {
		if level != "" {
			a.Level = level
		}
	}
	return rules.Notify(rules.Said{Direct: m.group, Reply: m.reply, Loud: m.private || !crowded}, a)
}

// Every combination of what counts, for every way to say something: the statement
// decides what the rule says.
func TestNotifyByTheRule(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	for _, m := range []said{
		{name: "plain"}, {name: "named", users: true}, {name: "group named", alias: true}, {name: "@channel", special: "channel"},
		{name: "@here", special: "here"}, {name: "reply", reply: true}, {name: "reply that names", reply: true, users: true},
		{name: "private", private: true}, {name: "private, named", private: true, users: true}, {name: "private @channel", private: true, special: "channel"},
		{name: "private reply", private: true, reply: true, alias: true},
		{name: "direct", group: true}, {name: "direct, named", group: true, users: true}, {name: "direct @channel", group: true, special: "channel"},
		{name: "direct reply", group: true, reply: true}, {name: "direct reply that names", group: true, reply: true, users: true},
	} {
		c.say(m)
		items, _ := c.work()
		got := map[protocol.UserID]string{}
		for _, n := range items {
			if got[n.User] != "" {
				t.Errorf("%s: %s twice", m.name, n.User)
			}
			got[n.User] = n.Type
		}
		wrong, sum := 0, 0
		for _, p := range c.people {
			want := m.wanted(p, c.author, true)
			if want != "" {
				sum++
			}
			if got[protocol.UserID(p.id)] != want && wrong < 5 {
				wrong++
				t.Errorf("%s: %+v got %q, want %q", m.name, p, got[protocol.UserID(p.id)], want)
			}
		}
		if sum == 0 && m.name != "plain" { // the community is crowded
			t.Errorf("%s notifies nobody", m.name)
		}
	}
}

// What runs again, after a crash or on another node, adds nothing and forgets
// nobody.
func TestNotifyAgain(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	id := c.say(said{special: "channel"})
	r, found, err := c.db.NotifyStep(t.Context(), 1<<42, c.online, nil)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	failed := fmt.Errorf("for a test")
	if _, err := c.db.Pool().Exec(t.Context(), `INSERT INTO push_subscription (id, user_id, endpoint, keys) SELECT gen_random_uuid(), id, id::text, '{}' FROM app_user`); err != nil {
		t.Fatal(err)
	}
	if r.More {
		// The second piece fails after its notifications were made: none stays.
		_, _, err = c.db.NotifyStep(t.Context(), 1<<42, c.online, func(context.Context, pgx.Tx, []persistence.Push) error { return failed })
		if err == nil {
			t.Error("the failure was swallowed")
		}
	}
	rest, _ := c.work()
	all := len(r.Items) + len(rest)
	var stored int
	row := c.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM notification WHERE message_id = $1`, id)
	if err := row.Scan(&stored); err != nil || stored != all || all == 0 {
		t.Errorf("%d notifications, %d were reported: %v", stored, all, err)
	}
	c.put(`INSERT INTO notice (message_id) VALUES ($1)`, id)
	c.flush()
	if again, steps := c.work(); len(again) != 0 || steps == 0 {
		t.Errorf("again: %d in %d steps", len(again), steps)
	}
	// A message that is gone, or that nobody wants to hear of, ends its notice.
	c.put(`INSERT INTO notice (message_id) VALUES ($1)`, id)
	c.put(`UPDATE message SET deleted_at = now() WHERE id = $1`, id)
	c.flush()
	if again, steps := c.work(); len(again) != 0 || steps != 1 {
		t.Errorf("deleted: %d in %d steps", len(again), steps)
	}
}
