package conversation

import (
	"context"
	"encoding/json"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errPinned    = protocol.Conflict("Message is already pinned")
	errNotPinned = protocol.Conflict("Message is not pinned")
	errRemoved   = protocol.Conflict("Message is already deleted")
)

// pinMessage pins a message. A message that was removed is not found.
func (s *State) pinMessage(t turn.Turn, req protocol.PinMessage) (turn.Outcome, error) {
	return s.withMessage(t, req.MessageID, protocol.MessagePin.Permission, func(t turn.Turn, e *entry) (turn.Outcome, error) {
		switch {
		case e == nil:
			return turn.Outcome{}, errNoMessage
		case e.msg.Pinned:
			return turn.Outcome{}, errPinned
		}
		at, by := s.now(t), t.Caller.UserID
		m := *e.msg
		m.Pinned, m.PinnedAt, m.PinnedBy = true, &at, &by
		s.replace(e, &m, e.choices)
		return s.moderated(t, m.ID, "Message pinned successfully", []persistence.Row{
			&persistence.PinRow{ID: m.ID, Pinned: true, At: at, By: by},
			s.logged(t, m.ID, protocol.LogPin, req.Reason, nil),
		}, s.inThread(t, e, s.event(t, "messagePinned", encode(protocol.MessagePinned{MessageID: m.ID, ChannelID: s.in.Channel, PinnedBy: by, PinnedAt: at})))...), nil
	})
}

func (s *State) unpinMessage(t turn.Turn, req protocol.UnpinMessage) (turn.Outcome, error) {
	return s.withMessage(t, req.MessageID, protocol.MessageUnpin.Permission, func(t turn.Turn, e *entry) (turn.Outcome, error) {
		switch {
		case e == nil:
			return turn.Outcome{}, errNoMessage
		case !e.msg.Pinned:
			return turn.Outcome{}, errNotPinned
		}
		m := *e.msg
		m.Pinned, m.PinnedAt, m.PinnedBy = false, nil, nil
		s.replace(e, &m, e.choices)
		return s.moderated(t, m.ID, "Message unpinned successfully", []persistence.Row{
			&persistence.PinRow{ID: m.ID},
			s.logged(t, m.ID, protocol.LogUnpin, req.Reason, nil),
		}, s.inThread(t, e, s.unpinned(t, m.ID))...), nil
	})
}

// inThread are the events of a change that clients do not apply to the replies of
// an open thread by its own.
func (s *State) inThread(t turn.Turn, e *entry, event protocol.Event) []protocol.Event {
	if e.msg.ParentMessageID == nil {
		return []protocol.Event{event}
	}
	return []protocol.Event{event, s.event(t, "updateThreadReply", aboutReply(e))}
}

// unpinned is the event of a message that is pinned no longer.
func (s *State) unpinned(t turn.Turn, id protocol.MessageID) protocol.Event {
	return s.event(t, "messageUnpinned", encode(protocol.MessageUnpinned{MessageID: id, ChannelID: s.in.Channel, UnpinnedBy: t.Caller.UserID}))
}

// moderated is the answer to a change of a message that stays.
func (s *State) moderated(t turn.Turn, id protocol.MessageID, text string, rows []persistence.Row, events ...protocol.Event) turn.Outcome {
	return turn.Outcome{
		Reply: &protocol.Moderated{Success: true, Message: text}, Rows: rows, Events: events,
		Refused: func(turn.Turn, error) turn.Outcome { return s.reread(t.Owner, id) },
	}
}

// logged is the entry of the moderation log, written with the change.
func (s *State) logged(t turn.Turn, id protocol.MessageID, action string, reason *string, metadata json.RawMessage) *persistence.ModerationRow {
	return &persistence.ModerationRow{
		ID: newRowID(), Community: s.rules.Community(), Moderator: t.Caller.UserID, Message: id,
		Action: action, Reason: rules.Reason(reason), Metadata: metadata, At: s.now(t),
	}
}

// removeMessage hides a message from everybody. Its row stays for the record;
// lists, pins and pages do without it.
func (s *State) removeMessage(t turn.Turn, req protocol.RemoveMessage) (turn.Outcome, error) {
	return s.withThread(t, req.MessageID, protocol.MessageRemove.Permission, func(t turn.Turn, e *entry) (turn.Outcome, error) {
		if e == nil {
			return s.whyGone(req.MessageID), nil
		}
		s.drop(e)
		author := encode(struct {
			AuthorID *protocol.UserID `json:"authorId"`
		}{e.msg.AuthorID})
		out := s.moderated(t, req.MessageID, "Message deleted successfully", []persistence.Row{
			&persistence.RemovedRow{ID: req.MessageID, At: s.now(t), By: t.Caller.UserID, Reason: rules.Reason(req.Reason)},
			s.logged(t, req.MessageID, protocol.LogDeleteMessage, req.Reason, author),
		}, s.removed(t, e.msg)...)
		if e.msg.ParentMessageID != nil { // the count of the parent is in doubt too
			out.Refused = func(turn.Turn, error) turn.Outcome { return turn.Outcome{Stop: true} }
		}
		return out, nil
	})
}

// whyGone finds out whether a message was removed or was never there. All that
// was queued for it is stored.
func (s *State) whyGone(id protocol.MessageID) turn.Outcome {
	a, in := s.archive, s.in
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		switch removed, err := a.db.MessageRemoved(ctx, in, id); {
		case err != nil:
			return nil, err
		case removed:
			return nil, errRemoved
		}
		return nil, errNoMessage
	}}
}

// listPins lets the edge read the pins when all that was queued is stored.
func (s *State) listPins(t turn.Turn, _ protocol.ListPins) (turn.Outcome, error) {
	return turn.Outcome{Reply: &protocol.ModerationGrant{Now: t.Now}, AfterRows: true}, nil
}

// aliasGone takes a deleted alias group out of what is in memory, as Postgres
// has taken it out of the rows.
func (s *State) aliasGone(_ turn.Turn, m *protocol.AliasGone) (turn.Outcome, error) {
	for _, e := range s.byID {
		var spans []protocol.Span
		for i, span := range e.msg.Spans {
			if span.AliasID == nil || *span.AliasID != protocol.AnyID(m.Group) {
				continue
			}
			if spans == nil {
				spans = append(spans, e.msg.Spans...)
			}
			spans[i].AliasID = nil
		}
		if spans != nil {
			msg := *e.msg
			msg.Spans = spans
			s.replace(e, &msg, e.choices)
		}
	}
	s.archive.pages.Clear() // it may be named on any of them
	return turn.Outcome{}, nil
}
