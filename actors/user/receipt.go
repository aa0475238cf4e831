package user

import (
	"context"
	"slices"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// maxMarks bounds the watermarks that are kept until they are in Postgres for
// sure: the oldest give way.
const maxMarks = 64

// remember notes how far the user has read by sending: the channel stores that a
// little later. Postgres has the older ones.
func (s *State) remember(in protocol.Place, w protocol.Watermark) {
	i := slices.IndexFunc(s.marks, func(m persistence.Mark) bool { return m.In == in })
	switch {
	case i >= 0 && s.marks[i].Seq >= w.Seq:
		return
	case i >= 0:
		s.marks = slices.Delete(s.marks, i, i+1)
	case len(s.marks) >= maxMarks:
		s.marks = slices.Delete(s.marks, 0, 1)
	}
	s.marks = append(s.marks, persistence.Mark{In: in, Watermark: w})
}

// lastRead tells the user's other sockets how far he has read by sending.
func (s *State) lastRead(_ turn.Turn, m *protocol.LastRead) (turn.Outcome, error) {
	s.remember(m.In, protocol.Watermark{Message: m.Message, Seq: m.Seq, At: m.At})
	if s.settled && len(s.sockets) == 0 {
		return turn.Outcome{}, nil
	}
	e, err := s.event("readReceiptUpdated", updated(m.In, m.Message, m.At))
	return turn.Outcome{Events: []protocol.Event{e}}, err
}

func updated(in protocol.Place, message protocol.MessageID, at protocol.Instant) protocol.ReadReceiptUpdated {
	return protocol.ReadReceiptUpdated{
		ChannelID: in.Channel.Ptr(), DirectMessageGroupID: in.Group.Ptr(), LastReadMessageID: message, LastReadAt: at,
	}
}

// countUnread counts in all that the user may read.
func (s *State) countUnread(t turn.Turn, _ protocol.ListUnread) (turn.Outcome, error) {
	db, me, owner, marks := s.db, s.user.ID, t.Caller.Owner, slices.Clone(s.marks)
	return stored(func(ctx context.Context) (any, error) {
		list, err := db.Unread(ctx, me, owner, marks)
		return &list, err
	}), nil
}

// advanceRead moves a watermark of the user forward. The one who says that he may
// read there is the owner of the conversation.
func (s *State) advanceRead(t turn.Turn, m *protocol.AdvanceRead) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoUser
	}
	db := s.db
	a := persistence.Advance{
		User: s.user.ID, In: m.In, Message: m.Message, Seq: m.Seq, SentAt: m.SentAt, At: t.Now, Seen: !m.Silent,
	}
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		done, err := db.AdvanceReceipt(ctx, a)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return s.readAdvanced(m, done) }, nil
	}}, nil
}

// readAdvanced tells the user's devices, and those who talk with him when there is
// news for them.
func (s *State) readAdvanced(m *protocol.AdvanceRead, done persistence.Advanced) (turn.Outcome, error) {
	r := done.Receipt
	out := turn.Outcome{Reply: &r}
	if m.Silent || r.LastReadMessageID == nil {
		return out, nil
	}
	own := updated(m.In, *r.LastReadMessageID, r.LastReadAt)
	e, err := s.event("readReceiptUpdated", own)
	if err != nil {
		return turn.Outcome{}, err
	}
	out.Events = append(out.Events, e)
	if !m.In.Group.IsZero() && done.Moved {
		u := s.user
		e, err := s.event("readReceiptUpdated", protocol.PeerReadUpdated{
			ReadReceiptUpdated: own, UserID: u.ID, Username: u.Username, DisplayName: u.DisplayName, AvatarURL: u.AvatarURL,
		})
		if err != nil {
			return turn.Outcome{}, err
		}
		e.Topics = []protocol.Topic{m.In.Topic()}
		out.Events, out.Everywhere = append(out.Events, e), true
	}
	return s.tellRead(out, done.Seen)
}
