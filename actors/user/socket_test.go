package user

import (
	"errors"
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

func TestConnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nest, barn := w.community("Nest"), w.community("Barn")
	open, inside := w.channel(nest, "open", false), w.channel(nest, "inside", true)
	w.channel(nest, "closed", true)
	other := protocol.CommunityID(protocol.NewID[row]())
	w.exec(`INSERT INTO community (id, name) VALUES ($1, 'Other')`, other)
	stray := w.channel(other, "stray", true) // let in, but not a member
	w.channel(other, "foreign", false)
	group, alias, strayAlias := protocol.GroupID(protocol.NewID[row]()), protocol.AliasGroupID(protocol.NewID[row]()), protocol.AliasGroupID(protocol.NewID[row]())
	id := w.s.user.ID
	for _, c := range []protocol.ChannelID{inside, stray} {
		w.exec(`INSERT INTO channel_membership (id, user_id, channel_id) VALUES (gen_random_uuid(), $1, $2)`, id, c)
	}
	w.exec(`INSERT INTO direct_message_group (id) VALUES ($1)`, group)
	w.exec(`INSERT INTO direct_message_group_member (id, group_id, user_id) VALUES (gen_random_uuid(), $1, $2)`, group, id)
	for a, c := range map[protocol.AliasGroupID]protocol.CommunityID{alias: nest, strayAlias: other} {
		w.exec(`INSERT INTO alias_group (id, name, community_id) VALUES ($1, 'a', $2)`, a, c)
		w.exec(`INSERT INTO alias_group_member (id, alias_group_id, user_id) VALUES (gen_random_uuid(), $1, $2)`, a, id)
	}
	w.activate(id)

	_, r := w.connect("n1")
	c := r.reply.(*protocol.Connected)
	want := []protocol.Topic{
		protocol.UserTopic(id), protocol.CommunityTopic(nest), protocol.CommunityTopic(barn), protocol.ChannelTopic(open),
		protocol.ChannelTopic(inside), {Room: protocol.RoomGroup, ID: group}, {Room: protocol.RoomAlias, ID: alias},
	}
	if !sameTopics(c.Topics, want) {
		t.Errorf("topics = %v\nwant %v", c.Topics, want)
	}
	if c.User.Username != "ada" || c.Version != w.s.version {
		t.Errorf("reply = %+v", c)
	}

	t.Run("rooms that open during the read", func(t *testing.T) {
		conn := protocol.ConnID(protocol.NewID[row]())
		out, err := w.s.connect(w.turn(), &protocol.Connect{Conn: conn, Node: "n1"})
		if err != nil {
			t.Fatal(err)
		}
		then, err := out.Commit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.run(w.s.channelOpened(w.turn(), &protocol.ChannelOpened{Community: nest, Channel: protocol.Channel{ID: open}}))
		r := w.run(then(w.turn()))
		sync := w.run(w.s.syncRooms(w.turn(), &protocol.SyncRooms{Conn: conn, Version: r.reply.(*protocol.Connected).Version}))
		if c := sync.reply.(*protocol.Connected); len(c.Topics) != len(want) || c.Version != w.s.version {
			t.Errorf("the socket does not learn of it: %+v", c)
		}
		rooms := sync.reply.(*protocol.Connected).Rooms
		sync = w.run(w.s.syncRooms(w.turn(), &protocol.SyncRooms{Conn: conn, Version: w.s.version, Rooms: rooms}))
		if c := sync.reply.(*protocol.Connected); c.Topics != nil || c.Rooms != rooms {
			t.Errorf("nothing changed, but topics were read: %+v", c)
		}
		// As a community does when a channel opens, closes or goes for many.
		w.exec(`UPDATE community SET rooms_version = rooms_version + 1 WHERE id = $1`, nest)
		sync = w.run(w.s.syncRooms(w.turn(), &protocol.SyncRooms{Conn: conn, Version: w.s.version, Rooms: rooms}))
		if c := sync.reply.(*protocol.Connected); len(c.Topics) != len(want) || c.Rooms == rooms || c.Version != w.s.version {
			t.Errorf("the socket does not learn of a channel that opened for many: %+v", c)
		}
	})
	t.Run("another activation", func(t *testing.T) {
		version := w.s.version
		w.now += 1000
		w.activate(id)
		if w.s.version == version {
			t.Error("versions of two activations are equal")
		}
	})
	t.Run("nobody", func(t *testing.T) {
		w.activate(protocol.UserID(protocol.NewID[row]()))
		if r := w.run(w.s.connect(w.turn(), &protocol.Connect{})); !errors.Is(r.err, protocol.ErrUnauthorized) {
			t.Errorf("error = %v", r.err)
		}
	})
}

func sameTopics(a, b []protocol.Topic) bool {
	text := func(list []protocol.Topic) []string {
		var s []string
		for _, t := range list {
			s = append(s, t.String())
		}
		slices.Sort(s)
		return s
	}
	return slices.Equal(text(a), text(b))
}

func TestTooManySockets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var conn protocol.ConnID
	for range maxSockets {
		conn, _ = w.connect("n1")
	}
	m := &protocol.Connect{Conn: protocol.ConnID(protocol.NewID[row]()), Node: "n1"}
	if r := w.run(w.s.connect(w.turn(), m)); !errors.Is(r.err, errManySockets) {
		t.Errorf("error = %v", r.err)
	}
	w.disconnect(conn)
	if r := w.run(w.s.connect(w.turn(), m)); r.err != nil {
		t.Error(r.err)
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn, _ := w.connect("n1")
	beat := &protocol.Heartbeat{Connect: protocol.Connect{Conn: conn, Node: "n1", Idle: true}}
	r := w.run(w.s.heartbeat(w.turn(), beat))
	if c := r.reply.(*protocol.Connected); c.Version != w.s.version || c.Topics != nil || len(r.timers)+len(r.asks) != 0 {
		t.Errorf("heartbeat = %+v", r)
	}
	on := w.run(w.s.askOnline(w.turn(), &protocol.AskOnline{})).reply.(*protocol.IsOnline)
	if !on.Online || on.Active {
		t.Errorf("idle: %+v", on)
	}

	t.Run("after a move", func(t *testing.T) {
		w.activate(w.s.user.ID)
		r := w.run(w.s.heartbeat(w.turn(), beat))
		if len(w.s.sockets) != 1 || !w.s.online || len(r.timers) == 0 {
			t.Errorf("the socket was not registered again: %+v", r)
		}
	})
}

func TestSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stays, r := w.connect("n1")
	w.connect("n1")
	w.connect("n2")
	if got := w.s.audience(); !slices.Equal(got, []string{"n1", "n2", "n3"}) {
		t.Errorf("audience = %v, want all nodes while sockets may not have registered", got)
	}
	start := w.s.start(w.turn())
	w.run(w.s.settle(w.turn(), start.Timers[0].Msg.(*settle)))
	if got := w.s.audience(); !slices.Equal(got, []string{"n1", "n2"}) || start.Timers[0].After != w.s.cfg.DeadAfter {
		t.Errorf("audience = %v", got)
	}

	w.dead["n2"] = true
	r = wait[*sweep](w, r)
	if len(w.s.sockets) != 2 || !slices.Equal(w.s.audience(), []string{"n1"}) {
		t.Errorf("sockets of a node that left: %v", w.s.audience())
	}
	w.now += instants(w.s.cfg.DeadAfter)
	w.run(w.s.heartbeat(w.turn(), &protocol.Heartbeat{Connect: protocol.Connect{Conn: stays, Node: "n1"}}))
	r = wait[*sweep](w, r)
	if len(w.s.sockets) != 1 || w.s.socket(stays) == nil {
		t.Errorf("%d sockets, want the one that beats", len(w.s.sockets))
	}
	w.now += instants(w.s.cfg.DeadAfter)
	r = wait[*sweep](w, r)
	if len(w.s.sockets) != 0 || w.s.sweeping {
		t.Errorf("%d sockets, want none", len(w.s.sockets))
	}
	r = wait[*grace](w, r)
	if len(r.events) != 1 || r.events[0].Name != "userOffline" || w.s.busy() {
		t.Errorf("events = %+v", r.events)
	}
}

func TestAccountGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, _ := w.connect("n1")
	w.exec(`DELETE FROM app_user WHERE id = $1`, w.s.user.ID)
	r := w.run(w.s.accountGone(w.turn(), &protocol.AccountGone{Reason: "gone"}))
	if r.err != nil || !r.wide || len(r.closes) != 1 || r.closes[0] != (protocol.CloseSockets{User: w.s.user.ID, Reason: "gone"}) {
		t.Fatalf("result = %+v", r)
	}
	if len(r.events) != 1 || r.events[0].Name != "userOffline" {
		t.Errorf("events = %+v", r.events)
	}
	for name, err := range map[string]error{
		"a new socket":   w.run(w.s.connect(w.turn(), &protocol.Connect{Conn: protocol.ConnID{1}, Node: "n1"})).err,
		"the socket":     w.run(w.s.heartbeat(w.turn(), &protocol.Heartbeat{Connect: protocol.Connect{Conn: first, Node: "n1"}})).err,
		"rooms of a one": w.run(w.s.syncRooms(w.turn(), &protocol.SyncRooms{Conn: first})).err,
	} {
		if !errors.Is(err, errNoUser) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEndSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, _ := w.connect("n1")
	second, _ := w.connect("n2")
	session := w.s.socket(first).session
	r := w.run(w.s.endSessions(w.turn(), &protocol.EndSessions{Session: session, Reason: "logout"}))
	if r.err != nil || len(r.closes) != 1 || r.closes[0] != (protocol.CloseSockets{User: w.s.user.ID, Session: session, Reason: "logout"}) {
		t.Fatalf("result = %+v", r)
	}
	if !r.wide {
		t.Error("not every node is told to close the sockets")
	}
	if n, _ := w.s.live(); n != 1 || len(r.timers) != 0 {
		t.Errorf("%d sockets live, timers %v", n, r.timers)
	}
	if r := w.run(w.s.heartbeat(w.turn(), &protocol.Heartbeat{Connect: protocol.Connect{Conn: first, Node: "n1"}})); !errors.Is(r.err, errEnded) {
		t.Errorf("a closing socket came back: %v", r.err)
	}
	r = w.run(w.s.endSessions(w.turn(), &protocol.EndSessions{Reason: "banned"}))
	if n, _ := w.s.live(); n != 0 || len(r.timers) != 1 {
		t.Errorf("%d sockets live, timers %v", n, r.timers)
	}
	w.disconnect(first)
	r = w.disconnect(second)
	if r = wait[*grace](w, r); len(r.events) != 1 || r.events[0].Name != "userOffline" || len(w.s.sockets) != 0 {
		t.Errorf("%d sockets, events %+v", len(w.s.sockets), r.events)
	}
}
