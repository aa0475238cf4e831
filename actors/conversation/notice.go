package conversation

import (
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
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
func (s *State) noticed(m *protocol.Message, out *turn.Outcome) {
	if row := s.notices.row(m); row != nil {
		out.Rows = append(out.Rows, row)
		out.Stored = s.archive.noticed
	}
	if m.ParentMessageID != nil { // a reply moves no watermark
		return
	}
	out.Tells = append(out.Tells, turn.Tell{Kind: protocol.KindUser, ID: m.AuthorID.String(), Msg: &protocol.LastRead{
		In: s.in, Message: m.ID, Seq: m.Seq, At: m.SentAt,
	}})
}

// quietFor is how long messages that mention nobody are not announced after it was
// found that nobody wants to hear of them, and how long such a finding is not
// believed after somebody has wanted to.
const quietFor = protocol.Instant(30 * time.Second / time.Millisecond)

// notices knows whether messages that mention nobody may notify anybody. It errs
// for one side only: what is announced in vain costs a row and a look.
type notices struct {
	quietUntil protocol.Instant
	wantedAt   protocol.Instant
}

// row is the announcement of a message, stored with it; nil: it can't notify
// anybody.
func (n *notices) row(m *protocol.Message) persistence.Row {
	if m.SentAt < n.quietUntil && m.DirectMessageGroupID == nil && m.ParentMessageID == nil && !mentions(m.Spans) {
		return nil
	}
	return &persistence.NoticeRow{Message: m.ID}
}

func mentions(spans []protocol.Span) bool {
	for i := range spans {
		if s := &spans[i]; s.UserID != nil || s.AliasID != nil || s.SpecialKind != nil {
			return true
		}
	}
	return false
}

func (n *notices) wanted(now protocol.Instant) { n.wantedAt, n.quietUntil = now, 0 }

// noticesWanted is told when somebody wants to hear of every message.
func (s *State) noticesWanted(t turn.Turn, _ *protocol.NoticesWanted) (turn.Outcome, error) {
	s.notices.wanted(t.Now)
	return turn.Outcome{}, nil
}

// noticesUnwanted is told when a message turned out to notify nobody.
func (s *State) noticesUnwanted(t turn.Turn, _ *protocol.NoticesUnwanted) (turn.Outcome, error) {
	if t.Now-s.notices.wantedAt > quietFor {
		s.notices.quietUntil = t.Now + quietFor
	}
	return turn.Outcome{}, nil
}

// Levels are rows of the caller's own: the edge reads and writes them. The caller
// was judged: he may read here.

func (s *State) getOverride(turn.Turn, protocol.GetChannelOverride) (turn.Outcome, error) {
	return turn.Outcome{Reply: &protocol.OverrideGrant{Channel: s.in.Channel}}, nil
}

func (s *State) setOverride(t turn.Turn, req protocol.SetChannelOverride) (turn.Outcome, error) {
	if req.Level == protocol.LevelAll {
		s.notices.wanted(t.Now)
	}
	return turn.Outcome{Reply: &protocol.OverrideGrant{Channel: s.in.Channel}}, nil
}

// deleteOverride may bring a default back by which every message counts.
func (s *State) deleteOverride(t turn.Turn, _ protocol.DeleteChannelOverride) (turn.Outcome, error) {
	s.notices.wanted(t.Now)
	return turn.Outcome{Reply: &protocol.OverrideGrant{Channel: s.in.Channel}}, nil
}
