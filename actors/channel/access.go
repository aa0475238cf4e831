package channel

import (
	"time"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// maxAccess bounds the answers of the community that a channel keeps.
const maxAccess = 8192

// accessCache is what the community said about users, until it takes it back.
type accessCache struct {
	users map[protocol.UserID]*protocol.Access
	since int64 // answers of an older version are out of date
}

func newAccessCache() accessCache {
	return accessCache{users: map[protocol.UserID]*protocol.Access{}}
}

// learn keeps an answer, unless it was taken back while it was on its way.
func (c *accessCache) learn(user protocol.UserID, a *protocol.Access) bool {
	if a.Version < c.since {
		return false
	}
	if len(c.users) >= maxAccess {
		for other := range c.users { // any one will do
			delete(c.users, other)
			break
		}
	}
	c.users[user] = a
	return true
}

func (c *accessCache) forget(m *protocol.AccessChanged) {
	c.since = max(c.since, m.Version)
	if m.Users == nil {
		clear(c.users)
	}
	for _, u := range m.Users {
		delete(c.users, u)
	}
}

// judge decides by what the community said, or has it asked. Versions rise from
// one activation of the community to the next, so that asking again ends.
func (s *State) judge(t turn.Turn, op *protocol.Operation) turn.Verdict {
	user := t.Caller.UserID
	switch {
	case t.Caller.Owner:
		return turn.Allow
	case s.settings.Missing:
		return turn.Deny
	}
	if a := s.access.users[user]; a != nil {
		return turn.Verdict{Allowed: a.Actions.Has(op.Permission)}
	}
	return turn.Verdict{
		Key: user,
		Ask: &turn.Ask{
			Kind: protocol.KindCommunity, ID: s.settings.Community.String(),
			Msg: &protocol.AskAccess{Channel: s.id, User: user},
		},
		Learn: func(_ turn.Turn, answer turn.Answer) { s.learn(user, answer.Reply) },
	}
}

func (s *State) learn(user protocol.UserID, reply any) {
	a, ok := reply.(*protocol.Access)
	if !ok {
		a = &protocol.Access{User: user, Settings: s.settings, Version: s.access.since} // not understood: no rights
	}
	if !s.access.learn(user, a) {
		return
	}
	if a.Settings.Missing {
		s.vanish()
		return
	}
	s.settings = a.Settings
}

// accessChanged takes answers back. When it is acknowledged, nothing is decided
// by them any more.
func (s *State) accessChanged(_ turn.Turn, m *protocol.AccessChanged) (turn.Outcome, error) {
	s.access.forget(m)
	if m.Settings != nil && !s.settings.Missing {
		s.settings = *m.Settings
	}
	if m.Gone {
		s.vanish()
	}
	return turn.Outcome{Reply: &protocol.Done{}}, nil
}

// vanish is what remains of a channel that was deleted.
func (s *State) vanish() {
	s.settings.Missing = true
	clear(s.access.users)
	s.log.Vanish()
}

var errNoChannel = protocol.NotFound("Channel not found")

// Gone implements conversation.Rules. Only owners of the instance get as far as
// to be told.
func (s *State) Gone() error {
	if s.settings.Missing {
		return errNoChannel
	}
	return nil
}

// Still implements conversation.Rules: rights may have been taken away while a
// command was on a detour.
func (s *State) Still(c protocol.Caller, needs protocol.Action) error {
	a := s.access.users[c.UserID]
	switch {
	case c.Owner:
		return s.Gone()
	case s.settings.Missing, a != nil && !a.Actions.Has(needs):
		return protocol.ErrForbidden
	case a == nil:
		return protocol.ErrUnavailable // asked again when it is tried again
	}
	return nil
}

// Community implements conversation.Rules.
func (s *State) Community() protocol.CommunityID { return s.settings.Community }

// Actions implements conversation.Rules.
func (s *State) Actions(c protocol.Caller) protocol.ActionSet {
	if c.Owner {
		return rules.Effective(true, nil)
	}
	if a := s.access.users[c.UserID]; a != nil {
		return a.Actions
	}
	return 0
}

// MayTouch implements conversation.Rules: nobody under a moderation timeout.
func (s *State) MayTouch(t turn.Turn) error {
	a := s.access.users[t.Caller.UserID]
	if a == nil || t.Caller.Owner {
		return nil
	}
	if wait := rules.TimeoutRemaining(a.TimeoutUntil, t.Now); wait > 0 {
		return rules.TimedOut(wait)
	}
	return nil
}

// MaySend implements conversation.Rules: timeout and slow mode.
func (s *State) MaySend(t turn.Turn, last protocol.Instant) error {
	if err := s.MayTouch(t); err != nil {
		return err
	}
	if s.settings.Slowmode <= 0 || rules.ExemptFromSlowmode(t.Caller.Owner, s.Actions(t.Caller)) {
		return nil
	}
	wait := rules.SlowmodeRemaining(s.settings.Slowmode, last, t.Now)
	if wait <= 0 {
		return nil
	}
	// After the clock went back nobody waits longer than the setting says.
	return rules.Slowmode(min(wait, time.Duration(s.settings.Slowmode)*time.Second))
}
