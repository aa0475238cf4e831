package conversation

import (
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// missed answers with the messages behind a place in the stream, as the events
// that they were: for a session whose node is gone. What is not in memory any
// more is too long ago; the client fetches afresh then. So it does when it has
// seen what the owner before this one could not store, and when there were thread
// replies, which the ring does not have.
func (s *State) missed(t turn.Turn, m *protocol.AskMissed) (turn.Outcome, error) {
	answer := &protocol.Missed{}
	if err := s.rules.Gone(); err != nil || m.Seq > s.seq || m.Seq < max(s.recent.floor, s.unlisted) {
		return turn.Outcome{Reply: answer}, nil //nolint:nilerr // nothing is missed of what is gone
	}
	answer.Whole = true
	for _, e := range s.recent.list[s.recent.after(m.Seq):] {
		answer.Events = append(answer.Events, protocol.MissedEvent{
			Name: s.newMessage(), Payload: about(e), Stream: s.topic().String(), Epoch: t.Owner.Epoch, Seq: e.msg.Seq,
		})
	}
	return turn.Outcome{Reply: answer}, nil
}
