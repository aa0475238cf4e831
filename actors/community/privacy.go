package community

import (
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// maxManagers bounds the members outside of a private channel who are told what
// happens to it because they manage channels. Others see it when they look.
const maxManagers = 1024

// eventOf is something about a channel: for all members, or, if it is private,
// for those inside and those who manage channels, who see it in their lists.
func (s *State) eventOf(c protocol.Channel, name string, payload any) (protocol.Event, error) {
	e, err := s.event(name, payload)
	if c.IsPrivate {
		e.Topics = append([]protocol.Topic{protocol.ChannelTopic(c.ID)}, s.managers(c)...)
	}
	return e, err
}

// managers are the members outside of a private channel who manage channels.
func (s *State) managers(c protocol.Channel) []protocol.Topic {
	var topics []protocol.Topic
	manage := make([]bool, len(s.roster.sets))
	some := false
	for i := range s.roster.sets {
		manage[i] = s.roster.sets[i].actions.Has(protocol.ActionUpdateChannel)
		some = some || manage[i]
	}
	if !some {
		return nil
	}
	for u, set := range s.roster.members {
		if manage[set] && !s.inside(c, u) && len(topics) < maxManagers {
			topics = append(topics, protocol.UserTopic(u))
		}
	}
	return topics
}

// closeChannel makes a channel private that was not: users are those inside now.
// The sockets of all others leave it before the channel has confirmed, so that
// what is said in it from then on is for those inside. For the others it is as
// if it had been deleted.
func (s *State) closeChannel(t turn.Turn, c protocol.Channel, users []protocol.UserID) (turn.Outcome, error) {
	room := protocol.ChannelTopic(c.ID)
	var stay []protocol.UserID
	for _, u := range users {
		s.letIn(c.ID, u)
		if s.roster.has(u) {
			stay = append(stay, u)
		}
	}
	gone, err := s.event("channelDeleted", protocol.ChannelDeleted{CommunityID: s.id, ChannelID: c.ID})
	if err != nil {
		return turn.Outcome{}, err
	}
	gone.Without = room
	updated, err := s.eventOf(c, "channelUpdated", protocol.ChannelCreated{CommunityID: s.id, Channel: c})
	if err != nil {
		return turn.Outcome{}, err
	}
	s.suspect(c.ID)
	out, err := s.takeBackIn(t, c.ID, nil, shrunkTo(turn.Outcome{Reply: &c, Events: []protocol.Event{gone, updated}}))
	out.Empties = append(out.Empties, protocol.Empty{Topics: []protocol.Topic{room}, Keep: stay})
	return out, err
}

// openChannel makes a private channel one for all members, whose sockets join it
// before they hear of it.
func (s *State) openChannel(t turn.Turn, c protocol.Channel) (turn.Outcome, error) {
	delete(s.private, c.ID)
	e, err := s.event("channelUpdated", protocol.ChannelCreated{CommunityID: s.id, Channel: c})
	if err != nil {
		return turn.Outcome{}, err
	}
	return s.takeBackIn(t, c.ID, nil, grown(turn.Outcome{
		Reply: &c,
		Rooms: []protocol.Rooms{{
			Of: protocol.CommunityTopic(s.id), Join: []protocol.Topic{protocol.ChannelTopic(c.ID)}, Origin: t.Self,
		}},
		Events: []protocol.Event{e},
	}))
}
