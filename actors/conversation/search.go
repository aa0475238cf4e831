package conversation

import (
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// Search lets the edge search when everything queued so far is stored.
func (s *State) Search() turn.Outcome {
	return turn.Outcome{Reply: &protocol.SearchGrant{}, AfterRows: true}
}

func (s *State) searchChannel(turn.Turn, protocol.SearchChannel) (turn.Outcome, error) {
	return s.Search(), nil
}
