package persistence_test

import (
	"encoding/json"
	"testing"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

func TestPagesThatAreKept(t *testing.T) {
	t.Parallel()
	var db persistence.DB
	place := func(cursor int64) protocol.PageGrant { return protocol.PageGrant{Limit: 50, Cursor: cursor} }
	page := func(low, high int64) *persistence.StoredPage {
		return &persistence.StoredPage{Text: json.RawMessage(`{}`), Low: low, High: high, More: true}
	}
	mine, other := db.Pages(protocol.InChannel(protocol.ChannelID{1}), 7), db.Pages(protocol.InChannel(protocol.ChannelID{2}), 7)
	put := func(p *persistence.Pages) {
		for _, at := range []int64{10, 20, 30} {
			p.Put(place(at), page(at-10, at-1), p.Mark())
		}
	}
	has := func(when string, p *persistence.Pages, want ...bool) {
		t.Helper()
		for i, at := range []int64{10, 20, 30} {
			if got := p.Get(place(at)) != nil; got != want[i] {
				t.Errorf("%s: page below %d kept: %v", when, at, got)
			}
		}
	}
	put(mine)
	put(other)
	has("put", mine, true, true, true)
	mine.Changed(30)
	has("newer than all", mine, true, true, true)
	mine.Changed(10)
	has("in one of them", mine, true, false, true)
	has("of another channel", other, true, true, true)
	has("of the next activation", db.Pages(protocol.InChannel(protocol.ChannelID{1}), 8), false, false, false)
	before := mine.Mark()
	mine.Changed(99)
	mine.Put(place(20), page(10, 19), before)
	has("changed while it was read", mine, true, false, true)
	mine.Clear()
	has("cleared", mine, false, false, false)
	has("cleared, another channel", other, true, true, true)
	before = other.Mark()
	db.ForgetPages()
	other.Put(place(10), page(1, 9), before)
	has("purged", other, false, false, false)
	for name, g := range map[string]protocol.PageGrant{
		"newest page": {Limit: 50}, "oldest page": {Limit: 50, Newer: true},
	} {
		if other.Put(g, page(1, 9), other.Mark()); other.Get(g) != nil {
			t.Errorf("%s is kept", name)
		}
	}
	if s := db.PageStats(); s.Pages != 0 || s.Bytes != 0 {
		t.Errorf("%+v is left", s)
	}
}

func TestPagesAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	var db persistence.DB
	p := db.Pages(protocol.InChannel(protocol.ChannelID{1}), 1)
	const size = 900 << 10
	for i := range int64(100) {
		g := protocol.PageGrant{Limit: 50, Cursor: i + 1}
		p.Put(g, &persistence.StoredPage{Text: make([]byte, size), Low: i, High: i + 1, More: true}, p.Mark())
		p.Get(protocol.PageGrant{Limit: 50, Cursor: 1}) // the first one stays in use
	}
	s := db.PageStats()
	if s.Bytes > 64<<20 || s.Bytes < 63<<20 || s.Pages != s.Bytes/(size+256) {
		t.Errorf("%+v", s)
	}
	for cursor, want := range map[int64]bool{1: true, 2: false, 100: true} {
		if got := p.Get(protocol.PageGrant{Limit: 50, Cursor: cursor}) != nil; got != want {
			t.Errorf("page %d kept: %v", cursor, got)
		}
	}
	large := protocol.PageGrant{Limit: 100, Cursor: 5}
	if p.Put(large, &persistence.StoredPage{Text: make([]byte, 2<<20), High: 1, More: true}, p.Mark()); p.Get(large) != nil {
		t.Error("a very large page is kept")
	}
}
