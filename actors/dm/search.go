package dm

import (
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func (s *State) search(turn.Turn, protocol.SearchGroup) (turn.Outcome, error) {
	return s.log.Search(), nil
}

func (s *State) around(t turn.Turn, req protocol.AroundGroupMessage) (turn.Outcome, error) {
	return s.log.Around(t, req.MessageID, req.Limit)
}
