package conversation

import (
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// missed answers with what came behind a place in the stream, as the events that
// it was: for a session whose node is gone. Messages come as they are now. What is
// not in memory any more is too long ago: the client is told so and fetches. So it
// is when it has seen what the owner before this one could not store. What
// happened to messages before this activation is not known to it.
func (s *State) missed(t turn.Turn, m *protocol.AskMissed) (turn.Outcome, error) {
	answer := &protocol.Missed{Epoch: t.Owner.Epoch, Seq: s.seq, Rev: s.changes.rev}
	if err := s.rules.Gone(); err != nil || m.Seq > s.seq || m.Seq < max(s.recent.floor, s.changes.unlisted) {
		return turn.Outcome{Reply: answer}, nil //nolint:nilerr // nothing is missed of what is gone
	}
	answer.Whole = true
	var list []change
	if m.Epoch == t.Owner.Epoch {
		list, answer.Changes = s.changes.behind(m.Seq, m.Rev)
	}
	rev := s.changes.rev // what is not told is not waited for
	if answer.Changes {
		if rev = m.Rev; m.Rev < 0 {
			rev = 0
		}
	} else {
		list = s.changes.replies(m.Seq)
	}
	stream := s.topic().String()
	add := func(name string, payload []byte, seq int64) {
		answer.Events = append(answer.Events, protocol.MissedEvent{
			Name: name, Payload: payload, Stream: stream, Epoch: t.Owner.Epoch, Seq: seq, Rev: rev,
		})
	}
	messages := s.recent.list[s.recent.after(m.Seq):]
	upTo := func(seq int64) {
		for len(messages) > 0 && messages[0].msg.Seq <= seq {
			add(s.newMessage(), about(messages[0]), messages[0].msg.Seq)
			messages = messages[1:]
		}
	}
	for _, n := range list {
		upTo(n.after)
		if n.seq != 0 && n.seq <= m.Seq { // a reply that the client has
			continue
		}
		if answer.Changes {
			rev = n.rev
		}
		add(n.name, n.payload, n.seq)
	}
	upTo(s.seq)
	return turn.Outcome{Reply: answer}, nil
}
