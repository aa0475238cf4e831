package community

import (
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// uploadHere is asked before a file for this community is stored; the row's
// permission was the question.
func (s *State) uploadHere(turn.Turn, protocol.UploadForCommunity) (turn.Outcome, error) {
	return turn.Outcome{Reply: &protocol.None{}}, nil
}
