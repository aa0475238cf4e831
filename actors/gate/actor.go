package gate

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/protocol"
)

// props describes the actor "gate": it forgets what it is told to and says so.
func props(g *Gate) *actor.Props {
	return actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *protocol.AccountChanged:
			g.forget(m.User)
			if m.From == g.cfg.Node.ID() { // one node tells it, not all
				g.bulletin.tell(m.User)
			}
			cluster.Reply(ctx, &protocol.Done{})
		case *protocol.PagesStale:
			g.cfg.DB.ForgetPages()
		}
	})
}
