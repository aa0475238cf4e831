package user

import (
	"context"
	"slices"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// memberJoined lets the sockets into a community and tells them of it.
func (s *State) memberJoined(_ turn.Turn, m *protocol.MemberJoined) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, nil
	}
	if !slices.Contains(s.communities, m.Community) {
		s.communities = append(slices.Clone(s.communities), m.Community)
	}
	topics := []protocol.Topic{protocol.CommunityTopic(m.Community)}
	for _, c := range m.Channels {
		topics = append(topics, protocol.ChannelTopic(c))
	}
	e, err := s.event("memberAddedToCommunity", protocol.MemberAdded{CommunityID: m.Community, UserID: s.user.ID})
	out := turn.Outcome{Rooms: s.join(topics...), Events: []protocol.Event{e}}
	if s.online {
		out.Tells = []turn.Tell{s.sign(m.Community)}
	}
	return out, err
}

// memberLeft takes the sockets out of a community.
func (s *State) memberLeft(_ turn.Turn, m *protocol.MemberLeft) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, nil
	}
	s.communities = slices.DeleteFunc(slices.Clone(s.communities), func(c protocol.CommunityID) bool { return c == m.Community })
	return turn.Outcome{Rooms: s.leave(m.Topics()...)}, nil
}

// channelOpened lets the sockets into one more channel.
func (s *State) channelOpened(_ turn.Turn, m *protocol.ChannelOpened) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, nil
	}
	out := turn.Outcome{Rooms: s.join(protocol.ChannelTopic(m.Channel.ID))}
	if !m.Announce {
		return out, nil
	}
	e, err := s.event("channelCreated", protocol.ChannelCreated{CommunityID: m.Community, Channel: m.Channel})
	out.Events = []protocol.Event{e}
	return out, err
}

// channelClosed takes the sockets out of a channel.
func (s *State) channelClosed(_ turn.Turn, m *protocol.ChannelClosed) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, nil
	}
	e, err := s.event("channelDeleted", protocol.ChannelDeleted{CommunityID: m.Community, ChannelID: m.Channel})
	return turn.Outcome{Rooms: s.leave(protocol.ChannelTopic(m.Channel)), Events: []protocol.Event{e}}, err
}

// notMember reads again in which communities the user is: one of them has said
// that he is not in it.
func (s *State) notMember(_ turn.Turn, m *protocol.NotMember) (turn.Outcome, error) {
	if s.missing || !slices.Contains(s.communities, m.Community) {
		return turn.Outcome{}, nil
	}
	db, id, version := s.db, s.user.ID, s.version
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		rows, err := db.User(ctx, id)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			if s.version == version { // or what was read may be older than what is known
				s.communities = slices.Clip(rows.Communities)
				s.version++
			}
			return turn.Outcome{}, nil
		}, nil
	}}, nil
}

func (s *State) join(topics ...protocol.Topic) []protocol.Rooms {
	s.version++
	return []protocol.Rooms{{Of: protocol.UserTopic(s.user.ID), Join: topics}}
}

func (s *State) leave(topics ...protocol.Topic) []protocol.Rooms {
	s.version++
	return []protocol.Rooms{{Of: protocol.UserTopic(s.user.ID), Leave: topics}}
}

// roomsMoved makes sockets that are just connecting look at their rooms again.
func (s *State) roomsMoved(turn.Turn, *protocol.RoomsMoved) (turn.Outcome, error) {
	s.version++
	return turn.Outcome{}, nil
}
