package community

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errNoChannel       = protocol.NotFound("Channel not found")
	errChannelName     = protocol.Conflict("Channel with this name already exists in the community")
	errTooManyChannels = protocol.Conflict("The community has as many channels as it can have")
)

// createChannel adds a channel at the end of its type. The id was made by the
// edge: whoever repeats the request gets the first one's result.
func (s *State) createChannel(t turn.Turn, req protocol.CreateChannel) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoCommunity
	}
	if c, again := s.channel(req.ID); again {
		return turn.Outcome{Reply: &c}, nil
	}
	if _, taken := s.channelNamed(req.Name); taken {
		return turn.Outcome{}, errChannelName
	}
	if len(s.channels) >= protocol.MaxChannels {
		return turn.Outcome{}, errTooManyChannels
	}
	c := protocol.Channel{
		ID: req.ID, Name: req.Name, CommunityID: s.id, CreatedAt: t.Now, Type: req.Type,
		Position: s.nextPosition(req.Type), IsPrivate: req.IsPrivate,
	}
	if req.SlowmodeSeconds != nil {
		c.SlowmodeSeconds = int(*req.SlowmodeSeconds)
	}
	db, owner, creator := s.db, t.Owner, t.Caller.UserID
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.CreateChannel(ctx, owner, c, creator); err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) { return s.channelCreated(t, c, creator) }, nil
	}}, nil
}

func (s *State) nextPosition(kind string) int {
	next := 0
	for _, c := range s.channels {
		if c.Type == kind && c.Position >= next {
			next = c.Position + 1
		}
	}
	return next
}

// channelCreated announces a channel: a public one to all members, whose
// sockets join it first; a private one to its creator alone.
func (s *State) channelCreated(t turn.Turn, c protocol.Channel, creator protocol.UserID) (turn.Outcome, error) {
	s.insertChannel(c)
	if !c.IsPrivate {
		e, err := s.event("channelCreated", protocol.ChannelCreated{CommunityID: s.id, Channel: c})
		return turn.Outcome{
			Reply: &c,
			Rooms: []protocol.Rooms{{
				Of: protocol.CommunityTopic(s.id), Join: []protocol.Topic{protocol.ChannelTopic(c.ID)}, Origin: t.Self,
			}},
			Events: []protocol.Event{e},
		}, err
	}
	s.letIn(c.ID, creator)
	if !s.roster.has(creator) {
		return turn.Outcome{Reply: &c}, nil // an owner of the instance from outside: his sockets have no place here
	}
	return turn.Outcome{
		Asks: []turn.Ask{{
			Kind: protocol.KindUser, ID: creator.String(),
			Msg: &protocol.ChannelOpened{Community: s.id, Channel: c, Announce: true},
		}},
		Then: func(turn.Turn, []turn.Answer) (turn.Outcome, error) { return turn.Outcome{Reply: &c}, nil },
	}, nil
}

func (s *State) insertChannel(c protocol.Channel) {
	s.channels = append(slices.Clone(s.channels), c)
	slices.SortFunc(s.channels, listOrder)
}

// listOrder puts TEXT before VOICE, then goes by position and age.
func listOrder(a, b protocol.Channel) int {
	return cmp.Or(strings.Compare(a.Type, b.Type), cmp.Compare(a.Position, b.Position),
		cmp.Compare(a.CreatedAt, b.CreatedAt), bytes.Compare(a.ID[:], b.ID[:]))
}

// listChannels shows private channels to those inside, to those who manage
// channels and to owners of the instance.
func (s *State) listChannels(t turn.Turn, _ protocol.ListChannels) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoCommunity
	}
	all := s.actions(t.Caller.UserID, t.Caller.Owner).Has(protocol.ActionUpdateChannel)
	list := make([]protocol.Channel, 0, len(s.channels))
	for _, c := range s.channels {
		if all || s.inside(c, t.Caller.UserID) {
			list = append(list, c)
		}
	}
	return turn.Outcome{Reply: &list}, nil
}

func (s *State) getChannel(t turn.Turn, req protocol.GetChannel) (turn.Outcome, error) {
	c, ok := s.channel(req.ID)
	switch {
	case !t.Caller.Owner && (!ok || !s.inside(c, t.Caller.UserID)):
		return turn.Outcome{}, protocol.ErrForbidden
	case !ok:
		return turn.Outcome{}, errNoChannel
	}
	return turn.Outcome{Reply: &c}, nil
}
