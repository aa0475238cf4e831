package community

import (
	"bytes"
	"maps"
	"slices"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

const (
	// maxStrangers bounds the memory of outsiders who got an answer.
	maxStrangers = 4096
	// confirmRounds is how often a holder is asked to confirm, 5 s each.
	confirmRounds = 3
)

// strangers remembers outsiders whose "no" a channel may still hold when they
// become members.
type strangers struct {
	users map[protocol.UserID]struct{}
	many  bool // more than are remembered: anybody may be one
}

func (s *strangers) add(u protocol.UserID) {
	if s.users == nil {
		s.users = map[protocol.UserID]struct{}{}
	}
	if len(s.users) >= maxStrangers {
		s.many = true
		return
	}
	s.users[u] = struct{}{}
}

// take reports whether the user may be one, and forgets him.
func (s *strangers) take(u protocol.UserID) bool {
	_, ok := s.users[u]
	delete(s.users, u)
	return ok || s.many
}

// answerAccess tells a channel what a user may do in it.
func (s *State) answerAccess(t turn.Turn, m *protocol.AskAccess) (turn.Outcome, error) {
	a := s.access(t.Now, m)
	if !a.Settings.Missing {
		s.holders[m.Channel] = s.version
	}
	if !a.Member && !m.Owner {
		s.strangers.add(m.User)
	}
	return turn.Outcome{Reply: &a}, nil
}

func (s *State) access(now protocol.Instant, m *protocol.AskAccess) protocol.Access {
	a := protocol.Access{User: m.User, Version: s.version, Member: s.roster.has(m.User)}
	if until := s.timeouts[m.User]; until > now {
		a.TimeoutUntil = until
	}
	a.Settings.Community = s.id
	c, ok := s.channel(m.Channel)
	if !ok {
		a.Settings.Missing = true
		return a
	}
	a.Settings = *s.settings(c)
	if m.Owner || s.inside(c, m.User) {
		a.Actions = s.actions(m.User, m.Owner)
	}
	return a
}

// settings is what a channel needs to know of its row.
func (s *State) settings(c protocol.Channel) *protocol.ChannelSettings {
	return &protocol.ChannelSettings{Community: s.id, Slowmode: c.SlowmodeSeconds, Private: c.IsPrivate}
}

// takeBack makes channels forget what they hold of the users (nil: of
// everybody) and goes on when all have confirmed it, or when some did not in
// several rounds: what follows a loss of rights must not be reported as done
// before. It is called after the state has changed.
func (s *State) takeBack(t turn.Turn, users []protocol.UserID, next func(t turn.Turn, confirmed bool) (turn.Outcome, error)) (turn.Outcome, error) {
	holders := slices.SortedFunc(maps.Keys(s.holders), func(a, b protocol.ChannelID) int { return bytes.Compare(a[:], b[:]) })
	return s.takeBackFrom(t, holders, users, next)
}

// takeBackIn is takeBack for a change that is about one channel.
func (s *State) takeBackIn(t turn.Turn, c protocol.ChannelID, users []protocol.UserID, next func(t turn.Turn, confirmed bool) (turn.Outcome, error)) (turn.Outcome, error) {
	if _, holds := s.holders[c]; !holds {
		return s.takeBackFrom(t, nil, users, next)
	}
	return s.takeBackFrom(t, []protocol.ChannelID{c}, users, next)
}

// suspect counts channels as holders although they have not asked: what is true
// of them now must be told to those who never ask, too, such as owners of the
// instance who are in there.
func (s *State) suspect(channels ...protocol.ChannelID) {
	for _, c := range channels {
		if _, holds := s.holders[c]; !holds {
			s.holders[c] = 0
		}
	}
}

func (s *State) takeBackFrom(
	t turn.Turn, holders []protocol.ChannelID, users []protocol.UserID, next func(t turn.Turn, confirmed bool) (turn.Outcome, error),
) (turn.Outcome, error) {
	s.version++
	if len(holders) == 0 {
		return next(t, true)
	}
	return s.askHolders(users, holders, s.version, confirmRounds, next), nil
}

func (s *State) askHolders(
	users []protocol.UserID, holders []protocol.ChannelID, version int64, rounds int,
	next func(t turn.Turn, confirmed bool) (turn.Outcome, error),
) turn.Outcome {
	out := turn.Outcome{Asks: make([]turn.Ask, len(holders))}
	for i, id := range holders {
		m := &protocol.AccessChanged{Users: users, Version: version}
		if c, there := s.channel(id); there {
			m.Settings = s.settings(c)
		} else {
			m.Gone = true
		}
		out.Asks[i] = turn.Ask{Kind: protocol.KindChannel, ID: id.String(), Msg: m}
	}
	out.Then = func(t turn.Turn, answers []turn.Answer) (turn.Outcome, error) {
		var silent []protocol.ChannelID
		for i, a := range answers {
			switch id := holders[i]; {
			case a.Err != nil:
				silent = append(silent, id)
			case users == nil && s.holders[id] < version:
				delete(s.holders, id) // holds nothing any more, and did not ask since
			}
		}
		switch {
		case len(silent) == 0:
			return next(t, true)
		case rounds <= 1:
			return next(t, false)
		}
		return s.askHolders(users, silent, version, rounds-1, next), nil
	}
	return out
}

// errUnconfirmed answers a change that is stored while a channel may still act
// on the old rights: the same request may be sent again.
var errUnconfirmed = protocol.Unavailable("The change is stored, but not every channel has confirmed it yet, please retry")

// confirmed is the end of a change that took rights away: it is not reported as
// done before every channel has let go of them.
func confirmed(done turn.Outcome) func(turn.Turn, bool) (turn.Outcome, error) {
	return func(_ turn.Turn, confirmed bool) (turn.Outcome, error) {
		if !confirmed {
			return turn.Outcome{}, errUnconfirmed
		}
		return done, nil
	}
}

// shrunk ends a change that took rights away and answers nothing else.
func shrunk(t turn.Turn, confirmed bool) (turn.Outcome, error) {
	return shrunkTo(turn.Outcome{})(t, confirmed)
}

// shrunkTo is the end of a change that took rights away.
func shrunkTo(done turn.Outcome) func(turn.Turn, bool) (turn.Outcome, error) {
	return func(_ turn.Turn, confirmed bool) (turn.Outcome, error) {
		if !confirmed {
			return turn.Outcome{}, errUnconfirmed
		}
		return done, nil
	}
}

// grown is the end of a change that gave rights: a channel that did not
// confirm refuses a little longer than it should.
func grown(done turn.Outcome) func(turn.Turn, bool) (turn.Outcome, error) {
	return func(turn.Turn, bool) (turn.Outcome, error) { return done, nil }
}
