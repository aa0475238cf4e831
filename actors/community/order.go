package community

import (
	"context"
	"slices"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func (s *State) moveChannelUp(t turn.Turn, req protocol.MoveChannelUp) (turn.Outcome, error) {
	return s.moveChannel(t, req.ID, -1)
}

func (s *State) moveChannelDown(t turn.Turn, req protocol.MoveChannelDown) (turn.Outcome, error) {
	return s.moveChannel(t, req.ID, 1)
}

// moveChannel lets a channel change places with its neighbour of the same type.
func (s *State) moveChannel(t turn.Turn, id protocol.ChannelID, by int) (turn.Outcome, error) {
	if _, ok := s.channel(id); !ok {
		return turn.Outcome{}, errNoChannel
	}
	moved := reorder(s.channels, id, by)
	if len(moved) == 0 {
		return s.orderedFor(t.Caller), nil
	}
	db, owner, caller := s.db, t.Owner, t.Caller
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.MoveChannels(ctx, owner, moved); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return s.channelsMoved(caller, moved) }, nil
	}}, nil
}

// reorder returns the channels whose positions change when one changes places.
// Channels of one type that share a position are numbered anew first.
func reorder(channels []protocol.Channel, id protocol.ChannelID, by int) []protocol.Channel {
	list := slices.Clone(channels)
	for start := 0; start < len(list); {
		end := start
		for end < len(list) && list[end].Type == list[start].Type {
			end++
		}
		number(list[start:end])
		start = end
	}
	at := slices.IndexFunc(list, func(c protocol.Channel) bool { return c.ID == id })
	if other := at + by; other >= 0 && other < len(list) && list[other].Type == list[at].Type {
		list[at].Position, list[other].Position = list[other].Position, list[at].Position
	}
	var moved []protocol.Channel
	for i, c := range list {
		if c.Position != channels[i].Position {
			moved = append(moved, c)
		}
	}
	return moved
}

// number gives channels of one type, in order, positions of their own.
func number(list []protocol.Channel) {
	shared := false
	for i := 1; i < len(list); i++ {
		shared = shared || list[i].Position == list[i-1].Position
	}
	for i := range list {
		if shared {
			list[i].Position = i
		}
	}
}

// channelsMoved tells all members the order of public channels, if any of them
// moved, and those who see private ones where these are.
func (s *State) channelsMoved(caller protocol.Caller, moved []protocol.Channel) (turn.Outcome, error) {
	s.replaceChannels(moved...)
	out := s.orderedFor(caller)
	public := false
	for _, c := range moved {
		if !c.IsPrivate {
			public = true
			continue
		}
		e, err := s.eventOf(c, "channelUpdated", protocol.ChannelCreated{CommunityID: s.id, Channel: c})
		if err != nil {
			return turn.Outcome{}, err
		}
		out.Events = append(out.Events, e)
	}
	if !public {
		return out, nil
	}
	shown := slices.DeleteFunc(slices.Clone(s.channels), func(c protocol.Channel) bool { return c.IsPrivate })
	e, err := s.event("channelsReordered", protocol.ChannelsReordered{CommunityID: s.id, Channels: shown})
	out.Events = append(out.Events, e)
	return out, err
}

// orderedFor answers with the list as the caller sees it.
func (s *State) orderedFor(caller protocol.Caller) turn.Outcome {
	list := s.shownTo(caller)
	return turn.Outcome{Reply: &list}
}
