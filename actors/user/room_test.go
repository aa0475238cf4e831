package user

import (
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

func TestMemberJoined(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("n1")
	nest := w.community("Nest")
	ch := w.channel(nest, "general", false)
	version := w.s.version
	r := w.run(w.s.memberJoined(w.turn(), &protocol.MemberJoined{Community: nest, Channels: []protocol.ChannelID{ch}}))
	if r.err != nil || w.s.version == version {
		t.Fatalf("version %d, result %+v", w.s.version, r)
	}
	own := protocol.UserTopic(w.s.user.ID)
	if room := r.rooms[0]; room.Of != own || !slices.Equal(room.Join, []protocol.Topic{protocol.CommunityTopic(nest), protocol.ChannelTopic(ch)}) {
		t.Errorf("rooms = %+v", r.rooms)
	}
	e := r.events[0]
	p := payload[protocol.MemberAdded](t, e)
	if e.Name != "memberAddedToCommunity" || !slices.Equal(e.Topics, []protocol.Topic{own}) || r.wide {
		t.Errorf("event = %+v", e)
	}
	if p.UserID != w.s.user.ID || p.CommunityID != nest {
		t.Errorf("event = %+v", e)
	}
	if len(r.tells) != 1 || r.tells[0].ID != nest.String() {
		t.Errorf("the community does not learn that he is online: %+v", r.tells)
	}
	w.run(w.s.memberJoined(w.turn(), &protocol.MemberJoined{Community: nest})) // told twice
}

func TestChannelOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nest := w.community("Nest")
	w.activate(w.s.user.ID)
	c := protocol.Channel{ID: w.channel(nest, "secret", true), Name: "secret", CommunityID: nest, IsPrivate: true}
	r := w.run(w.s.channelOpened(w.turn(), &protocol.ChannelOpened{Community: nest, Channel: c, Announce: true}))
	if len(r.rooms) != 1 || !slices.Equal(r.rooms[0].Join, []protocol.Topic{protocol.ChannelTopic(c.ID)}) {
		t.Errorf("rooms = %+v", r.rooms)
	}
	if p := payload[protocol.ChannelCreated](t, r.events[0]); r.events[0].Name != "channelCreated" || p.Channel != c {
		t.Errorf("event = %+v", r.events[0])
	}
	if r := w.run(w.s.channelOpened(w.turn(), &protocol.ChannelOpened{Community: nest, Channel: c})); len(r.events) != 0 || len(r.rooms) != 1 {
		t.Errorf("silently: %+v", r)
	}
}

func TestLastRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := &protocol.LastRead{In: protocol.InChannel(protocol.ChannelID(protocol.NewID[row]())), Message: protocol.MessageID(protocol.NewID[row]()), Seq: 4, At: w.now}
	if r := w.run(w.s.lastRead(w.turn(), m)); len(r.events) != 1 {
		t.Error("sockets that have not registered yet are not told")
	}
	w.s.settled = true
	if r := w.run(w.s.lastRead(w.turn(), m)); len(r.events) != 0 {
		t.Error("an event for nobody")
	}
	w.connect("n1")
	r := w.run(w.s.lastRead(w.turn(), m))
	p := payload[protocol.ReadReceiptUpdated](t, r.events[0])
	if r.events[0].Name != "readReceiptUpdated" ||
		*p.ChannelID != m.In.Channel || p.DirectMessageGroupID != nil || p.LastReadMessageID != m.Message || p.LastReadAt != m.At {
		t.Errorf("event = %+v %+v", r.events[0], p)
	}
}

func TestMemberLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nest := w.community("Nest")
	ch := w.channel(nest, "general", false)
	alias := protocol.AliasGroupID(protocol.NewID[row]())
	w.activate(w.s.user.ID)
	version := w.s.version
	w.exec(`DELETE FROM membership WHERE community_id = $1`, nest)
	r := w.run(w.s.memberLeft(w.turn(), &protocol.MemberLeft{
		Community: nest, Channels: []protocol.ChannelID{ch}, Aliases: []protocol.AliasGroupID{alias},
	}))
	if r.err != nil || w.s.version == version || len(w.s.communities) != 0 || len(r.events) != 0 {
		t.Fatalf("communities %v, result %+v", w.s.communities, r)
	}
	want := []protocol.Topic{protocol.CommunityTopic(nest), protocol.ChannelTopic(ch), protocol.AliasTopic(alias)}
	if room := r.rooms[0]; room.Of != protocol.UserTopic(w.s.user.ID) || !slices.Equal(room.Leave, want) {
		t.Errorf("rooms = %+v", r.rooms)
	}
}

func TestChannelClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nest := w.community("Nest")
	w.activate(w.s.user.ID)
	secret := w.channel(nest, "secret", true)
	version := w.s.version
	r := w.run(w.s.channelClosed(w.turn(), &protocol.ChannelClosed{Community: nest, Channel: secret}))
	if w.s.version == version || !slices.Equal(r.rooms[0].Leave, []protocol.Topic{protocol.ChannelTopic(secret)}) {
		t.Errorf("rooms = %+v", r.rooms)
	}
	if p := payload[protocol.ChannelDeleted](t, r.events[0]); r.events[0].Name != "channelDeleted" || p.ChannelID != secret || p.CommunityID != nest {
		t.Errorf("event = %+v", r.events[0])
	}
}

func TestNotMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nest, barn := w.community("Nest"), w.community("Barn")
	w.activate(w.s.user.ID)
	w.exec(`UPDATE community SET deleted_at = now() WHERE id = $1`, nest)
	version := w.s.version
	w.run(w.s.notMember(w.turn(), &protocol.NotMember{Community: nest}))
	if !slices.Equal(w.s.communities, []protocol.CommunityID{barn}) || w.s.version == version {
		t.Errorf("communities = %v", w.s.communities)
	}
	w.run(w.s.notMember(w.turn(), &protocol.NotMember{Community: nest}))
	w.run(w.s.notMember(w.turn(), &protocol.NotMember{Community: barn})) // what is stored counts
	if !slices.Equal(w.s.communities, []protocol.CommunityID{barn}) {
		t.Errorf("communities = %v", w.s.communities)
	}
}
