package community

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func TestCreateChannel(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	slow := 12.0
	id := protocol.ChannelID(protocol.NewID[row]())
	req := protocol.CreateChannel{ID: id, Name: "lounge", CommunityID: w.s.id, Type: protocol.ChannelText, SlowmodeSeconds: &slow}
	r := w.run(w.s.createChannel(w.turn(admin), req))
	if r.err != nil {
		t.Fatal(r.err)
	}
	c := r.reply.(*protocol.Channel)
	if c.ID != id || c.Position != 1 || c.SlowmodeSeconds != 12 || c.IsPrivate || c.CommunityID != w.s.id {
		t.Errorf("reply = %+v", c)
	}
	room := r.rooms[0]
	if room.Of != protocol.CommunityTopic(w.s.id) || !slices.Equal(room.Join, []protocol.Topic{protocol.ChannelTopic(id)}) {
		t.Errorf("rooms = %+v", r.rooms)
	}
	e := r.events[0]
	var p protocol.ChannelCreated
	if err := json.Unmarshal(e.Payload, &p); err != nil {
		t.Fatal(err)
	}
	if e.Name != "channelCreated" || !slices.Equal(e.Topics, []protocol.Topic{protocol.CommunityTopic(w.s.id)}) || p.Channel != *c || p.CommunityID != w.s.id {
		t.Errorf("event = %+v %+v", e, p)
	}

	t.Run("sent again", func(t *testing.T) {
		again := w.run(w.s.createChannel(w.turn(admin), req))
		if again.err != nil || *again.reply.(*protocol.Channel) != *c || len(again.events) != 0 {
			t.Errorf("again = %+v", again)
		}
	})
	t.Run("name taken", func(t *testing.T) {
		req.ID = protocol.ChannelID(protocol.NewID[row]())
		wantError(t, w.run(w.s.createChannel(w.turn(admin), req)).err, errChannelName)
		req.Name = "Lounge" // names differ by case
		if r := w.run(w.s.createChannel(w.turn(admin), req)); r.err != nil {
			t.Error(r.err)
		}
	})
	t.Run("positions are counted per type", func(t *testing.T) {
		if p := w.channel(admin, "voice", protocol.ChannelVoice, false).Position; p != 0 {
			t.Errorf("first voice channel at %d", p)
		}
		if p := w.channel(admin, "text", protocol.ChannelText, false).Position; p != 3 {
			t.Errorf("fourth text channel at %d", p)
		}
	})
	t.Run("zero byte", func(t *testing.T) {
		req.ID, req.Name = protocol.ChannelID(protocol.NewID[row]()), "a\x00b"
		wantError(t, w.run(w.s.createChannel(w.turn(admin), req)).err, protocol.BadRequest("Text must not contain null characters"))
	})
	t.Run("limit", func(t *testing.T) {
		w.exec(`INSERT INTO channel (id, name, community_id, position)
			SELECT gen_random_uuid(), 'c' || n, $1, n + 10 FROM generate_series(1, $2::int) n`, w.s.id, protocol.MaxChannels-len(w.s.channels))
		w.run(w.s.reload(w.turn(protocol.Caller{}), &protocol.ReloadCommunity{}))
		req.Name = "one too many"
		wantError(t, w.run(w.s.createChannel(w.turn(admin), req)).err, errTooManyChannels)
	})
}

func TestCreatePrivateChannel(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	r := w.run(w.s.createChannel(w.turn(admin), protocol.CreateChannel{
		ID: protocol.ChannelID(protocol.NewID[row]()), Name: "secret", CommunityID: w.s.id, Type: protocol.ChannelText, IsPrivate: true,
	}))
	id := r.reply.(*protocol.Channel).ID
	if r.err != nil || len(r.rooms) != 0 || !slices.Equal(r.events[0].Topics, []protocol.Topic{protocol.ChannelTopic(id)}) {
		t.Fatalf("a private channel was announced to others: %+v", r)
	}
	opened := r.asks[0].Msg.(*protocol.ChannelOpened)
	if len(r.asks) != 1 || r.asks[0].ID != admin.UserID.String() || opened.Channel.Name != "secret" || !opened.Announce {
		t.Errorf("asks = %+v", r.asks)
	}

	t.Run("by an owner from outside", func(t *testing.T) {
		owner := w.user("olga")
		owner.Owner = true
		r := w.run(w.s.createChannel(w.turn(owner), protocol.CreateChannel{
			ID: protocol.ChannelID(protocol.NewID[row]()), Name: "owners", CommunityID: w.s.id, Type: protocol.ChannelText, IsPrivate: true,
		}))
		if r.err != nil || len(r.asks) != 0 {
			t.Errorf("result = %+v", r)
		}
		if !slices.Contains(r.events[0].Topics, protocol.UserTopic(admin.UserID)) {
			t.Errorf("who manages channels is not told: %v", r.events[0].Topics)
		}
	})
}

func TestSeeChannels(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	w.channel(admin, "voice", protocol.ChannelVoice, false)
	w.channel(admin, "news", protocol.ChannelText, false)
	secret := w.channel(admin, "secret", protocol.ChannelText, true)
	member, inside, outsider := w.member(admin, "mia"), w.member(admin, "ina"), w.user("otto")
	w.exec(`INSERT INTO channel_membership (id, user_id, channel_id) VALUES (gen_random_uuid(), $1, $2)`, inside.UserID, secret.ID)
	w.run(w.s.reloadMember(w.turn(protocol.Caller{}), &protocol.ReloadMember{User: inside.UserID}))
	owner := w.user("olga")
	owner.Owner = true

	for _, row := range []struct {
		name string
		who  protocol.Caller
		list []string
		sees bool
	}{
		{"admin", admin, []string{"general", "news", "secret", "voice"}, true},
		{"inside", inside, []string{"general", "news", "secret", "voice"}, true},
		{"member", member, []string{"general", "news", "voice"}, false},
		{"owner", owner, []string{"general", "news", "secret", "voice"}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := w.run(w.s.listChannels(w.turn(row.who), protocol.ListChannels{}))
			var names []string
			for _, c := range *r.reply.(*[]protocol.Channel) {
				names = append(names, c.Name)
			}
			if !slices.Equal(names, row.list) {
				t.Errorf("list = %v, want %v", names, row.list)
			}
			got := w.run(w.s.getChannel(w.turn(row.who), protocol.GetChannel{ID: secret.ID}))
			if (got.err == nil) != row.sees {
				t.Errorf("secret: %v", got.err)
			}
			if got.err == nil && *got.reply.(*protocol.Channel) != secret {
				t.Errorf("secret = %+v", got.reply)
			}
			access := w.s.access(w.now, &protocol.AskAccess{Channel: secret.ID, User: row.who.UserID, Owner: row.who.Owner})
			if (access.Actions != 0) != row.sees || !access.Settings.Private {
				t.Errorf("access = %+v", access)
			}
		})
	}
	unknown := protocol.GetChannel{ID: protocol.ChannelID(protocol.NewID[row]())}
	wantError(t, w.run(w.s.getChannel(w.turn(owner), unknown)).err, errNoChannel)
	wantError(t, w.run(w.s.getChannel(w.turn(admin), unknown)).err, protocol.ErrForbidden)
	wantError(t, w.run(w.s.getChannel(w.turn(outsider), protocol.GetChannel{ID: secret.ID})).err, protocol.ErrForbidden)
}

// The order that is kept after an insertion is the order that Postgres sorts in.
func TestListOrder(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	for i := range 12 {
		kind := protocol.ChannelText
		if i%3 == 0 {
			kind = protocol.ChannelVoice
		}
		w.channel(admin, fmt.Sprintf("c%d", i), kind, i%4 == 0) // run compares with a fresh load
	}
}

func (w *world) update(by protocol.Caller, req protocol.UpdateChannel) result {
	w.t.Helper()
	return w.run(w.s.updateChannel(w.turn(by), req))
}

func ptr[T any](v T) *T { return &v }

func payload[P any](t *testing.T, e protocol.Event) P {
	t.Helper()
	var p P
	if err := json.Unmarshal(e.Payload, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUpdateChannel(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	news := w.channel(admin, "news", protocol.ChannelText, false)
	r := w.update(admin, protocol.UpdateChannel{ID: news.ID, Name: ptr("old news"), Position: ptr(7)})
	want := news
	want.Name, want.Position = "old news", 7
	if r.err != nil || *r.reply.(*protocol.Channel) != want || len(r.asks) != 0 {
		t.Fatalf("result = %+v", r)
	}
	e := r.events[0]
	if p := payload[protocol.ChannelCreated](t, e); e.Name != "channelUpdated" || p.Channel != want || e.Topics[0] != protocol.CommunityTopic(w.s.id) {
		t.Errorf("event = %+v", e)
	}
	if r := w.update(admin, protocol.UpdateChannel{ID: news.ID, Name: ptr("old news")}); r.err != nil {
		t.Errorf("its own name: %v", r.err)
	}
	wantError(t, w.update(admin, protocol.UpdateChannel{ID: news.ID, Name: ptr("general")}).err, errChannelName)

	unknown := protocol.UpdateChannel{ID: protocol.ChannelID(protocol.NewID[row]()), Name: ptr("x")}
	owner := w.user("olga")
	owner.Owner = true
	wantError(t, w.update(owner, unknown).err, errNoChannel)
	wantError(t, w.update(admin, unknown).err, protocol.ErrForbidden)

	t.Run("slow mode reaches the channel before the reply", func(t *testing.T) {
		w.ask(news.ID, admin)
		r := w.update(admin, protocol.UpdateChannel{ID: news.ID, SlowmodeSeconds: ptr(30)})
		if r.err != nil || !slices.Equal(r.trace, []string{"channelUpdated", "AccessChanged"}) {
			t.Fatalf("result = %+v", r)
		}
		if m := r.asks[0].Msg.(*protocol.AccessChanged); m.Users != nil || m.Settings.Slowmode != 30 || m.Gone {
			t.Errorf("told %+v", m)
		}
	})
}

func TestMakePrivate(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	news := w.channel(admin, "news", protocol.ChannelText, false)
	mia, mod := w.member(admin, "mia"), w.member(admin, "mod")
	w.promote(mod, "Moderator")
	owner := w.user("olga")
	owner.Owner = true

	r := w.update(mod, protocol.UpdateChannel{ID: news.ID, IsPrivate: ptr(true)})
	if r.err != nil || !slices.Equal(r.trace, []string{"Empty", "AccessChanged", "channelDeleted", "channelUpdated"}) {
		t.Fatalf("order = %v, %v", r.trace, r.err)
	}
	room := protocol.ChannelTopic(news.ID)
	stay := r.emptied[0].Keep
	if !slices.Equal(r.emptied[0].Topics, []protocol.Topic{room}) || len(stay) != 2 ||
		!slices.Contains(stay, admin.UserID) || !slices.Contains(stay, mod.UserID) {
		t.Errorf("emptied %+v, want all but the creator and the one who did it", r.emptied)
	}
	if gone := r.events[0]; gone.Without != room || gone.Topics[0] != protocol.CommunityTopic(w.s.id) {
		t.Errorf("gone = %+v", gone)
	}
	if told := r.events[1].Topics; !slices.Equal(told, []protocol.Topic{room}) {
		t.Errorf("told %v", told)
	}
	if a := w.ask(news.ID, mia); a.Actions != 0 {
		t.Errorf("an outsider may %v", a.Actions)
	}
	if a := w.ask(news.ID, mod); a.Actions == 0 {
		t.Error("who made it private is not inside")
	}
	wantError(t, w.update(mia, protocol.UpdateChannel{ID: news.ID}).err, protocol.ErrForbidden)

	t.Run("managers outside are told", func(t *testing.T) {
		boss := w.member(admin, "boss")
		w.promote(boss, "Moderator")
		r := w.update(admin, protocol.UpdateChannel{ID: news.ID, Name: ptr("secrets")})
		if want := []protocol.Topic{room, protocol.UserTopic(boss.UserID)}; !slices.Equal(r.events[0].Topics, want) {
			t.Errorf("told %v, want %v", r.events[0].Topics, want)
		}
	})
	t.Run("public again", func(t *testing.T) {
		r := w.update(admin, protocol.UpdateChannel{ID: news.ID, IsPrivate: ptr(false)})
		if r.err != nil || !slices.Equal(r.trace, []string{"AccessChanged", "channelUpdated"}) {
			t.Fatalf("order = %v, %v", r.trace, r.err)
		}
		if r.rooms[0].Of != protocol.CommunityTopic(w.s.id) || !slices.Equal(r.rooms[0].Join, []protocol.Topic{room}) {
			t.Errorf("rooms = %+v", r.rooms)
		}
		if a := w.ask(news.ID, mia); a.Actions == 0 {
			t.Error("a member has no access")
		}
	})
	t.Run("by an owner from outside", func(t *testing.T) {
		if r := w.update(owner, protocol.UpdateChannel{ID: news.ID, IsPrivate: ptr(true)}); r.err != nil || len(r.emptied[0].Keep) != 2 {
			t.Errorf("result = %+v", r)
		}
		if w.rows(`SELECT count(*) FROM channel_membership WHERE user_id = $1`, owner.UserID) != 0 {
			t.Error("an outsider was let in")
		}
	})
	t.Run("not confirmed", func(t *testing.T) {
		w.answer = func(turn.Ask) turn.Answer { return turn.Answer{Err: protocol.ErrDeadline} }
		wantError(t, w.update(admin, protocol.UpdateChannel{ID: w.s.channels[0].ID, IsPrivate: ptr(true)}).err, errUnconfirmed)
	})
}

func TestDeleteChannel(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	news, secret := w.channel(admin, "news", protocol.ChannelText, false), w.channel(admin, "secret", protocol.ChannelText, true)
	remove := func(by protocol.Caller, id protocol.ChannelID) result {
		return w.run(w.s.deleteChannel(w.turn(by), protocol.DeleteChannel{ID: id}))
	}
	for _, c := range []struct {
		channel protocol.Channel
		told    protocol.Topic
	}{{news, protocol.CommunityTopic(w.s.id)}, {secret, protocol.ChannelTopic(secret.ID)}} {
		r := remove(admin, c.channel.ID)
		if r.err != nil || !slices.Equal(r.trace, []string{"channelDeleted", "Empty", "AccessChanged"}) {
			t.Fatalf("%s: %v, %v", c.channel.Name, r.trace, r.err)
		}
		if m := r.asks[0].Msg.(*protocol.AccessChanged); !m.Gone || r.asks[0].ID != c.channel.ID.String() {
			t.Errorf("%s: the channel was told %+v", c.channel.Name, m)
		}
		if p := payload[protocol.ChannelDeleted](t, r.events[0]); p.ChannelID != c.channel.ID || !slices.Equal(r.events[0].Topics, []protocol.Topic{c.told}) {
			t.Errorf("%s: event %+v", c.channel.Name, r.events[0])
		}
		if !slices.Equal(r.emptied[0].Topics, []protocol.Topic{protocol.ChannelTopic(c.channel.ID)}) || r.emptied[0].Keep != nil {
			t.Errorf("%s: emptied %+v", c.channel.Name, r.emptied)
		}
	}
	wantError(t, remove(admin, news.ID).err, protocol.ErrForbidden)
	if c := w.channel(admin, "news", protocol.ChannelText, false); c.ID == news.ID {
		t.Error("the name is not free again")
	}
	if _, err := w.db.CommunityOfChannel(t.Context(), news.ID); err == nil {
		t.Error("a deleted channel is found")
	}
	topics, _, err := w.db.Topics(t.Context(), admin.UserID)
	if err != nil || slices.Contains(topics, protocol.ChannelTopic(news.ID)) {
		t.Errorf("topics = %v, %v", topics, err)
	}
}

func TestMentionable(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	w.channel(admin, "voice", protocol.ChannelVoice, false)
	w.channel(admin, "alpha", protocol.ChannelText, false)
	w.channel(admin, "secret", protocol.ChannelText, true)
	owner := w.user("olga")
	owner.Owner = true
	for _, c := range []struct {
		who  protocol.Caller
		want []string
	}{
		{admin, []string{"alpha", "general", "secret", "voice"}},
		{w.member(admin, "mia"), []string{"alpha", "general", "voice"}},
		{owner, []string{"alpha", "general", "voice"}},
	} {
		r := w.run(w.s.listMentionable(w.turn(c.who), protocol.ListMentionable{}))
		var names []string
		for _, c := range *r.reply.(*[]protocol.Channel) {
			names = append(names, c.Name)
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("names = %v, want %v", names, c.want)
		}
	}
}
