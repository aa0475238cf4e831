package rules_test

import (
	"testing"
	"time"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/protocol"
)

func TestNotify(t *testing.T) {
	t.Parallel()
	channel, reply, loud := rules.Said{}, rules.Said{Reply: true}, rules.Said{Loud: true}
	direct, directReply := rules.Said{Direct: true}, rules.Said{Direct: true, Reply: true}
	reader := rules.Addressee{Reads: true, Level: protocol.LevelMentions, DMs: true}
	with := func(change func(*rules.Addressee)) rules.Addressee {
		a := reader
		change(&a)
		return a
	}
	named := with(func(a *rules.Addressee) { a.Named = true })
	for _, tt := range []struct {
		name string
		m    rules.Said
		a    rules.Addressee
		want string
	}{
		{"plain", loud, reader, ""},
		{"named", channel, named, protocol.NoticeUserMention},
		{"named, wants nothing", channel, with(func(a *rules.Addressee) { a.Named, a.Level = true, protocol.LevelNone }), ""},
		{"named, wants all", channel, with(func(a *rules.Addressee) { a.Named, a.Level = true, protocol.LevelAll }), protocol.NoticeUserMention},
		{"named outsider", channel, with(func(a *rules.Addressee) { a.Named, a.Reads = true, false }), ""},
		{"names himself", channel, with(func(a *rules.Addressee) { a.Named, a.Author = true, true }), ""},
		{"named by whom he blocks", channel, with(func(a *rules.Addressee) { a.Named, a.Blocks = true, true }), ""},
		{"named, no direct messages", channel, with(func(a *rules.Addressee) { a.Named, a.DMs = true, false }), protocol.NoticeUserMention},
		{"wants all", loud, with(func(a *rules.Addressee) { a.Level = protocol.LevelAll }), protocol.NoticeChannelMessage},
		{"wants all, crowded", channel, with(func(a *rules.Addressee) { a.Level = protocol.LevelAll }), ""},
		{"wants all, reply", rules.Said{Reply: true, Loud: true}, with(func(a *rules.Addressee) { a.Level = protocol.LevelAll }), ""},
		{"subscribed", reply, with(func(a *rules.Addressee) { a.Subscribed, a.Level = true, protocol.LevelNone }), protocol.NoticeThreadReply},
		{"subscribed and named", reply, with(func(a *rules.Addressee) { a.Subscribed, a.Named = true, true }), protocol.NoticeThreadReply},
		{"subscribed, left since", reply, with(func(a *rules.Addressee) { a.Subscribed, a.Reads = true, false }), ""},
		{"named in a reply", reply, named, protocol.NoticeUserMention},
		{"direct", direct, reader, protocol.NoticeDirectMessage},
		{"direct, unwanted", direct, with(func(a *rules.Addressee) { a.DMs = false }), ""},
		{"direct, level says nothing", direct, with(func(a *rules.Addressee) { a.Level = protocol.LevelNone }), protocol.NoticeDirectMessage},
		{"direct reply", directReply, reader, ""},
		{"direct reply, named", directReply, named, protocol.NoticeDirectMessage},
		{"direct reply, subscribed", directReply, with(func(a *rules.Addressee) { a.Subscribed = true }), protocol.NoticeThreadReply},
		{"direct reply, subscribed, unwanted", directReply, with(func(a *rules.Addressee) { a.Subscribed, a.DMs = true, false }), ""},
	} {
		if got := rules.Notify(tt.m, tt.a); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestUndisturbed(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 24, 22, 30, 0, 0, time.UTC) // 23:30 there
	for _, tt := range []struct {
		on         bool
		start, end string
		at         time.Time
		want       bool
	}{
		{false, "00:00", "23:59", at, false},
		{true, "", "", at, true},
		{true, "22:00", "07:00", at, true},
		{true, "23:00", "07:00", at, false},
		{true, "23:00", "07:00", at.In(berlin), true},
		{true, "09:00", "17:00", at, false},
		{true, "22:30", "22:31", at, true},
		{true, "22:00", "22:30", at, false},
		{true, "08:00", "08:00", at, true},
	} {
		var start, end *string
		if tt.start != "" {
			start, end = &tt.start, &tt.end
		}
		if got := rules.Undisturbed(tt.on, start, end, tt.at); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}
