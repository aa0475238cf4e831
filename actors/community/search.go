package community

import (
	"slices"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// searchCommunity gives leave to search the channels that the caller can see
// into, or the one that he names.
func (s *State) searchCommunity(t turn.Turn, req protocol.SearchCommunity) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoCommunity
	}
	grant := &protocol.SearchGrant{Channels: s.open(t.Caller.UserID)}
	if req.ChannelID != nil {
		if !slices.Contains(grant.Channels, *req.ChannelID) {
			return turn.Outcome{}, protocol.ErrForbidden
		}
		grant.Channels = []protocol.ChannelID{*req.ChannelID}
	}
	grant.Names = make([]string, len(grant.Channels))
	for i, id := range grant.Channels {
		c, _ := s.channel(id)
		grant.Names[i] = c.Name
	}
	return turn.Outcome{Reply: grant}, nil
}
