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
	e, err := s.eventOf(c, "channelCreated", protocol.ChannelCreated{CommunityID: s.id, Channel: c})
	if err != nil {
		return turn.Outcome{}, err
	}
	out := turn.Outcome{Reply: &c}
	if s.roster.has(creator) { // or his sockets have no place here: he owns the instance
		out = s.openTo(creator, c, &c)
	}
	out.Events = []protocol.Event{e}
	return out, nil
}

// openTo lets the sockets of a member into a private channel, tells them of it,
// and then answers.
func (s *State) openTo(user protocol.UserID, c protocol.Channel, reply any) turn.Outcome {
	return turn.Outcome{
		Asks: []turn.Ask{{
			Kind: protocol.KindUser, ID: user.String(),
			Msg: &protocol.ChannelOpened{Community: s.id, Channel: c, Announce: true},
		}},
		Then: func(turn.Turn, []turn.Answer) (turn.Outcome, error) { return turn.Outcome{Reply: reply}, nil },
	}
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
	list := s.shownTo(t.Caller)
	return turn.Outcome{Reply: &list}, nil
}

// shownTo lists the channels that somebody sees.
func (s *State) shownTo(who protocol.Caller) []protocol.Channel {
	all := s.actions(who.UserID, who.Owner).Has(protocol.ActionUpdateChannel)
	list := make([]protocol.Channel, 0, len(s.channels))
	for _, c := range s.channels {
		if all || s.inside(c, who.UserID) {
			list = append(list, c)
		}
	}
	return list
}

func (s *State) getChannel(t turn.Turn, req protocol.GetChannel) (turn.Outcome, error) {
	c, err := s.visible(t.Caller, req.ID)
	if err != nil {
		return turn.Outcome{}, err
	}
	return turn.Outcome{Reply: &c}, nil
}

// visible finds a channel for somebody with the permission to do what he asks
// for. Owners alone are told that there is none.
func (s *State) visible(who protocol.Caller, id protocol.ChannelID) (protocol.Channel, error) {
	c, ok := s.channel(id)
	switch {
	case !who.Owner && (!ok || !s.inside(c, who.UserID)):
		return c, protocol.ErrForbidden
	case !ok:
		return c, errNoChannel
	}
	return c, nil
}

// listMentionable lists by name what is open to the caller: being an owner or
// managing channels opens nothing.
func (s *State) listMentionable(t turn.Turn, _ protocol.ListMentionable) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoCommunity
	}
	list := make([]protocol.Channel, 0, len(s.channels))
	for _, c := range s.channels {
		if s.inside(c, t.Caller.UserID) {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b protocol.Channel) int { return strings.Compare(a.Name, b.Name) })
	return turn.Outcome{Reply: &list}, nil
}

// updateChannel changes what is given. Whoever makes a channel private stays in it.
func (s *State) updateChannel(t turn.Turn, req protocol.UpdateChannel) (turn.Outcome, error) {
	was, err := s.visible(t.Caller, req.ID)
	if err != nil {
		return turn.Outcome{}, err
	}
	is := changed(was, req)
	if other, taken := s.channelNamed(is.Name); taken && other.ID != is.ID {
		return turn.Outcome{}, errChannelName
	}
	var insider protocol.UserID
	if s.roster.has(t.Caller.UserID) {
		insider = t.Caller.UserID
	}
	db, owner, now := s.db, t.Owner, t.Now
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		users, err := db.UpdateChannel(ctx, owner, was, is, insider, now)
		if err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) { return s.channelUpdated(t, was, is, users) }, nil
	}}, nil
}

func changed(c protocol.Channel, req protocol.UpdateChannel) protocol.Channel {
	if req.Name != nil {
		c.Name = *req.Name
	}
	if req.Position != nil {
		c.Position = *req.Position
	}
	if req.SlowmodeSeconds != nil {
		c.SlowmodeSeconds = *req.SlowmodeSeconds
	}
	if req.IsPrivate != nil {
		c.IsPrivate = *req.IsPrivate
	}
	return c
}

func (s *State) channelUpdated(t turn.Turn, was, is protocol.Channel, users []protocol.UserID) (turn.Outcome, error) {
	s.replaceChannels(is)
	switch {
	case is.IsPrivate && !was.IsPrivate:
		return s.closeChannel(t, is, users)
	case was.IsPrivate && !is.IsPrivate:
		return s.openChannel(t, is)
	}
	e, err := s.eventOf(is, "channelUpdated", protocol.ChannelCreated{CommunityID: s.id, Channel: is})
	if err != nil {
		return turn.Outcome{}, err
	}
	out := turn.Outcome{Reply: &is}
	if is.SlowmodeSeconds != was.SlowmodeSeconds {
		if out, err = s.takeBackIn(t, is.ID, nil, shrunkTo(out)); err != nil {
			return out, err
		}
	}
	out.Events = append(out.Events, e)
	return out, nil
}

// replaceChannels makes these what the channels with their ids are.
func (s *State) replaceChannels(list ...protocol.Channel) {
	s.channels = slices.Clone(s.channels)
	for _, c := range list {
		if i := slices.IndexFunc(s.channels, func(o protocol.Channel) bool { return o.ID == c.ID }); i >= 0 {
			s.channels[i] = c
		}
	}
	slices.SortFunc(s.channels, listOrder)
}

func (s *State) deleteChannel(t turn.Turn, req protocol.DeleteChannel) (turn.Outcome, error) {
	c, err := s.visible(t.Caller, req.ID)
	if err != nil {
		return turn.Outcome{}, err
	}
	db, owner, id, now := s.db, t.Owner, s.id, t.Now
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.DeleteChannel(ctx, owner, id, c.ID, now); err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) { return s.channelDeleted(t, c) }, nil
	}}, nil
}

// channelDeleted tells those who saw it, takes their sockets out, and answers
// when the channel itself knows.
func (s *State) channelDeleted(t turn.Turn, c protocol.Channel) (turn.Outcome, error) {
	e, err := s.eventOf(c, "channelDeleted", protocol.ChannelDeleted{CommunityID: s.id, ChannelID: c.ID})
	if err != nil {
		return turn.Outcome{}, err
	}
	s.channels = slices.DeleteFunc(slices.Clone(s.channels), func(o protocol.Channel) bool { return o.ID == c.ID })
	delete(s.private, c.ID)
	s.suspect(c.ID)
	out, err := s.takeBackIn(t, c.ID, nil, shrunk)
	out.Events = append(out.Events, e)
	out.Empties = append(out.Empties, protocol.Empty{Topics: []protocol.Topic{protocol.ChannelTopic(c.ID)}})
	return out, err
}
