package conversation

import (
	"context"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errNoParent = protocol.NotFound("Parent message not found")
	errNested   = protocol.BadRequest("Cannot create nested threads")
	errNoReply  = protocol.Invalid([]protocol.FieldError{{Field: "spans", Rule: "arrayMinLength", Message: "At least one span or attachment is required"}})
)

// sendReply is sendMessage below another message: the same checks in the same
// order, a seq of the same log, and the same answer to a repetition.
func (s *State) sendReply(t turn.Turn, req protocol.SendThreadReply) (turn.Outcome, error) {
	author := t.Caller.UserID
	if first, ok := s.sends.known(author, req.ID, req.Nonce, t.Now); ok {
		return s.sentBefore(first), nil
	}
	if !rules.Storable(req.Nonce) {
		return turn.Outcome{}, errBadNonce
	}
	if req.ID.IsZero() || s.byID[req.ID] != nil {
		req.ID = protocol.MessageID(protocol.NewID[rowTag]())
	}
	d := draft{id: req.ID, nonce: req.Nonce, pending: req.PendingAttachments, spans: []protocol.Span{}}
	if len(req.Spans) == 0 && len(req.Attachments) == 0 && (req.PendingAttachments == nil || *req.PendingAttachments == 0) {
		return turn.Outcome{}, errNoReply
	}
	if len(req.Spans) > 0 {
		var err error
		if d.spans, err = rules.Spans(req.ID, req.Spans); err != nil {
			return turn.Outcome{}, err
		}
	}
	return s.withMessage(t, req.ParentMessageID, protocol.ThreadReply.Permission, func(t turn.Turn, parent *entry) (turn.Outcome, error) {
		return s.reply(t, d, parent, req.Attachments)
	})
}

// reply goes on when the parent is there; files that it needs are read first.
func (s *State) reply(t turn.Turn, d draft, parent *entry, wanted []protocol.FileID) (turn.Outcome, error) {
	if first, ok := s.sends.known(t.Caller.UserID, d.id, d.nonce, t.Now); ok {
		return s.sentBefore(first), nil
	}
	if err := s.mayReply(t, parent); err != nil {
		return turn.Outcome{}, err
	}
	lane := laneKey{author: t.Caller.UserID}
	if len(wanted) == 0 && s.lanes[lane] == nil {
		d.attachments, d.parent = []protocol.Attachment{}, parent
		return s.accept(t, d), nil
	}
	id, needs := parent.msg.ID, protocol.ThreadReply.Permission
	var files attachables
	return s.detour(job{
		key: lane, by: t.Caller, needs: needs,
		ready: func() bool { return len(wanted) == 0 },
		read: func(ctx context.Context) (func(), error) {
			return func() {}, files.read(ctx, s.archive, wanted, t.Caller.UserID, d.id)
		},
		run: func(t turn.Turn) (turn.Outcome, error) {
			attachments, err := files.pick(wanted)
			if err != nil {
				return turn.Outcome{}, err
			}
			d.attachments = attachments
			return s.withMessage(t, id, needs, func(t turn.Turn, parent *entry) (turn.Outcome, error) { // it may have gone meanwhile
				if first, ok := s.sends.known(t.Caller.UserID, d.id, d.nonce, t.Now); ok {
					return s.sentBefore(first), nil
				}
				if err := s.mayReply(t, parent); err != nil {
					return turn.Outcome{}, err
				}
				d.parent = parent
				return s.accept(t, d), nil
			})
		},
	}), nil
}

func (s *State) mayReply(t turn.Turn, parent *entry) error {
	switch {
	case parent == nil:
		return errNoParent
	case parent.msg.ParentMessageID != nil:
		return errNested
	}
	return s.maySend(t)
}

// counted makes a parent show one reply more. In Postgres it counts the rows of
// replies as they come and go.
func (s *State) counted(parent *entry, reply *protocol.Message) counting {
	m := *parent.msg
	c := counting{parent: parent, before: m.LastReplyAt, last: reply.SentAt.Ptr()}
	m.ReplyCount++
	m.LastReplyAt = c.last
	s.replace(parent, &m, parent.choices)
	return c
}

// subscribers are the rows that let the author of a reply and that of its parent
// hear of the next ones.
func (s *State) subscribers(parent, reply *protocol.Message) []persistence.Row {
	rows := []persistence.Row{&persistence.SubscribedRow{ID: newRowID(), User: *reply.AuthorID, Parent: parent.ID, At: reply.SentAt}}
	if parent.AuthorID != nil && *parent.AuthorID != *reply.AuthorID && parent.ReplyCount == 1 { // later he may have had enough of it
		rows = append(rows, &persistence.SubscribedRow{ID: newRowID(), User: *parent.AuthorID, Parent: parent.ID, At: reply.SentAt})
	}
	return rows
}

// aboutReply is the payload of newThreadReply and updateThreadReply.
func aboutReply(e *entry) []byte {
	text := e.encoded()
	payload := make([]byte, 0, len(text)+len(`{"reply":,"parentMessageId":"00000000-0000-0000-0000-000000000000"}`))
	payload = append(payload, `{"reply":`...)
	payload = append(payload, text...)
	payload = append(payload, `,"parentMessageId":"`...)
	payload = append(payload, e.msg.ParentMessageID.String()...)
	return append(payload, `"}`...)
}

// updated are the events of a message that has changed.
func (s *State) updated(t turn.Turn, e *entry) []protocol.Event {
	events := []protocol.Event{s.event(t, "updateMessage", about(e))}
	if e.msg.ParentMessageID != nil {
		events = append(events, s.event(t, "updateThreadReply", aboutReply(e)))
	}
	return events
}

// replyCount is the event of a parent whose replies have changed in number.
func (s *State) replyCount(t turn.Turn, parent *protocol.Message) protocol.Event {
	return s.event(t, "threadReplyCountUpdated", encode(protocol.ThreadReplyCount{
		ParentMessageID: parent.ID, ReplyCount: parent.ReplyCount, LastReplyAt: parent.LastReplyAt,
		ChannelID: s.channel, DirectMessageGroupID: s.group,
	}))
}

// removed are the events of a message that is gone. Clients fetch pins again only
// when they hear of pins, so those of a pinned message are told first that it is one
// no longer. Which replies were pinned is not known: whoever had any is told in the
// name of their parent.
func (s *State) removed(t turn.Turn, m *protocol.Message) []protocol.Event {
	var events []protocol.Event
	if m.Pinned || m.ReplyCount > 0 && s.channel != nil {
		events = append(events, s.unpinned(t, m.ID))
	}
	events = append(events, s.deleted(t, m.ID))
	if m.ParentMessageID == nil {
		return events
	}
	events = append(events, s.event(t, "deleteThreadReply", encode(protocol.ThreadReplyDeleted{
		ReplyID: m.ID, ParentMessageID: *m.ParentMessageID,
	})))
	if parent := s.byID[*m.ParentMessageID]; parent != nil {
		events = append(events, s.replyCount(t, parent.msg))
	}
	return events
}

// withThread is withMessage that has the parent of a reply in memory too, if there
// still is one: its count is going to change.
func (s *State) withThread(t turn.Turn, id protocol.MessageID, needs protocol.Action, run func(t turn.Turn, e *entry) (turn.Outcome, error)) (turn.Outcome, error) {
	return s.withMessage(t, id, needs, func(t turn.Turn, e *entry) (turn.Outcome, error) {
		if e == nil || e.msg.ParentMessageID == nil || s.find(*e.msg.ParentMessageID) != nil {
			return run(t, e)
		}
		return s.withMessage(t, *e.msg.ParentMessageID, needs, func(t turn.Turn, _ *entry) (turn.Outcome, error) {
			e := s.byID[id]
			if e == nil { // gone meanwhile, or out of memory
				return turn.Outcome{}, protocol.ErrUnavailable
			}
			return run(t, e)
		})
	})
}

// counting is what a reply has changed of its parent.
type counting struct {
	parent       *entry
	before, last *protocol.Instant // of the last reply
}

// uncount takes it back for a reply that Postgres did not take. It reports whether
// memory is right: it is not when the parent was read again meanwhile.
func (s *State) uncount(c counting) (right bool) {
	now := s.byID[c.parent.msg.ID]
	if now == c.parent {
		p := *now.msg
		p.ReplyCount = max(0, p.ReplyCount-1)
		if p.LastReplyAt == c.last { // no other has come since
			p.LastReplyAt = c.before
		}
		s.replace(now, &p, now.choices)
	}
	return now == nil || now == c.parent
}

// keepsSeq is the row that a deletion needs that may take the newest rows with
// it: their seqs must not come back.
func (s *State) keepsSeq(t turn.Turn, m *protocol.Message) []persistence.Row {
	if m.ReplyCount == 0 && (m.ParentMessageID == nil || m.Seq != s.seq) {
		return nil
	}
	return []persistence.Row{&persistence.SeqRow{
		ID: protocol.MessageID(protocol.NewID[rowTag]()), In: s.in, Seq: s.seq, At: s.now(t),
	}}
}

// listReplies lets the edge read a page of a thread.
func (s *State) listReplies(t turn.Turn, req protocol.ListReplies) (turn.Outcome, error) {
	return s.withMessage(t, req.ParentMessageID, protocol.ThreadList.Permission, func(_ turn.Turn, parent *entry) (turn.Outcome, error) {
		if parent == nil {
			return turn.Outcome{}, errNoParent
		}
		g := s.grant(parent)
		g.Limit = max(1, min(req.Limit, protocol.MaxPage))
		switch kind, cursor, id := protocol.ReadToken(s.in, req.ContinuationToken); kind {
		case protocol.TokenNone:
		case protocol.TokenForeign:
			g.Empty = true
		case protocol.TokenCursor:
			g.Cursor = cursor.Seq
		case protocol.TokenMessage:
			g.After = id
		}
		return turn.Outcome{Reply: g, AfterRows: true}, nil
	})
}

// getThread tells how many replies there are; the edge reads whether the caller
// hears of them.
func (s *State) getThread(t turn.Turn, req protocol.GetThread) (turn.Outcome, error) {
	return s.withMessage(t, req.ParentMessageID, protocol.ThreadGet.Permission, func(_ turn.Turn, parent *entry) (turn.Outcome, error) {
		if parent == nil {
			return turn.Outcome{}, errNoMessage
		}
		return turn.Outcome{Reply: s.grant(parent), AfterRows: true}, nil
	})
}

func (s *State) grant(parent *entry) *protocol.ThreadGrant {
	return &protocol.ThreadGrant{In: s.in, Parent: parent.msg.ID, ReplyCount: parent.msg.ReplyCount, LastReplyAt: parent.msg.LastReplyAt}
}

// subscribe makes the caller hear of replies.
func (s *State) subscribe(t turn.Turn, req protocol.SubscribeThread) (turn.Outcome, error) {
	return s.withMessage(t, req.ParentMessageID, protocol.ThreadSubscribe.Permission, func(t turn.Turn, parent *entry) (turn.Outcome, error) {
		switch {
		case parent == nil:
			return turn.Outcome{}, errNoParent
		case parent.msg.ParentMessageID != nil:
			return turn.Outcome{}, errNested
		}
		return turn.Outcome{Reply: &protocol.None{}, Rows: []persistence.Row{
			&persistence.SubscribedRow{ID: newRowID(), User: t.Caller.UserID, Parent: parent.msg.ID, At: s.now(t)},
		}}, nil
	})
}

// unsubscribe ends that; who hears of nothing has nothing to end.
func (s *State) unsubscribe(t turn.Turn, req protocol.UnsubscribeThread) (turn.Outcome, error) {
	return turn.Outcome{Reply: &protocol.None{}, Rows: []persistence.Row{
		&persistence.UnsubscribedRow{User: t.Caller.UserID, Parent: req.ParentMessageID},
	}}, nil
}
