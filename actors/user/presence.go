package user

import (
	"context"
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// seenEvery is how often last_seen is written at most while the user is online.
const seenEvery = time.Minute

// Timers.
type (
	grace    struct{ absence int } // the grace period is over
	announce struct{}              // tell the communities what is true
	seen     struct{ at protocol.Instant }
)

func now(msg any) turn.Timer { return turn.Timer{Msg: msg} }

// appeared is called when there is a socket.
func (s *State) appeared() []turn.Timer {
	s.absence++ // ends a grace period
	s.online = true
	if s.announced {
		return nil
	}
	return []turn.Timer{now(&announce{})}
}

// vanished is called when sockets went; it starts the grace period when none
// is left.
func (s *State) vanished() []turn.Timer {
	if n, _ := s.live(); n > 0 || !s.online {
		return nil
	}
	s.absence++
	return []turn.Timer{{After: s.cfg.Grace, Msg: &grace{s.absence}}}
}

func (s *State) graceOver(t turn.Turn, m *grace) (turn.Outcome, error) {
	if n, _ := s.live(); n > 0 || !s.online || m.absence != s.absence {
		return turn.Outcome{}, nil
	}
	s.online = false
	return turn.Outcome{Timers: []turn.Timer{now(&announce{}), now(&seen{t.Now})}}, nil
}

// announcePresence tells the communities whether the user is online, and then,
// with one event, those members for whom it is news, and those who share direct
// messages with him. One announcement runs at a
// time, so that the last word is the right one.
func (s *State) announcePresence(t turn.Turn, _ *announce) (turn.Outcome, error) {
	if !s.beginAnnouncement(t) {
		return turn.Outcome{}, nil
	}
	db, id := s.db, s.user.ID
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		groups, err := db.GroupsOf(ctx, id)
		return func(t turn.Turn) (turn.Outcome, error) {
			if err == nil { // or those known will do
				s.groups = groups
			}
			return s.tellPresence(t)
		}, nil
	}}, nil
}

// beginAnnouncement reports whether there is something to announce.
func (s *State) beginAnnouncement(t turn.Turn) bool {
	if s.announcing || s.announced == s.online {
		return false
	}
	s.announced, s.announcing, s.repeated = s.online, true, t.Now
	return true
}

// tellPresence is the announcement, when the groups are known.
func (s *State) tellPresence(t turn.Turn) (turn.Outcome, error) {
	online := s.announced
	told := s.communities
	out := turn.Outcome{
		Asks: make([]turn.Ask, len(told)),
		Then: func(_ turn.Turn, answers []turn.Answer) (turn.Outcome, error) {
			return s.presenceAnnounced(online, told, answers)
		},
	}
	for i, id := range told {
		out.Asks[i] = turn.Ask{Kind: protocol.KindCommunity, ID: id.String(), Msg: &protocol.MemberPresence{User: s.user.ID, Online: online}}
	}
	if len(out.Asks) == 0 {
		return out.Then(t, nil)
	}
	return out, nil
}

func (s *State) presenceAnnounced(online bool, told []protocol.CommunityID, answers []turn.Answer) (turn.Outcome, error) {
	topics := []protocol.Topic{protocol.UserTopic(s.user.ID)}
	news := len(told) == 0
	for i, a := range answers {
		scope, ok := a.Reply.(*protocol.PresenceScope)
		if a.Err != nil || !ok {
			continue
		}
		news = news || scope.Changed
		if scope.Changed && !scope.Quiet {
			topics = append(topics, protocol.CommunityTopic(told[i]))
		}
	}
	if !news {
		return s.doneAnnouncing(turn.Outcome{}), nil
	}
	for _, g := range s.groups {
		topics = append(topics, protocol.GroupTopic(g))
	}
	if s.missing { // friends and groups go with the account
		out, err := s.presenceEvent(online, topics)
		return s.doneAnnouncing(out), err
	}
	db, id := s.db, s.user.ID
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		company, _ := db.Company(ctx, id) // without a database the communities hear of it at least
		return func(turn.Turn) (turn.Outcome, error) {
			out, err := s.presenceEvent(online, append(topics, company...))
			return s.doneAnnouncing(out), err
		}, nil
	}}, nil
}

// doneAnnouncing lets the next announcement begin, when there is something new.
func (s *State) doneAnnouncing(out turn.Outcome) turn.Outcome {
	s.announcing = false
	if s.announced != s.online {
		out.Timers = []turn.Timer{now(&announce{})}
	}
	return out
}

// presenceEvent is for the user's own devices, his communities, his friends and
// those with whom he shares a direct-message group.
func (s *State) presenceEvent(online bool, topics []protocol.Topic) (turn.Outcome, error) {
	name := "userOffline"
	if online {
		name = "userOnline"
	}
	e, err := s.event(name, protocol.UserPresence{
		UserID: s.user.ID, Username: s.user.Username, DisplayName: s.user.DisplayName, AvatarURL: s.user.AvatarURL,
	})
	e.Topics = topics
	return turn.Outcome{Events: []protocol.Event{e}, Everywhere: true}, err
}

// repeat is a sign of life: communities that were loaded since hear it for the
// first time. It comes with the sweep.
func (s *State) repeat(t turn.Turn) turn.Outcome {
	var out turn.Outcome
	if t.Now-s.seen >= instants(seenEvery) {
		out.Timers = append(out.Timers, now(&seen{t.Now}))
	}
	if t.Now-s.repeated < instants(s.cfg.Repeat) || !s.announced || s.announcing {
		return out
	}
	s.repeated = t.Now
	for _, id := range s.communities {
		out.Tells = append(out.Tells, s.sign(id))
	}
	return out
}

func (s *State) sign(community protocol.CommunityID) turn.Tell {
	return turn.Tell{
		Kind: protocol.KindCommunity, ID: community.String(), Msg: &protocol.MemberPresence{User: s.user.ID, Online: true},
	}
}

// presenceStale answers a community that has not heard of the user for long.
// Without sockets, whoever announced the user is gone: the absence is announced.
func (s *State) presenceStale(t turn.Turn, m *protocol.PresenceStale) (turn.Outcome, error) {
	if s.online {
		return turn.Outcome{Tells: []turn.Tell{s.sign(m.Community)}}, nil
	}
	s.announced = true
	return turn.Outcome{Timers: []turn.Timer{now(&announce{})}}, nil
}

func (s *State) askOnline(turn.Turn, *protocol.AskOnline) (turn.Outcome, error) {
	_, active := s.live()
	return turn.Outcome{Reply: &protocol.IsOnline{Online: s.online, Active: active > 0}}, nil
}

// noteSeen has last_seen written.
func (s *State) noteSeen(_ turn.Turn, m *seen) (turn.Outcome, error) {
	if m.at <= s.seen {
		return turn.Outcome{}, nil
	}
	s.seen = m.at
	s.user.LastSeen = m.at.Ptr()
	s.db.SawUser(s.user.ID, m.at)
	return turn.Outcome{}, nil
}
