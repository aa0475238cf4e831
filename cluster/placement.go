package cluster

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/cespare/xxhash/v2"

	"github.com/rookery-chat/rookery/protocol"
)

const tableShards = 64

// table holds the activations of this node.
type table struct {
	node   *Node
	closed atomic.Bool // draining or rejoining: nothing new
	seq    atomic.Uint64
	shards [tableShards]tableShard
}

type tableShard struct {
	mu    sync.Mutex
	hosts map[identity]*host
	// ceded are identities that another node has just taken over although this
	// node's view does not say so yet.
	ceded map[identity]time.Time
}

type identity struct{ kind, id string }

// kind is a Kind with its counters.
type kind struct {
	Kind
	active  atomic.Int64
	dressed atomic.Pointer[dressed] // of the activation before
}

func newTable(n *Node) *table {
	t := &table{node: n}
	for i := range t.shards {
		t.shards[i].hosts = map[identity]*host{}
		t.shards[i].ceded = map[identity]time.Time{}
	}
	return t
}

func (t *table) shard(k identity) *tableShard {
	return &t.shards[xxhash.Sum64String(k.id)%tableShards]
}

func (t *table) find(k identity) *host {
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hosts[k]
}

// deliver hands a message to the activation of k, which it creates when there is
// none. The ownership is checked here too, not only by the sender: a sender with
// an old view must not bring an actor to life on the wrong node.
func (t *table) deliver(k identity, env *actor.MessageEnvelope, c *call) verdict {
	kd := t.node.kinds[k.kind]
	if kd == nil {
		return unknown
	}
	for {
		top := t.node.topology.Load()
		if !top.owns(k) {
			return moved
		}
		h, fresh := t.hostFor(k, kd)
		if h == nil {
			return moved
		}
		v := h.take(env, c)
		if fresh {
			t.activate(h, top)
		}
		if v != lost {
			return v
		}
		t.node.removed(h)
	}
}

func (t *table) hostFor(k identity, kd *kind) (h *host, fresh bool) {
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h = s.hosts[k]; h != nil {
		return h, false
	}
	if t.closed.Load() {
		return nil, false
	}
	if until, ok := s.ceded[k]; ok {
		if time.Now().Before(until) {
			return nil, false
		}
		delete(s.ceded, k)
	}
	h = newHost(t.node, kd, k.id)
	s.hosts[k] = h
	kd.active.Add(1)
	return h, true
}

func (t *table) activate(h *host, top *topology) {
	k := identity{h.kind.Name, h.id}
	if now := t.node.topology.Load(); now != top && !now.owns(k) {
		h.release(ReasonMoved) // the sweep for the new view may have missed it
		return
	}
	if previous := top.previousOwners(k); len(previous) > 0 {
		go func() {
			t.node.barrier(k, previous)
			t.spawn(h)
		}()
		return
	}
	t.spawn(h)
}

func (t *table) spawn(h *host) {
	err := func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		name := h.name() + "$" + strconv.FormatUint(t.seq.Add(1), 36)
		return h.run(h.kind.Props(h.id), name)
	}()
	if err != nil {
		t.node.log.Error("activation failed", "actor", h.name(), "error", err)
		h.detach(outcome{err: protocol.ErrInternal})
	}
}

// remove takes a stopped host out of the table.
func (t *table) remove(h *host) {
	k := identity{h.kind.Name, h.id}
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts[k] == h {
		delete(s.hosts, k)
		h.kind.active.Add(-1)
	}
}

// all returns a snapshot of the activations that match.
func (t *table) all(match func(*host) bool) []*host {
	var list []*host
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for _, h := range s.hosts {
			if match(h) {
				list = append(list, h)
			}
		}
		s.mu.Unlock()
	}
	return list
}

// reconcile releases what this node does not own any more.
func (t *table) reconcile(top *topology) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		clear(s.ceded)
		s.mu.Unlock()
	}
	for _, h := range t.all(func(h *host) bool { return !top.owns(identity{h.kind.Name, h.id}) }) {
		if t.node.draining.Load() {
			h.release(ReasonDrain)
		} else {
			h.release(ReasonMoved)
		}
	}
}

// cede gives an identity up to a node that claims it, and tells when this
// node's activation is gone; nil when there is none.
func (t *table) cede(k identity) <-chan struct{} {
	s := t.shard(k)
	s.mu.Lock()
	s.ceded[k] = time.Now().Add(cededFor)
	h := s.hosts[k]
	s.mu.Unlock()
	if h == nil {
		return nil
	}
	return h.release(ReasonMoved)
}

// drain releases every activation and waits until they are gone.
func (t *table) drain(ctx context.Context) error {
	t.closed.Store(true)
	hosts := t.all(func(*host) bool { return true })
	for _, h := range hosts {
		h.release(ReasonDrain)
	}
	for _, h := range hosts {
		select {
		case <-h.whenGone():
		case <-ctx.Done():
			t.abandon()
			return errors.Join(errors.New("cluster: drain was cut short"), context.Cause(ctx))
		}
	}
	return nil
}

// abandon stops every activation without letting it flush.
func (t *table) abandon() {
	for _, h := range t.all(func(*host) bool { return true }) {
		h.kill()
	}
}

// maxPassivations bounds how many activations are asked to stop per sweep, so
// that their flushes do not come all at once.
const maxPassivations = 500

// passivate releases activations that had no message for long.
func (t *table) passivate(now time.Time) {
	var idle []*host
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for _, h := range s.hosts {
			if len(idle) < maxPassivations && h.idle(now) {
				idle = append(idle, h)
			}
		}
		s.mu.Unlock()
	}
	for _, h := range idle {
		h.release(ReasonIdle)
	}
}

func (h *host) idle(now time.Time) bool {
	if h.kind.IdleAfter <= 0 || now.UnixNano()-h.used.Load() < int64(h.kind.IdleAfter) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state == live && h.owed == 0
}

// sweep runs passivate as often as the shortest IdleAfter needs.
func (t *table) sweep(ctx context.Context) {
	every := 10 * time.Second
	found := false
	for _, k := range t.node.kinds {
		if k.IdleAfter > 0 {
			every, found = min(every, max(k.IdleAfter/4, 10*time.Millisecond)), true
		}
	}
	if !found {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			t.passivate(now)
		}
	}
}
