package dm

import (
	"context"
	"time"

	"github.com/rookery-chat/rookery/actors/conversation"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Config tunes groups; its zero value works.
type Config struct {
	// IdleAfter is how long a group nobody uses stays in memory; 10 minutes.
	IdleAfter time.Duration
}

// State is one group in memory: its log and its members.
type State struct {
	log    *conversation.State
	db     *persistence.DB
	id     protocol.GroupID
	group  *persistence.Group // nil: there is none
	blocks int                // how often the pair was told of a block
}

// New describes the kind.
func New(cfg Config) *turn.Kind[State] {
	if cfg.IdleAfter == 0 {
		cfg.IdleAfter = 10 * time.Minute
	}
	k := &turn.Kind[State]{
		Name:      protocol.KindDM,
		Leased:    true,
		Load:      load,
		Judge:     (*State).judge,
		IdleAfter: cfg.IdleAfter,
	}
	turn.On(k, protocol.SearchInGroup, (*State).search)
	turn.On(k, protocol.MessageAroundInGroup, (*State).around)
	log := func(s *State) *conversation.State { return s.log }
	conversation.Register(k, log)
	conversation.RegisterGroup(k, log)
	conversation.On(k, protocol.DirectHistory, log, func(l *conversation.State, t turn.Turn, req protocol.ListGroupMessages) (turn.Outcome, error) {
		return l.List(t, req.Limit, req.ContinuationToken, req.Direction)
	})
	conversation.On(k, protocol.DirectMessages, log, func(l *conversation.State, t turn.Turn, _ protocol.GetDirectMessages) (turn.Outcome, error) {
		return l.List(t, protocol.DefaultPage, "", "")
	})
	turn.On(k, protocol.DirectGet, (*State).getGroup)
	turn.On(k, protocol.DirectAdd, (*State).addMembers, turn.Structural)
	turn.On(k, protocol.DirectLeave, (*State).leave, turn.Structural)
	turn.OnMessage(k, (*State).opened, turn.Structural)
	turn.OnMessage(k, (*State).authorGone)
	turn.OnMessage(k, (*State).pairBlocked)
	turn.On(k, protocol.MessagePin, refuse[protocol.PinMessage](errPin))
	turn.On(k, protocol.MessageUnpin, refuse[protocol.UnpinMessage](errUnpin))
	turn.On(k, protocol.MessageRemove, refuse[protocol.RemoveMessage](errModerate))
	return k
}

// load reads the group and the end of its log in one round trip.
func load(ctx context.Context, env *turn.Env, t turn.Turn) (*State, error) {
	id, err := protocol.ParseID[struct{}](t.Self.ID)
	s := &State{id: protocol.GroupID(id), db: env.DB}
	if err != nil {
		s.log = conversation.Nowhere(s)
		return s, nil //nolint:nilerr // what names no group is one that is missing
	}
	g, l, err := env.DB.GroupLog(ctx, s.id, conversation.Scope(t.Now))
	if err != nil {
		return nil, err
	}
	s.group = g
	s.log = conversation.New(env, t, protocol.InGroup(s.id), s, l)
	return s, nil
}
