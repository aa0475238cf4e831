package cluster

import (
	"context"
	"time"

	"github.com/rookery-chat/rookery/protocol/wirepb"
)

// settleIn waits until the members that gossip knows are admitted, then lets the
// node be given activations.
func (g *membership) settleIn(ctx context.Context) error {
	limit := time.NewTimer(admitLimit)
	defer limit.Stop()
	tick := time.NewTicker(settle)
	defer tick.Stop()
	for !g.allAdmitted() {
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
		}
		break
	}
	g.mu.Lock()
	g.joining = false
	g.mu.Unlock()
	g.announce()
	return nil
}

func (g *membership) allAdmitted() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.ears.members() {
		if m.Name != g.id && !g.admitted[m.Name] && !g.dead[m.Name] {
			return false
		}
	}
	return true
}

// greet admits a new member once a message over remoting went to it and back. So
// a node that gossips, but cannot be talked to (no certificate, a firewall),
// owns nothing.
func (g *membership) greet(m Member) {
	n := g.node
	m.hash, m.door = hashNode(m.ID), doorOf(m.Address())
	for try := 0; n.ctx.Err() == nil; try++ {
		ctx, cancel := context.WithTimeout(n.ctx, helloTry)
		out := n.signal(ctx, &m, &wirepb.Envelope{Type: signalHello, Node: m.hash})
		g.mu.Lock()
		current := !g.left && g.ears.hears(m.ID)
		if out.verdict == answered || !current {
			delete(g.greeting, m.ID)
			g.admitted[m.ID] = current
			g.mu.Unlock()
			cancel()
			g.wake()
			return
		}
		g.mu.Unlock()
		if try%20 == 2 {
			n.log.Warn("a node gossips but does not answer over remoting; it stays outside", "node", m.ID, "address", m.Address())
		}
		<-ctx.Done()
		cancel()
	}
}
