package conversation

import (
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// Clients repeat "typing" every 3 s and forget it after 8 s.
const (
	typingQuiet  = protocol.Instant(2000) // the same again within this says nothing new
	typingForget = protocol.Instant(8000)
	maxTyping    = 1024
)

// typing is what was last told of a user.
type typing struct {
	active bool
	at     protocol.Instant
}

// typingChanged passes the indicator on to everybody but the socket it came
// from, and to nobody from those who may not write. The relay has seen that the socket is in the room.
func (s *State) typingChanged(t turn.Turn, m *protocol.Typing) (turn.Outcome, error) {
	last, told := s.typing[m.User]
	t.Caller.UserID = m.User
	if s.gone() || s.rules.MayTouch(t) != nil || told && last.active == m.Active && t.Now-last.at < typingQuiet {
		return turn.Outcome{}, nil //nolint:nilerr // who may not write is not seen typing, and not told
	}
	if len(s.typing) >= maxTyping {
		s.forgetTyping(t.Now)
	}
	s.typing[m.User] = typing{m.Active, t.Now}
	return turn.Outcome{Events: []protocol.Event{{
		Name: "userTyping", Topics: []protocol.Topic{s.topic()}, Except: m.Conn,
		Payload: encode(protocol.UserTyping{UserID: m.User, ChannelID: s.channel, DirectMessageGroupID: s.group, IsTyping: m.Active}),
	}}}, nil
}

// forgetTyping makes room: first what clients have forgotten too.
func (s *State) forgetTyping(now protocol.Instant) {
	for u, last := range s.typing {
		if now-last.at > typingForget {
			delete(s.typing, u)
		}
	}
	if len(s.typing) >= maxTyping {
		clear(s.typing)
	}
}
