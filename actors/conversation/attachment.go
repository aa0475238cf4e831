package conversation

import (
	"context"
	"slices"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

var errManyAttachments = protocol.BadRequest("The message has as many attachments as it can have")

// addAttachment links a file to a message of the caller that waits for it, or
// notes that one will not come. A file that the message has is not counted again.
func (s *State) addAttachment(t turn.Turn, req protocol.AddAttachment) (turn.Outcome, error) {
	complete := func(e *entry) bool { return e != nil && (req.FileID == nil || hasFile(e.msg, *req.FileID)) }
	if e := s.find(req.ID); complete(e) {
		return s.attach(t, e, req, nil)
	}
	var files attachables
	return s.detour(job{
		key: laneKey{message: req.ID}, by: t.Caller, needs: protocol.AttachmentAdd.Permission,
		ready: func() bool { return complete(s.byID[req.ID]) },
		read: func(ctx context.Context) (func(), error) {
			if req.FileID != nil {
				if err := files.read(ctx, s.archive, []protocol.FileID{*req.FileID}, t.Caller.UserID, req.ID); err != nil {
					return nil, err
				}
			}
			return s.readMessage(ctx, t.Owner, req.ID)
		},
		run: func(t turn.Turn) (turn.Outcome, error) { return s.attach(t, s.byID[req.ID], req, files) },
	}), nil
}

func (s *State) attach(t turn.Turn, e *entry, req protocol.AddAttachment, files attachables) (turn.Outcome, error) {
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
	if req.FileID != nil {
		if hasFile(&m, *req.FileID) {
			return turn.Outcome{Reply: e.msg, AfterRows: true}, nil
		}
		added, err := files.pick([]protocol.FileID{*req.FileID})
		if err != nil {
			return turn.Outcome{}, err
		}
		if len(m.Attachments) >= protocol.MaxAttachments {
			return turn.Outcome{}, errManyAttachments
		}
		m.Attachments = append(slices.Clone(m.Attachments), added...)
		rows = append(rows, &persistence.AttachedRow{ID: newRowID(), Message: m.ID, File: *req.FileID})
	}
	if left := pending(&m); left > 0 {
		rows = append(rows, s.awaits(t, &m, left-1))
	}
	return s.attached(t, e, &m, rows), nil
}

// attached makes m what the message is, and tells everybody.
func (s *State) attached(t turn.Turn, e *entry, m *protocol.Message, rows []persistence.Row) turn.Outcome {
	if len(rows) == 0 {
		return turn.Outcome{Reply: e.msg, AfterRows: true}
	}
	s.replace(e, m, e.choices)
	return turn.Outcome{
		Reply: e.msg, Rows: rows, AfterRows: true,
		Events:  s.updated(t, e),
		Refused: func(turn.Turn, error) turn.Outcome { return s.reread(t.Owner, m.ID) },
	}
}

func hasFile(m *protocol.Message, id protocol.FileID) bool {
	return slices.ContainsFunc(m.Attachments, func(a protocol.Attachment) bool { return a.ID == id })
}

// pending is how many uploads a message waits for.
func pending(m *protocol.Message) int {
	if m.PendingAttachments == nil {
		return 0
	}
	return *m.PendingAttachments
}

// maxUploads bounds the messages of which the last upload is remembered; what is
// not remembered waits from when it was sent.
const maxUploads = 1024

// awaits sets how many uploads a message waits for, because one has come.
func (s *State) awaits(t turn.Turn, m *protocol.Message, left int) persistence.Row {
	m.PendingAttachments = &left
	if len(s.uploads) >= maxUploads {
		clear(s.uploads)
	}
	s.uploads[m.ID] = t.Now
	if left == 0 {
		delete(s.uploads, m.ID)
	}
	return &persistence.PendingRow{ID: m.ID, Count: left}
}

// expireUploads ends the wait for uploads that do not come: whoever was to send
// them has closed his page.
func (s *State) expireUploads(t turn.Turn, req *protocol.ExpireUploads) (turn.Outcome, error) {
	if s.gone() {
		return turn.Outcome{}, nil
	}
	return s.withMessage(t, req.Message, protocol.ActionNone, func(t turn.Turn, e *entry) (turn.Outcome, error) {
		if e == nil || pending(e.msg) == 0 || max(s.uploads[req.Message], e.msg.SentAt)+protocol.UploadPatience > t.Now {
			return turn.Outcome{}, nil
		}
		m := *e.msg
		row := s.awaits(t, &m, 0)
		return s.attached(t, e, &m, []persistence.Row{row}), nil
	})
}
