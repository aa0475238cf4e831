package conversation

import (
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// What members may know of who has read what. The caller was judged: he may read
// here.

func (s *State) markRead(t turn.Turn, req protocol.MarkRead) (turn.Outcome, error) {
	if _, one := protocol.PlaceOf(req.ChannelID, req.DirectMessageGroupID); !one {
		return turn.Outcome{}, protocol.ErrOneContext
	}
	return s.grantRead(t, req.LastReadMessageID), nil
}

func (s *State) countUnread(t turn.Turn, req protocol.GetUnread) (turn.Outcome, error) {
	if _, one := protocol.PlaceOf(req.ChannelID, req.DirectMessageGroupID); !one {
		return turn.Outcome{}, protocol.ErrOneContext
	}
	return s.grantRead(t, protocol.MessageID{}), nil
}

func (s *State) lastRead(t turn.Turn, req protocol.GetLastRead) (turn.Outcome, error) {
	if _, one := protocol.PlaceOf(req.ChannelID, req.DirectMessageGroupID); !one {
		return turn.Outcome{}, protocol.ErrOneContext
	}
	return s.grantRead(t, protocol.MessageID{}), nil
}

func (s *State) listReaders(t turn.Turn, req protocol.ListReaders) (turn.Outcome, error) {
	if _, one := protocol.PlaceOf(req.ChannelID, req.DirectMessageGroupID); !one {
		return turn.Outcome{}, protocol.ErrOneContext
	}
	return s.grantRead(t, req.MessageID), nil
}

func (s *State) listPeers(t turn.Turn, _ protocol.ListPeerReads) (turn.Outcome, error) {
	return s.grantRead(t, protocol.MessageID{}), nil
}

// grantRead lets the edge read, when all that was said is stored: then a watermark
// may point to it.
func (s *State) grantRead(t turn.Turn, message protocol.MessageID) turn.Outcome {
	g := &protocol.ReadGrant{In: s.in}
	if e := s.byID[message]; e != nil {
		g.Seq, g.SentAt = e.msg.Seq, e.msg.SentAt
	}
	if own, ok := s.receipts.waiting[t.Caller.UserID]; ok {
		g.Own = protocol.Watermark{Message: own.message, Seq: own.seq, At: own.at}
	}
	return turn.Outcome{Reply: g, AfterRows: true}
}
