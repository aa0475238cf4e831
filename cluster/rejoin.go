package cluster

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/lithammer/shortuuid/v4"
)

// A node that is paused, or cut off, for longer than gossip waits is declared
// dead and its identities get new owners. When it wakes up it does not know.
// Gossip would take it back under its old name, as if nothing had happened, with
// all its stale activations. So a name that was once declared dead is blocked
// for ever, and whoever sees it alive again tells it; it then drops its
// activations and comes back under a new name.

// notice tells a node that the sender has declared it dead.
type notice struct {
	Blocked string `json:"blocked"` // the node that is told
	From    string `json:"from"`
	Size    int    `json:"size"`  // of the sender's view
	First   string `json:"first"` // smallest id in the sender's view
}

// warnDead tells those who were declared dead here and are alive in gossip.
func (g *membership) warnDead() {
	view := g.node.topology.Load().view
	var back []memberlist.Node
	g.mu.Lock()
	list := g.list
	for _, m := range g.ears.members() {
		if g.dead[m.Name] {
			back = append(back, m)
		}
	}
	g.mu.Unlock()
	for _, m := range back {
		b, err := json.Marshal(notice{Blocked: m.Name, From: view.self, Size: len(view.Members), First: view.Members[0].ID})
		if err != nil {
			continue
		}
		if err := list.SendReliable(&m, b); err != nil {
			g.node.log.Debug("cannot tell a node that it was declared dead", "node", m.Name, "error", err)
		}
	}
}

// heed decides whether this node is the one that has to start over. When both
// sides have declared each other dead (a partition that healed), the smaller
// side does; with equal sizes the one without the smallest id.
func (g *membership) heed(ctx context.Context, m notice) {
	view := g.node.topology.Load().view
	if m.Blocked != view.self {
		return // meant for an identity that is given up already
	}
	g.mu.Lock()
	mutual := g.dead[m.From]
	g.mu.Unlock()
	if mutual && view.outranks(m) {
		return
	}
	g.node.log.Warn("declared dead by others; rejoining under a new identity", "node", view.self, "by", m.From)
	g.rejoin(ctx)
}

// outranks reports whether the sender of the notice has to yield, not this node.
func (v *View) outranks(m notice) bool {
	if len(v.Members) != m.Size {
		return len(v.Members) > m.Size
	}
	return v.Members[0].ID < m.First
}

// rejoin starts over under a new id: the actor system, named actors and sockets
// stay, activations go without flushing, because their epochs are stale.
func (g *membership) rejoin(ctx context.Context) {
	n := g.node
	n.table.closed.Store(true)
	n.counters.rejoins.Add(1)
	g.mu.Lock()
	old := g.list
	seeds := append([]string(nil), n.cfg.Join...)
	for _, address := range g.gossipOf {
		seeds = append(seeds, address)
	}
	g.id, g.joining = shortuuid.New(), true
	g.mu.Unlock()
	g.publish() // others stay in the view, this node owns nothing
	n.table.abandon()
	g.mu.Lock()
	g.rejoining = true
	g.dead, g.shown = map[string]bool{}, map[string]bool{}
	g.mu.Unlock()

	if err := old.Leave(leaveLimit); err != nil {
		n.log.Debug("leave was not confirmed", "error", err)
	}
	if err := old.Shutdown(); err != nil {
		n.log.Warn("cannot close gossip", "error", err)
	}
	g.mu.Lock()
	g.list = nil
	g.mu.Unlock()
	for err := g.open(); err != nil; err = g.open() { // the port may take a moment to be free
		n.log.Warn("cannot open gossip again yet", "error", err)
		pause(ctx, 10*settle)
		if ctx.Err() != nil {
			return
		}
	}
	slices.Sort(seeds)
	g.join(slices.Compact(seeds))
	g.mu.Lock()
	g.rejoining = false
	g.mu.Unlock()
	g.publish()
	n.table.closed.Store(n.draining.Load())
	go func() {
		if err := g.settleIn(ctx); err != nil {
			return
		}
		n.log.Info("rejoined", "node", n.ID())
		n.rejoinMu.Lock()
		list := n.onRejoin[:len(n.onRejoin):len(n.onRejoin)]
		n.rejoinMu.Unlock()
		for _, f := range list {
			f()
		}
	}()
}

// rejoinLost contacts seeds and lost members that gossip does not have: after a
// partition memberlist itself would never try them again.
func (g *membership) rejoinLost() {
	g.mu.Lock()
	here, alone := map[string]bool{}, true
	for _, m := range g.ears.members() {
		here[m.Address()] = true
		alone = alone && m.Name == g.id
	}
	var try []string
	if alone { // with company, a seed that is not here may be gone for good
		try = append(try, g.node.cfg.Join...)
	}
	for address, since := range g.missing {
		if !here[address] && time.Since(since) < remember {
			try = append(try, address)
		}
	}
	g.mu.Unlock()
	if len(try) > 0 && g.dialling.CompareAndSwap(false, true) {
		go func() { // each may take seconds to fail
			defer g.dialling.Store(false)
			g.join(try)
		}()
	}
}
