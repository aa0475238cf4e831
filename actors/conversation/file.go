package conversation

import (
	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// uploadForMessage is asked before a file for a message is stored: the message
// has to be the caller's, who may still write here.
func (s *State) uploadForMessage(t turn.Turn, req protocol.UploadForMessage) (turn.Outcome, error) {
	return s.withMessage(t, req.MessageID, protocol.FileForMessage.Permission, func(t turn.Turn, e *entry) (turn.Outcome, error) {
		switch {
		case e == nil:
			return turn.Outcome{}, errNoMessage
		case !rules.CanEdit(t.Caller.UserID, e.msg.AuthorID):
			return turn.Outcome{}, protocol.ErrForbidden
		}
		return turn.Outcome{Reply: &protocol.None{}}, s.rules.MayTouch(t)
	})
}

// fileChanged reads a message again of which a file has changed, and tells
// everybody.
func (s *State) fileChanged(t turn.Turn, m *protocol.FileChanged) (turn.Outcome, error) {
	if s.gone() {
		return turn.Outcome{}, nil
	}
	return s.reread(t.Owner, m.Message), nil
}
