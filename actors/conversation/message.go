package conversation

import (
	"context"
	"errors"
	"slices"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errNoMessage    = protocol.NotFound("Message not found")
	errNoAttachment = protocol.BadRequest("Attachment not found")
	errTwoContexts  = protocol.BadRequest("Either channelId or directMessageGroupId is required, not both")
	errBadNonce     = protocol.Invalid([]protocol.FieldError{{Field: "nonce", Rule: "isText", Message: "nonce must not contain NUL or invalid characters"}})
)

// rowTag marks ids of rows that nothing refers to.
type rowTag struct{}

func newRowID() protocol.AnyID { return protocol.AnyID(protocol.NewID[rowTag]()) }

// sendMessage checks in the contract's order: validity, timeout, slow mode.
// Permission was judged before. The same id or nonce again is the same message.
func (s *State) sendMessage(t turn.Turn, req protocol.SendMessage) (turn.Outcome, error) {
	author := t.Caller.UserID
	if first, ok := s.sends.known(author, req.ID, req.Nonce, t.Now); ok {
		return s.sentBefore(first), nil
	}
	if (req.ChannelID == nil) == (req.DirectMessageGroupID == nil) {
		return turn.Outcome{}, errTwoContexts
	}
	if !rules.Storable(req.Nonce) {
		return turn.Outcome{}, errBadNonce
	}
	if req.ID.IsZero() || s.byID[req.ID] != nil {
		req.ID = protocol.MessageID(protocol.NewID[rowTag]())
	}
	spans, err := rules.Spans(req.ID, req.Spans)
	if err != nil {
		return turn.Outcome{}, err
	}
	if err := s.maySend(t); err != nil {
		return turn.Outcome{}, err
	}
	lane := laneKey{author: author}
	if len(req.Attachments) == 0 && s.lanes[lane] == nil {
		return s.accept(t, drafted(req, spans, []protocol.Attachment{})), nil
	}
	var files attachables
	return s.detour(job{
		key: lane, by: t.Caller, needs: protocol.MessageSend.Permission,
		ready: func() bool { return len(req.Attachments) == 0 },
		read: func(ctx context.Context) (func(), error) {
			return func() {}, files.read(ctx, s.archive, req.Attachments, author, req.ID)
		},
		run: func(t turn.Turn) (turn.Outcome, error) { return s.sendWith(t, req, spans, files) },
	}), nil
}

// sendWith is the second half of a send that had to wait for its files.
func (s *State) sendWith(t turn.Turn, req protocol.SendMessage, spans []protocol.Span, files attachables) (turn.Outcome, error) {
	if first, ok := s.sends.known(t.Caller.UserID, req.ID, req.Nonce, t.Now); ok {
		return s.sentBefore(first), nil
	}
	if err := s.maySend(t); err != nil {
		return turn.Outcome{}, err
	}
	attachments, err := files.pick(req.Attachments)
	if err != nil {
		return turn.Outcome{}, err
	}
	return s.accept(t, drafted(req, spans, attachments)), nil
}

// maySend judges what the kind refuses senders for, such as slow mode.
func (s *State) maySend(t turn.Turn) error { return s.rules.MaySend(t, s.lastSend[t.Caller.UserID]) }

// sentBefore answers a repeated send with what the first one led to, when that
// is stored. The row goes once more: an activation that has lost its lease, or a
// row that was refused, must not be taken for success.
func (s *State) sentBefore(id protocol.MessageID) turn.Outcome {
	if e := s.byID[id]; e != nil {
		return turn.Outcome{Reply: e.msg, Rows: []persistence.Row{&persistence.MessageRow{Message: e.msg}}}
	}
	return s.cold(id)
}

// cold lets the edge read a message when all that was queued is stored.
func (s *State) cold(id protocol.MessageID) turn.Outcome {
	return turn.Outcome{Reply: &protocol.ColdMessage{ID: id, In: s.in}, AfterRows: true}
}

func drafted(req protocol.SendMessage, spans []protocol.Span, attachments []protocol.Attachment) draft {
	return draft{id: req.ID, nonce: req.Nonce, pending: req.PendingAttachments, spans: spans, attachments: attachments}
}

// draft is a message that nothing stands in the way of.
type draft struct {
	id          protocol.MessageID
	nonce       string
	pending     *int
	spans       []protocol.Span
	attachments []protocol.Attachment
	parent      *entry // of a thread reply
}

// accept makes the message: from here on it has happened.
func (s *State) accept(t turn.Turn, d draft) turn.Outcome {
	author, parent := t.Caller.UserID, d.parent
	pending := 0
	if d.pending != nil {
		pending = *d.pending
	}
	s.seq++
	m := &protocol.Message{
		ID: d.id, ChannelID: s.channel, DirectMessageGroupID: s.group, AuthorID: &author, SentAt: s.now(t), PendingAttachments: &pending,
		SearchText: rules.SearchText(d.spans), Spans: d.spans, Reactions: []protocol.Reaction{},
		Attachments: d.attachments, Seq: s.seq, Nonce: d.nonce,
	}
	if parent != nil {
		m.ParentMessageID = &parent.msg.ID
	}
	e := &entry{msg: m}
	s.remember(e)
	s.sends.add(send{id: m.ID, author: author, nonce: m.Nonce, at: m.SentAt})
	before := s.lastSend[author]
	s.sentAt(author, m.SentAt)

	rows := s.fillHoles(&persistence.MessageRow{Message: m})
	for i, a := range m.Attachments {
		rows = append(rows, &persistence.AttachedRow{ID: newRowID(), Message: m.ID, File: a.ID, Position: i})
	}
	out := turn.Outcome{Reply: m}
	read := s.receipts.waiting[author]
	var counts *counting
	if parent != nil {
		s.unlisted = m.Seq
		c := s.counted(parent, m)
		counts = &c
		rows = append(rows, s.subscribers(parent.msg, m)...)
		event := s.event(t, "newThreadReply", aboutReply(e))
		event.Seq, event.Author = m.Seq, t.Caller.Conn
		out.Events = []protocol.Event{event, s.replyCount(t, parent.msg)}
	} else {
		event := s.event(t, s.newMessage(), about(e))
		event.Seq, event.Author = m.Seq, t.Caller.Conn
		out.Events = []protocol.Event{event}
		if mark := receiptOf(m); !s.receipts.add(author, mark) {
			rows = append(rows, mark.row(s.in, author))
		}
		out.Timers = s.receipts.timer()
	}
	out.Rows = rows
	out.Refused = func(t turn.Turn, _ error) turn.Outcome { return s.unsend(t, m, before, read, counts) }
	s.noticed(m, &out)
	return out
}

// fillHoles puts the rows before others that wait to take the seqs of messages
// that were refused.
func (s *State) fillHoles(row *persistence.MessageRow) []persistence.Row {
	rows := make([]persistence.Row, 0, len(s.holes)+1)
	for _, hole := range s.holes {
		rows = append(rows, hole)
	}
	s.holes = nil
	return append(rows, row)
}

// unsend takes back a message that Postgres did not take. Its seq is not used
// again: clients have seen it, and messages after it may be stored. A row without
// content, which nothing shows, takes its place.
func (s *State) unsend(t turn.Turn, m *protocol.Message, before protocol.Instant, read receipt, counts *counting) turn.Outcome {
	s.forget(m.ID)
	s.sends.undo(m.ID)
	s.receipts.undo(*m.AuthorID, m.ID, read)
	if s.lastSend[*m.AuthorID] == m.SentAt {
		s.lastSend[*m.AuthorID] = before
	}
	sentAt := m.SentAt
	hole := &persistence.MessageRow{Message: &protocol.Message{
		ID: protocol.MessageID(protocol.NewID[rowTag]()), ChannelID: m.ChannelID, DirectMessageGroupID: m.DirectMessageGroupID, Seq: m.Seq, SentAt: sentAt, DeletedAt: &sentAt,
	}}
	return turn.Outcome{
		Stop:    counts != nil && !s.uncount(*counts),
		Rows:    []persistence.Row{hole},
		Events:  s.removed(t, m),
		Refused: func(_ turn.Turn, err error) turn.Outcome { return s.refusedHole(hole, err) },
	}
}

// refusedHole keeps the row for the next write when there was only no room for
// it. When Postgres does not want it either, the next activation finds out why.
func (s *State) refusedHole(hole *persistence.MessageRow, err error) turn.Outcome {
	if !errors.Is(err, protocol.ErrUnavailable) {
		return turn.Outcome{Stop: true}
	}
	s.holes = append(s.holes, hole)
	return turn.Outcome{}
}

// deleted is the event of a message that is gone.
func (s *State) deleted(t turn.Turn, id protocol.MessageID) protocol.Event {
	return s.event(t, "deleteMessage", encode(protocol.MessageDeleted{MessageID: id, ChannelID: s.channel, DirectMessageGroupID: s.group}))
}

// getMessage answers from memory or lets the edge read.
func (s *State) getMessage(_ turn.Turn, req protocol.GetMessage) (turn.Outcome, error) {
	if e := s.byID[req.ID]; e != nil {
		return turn.Outcome{Reply: e.msg}, nil
	}
	return s.cold(req.ID), nil
}

// editMessage changes a message of the caller.
func (s *State) editMessage(t turn.Turn, req protocol.EditMessage) (turn.Outcome, error) {
	complete := func(e *entry) bool {
		return e != nil && (req.Attachments == nil || len(newFiles(e.msg, *req.Attachments)) == 0)
	}
	if e := s.find(req.ID); complete(e) {
		return s.edit(t, e, req, nil)
	}
	var files attachables
	return s.detour(job{
		key: laneKey{message: req.ID}, by: t.Caller, needs: protocol.MessageEdit.Permission,
		ready: func() bool { return complete(s.byID[req.ID]) },
		read: func(ctx context.Context) (func(), error) {
			if req.Attachments != nil {
				if err := files.read(ctx, s.archive, *req.Attachments, t.Caller.UserID, req.ID); err != nil {
					return nil, err
				}
			}
			return s.readMessage(ctx, t.Owner, req.ID)
		},
		run: func(t turn.Turn) (turn.Outcome, error) { return s.edit(t, s.byID[req.ID], req, files) },
	}), nil
}

func (s *State) edit(t turn.Turn, e *entry, req protocol.EditMessage, files attachables) (turn.Outcome, error) {
	switch {
	case e == nil:
		return turn.Outcome{}, errNoMessage
	case !rules.CanEdit(t.Caller.UserID, e.msg.AuthorID):
		return turn.Outcome{}, protocol.ErrForbidden
	}
	if err := s.rules.MayTouch(t); err != nil {
		return turn.Outcome{}, err
	}
	m := *e.msg
	var rows []persistence.Row
	if req.Spans != nil {
		spans, err := rules.Spans(m.ID, *req.Spans)
		if err != nil {
			return turn.Outcome{}, err
		}
		m.Spans, m.SearchText, m.EditedAt = spans, rules.SearchText(spans), s.now(t).Ptr()
		rows = append(rows, &persistence.EditRow{ID: m.ID, EditedAt: *m.EditedAt, SearchText: m.SearchText, Spans: m.Spans})
	}
	if req.Attachments != nil {
		changes, err := s.reattach(t, &m, *req.Attachments, files)
		if err != nil {
			return turn.Outcome{}, err
		}
		rows = append(rows, changes...)
	}
	if len(rows) > 0 {
		s.replace(e, &m, e.choices)
	}
	return turn.Outcome{
		Reply: e.msg, Rows: rows, AfterRows: true,
		Events:  s.updated(t, e),
		Refused: func(turn.Turn, error) turn.Outcome { return s.reread(t.Owner, m.ID) },
	}, nil
}

// reattach gives the message the files wanted: those it has keep their order,
// new ones follow.
func (s *State) reattach(t turn.Turn, m *protocol.Message, wanted []protocol.FileID, files attachables) ([]persistence.Row, error) {
	added, err := files.pick(newFiles(m, wanted))
	if err != nil {
		return nil, err
	}
	var rows []persistence.Row
	left := []protocol.Attachment{}
	for _, a := range m.Attachments {
		if slices.Contains(wanted, a.ID) {
			left = append(left, a)
			continue
		}
		rows = append(rows, &persistence.DetachedRow{Message: m.ID, File: a.ID, At: s.now(t)})
	}
	for i, a := range added {
		rows = append(rows, &persistence.AttachedRow{ID: newRowID(), Message: m.ID, File: a.ID, Position: i})
	}
	left = append(left, added...)
	m.Attachments = left
	return rows, nil
}

// deleteMessage removes a message, of the caller or as a moderator.
func (s *State) deleteMessage(t turn.Turn, req protocol.DeleteMessage) (turn.Outcome, error) {
	needs := protocol.MessageDelete.Permission
	if s.group != nil { // also for authors who have left
		needs = protocol.ActionNone
	}
	return s.withThread(t, req.ID, needs, func(t turn.Turn, e *entry) (turn.Outcome, error) {
		switch {
		case e == nil && s.rules.Still(t.Caller, protocol.MessageDelete.Permission) != nil:
			return turn.Outcome{}, protocol.ErrForbidden
		case e == nil:
			return turn.Outcome{}, errNoMessage
		case !rules.CanDelete(t.Caller.UserID, e.msg.AuthorID, s.rules.Actions(t.Caller)):
			return turn.Outcome{}, protocol.ErrForbidden
		}
		s.drop(e)
		return turn.Outcome{
			Reply:  &protocol.None{},
			Rows:   s.deletion(t, e.msg),
			Events: s.removed(t, e.msg),
			Refused: func(turn.Turn, error) turn.Outcome {
				if e.msg.ParentMessageID != nil {
					return turn.Outcome{Stop: true} // the count of the parent is in doubt too
				}
				return s.reread(t.Owner, req.ID)
			},
		}, nil
	})
}

// deletion removes a message from Postgres. Its author's watermark is stored with
// it: the next activation must find its seq there when no newer message is left,
// so as not to use it again.
func (s *State) deletion(t turn.Turn, m *protocol.Message) []persistence.Row {
	rows := []persistence.Row{&persistence.DeletedRow{ID: m.ID, At: s.now(t)}}
	if m.AuthorID != nil && m.ParentMessageID == nil {
		rows = append(rows, receiptOf(m).row(s.in, *m.AuthorID))
	}
	return append(rows, s.keepsSeq(t, m)...)
}

// drop takes a message out of memory with its replies; of a reply the parent
// counts one less.
func (s *State) drop(e *entry) {
	id := e.msg.ID
	s.forget(id)
	for _, w := range slices.Clone(s.warm) {
		if p := w.msg.ParentMessageID; p != nil && *p == id {
			s.forget(w.msg.ID)
		}
	}
	if e.msg.ParentMessageID == nil {
		return
	}
	if parent := s.byID[*e.msg.ParentMessageID]; parent != nil && parent.msg.ReplyCount > 0 {
		m := *parent.msg
		m.ReplyCount--
		s.replace(parent, &m, parent.choices)
	}
}

// attachables are the files that an author may attach, as Postgres has them.
type attachables []protocol.Attachment

func (f *attachables) read(ctx context.Context, a archive, ids []protocol.FileID, author protocol.UserID, message protocol.MessageID) (err error) {
	*f, err = a.db.Attachable(ctx, ids, author, message)
	return err
}

// pick gives the files in the order wanted, each once.
func (f attachables) pick(wanted []protocol.FileID) ([]protocol.Attachment, error) {
	into := []protocol.Attachment{}
	for _, id := range wanted {
		is := func(a protocol.Attachment) bool { return a.ID == id }
		if slices.ContainsFunc(into, is) {
			continue
		}
		i := slices.IndexFunc(f, is)
		if i < 0 {
			return nil, errNoAttachment
		}
		into = append(into, f[i])
	}
	return into, nil
}

// newFiles are those that the message does not have yet.
func newFiles(m *protocol.Message, wanted []protocol.FileID) []protocol.FileID {
	var missing []protocol.FileID
	for _, id := range wanted {
		if !slices.ContainsFunc(m.Attachments, func(a protocol.Attachment) bool { return a.ID == id }) {
			missing = append(missing, id)
		}
	}
	return missing
}
