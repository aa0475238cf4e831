package community

import (
	"maps"
	"slices"
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

const (
	sweepEvery = time.Minute
	// maxAsked bounds how many users are asked in one sweep whether they are
	// still there.
	maxAsked = 1000
)

// sweep is the timer that looks for members who are no longer heard of.
type sweep struct{}

// memberPresence counts a member who came or went. A user's sign of life comes
// every few minutes; only the first is news.
func (s *State) memberPresence(t turn.Turn, m *protocol.MemberPresence) (turn.Outcome, error) {
	if !s.roster.has(m.User) {
		out := turn.Outcome{Reply: s.scope(false)}
		if m.Online { // his actor has not heard that he left, or that the community is gone
			out.Tells = []turn.Tell{{Kind: protocol.KindUser, ID: m.User.String(), Msg: &protocol.NotMember{Community: s.id}}}
		}
		return out, nil
	}
	_, was := s.online[m.User]
	if !m.Online {
		delete(s.online, m.User)
		// Shortly after loading it is not known who was online before.
		return turn.Outcome{Reply: s.scope(was || s.fresh(t.Now))}, nil
	}
	s.online[m.User] = t.Now
	out := turn.Outcome{Reply: s.scope(!was)}
	if !s.sweeping {
		s.sweeping = true
		out.Timers = []turn.Timer{{After: sweepEvery, Msg: &sweep{}}}
	}
	return out, nil
}

func (s *State) askPresence(turn.Turn, *protocol.AskPresence) (turn.Outcome, error) {
	return turn.Outcome{Reply: s.scope(false)}, nil
}

// onlineMembers tells who is online, of the users named or of all members.
func (s *State) onlineMembers(t turn.Turn, m *protocol.AskOnlineMembers) (turn.Outcome, error) {
	reply := &protocol.OnlineMembers{Fresh: s.fresh(t.Now)}
	for _, u := range m.Users {
		if _, on := s.online[u]; on {
			reply.Users = append(reply.Users, u)
		}
	}
	if m.Users == nil {
		reply.Users = slices.Collect(maps.Keys(s.online))
	}
	return turn.Outcome{Reply: reply}, nil
}

// noticesWanted passes on to channels in use that a member wants to hear of every
// message.
func (s *State) noticesWanted(_ turn.Turn, m *protocol.NoticesWanted) (turn.Outcome, error) {
	var out turn.Outcome
	for id := range s.holders {
		out.Tells = append(out.Tells, turn.Tell{Kind: protocol.KindChannel, ID: id.String(), Msg: m})
	}
	return out, nil
}

func (s *State) scope(changed bool) *protocol.PresenceScope {
	return &protocol.PresenceScope{Online: len(s.online), Quiet: len(s.online) > s.cfg.QuietAbove, Changed: changed}
}

func (s *State) fresh(now protocol.Instant) bool { return now-s.since < instants(s.cfg.StaleAfter) }

// sweepOnline asks after members who were not heard of for long, and forgets
// those who were not heard of in spite of that.
func (s *State) sweepOnline(t turn.Turn, _ *sweep) (turn.Outcome, error) {
	var out turn.Outcome
	stale := instants(s.cfg.StaleAfter)
	for user, heard := range s.online {
		switch age := t.Now - heard; {
		case age > 2*stale:
			delete(s.online, user)
		case age > stale && len(out.Tells) < maxAsked:
			out.Tells = append(out.Tells, turn.Tell{
				Kind: protocol.KindUser, ID: user.String(), Msg: &protocol.PresenceStale{Community: s.id},
			})
		}
	}
	s.sweeping = len(s.online) > 0
	if s.sweeping {
		out.Timers = []turn.Timer{{After: sweepEvery, Msg: &sweep{}}}
	}
	return out, nil
}

func instants(d time.Duration) protocol.Instant { return protocol.Instant(d.Milliseconds()) }
