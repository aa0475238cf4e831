package conversation

import (
	"encoding/json"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// maxWarm bounds the older messages that are kept because somebody changed them.
const maxWarm = 64

// State is the log of one conversation in memory.
type State struct {
	in      protocol.Place
	channel *protocol.ChannelID // in, as messages and events show it: one of the two is nil
	group   *protocol.GroupID
	rules   Rules

	recent recent                          // the newest messages, without a gap
	warm   []*entry                        // others, the oldest in here first
	byID   map[protocol.MessageID]*entry   // both
	pages  map[pageKey]*protocol.PageGrant // first pages as they were last sent

	seq      int64 // of the newest row
	unlisted int64 // the newest seq that the ring never had: of a reply, or of what was deleted before this activation
	changes  changes

	clock protocol.Instant          // the newest moment that anything here carries
	holes []*persistence.MessageRow // rows that wait to fill seqs of refused messages

	sends    sends
	lastSend map[protocol.UserID]protocol.Instant // for slow mode
	typing   map[protocol.UserID]typing
	receipts receipts
	uploads  map[protocol.MessageID]protocol.Instant // when the last one came, of messages that wait for more
	notices  notices

	lanes   map[laneKey]*lane
	archive archive
}

// entry is one message in memory.
type entry struct {
	msg     *protocol.Message  // never changed once it is here, only replaced
	choices []protocol.Reacted // behind msg.Reactions; likewise
	text    []byte             // msg as JSON; nil until it is asked for
	recent  bool               // in the ring
}

// encoded is the message as JSON.
func (e *entry) encoded() []byte {
	if e.text == nil {
		e.text = e.msg.AppendJSON(make([]byte, 0, weight(e.msg)))
	}
	return e.text
}

// encode writes plain data of ours: it can't fail.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("conversation: " + err.Error())
	}
	return text
}

func newState(in protocol.Place, rules Rules, l *persistence.Log, a archive) *State {
	s := &State{
		in: in, channel: in.Channel.Ptr(), group: in.Group.Ptr(), rules: rules, seq: l.LastSeq, clock: l.LastSentAt, archive: a,
		byID:     map[protocol.MessageID]*entry{},
		pages:    map[pageKey]*protocol.PageGrant{},
		lastSend: map[protocol.UserID]protocol.Instant{},
		typing:   map[protocol.UserID]typing{},
		uploads:  map[protocol.MessageID]protocol.Instant{},
		lanes:    map[laneKey]*lane{},
		sends:    newSends(),
		receipts: newReceipts(),
	}
	for i := range l.Messages {
		m := l.Messages[i] // a copy: one message must not keep the others in memory
		s.remember(&entry{msg: &m.Message, choices: m.Choices})
		if m.AuthorID != nil {
			s.lastSend[*m.AuthorID] = m.SentAt
		}
	}
	s.unlisted = s.seq
	for i := len(l.Messages) - 1; i >= 0 && l.Messages[i].Seq == s.unlisted; i-- {
		s.unlisted--
	}
	s.changes.unlisted = s.unlisted
	if l.More && len(l.Messages) > 0 {
		s.recent.floor = max(s.recent.floor, l.Messages[0].Seq-1)
	}
	for _, sent := range l.Sends {
		s.sends.add(send{id: sent.ID, author: sent.Author, nonce: sent.Nonce, at: sent.SentAt})
	}
	for _, last := range l.LastSends {
		s.lastSend[last.User] = max(s.lastSend[last.User], last.At)
	}
	return s
}

// now is the moment of the turn, or the one before when the clock went back.
func (s *State) now(t turn.Turn) protocol.Instant {
	s.clock = max(s.clock, t.Now)
	return s.clock
}

// remember takes a new message in: into the ring, or a reply among the warm ones.
func (s *State) remember(e *entry) {
	s.byID[e.msg.ID] = e
	if e.msg.ParentMessageID != nil {
		s.warmed(e)
		return
	}
	e.recent = true
	for _, old := range s.recent.push(e) {
		old.recent = false
		delete(s.byID, old.msg.ID)
	}
	s.changed(e)
}

// keep takes a message that was read from Postgres: into the ring if that is
// its place, otherwise among the warm ones.
func (s *State) keep(m *persistence.LoggedMessage) *entry {
	e := &entry{msg: &m.Message, choices: m.Choices}
	s.byID[m.ID] = e
	if m.ParentMessageID == nil && m.Seq > s.recent.floor {
		e.recent = true
		s.recent.insert(e)
		s.changed(e)
		return e
	}
	s.warmed(e)
	return e
}

// warmed keeps an entry outside of the ring, for a while.
func (s *State) warmed(e *entry) {
	if s.warm = append(s.warm, e); len(s.warm) > maxWarm {
		delete(s.byID, s.warm[0].msg.ID)
		s.warm = append([]*entry(nil), s.warm[1:]...)
	}
}

// replace gives an entry new content.
func (s *State) replace(e *entry, m *protocol.Message, choices []protocol.Reacted) {
	if e.recent {
		s.recent.bytes += weight(m) - weight(e.msg)
	}
	e.msg, e.choices, e.text = m, choices, nil
	s.archive.pages.Changed(m.Seq)
	s.changed(e)
}

// forget drops a message.
func (s *State) forget(id protocol.MessageID) {
	e := s.byID[id]
	if e == nil {
		return
	}
	delete(s.byID, id)
	delete(s.uploads, id)
	s.archive.pages.Changed(e.msg.Seq)
	if e.recent {
		s.recent.remove(e)
		s.changed(e)
		return
	}
	for i, w := range s.warm {
		if w == e {
			s.warm = append(s.warm[:i:i], s.warm[i+1:]...)
			return
		}
	}
}

// changed drops what was made of the ring.
func (s *State) changed(e *entry) {
	if e.recent {
		clear(s.pages)
	}
}

// topic is the room of those who hear the conversation.
func (s *State) topic() protocol.Topic { return s.in.Topic() }

// event is something that happened in the conversation, and is about to be told.
// Messages and replies have a seq in its stream; everything but new messages is a
// change, which has a number in this activation.
func (s *State) event(t turn.Turn, name string, payload []byte) protocol.Event {
	if name != s.newMessage() {
		n := change{name: name, payload: payload, after: s.seq, at: s.now(t)}
		if name == "newThreadReply" {
			n.seq = s.seq
		}
		s.changes.push(n)
	}
	return protocol.Event{
		Name: name, Topics: []protocol.Topic{s.topic()}, Payload: payload,
		Stream: s.topic(), Epoch: t.Owner.Epoch, Rev: s.changes.rev,
	}
}

// about is the payload of newMessage and updateMessage, around JSON that exists.
func about(e *entry) []byte {
	text := e.encoded()
	payload := make([]byte, 0, len(text)+len(`{"message":}`))
	payload = append(payload, `{"message":`...)
	payload = append(payload, text...)
	return append(payload, '}')
}
