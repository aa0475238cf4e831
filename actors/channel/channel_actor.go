package channel

import (
	"context"
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Config tunes channels; its zero value works.
type Config struct {
	// IdleAfter is how long a channel nobody uses stays in memory; 10 minutes.
	IdleAfter time.Duration
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
		Busy:      (*State).unwritten,
		IdleAfter: cfg.IdleAfter,
	}
	turn.On(k, protocol.MessageSend, there((*State).sendMessage), turn.Writes)
	turn.On(k, protocol.MessageList, there((*State).listMessages))
	turn.On(k, protocol.MessageGet, there((*State).getMessage))
	turn.On(k, protocol.MessageEdit, there((*State).editMessage), turn.Writes)
	turn.On(k, protocol.MessageDelete, there((*State).deleteMessage), turn.Writes)
	turn.On(k, protocol.ReactionAdd, there((*State).addReaction), turn.Writes)
	turn.On(k, protocol.ReactionRemove, there((*State).removeReaction), turn.Writes)
	turn.On(k, protocol.MessagePin, there((*State).pinMessage), turn.Writes)
	turn.On(k, protocol.MessageUnpin, there((*State).unpinMessage), turn.Writes)
	turn.On(k, protocol.MessageRemove, there((*State).removeMessage), turn.Writes)
	turn.On(k, protocol.PinList, there((*State).listPins))
	turn.On(k, protocol.SearchInChannel, there((*State).searchChannel))
	turn.OnMessage(k, (*State).aliasGone)
	turn.OnMessage(k, (*State).typingChanged)
	turn.OnMessage(k, (*State).accessChanged)
	turn.OnMessage(k, (*State).authorGone)
	turn.OnMessage(k, (*State).flushReceipts)
	return k
}

// there refuses commands to a channel that does not exist. Only owners of the
// instance get as far as here and may know.
func there[Req any](h func(*State, turn.Turn, Req) (turn.Outcome, error)) func(*State, turn.Turn, Req) (turn.Outcome, error) {
	return func(s *State, t turn.Turn, req Req) (turn.Outcome, error) {
		if s.settings.Missing {
			return turn.Outcome{}, errNoChannel
		}
		return h(s, t, req)
	}
}

var errNoChannel = protocol.NotFound("Channel not found")

// load reads the end of the channel's log in one round trip.
func load(ctx context.Context, env *turn.Env, t turn.Turn) (*State, error) {
	id, ok := idOf(t.Self)
	if !ok {
		return newState(id, &persistence.ChannelLog{Settings: protocol.ChannelSettings{Missing: true}}, archive{}), nil
	}
	l, err := env.DB.ChannelLog(ctx, id, maxRecent, maxSends, t.Now-sendWindow, t.Now)
	if err != nil {
		return nil, err
	}
	return newState(id, l, archive{
		db: env.DB, writer: env.Writer, pages: env.DB.ChannelPages(id, t.Owner.Epoch), log: env.Log.With("channel", t.Self.ID),
	}), nil
}

// idOf is the channel that an actor is for.
func idOf(self protocol.Origin) (protocol.ChannelID, bool) {
	id, err := protocol.ParseID[struct{}](self.ID)
	return protocol.ChannelID(id), err == nil
}
