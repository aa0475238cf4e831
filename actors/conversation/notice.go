package conversation

import (
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// newMessage is the event of a new message.
func (s *State) newMessage() string {
	if s.in.Kind() == protocol.KindDM {
		return "newDirectMessage"
	}
	return "newMessage"
}

// noticed is the one place where others learn of a message that was accepted,
// besides those who hear the conversation: it is called once for every message
// and thread reply (ParentMessageID is set), in the turn in which it happens. Its
// row is queued, not yet stored; should it be refused, deleteMessage follows.
func (s *State) noticed(_ turn.Turn, m *protocol.Message) []turn.Tell {
	if m.ParentMessageID != nil { // a reply moves no watermark
		return nil
	}
	return []turn.Tell{{Kind: protocol.KindUser, ID: m.AuthorID.String(), Msg: &protocol.LastRead{
		In: s.in, Message: m.ID, Seq: m.Seq, At: m.SentAt,
	}}}
}
