package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/rookery-chat/rookery/protocol/wirepb"
)

// topology is a view together with what preceded it. Immutable.
type topology struct {
	view   *View
	past   []formerView // of the last barrierWindow, oldest first
	joined time.Time    // when this identity entered the cluster; zero when it was alone
}

type formerView struct {
	view  *View
	until time.Time
}

const maxFormerViews = 8

func (t *topology) owns(k identity) bool {
	m := t.view.owner(k.kind, k.id, "")
	return m != nil && m.ID == t.view.self
}

func (t *topology) self() *Member { return t.view.find(t.view.self) }

// previousOwners are the living members that may still have an activation of k
// because they owned it a moment ago.
func (t *topology) previousOwners(k identity) []*Member {
	if len(t.view.Members) == 1 || len(t.past) == 0 && t.joined.IsZero() {
		return nil
	}
	now := time.Now()
	var list []*Member
	add := func(m *Member) {
		if m == nil || m.ID == t.view.self {
			return
		}
		alive := t.view.find(m.ID)
		if alive == nil {
			return
		}
		for _, have := range list {
			if have.ID == m.ID {
				return
			}
		}
		list = append(list, alive)
	}
	for i := len(t.past) - 1; i >= 0; i-- {
		if now.Sub(t.past[i].until) < barrierWindow {
			add(t.past[i].view.owner(k.kind, k.id, ""))
		}
	}
	if !t.joined.IsZero() && now.Sub(t.joined) < barrierWindow {
		add(t.view.owner(k.kind, k.id, t.view.self))
	}
	return list
}

// next is the topology after a change of view.
func (t *topology) next(v *View, now time.Time) *topology {
	n := &topology{view: v, joined: t.joined}
	for _, f := range append(t.past[:len(t.past):len(t.past)], formerView{t.view, now}) {
		if now.Sub(f.until) < barrierWindow {
			n.past = append(n.past, f)
		}
	}
	if extra := len(n.past) - maxFormerViews; extra > 0 {
		n.past = n.past[extra:]
	}
	return n
}

// barrier asks the previous owners to let go of k and waits for them, for a
// short time only: it makes overlap rare, epochs make it harmless.
func (n *Node) barrier(k identity, previous []*Member) {
	ctx, cancel := context.WithTimeout(n.ctx, barrierTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, m := range previous {
		wg.Go(func() {
			out := n.signal(ctx, m, &wirepb.Envelope{Type: signalRelease, Kind: k.kind, Id: k.id, Node: m.hash})
			if out.verdict != answered && ctx.Err() != nil && n.ctx.Err() == nil {
				n.log.Warn("previous owner did not confirm in time", "actor", k.kind+"/"+k.id, "node", m.ID)
			}
		})
	}
	wg.Wait()
}

// setView installs a view: called by membership only, one at a time.
func (n *Node) setView(v *View) {
	n.viewMu.Lock()
	old := n.topology.Load()
	if old.view.equal(v) {
		n.viewMu.Unlock()
		return
	}
	for i := range v.Members {
		m := &v.Members[i]
		if before := old.view.find(m.ID); before != nil && before.Address() == m.Address() {
			m.door = before.door
		} else {
			m.door = doorOf(m.Address())
		}
	}
	top := old.next(v, time.Now())
	if old.view.self != v.self { // a new identity: nothing of the past is ours
		top.past, top.joined = nil, time.Now()
	} else if len(old.view.Members) == 1 && len(v.Members) > 1 {
		top.joined = time.Now()
	}
	n.topology.Store(top)
	n.viewMu.Unlock()

	for _, m := range old.view.Members {
		if v.find(m.ID) == nil {
			n.asks.loseNode(m.ID)
			n.peers.drop(m.Address())
		}
	}
	n.table.reconcile(top)
	n.watchers.changed()
	n.log.Info("cluster view changed", "node", v.self, "members", len(v.Members))
}

// watchers calls those who want to know about views, in order, always with the
// newest view, on one goroutine.
type watchers struct {
	mu   sync.Mutex
	list []func(View)
	wake chan struct{}
}

func (w *watchers) add(f func(View)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, f)
}

func (w *watchers) changed() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watchers) run(n *Node) {
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-w.wake:
		}
		w.mu.Lock()
		list := w.list[:len(w.list):len(w.list)]
		w.mu.Unlock()
		view := *n.topology.Load().view
		for _, f := range list {
			f(view)
		}
	}
}
