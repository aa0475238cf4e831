package community

import (
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

func TestReorder(t *testing.T) {
	t.Parallel()
	channel := func(n byte, kind string, position int) protocol.Channel {
		return protocol.Channel{ID: protocol.ChannelID{n}, Type: kind, Position: position}
	}
	distinct := []protocol.Channel{
		channel(1, "TEXT", 0), channel(2, "TEXT", 4), channel(3, "TEXT", 9), channel(4, "VOICE", 0), channel(5, "VOICE", 1),
	}
	shared := []protocol.Channel{channel(1, "TEXT", 5), channel(2, "TEXT", 5), channel(3, "VOICE", 2), channel(4, "VOICE", 3)}
	for _, c := range []struct {
		name string
		list []protocol.Channel
		id   byte
		by   int
		want map[byte]int
	}{
		{"up", distinct, 3, -1, map[byte]int{2: 9, 3: 4}},
		{"down", distinct, 1, 1, map[byte]int{1: 4, 2: 0}},
		{"first up", distinct, 1, -1, nil},
		{"last down", distinct, 5, 1, nil},
		{"last of its type down", distinct, 3, 1, nil},
		{"first of its type up", distinct, 4, -1, nil},
		{"shared positions", shared, 2, -1, map[byte]int{1: 1, 2: 0}},
		{"shared positions of the other type", shared, 4, -1, map[byte]int{1: 0, 2: 1, 3: 3, 4: 2}},
		{"shared positions, at the end", shared, 1, -1, map[byte]int{1: 0, 2: 1}},
	} {
		got := map[byte]int{}
		for _, m := range reorder(c.list, protocol.ChannelID{c.id}, c.by) {
			got[m.ID[0]] = m.Position
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		for id, position := range c.want {
			if got[id] != position {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
	}
}

func TestMoveChannel(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	news := w.channel(admin, "news", protocol.ChannelText, false)
	secret := w.channel(admin, "secret", protocol.ChannelText, true)
	hidden := w.channel(admin, "hidden", protocol.ChannelText, true)
	names := func(r result) (list []string) {
		for _, c := range *r.reply.(*[]protocol.Channel) {
			list = append(list, c.Name)
		}
		return list
	}
	up := func(id protocol.ChannelID) result {
		return w.run(w.s.moveChannelUp(w.turn(admin), protocol.MoveChannelUp{ID: id, CommunityID: w.s.id}))
	}
	r := up(news.ID)
	if r.err != nil || !slices.Equal(names(r), []string{"news", "general", "secret", "hidden"}) || !slices.Equal(r.trace, []string{"channelsReordered"}) {
		t.Fatalf("result = %+v", r)
	}
	if p := payload[protocol.ChannelsReordered](t, r.events[0]); len(p.Channels) != 2 || p.Channels[0].ID != news.ID {
		t.Errorf("payload = %+v, want the public channels", p)
	}
	if r := up(news.ID); r.err != nil || len(r.events) != 0 || len(names(r)) != 4 {
		t.Errorf("at the top: %+v", r)
	}
	if r := up(secret.ID); !slices.Equal(r.trace, []string{"channelUpdated", "channelsReordered"}) || r.events[0].Topics[0] != protocol.ChannelTopic(secret.ID) {
		t.Errorf("a private one passes a public one: %+v", r)
	}
	r = w.run(w.s.moveChannelDown(w.turn(admin), protocol.MoveChannelDown{ID: secret.ID}))
	if r.err != nil || !slices.Equal(names(r), []string{"news", "general", "secret", "hidden"}) {
		t.Errorf("down: %+v", r)
	}
	if r := up(hidden.ID); !slices.Equal(r.trace, []string{"channelUpdated", "channelUpdated"}) {
		t.Errorf("private ones among themselves: %v", r.trace)
	}
	wantError(t, up(protocol.ChannelID(protocol.NewID[row]())).err, errNoChannel)
}
