package relay

import (
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// barrier holds back what may happen only when everything that was published
// before is here. Events come from each node in order, but one node may lag
// behind another: what the new node of a session heard before the session's
// socket joined there must have reached this one before the session leaves it.
// So every node is asked to send a mark behind its events. Those who come while
// marks are under way share the next round.
type barrier struct {
	round   uint64
	missing map[string]struct{} // nodes whose mark is not here; nil: no round is under way
	waiting []*take
	next    []*take
	ready   []*take // behind all marks, not yet behind what is held here
}

// barrierTimeout is how long a mark is waited for: a node that does not send it
// is gone or cut off.
const barrierTimeout = time.Second

// overdue ends a round of a barrier.
type overdue struct{ round uint64 }

// depart lets a session go when nothing that it has to hear is on its way.
func (f *front) depart(m *take) {
	if m.from.Node == "" || m.from.Node == f.relay.node.ID() {
		f.from(m.socket, m.user, m)
		return
	}
	f.barrier.next = append(f.barrier.next, m)
	if f.barrier.missing == nil {
		f.ask()
	}
}

// ask begins a round.
func (f *front) ask() {
	b := &f.barrier
	b.round++
	b.waiting, b.next, b.missing = b.next, nil, map[string]struct{}{}
	self := f.relay.node.ID()
	for _, m := range f.relay.node.View().Members {
		if m.ID != self {
			b.missing[m.ID] = struct{}{}
			f.relay.node.TellNode(m.ID, Name, &protocol.Flush{Node: self, Round: b.round})
		}
	}
	root, pid, round := f.ctx.ActorSystem().Root, f.self(), b.round
	time.AfterFunc(barrierTimeout, func() { root.Send(pid, &overdue{round}) })
	f.arrived()
}

// flush sends the mark of this node.
func (f *front) flush(m *protocol.Flush) {
	f.relay.node.TellNode(m.Node, Name, &protocol.Flushed{Node: f.relay.node.ID(), Round: m.Round})
}

func (f *front) flushed(m *protocol.Flushed) {
	if m.Round == f.barrier.round && f.barrier.missing != nil {
		delete(f.barrier.missing, m.Node)
		f.arrived()
	}
}

func (f *front) overdue(m *overdue) {
	if m.round == f.barrier.round && f.barrier.missing != nil {
		clear(f.barrier.missing)
		f.arrived()
	}
}

// arrived ends a round when the last mark is here.
func (f *front) arrived() {
	b := &f.barrier
	if len(b.missing) > 0 {
		return
	}
	b.missing = nil
	b.ready, b.waiting = append(b.ready, b.waiting...), nil
	f.leave()
	if len(b.next) > 0 {
		f.ask()
	}
}

// leave lets go of those who are ready, unless events are held.
func (f *front) leave() {
	if len(f.held) > 0 {
		return
	}
	ready := f.barrier.ready
	f.barrier.ready = nil
	for _, m := range ready {
		f.from(m.socket, m.user, m)
	}
}

// abandon ends everything: the sessions are lost.
func (b *barrier) abandon() {
	for _, list := range [][]*take{b.waiting, b.next, b.ready} {
		for _, m := range list {
			m.done(&protocol.SessionTaken{})
		}
	}
	*b = barrier{round: b.round}
}
