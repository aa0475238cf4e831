package conversation

import (
	"slices"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// AuthorGone takes a deleted account out of what is in memory, as Postgres has
// taken it out of the rows.
func (s *State) AuthorGone(_ turn.Turn, m *protocol.AuthorGone) (turn.Outcome, error) {
	his := func(c protocol.Reacted) bool { return c.User == m.User }
	names := func(span protocol.Span) bool { return span.UserID != nil && *span.UserID == m.User }
	for _, e := range s.byID {
		wrote := e.msg.AuthorID != nil && *e.msg.AuthorID == m.User
		reacted := slices.ContainsFunc(e.choices, his)
		named := slices.ContainsFunc(e.msg.Spans, names)
		if !wrote && !reacted && !named {
			continue
		}
		msg, choices := *e.msg, e.choices
		if wrote {
			msg.AuthorID = nil
		}
		if named {
			msg.Spans = slices.Clone(msg.Spans)
			for i := range msg.Spans {
				if names(msg.Spans[i]) {
					msg.Spans[i].UserID = nil
				}
			}
		}
		if reacted {
			choices = slices.DeleteFunc(slices.Clone(choices), his)
			msg.Reactions = protocol.GroupReactions(choices)
		}
		s.replace(e, &msg, choices)
	}
	s.archive.pages.Clear() // he may be on any of them
	delete(s.lastSend, m.User)
	delete(s.typing, m.User)
	delete(s.receipts.waiting, m.User)
	return turn.Outcome{}, nil
}
