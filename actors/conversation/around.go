package conversation

import (
	"context"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// aroundMessage answers with the page around a message: of what is in memory, or
// one that it reads.
func (s *State) aroundMessage(t turn.Turn, req protocol.AroundMessage) (turn.Outcome, error) {
	return s.Around(t, req.MessageID, req.Limit)
}

// Around is aroundMessage for requests that name the conversation otherwise.
func (s *State) Around(t turn.Turn, message protocol.MessageID, limit int) (turn.Outcome, error) {
	half := (max(1, min(limit, protocol.MaxPage)) - 1) / 2
	if e := s.byID[message]; e != nil {
		if e.msg.ParentMessageID != nil {
			return turn.Outcome{}, errNoMessage
		}
		if page := s.around(e, half); page != nil {
			return turn.Outcome{Reply: &protocol.PageGrant{Page: page}}, nil
		}
	}
	a, in, owner := s.archive, s.in, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		page, err := a.around(ctx, owner, in, message, half)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			if err := s.stillMay(job{by: t.Caller, needs: protocol.MessageAround.Permission}); err != nil {
				return turn.Outcome{}, err
			}
			if page == nil {
				return turn.Outcome{}, errNoMessage
			}
			return turn.Outcome{Reply: &protocol.PageGrant{Page: page}}, nil
		}, nil
	}}, nil
}

// around makes the page of what is in memory; nil when that is not enough.
func (s *State) around(e *entry, half int) []byte {
	if !e.recent {
		return nil
	}
	list := s.recent.list
	at := s.recent.after(e.msg.Seq) - 1
	from, to := max(0, at-half), min(len(list), at+half+1)
	if at-half < 1 && s.recent.floor != 0 {
		return nil
	}
	page := protocol.Around{In: s.in}
	if at-half >= 1 {
		page.Older = list[from].msg.Seq
	}
	if to < len(list) {
		page.Newer = list[to-1].msg.Seq
	}
	for i := to - 1; i >= from; i-- {
		page.Add(list[i].encoded())
	}
	return page.Text()
}
