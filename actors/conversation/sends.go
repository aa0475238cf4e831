package conversation

import "github.com/rookery-chat/rookery/protocol"

// Bounds of what is remembered of sends, to know a repeated one.
const (
	sendWindow = protocol.Instant(10 * 60 * 1000)
	maxSends   = 2048
)

// send is a message that was accepted a short while ago.
type send struct {
	id     protocol.MessageID
	author protocol.UserID
	nonce  string
	at     protocol.Instant
}

type nonceKey struct {
	author protocol.UserID
	nonce  string
}

// sends knows the messages of the last minutes by their ids and by the nonces of
// their authors.
type sends struct {
	order   []send // oldest first
	byID    map[protocol.MessageID]protocol.UserID
	byNonce map[nonceKey]protocol.MessageID
}

func newSends() sends {
	return sends{byID: map[protocol.MessageID]protocol.UserID{}, byNonce: map[nonceKey]protocol.MessageID{}}
}

func (s *sends) add(m send) {
	s.expire(m.at, maxSends-1)
	s.order = append(s.order, m)
	s.byID[m.id] = m.author
	if key := (nonceKey{m.author, m.nonce}); m.nonce != "" && s.byNonce[key].IsZero() {
		s.byNonce[key] = m.id
	}
}

// expire drops what is too old or too much.
func (s *sends) expire(now protocol.Instant, most int) {
	n := 0
	for n < len(s.order) && (len(s.order)-n > most || s.order[n].at < now-sendWindow) {
		s.drop(s.order[n])
		n++
	}
	s.order = s.order[n:] // append moves to a new array when this one is used up
}

// known finds the message that a send has led to already.
func (s *sends) known(author protocol.UserID, id protocol.MessageID, nonce string, now protocol.Instant) (protocol.MessageID, bool) {
	s.expire(now, maxSends)
	if by, ok := s.byID[id]; ok && by == author {
		return id, true
	}
	if nonce == "" {
		return protocol.MessageID{}, false
	}
	first, ok := s.byNonce[nonceKey{author, nonce}]
	return first, ok
}

func (s *sends) drop(m send) {
	delete(s.byID, m.id)
	if key := (nonceKey{m.author, m.nonce}); s.byNonce[key] == m.id {
		delete(s.byNonce, key)
	}
}

// undo forgets a message that was not stored: it may be sent again.
func (s *sends) undo(id protocol.MessageID) {
	for i, m := range s.order {
		if m.id == id {
			s.drop(m)
			s.order = append(s.order[:i:i], s.order[i+1:]...)
			return
		}
	}
}
