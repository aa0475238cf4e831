package channel

import (
	"context"
	"time"

	"github.com/rookery-chat/rookery/actors/conversation"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// Config tunes channels; its zero value works.
type Config struct {
	// IdleAfter is how long a channel nobody uses stays in memory; 10 minutes.
	IdleAfter time.Duration
}

// State is one channel in memory: its log, and who may do what in it.
type State struct {
	log      *conversation.State
	id       protocol.ChannelID
	settings protocol.ChannelSettings
	access   accessCache
}

// New describes the kind.
func New(cfg Config) *turn.Kind[State] {
	if cfg.IdleAfter == 0 {
		cfg.IdleAfter = 10 * time.Minute
	}
	k := &turn.Kind[State]{
		Name:      protocol.KindChannel,
		Leased:    true,
		Load:      load,
		Judge:     (*State).judge,
		IdleAfter: cfg.IdleAfter,
	}
	log := func(s *State) *conversation.State { return s.log }
	conversation.Register(k, log)
	conversation.RegisterModeration(k, log)
	conversation.RegisterChannel(k, log)
	turn.OnMessage(k, (*State).accessChanged)
	return k
}

func newState(id protocol.ChannelID, settings protocol.ChannelSettings) *State {
	return &State{id: id, settings: settings, access: newAccessCache()}
}

// load reads the settings and the end of the log in one round trip.
func load(ctx context.Context, env *turn.Env, t turn.Turn) (*State, error) {
	id, err := protocol.ParseID[struct{}](t.Self.ID)
	s := newState(protocol.ChannelID(id), protocol.ChannelSettings{Missing: true})
	if err != nil {
		s.log = conversation.Nowhere(s)
		return s, nil //nolint:nilerr // what names no channel is one that is missing
	}
	settings, l, err := env.DB.ChannelLog(ctx, s.id, conversation.Scope(t.Now))
	if err != nil {
		return nil, err
	}
	s.settings = settings
	s.log = conversation.New(env, t, protocol.InChannel(s.id), s, l)
	return s, nil
}
