package community

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

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
	if r.err != nil || len(r.events) != 0 || len(r.rooms) != 0 {
		t.Fatalf("a private channel was announced: %+v", r)
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
