package cluster

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"
)

// ears hear what one memberlist instance says. memberlist calls them under its
// own locks, so they only note who is there; and they keep copies, because
// memberlist goes on writing to the nodes that it lists.
type ears struct {
	group *membership

	mu    sync.Mutex // innermost: nothing is called while it is held
	alive map[string]memberlist.Node
	left  map[string]bool // said themselves that they leave
}

func newEars(g *membership) *ears {
	return &ears{group: g, alive: map[string]memberlist.Node{}, left: map[string]bool{}}
}

// members are the others that are alive.
func (e *ears) members() []memberlist.Node {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Values(e.alive))
}

func (e *ears) hears(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.alive[id]
	return ok
}

func (e *ears) saidGoodbye(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.left[id]
	delete(e.left, id)
	return was
}

// NotifyJoin implements memberlist.EventDelegate.
func (e *ears) NotifyJoin(m *memberlist.Node) { e.note(m) }

// NotifyUpdate implements memberlist.EventDelegate.
func (e *ears) NotifyUpdate(m *memberlist.Node) { e.note(m) }

func (e *ears) note(m *memberlist.Node) {
	own := memberlist.Node{Name: m.Name, Addr: slices.Clone(m.Addr), Port: m.Port, Meta: slices.Clone(m.Meta)}
	e.mu.Lock()
	e.alive[m.Name] = own
	e.mu.Unlock()
	e.group.wake()
}

// NotifyLeave implements memberlist.EventDelegate.
func (e *ears) NotifyLeave(m *memberlist.Node) {
	e.mu.Lock()
	delete(e.alive, m.Name)
	if m.State == memberlist.StateLeft {
		e.left[m.Name] = true
	}
	e.mu.Unlock()
	e.group.wake()
}

// NodeMeta implements memberlist.Delegate.
func (e *ears) NodeMeta(limit int) []byte {
	g := e.group
	g.mu.Lock()
	self := g.selfMember()
	g.mu.Unlock()
	b, err := json.Marshal(meta{Host: self.Host, Port: self.Port, Draining: self.Draining, Kinds: self.kinds})
	if err != nil || len(b) > limit {
		g.node.log.Error("this node's description does not fit into gossip; use fewer or shorter kind names", "bytes", len(b), "limit", limit)
		return nil
	}
	return b
}

// NotifyMsg implements memberlist.Delegate.
func (e *ears) NotifyMsg(b []byte) {
	var m notice
	if json.Unmarshal(b, &m) != nil {
		return
	}
	select {
	case e.group.notices <- m:
	default: // it will be repeated
	}
}

// GetBroadcasts implements memberlist.Delegate.
func (e *ears) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (e *ears) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (e *ears) MergeRemoteState([]byte, bool) {}
