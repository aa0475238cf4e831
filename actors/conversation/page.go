package conversation

import (
	"context"
	"slices"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// maxPages bounds the first pages kept: clients of one kind ask for one size.
const maxPages = 4

// pageKey names a first page.
type pageKey struct {
	limit int
	newer bool
}

// emptyPage answers tokens of elsewhere.
var emptyPage = []byte(`{"messages":[]}`)

// listMessages answers with the page: of what is in memory, one that was read
// before, or one that it reads. Only for tokens that are ids of messages it gives
// leave to read instead.
func (s *State) listMessages(t turn.Turn, req protocol.ListMessages) (turn.Outcome, error) {
	return s.List(t, req.Limit, req.ContinuationToken, req.Direction)
}

// List is listMessages for requests that name the conversation otherwise.
func (s *State) List(t turn.Turn, limit int, token, direction string) (turn.Outcome, error) {
	g := protocol.PageGrant{Limit: max(1, min(limit, protocol.MaxPage)), Newer: direction == "newer"}
	kind, cursor, id := protocol.ReadToken(s.in, token)
	switch kind {
	case protocol.TokenNone:
		return s.firstPage(t, g), nil
	case protocol.TokenForeign:
		g.Page = emptyPage
		return turn.Outcome{Reply: &g}, nil
	case protocol.TokenCursor:
		g.Cursor = cursor.Seq
	case protocol.TokenMessage:
		e := s.byID[id]
		if e == nil {
			g.After = id
			return turn.Outcome{Reply: &g, AfterRows: true}, nil
		}
		g.Cursor = e.msg.Seq
	}
	if g.Page = s.page(g); g.Page == nil {
		return s.coldPage(t, g), nil
	}
	return turn.Outcome{Reply: &g}, nil
}

// coldPage is a page of which not all is in memory: one that was read before and
// is still true, or one that is read now, beside the mailbox.
func (s *State) coldPage(t turn.Turn, g protocol.PageGrant) turn.Outcome {
	if g.Page = s.archive.pages.Get(g); g.Page != nil {
		return turn.Outcome{Reply: &g}
	}
	since := s.archive.pages.Mark()
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		page, err := s.archive.page(ctx, t.Owner, s.in, g)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			if err := s.stillMay(job{by: t.Caller, needs: protocol.MessageList.Permission}); err != nil {
				return turn.Outcome{}, err
			}
			s.archive.pages.Put(g, page, since)
			g.Page = page.Text
			return turn.Outcome{Reply: &g}, nil
		}, nil
	}}
}

// firstPage is what nearly everybody asks for: the same bytes until something
// changes.
func (s *State) firstPage(t turn.Turn, g protocol.PageGrant) turn.Outcome {
	key := pageKey{g.Limit, g.Newer}
	if kept := s.pages[key]; kept != nil {
		return turn.Outcome{Reply: kept}
	}
	if g.Page = s.page(g); g.Page == nil {
		return s.coldPage(t, g)
	}
	if len(s.pages) >= maxPages {
		clear(s.pages)
	}
	s.pages[key] = &g
	return turn.Outcome{Reply: &g}
}

// page makes a page of what is in memory; nil when that is not enough to know
// it, or to know whether there is more.
func (s *State) page(g protocol.PageGrant) []byte {
	var list []*entry // in the order of the direction, one more than the page has
	var all bool      // what the ring does not have does not exist
	if g.Newer {
		if g.Cursor < s.recent.floor {
			return nil
		}
		list, all = s.recent.list[s.recent.after(g.Cursor):], true
		list = list[:min(len(list), g.Limit+1)]
	} else {
		end := len(s.recent.list)
		if g.Cursor != 0 {
			end = s.recent.after(g.Cursor - 1)
		}
		list, all = s.recent.list[max(0, end-g.Limit-1):end], s.recent.floor == 0
		list = slices.Clone(list)
		slices.Reverse(list)
	}
	if len(list) <= g.Limit {
		if !all {
			return nil
		}
		return s.render(list, g.Newer, 0)
	}
	list = list[:g.Limit]
	return s.render(list, g.Newer, list[len(list)-1].msg.Seq)
}

// render writes a page around JSON that exists, newest first. next is the place
// where the next page begins; 0: this is the last one.
func (s *State) render(list []*entry, newer bool, next int64) []byte {
	size := 96
	for _, e := range list {
		size += len(e.encoded()) + 1
	}
	b := append(make([]byte, 0, size), `{"messages":[`...)
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		e := list[i]
		if newer {
			e = list[len(list)-1-i]
		}
		b = append(b, e.encoded()...)
	}
	b = append(b, ']')
	if next != 0 {
		b = append(b, `,"continuationToken":"`...)
		b = append(b, protocol.Cursor{In: s.in, Seq: next}.Token()...)
		b = append(b, '"')
	}
	return append(b, '}')
}
