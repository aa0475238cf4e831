package persistence

import (
	"container/list"
	"encoding/json"
	"sync"

	"github.com/rookery-chat/rookery/protocol"
)

const (
	// maxPageBytes bounds what a node keeps of pages that it read from Postgres.
	maxPageBytes = 64 << 20
	// maxPageShare bounds one of them: a page of 100 messages that are as long as
	// they may be would push a hundred ordinary ones out.
	maxPageShare = maxPageBytes / 64
	pageOverhead = 256 // about what an entry costs besides its text
)

// pageCache keeps pages of the conversations that this node owns, those that were
// asked for last, as they were sent. Which page is still true is known to the
// owner of its conversation alone, so each activation has pages of its own and no way
// to those of another one (see Pages).
type pageCache struct {
	mu     sync.Mutex
	bytes  int
	used   list.List // of *cachedPage, the last used in front
	owners map[pageOwner]map[pagePlace]*list.Element
	purges uint64 // of everything

	hits, misses uint64
}

type pageOwner struct {
	in    protocol.Place
	epoch int64
}

// pagePlace names a page of a conversation.
type pagePlace struct {
	cursor int64
	limit  int
	newer  bool
}

type cachedPage struct {
	owner     pageOwner
	place     pagePlace
	text      json.RawMessage
	low, high int64
}

func (p *cachedPage) size() int { return len(p.text) + pageOverhead }

// PageStats are the figures of a node's pages.
type PageStats struct {
	Pages, Bytes int
	Hits, Misses uint64
}

// PageStats is a snapshot.
func (db *DB) PageStats() PageStats {
	c := &db.pages
	c.mu.Lock()
	defer c.mu.Unlock()
	return PageStats{Pages: c.used.Len(), Bytes: c.bytes, Hits: c.hits, Misses: c.misses}
}

// ForgetPages drops every page of this node: something was changed that no owner
// of a conversation is told of, such as that an alias group is gone which any message
// may name.
func (db *DB) ForgetPages() {
	c := &db.pages
	c.mu.Lock()
	defer c.mu.Unlock()
	c.purges++
	c.bytes, c.owners = 0, nil
	c.used.Init()
}

// drop removes an entry; the lock is held.
func (c *pageCache) drop(e *list.Element) {
	p := c.used.Remove(e).(*cachedPage)
	c.bytes -= p.size()
	places := c.owners[p.owner]
	if delete(places, p.place); len(places) == 0 {
		delete(c.owners, p.owner)
	}
}

// Pages is what one activation of a conversation keeps of older pages. It is
// used in its turns only. nil keeps nothing.
type Pages struct {
	db      *DB
	owner   pageOwner
	high    int64  // no page kept depends on a greater seq
	changes uint64 // of messages
}

// Pages are the pages of an activation. Those of an earlier one are never
// seen again.
func (db *DB) Pages(in protocol.Place, epoch int64) *Pages {
	return &Pages{db: db, owner: pageOwner{in, epoch}}
}

// Get gives a page that is kept; nil when there is none.
func (p *Pages) Get(g protocol.PageGrant) json.RawMessage {
	if p == nil {
		return nil
	}
	c := &p.db.pages
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.owners[p.owner][pagePlace{g.Cursor, g.Limit, g.Newer}]
	if e == nil {
		c.misses++
		return nil
	}
	c.hits++
	c.used.MoveToFront(e)
	return e.Value.(*cachedPage).text
}

// PageMark is a moment in the life of a conversation's pages.
type PageMark struct{ changes, purges uint64 }

// Mark is what Put wants to know: take it in the turn that begins to read.
func (p *Pages) Mark() PageMark {
	if p == nil {
		return PageMark{}
	}
	c := &p.db.pages
	c.mu.Lock()
	defer c.mu.Unlock()
	return PageMark{p.changes, c.purges}
}

// Put keeps a page that was read, unless a message was changed since the reading
// began, or the page changes by itself.
func (p *Pages) Put(g protocol.PageGrant, page *StoredPage, since PageMark) {
	if p == nil || since.changes != p.changes || !page.Settled(g) || len(page.Text) > maxPageShare {
		return
	}
	p.high = max(p.high, page.High)
	c := &p.db.pages
	c.mu.Lock()
	defer c.mu.Unlock()
	if since.purges != c.purges {
		return
	}
	places := c.owners[p.owner]
	if places == nil {
		places = map[pagePlace]*list.Element{}
		if c.owners == nil {
			c.owners = map[pageOwner]map[pagePlace]*list.Element{}
		}
		c.owners[p.owner] = places
	}
	entry := &cachedPage{p.owner, pagePlace{g.Cursor, g.Limit, g.Newer}, page.Text, page.Low, page.High}
	if old := places[entry.place]; old != nil { // two have read it at the same time
		c.bytes -= old.Value.(*cachedPage).size()
		c.used.Remove(old)
	}
	places[entry.place] = c.used.PushFront(entry)
	for c.bytes += entry.size(); c.bytes > maxPageBytes; {
		c.drop(c.used.Back())
	}
}

// Changed drops the pages that depend on a message. It costs next to nothing for
// a message that is newer than all of them.
func (p *Pages) Changed(seq int64) {
	if p == nil {
		return
	}
	p.changes++
	if seq > p.high {
		return
	}
	c := &p.db.pages
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.owners[p.owner] {
		if kept := e.Value.(*cachedPage); kept.low <= seq && seq <= kept.high {
			c.drop(e)
		}
	}
}

// Clear drops all pages of the conversation: something about it was changed that may
// show in any of them.
func (p *Pages) Clear() {
	if p == nil {
		return
	}
	p.changes++
	p.high = 0
	c := &p.db.pages
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.owners[p.owner] {
		c.drop(e)
	}
}
