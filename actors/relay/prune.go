package relay

import (
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// pruneAgain is how long an owner that goes on sending is not told again.
const pruneAgain = time.Second

// prunes is what owners were told about this node.
type prunes struct {
	pruned map[protocol.Topic]int64  // unix nanoseconds of when the owner was told last
	asked  map[protocol.Topic]*asked // grafts under way
}

func newPrunes() prunes {
	return prunes{pruned: map[protocol.Topic]int64{}, asked: map[protocol.Topic]*asked{}}
}

// asked is a graft under way, with those who wait for it.
type asked struct{ waiting []func(error) }

// grafted is the answer to a graft.
type grafted struct {
	topic protocol.Topic
	err   error
}

// prune tells the owner of an event that nobody here wants it.
func (f *front) prune(m *protocol.Fanout) {
	if m.Origin.Kind == "" || len(m.Topics) != 1 || !m.Topics[0].Of(m.Origin.Kind) {
		return
	}
	t := m.Topics[0]
	if f.asked[t] != nil { // the owner must not hear of the prune after the graft
		return
	}
	now := time.Now().UnixNano()
	told, known := f.pruned[t]
	switch {
	case known && now-told < int64(pruneAgain):
		return
	case !known && len(f.pruned) >= f.relay.cfg.MaxPruned:
		return // receiving in vain is safe, forgetting a prune is not
	}
	f.pruned[t] = now
	f.relay.node.Tell(string(m.Origin.Kind), m.Origin.ID, &protocol.Prune{Node: f.relay.node.ID()})
}

// wanted sees to it that the owner of a topic sends its events here. It reports
// whether that has to be waited for; then is called when it is so.
func (f *front) wanted(t protocol.Topic, then func(error)) bool {
	if a := f.asked[t]; a != nil {
		a.waiting = append(a.waiting, then)
		return true
	}
	if _, pruned := f.pruned[t]; !pruned {
		return false
	}
	delete(f.pruned, t)
	f.asked[t] = &asked{[]func(error){then}}
	root, self, r := f.ctx.ActorSystem().Root, f.self(), f.relay
	go func() {
		r.grafts <- struct{}{}
		err := r.graft(t)
		<-r.grafts
		root.Send(self, &grafted{t, err})
	}()
	return true
}

// grafted goes on with what waited for an owner.
func (f *front) grafted(m *grafted) {
	a := f.asked[m.topic]
	if a == nil {
		return
	}
	delete(f.asked, m.topic)
	if m.err != nil {
		f.relay.cfg.Log.Warn("owner of a topic could not be asked for its events", "topic", m.topic.String(), "error", m.err)
		f.pruned[m.topic] = 0 // not known to be otherwise: the next subscriber asks again
	}
	for _, then := range a.waiting {
		then(m.err)
	}
}

// hold keeps a change of rooms, and what the same room hears next, until the
// owners of the rooms to join were asked.
type hold struct {
	change  *protocol.Rooms
	lanes   []*lane // that claimed the rooms
	missing int
	queue   []any
}

// holding finds the hold that a message has to wait in.
func (f *front) holding(msg any) *hold {
	if len(f.held) == 0 {
		return nil
	}
	switch m := msg.(type) {
	case *protocol.Fanout:
		for _, t := range m.Topics {
			if h := f.held[t]; h != nil {
				return h
			}
		}
	case *protocol.Rooms:
		return f.held[m.Of]
	}
	return nil
}

// release counts a hold down and lets go what waits in it, in order. What
// begins a new hold keeps the rest waiting.
func (f *front) release(h *hold) {
	if h.missing--; h.missing > 0 {
		return
	}
	of := h.change.Of
	delete(f.held, of)
	f.move(h)
	for i, msg := range h.queue {
		f.published(msg)
		if next := f.held[of]; next != nil {
			next.queue = append(next.queue, h.queue[i+1:]...)
			return
		}
	}
	f.leave()
}
