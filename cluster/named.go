package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// named are the plain actors of this node that others reach by name.
type named struct {
	mu    sync.RWMutex
	hosts map[string]*host
}

// Spawn starts a plain actor under a name of this node, reachable from every
// node through AskNode, TellNode and Broadcast. It lives until the node stops or
// it stops itself; a panic restarts it (its state is lost, its mailbox is not).
// It keeps running, under the same PID, when the node rejoins.
func (n *Node) Spawn(name string, props *actor.Props) (*actor.PID, error) {
	if name == "" || name == doorName || strings.Contains(name, "/") {
		return nil, fmt.Errorf("cluster: bad actor name %q", name)
	}
	h := newHost(n, nil, name)
	n.named.mu.Lock()
	if n.named.hosts[name] != nil {
		n.named.mu.Unlock()
		return nil, fmt.Errorf("cluster: actor %q exists", name)
	}
	n.named.hosts[name] = h
	n.named.mu.Unlock()
	if err := h.run(props, name); err != nil {
		h.detach(outcome{verdict: moved})
		return nil, err
	}
	return h.pid, nil
}

func (n *Node) deliverNamed(name string, env *actor.MessageEnvelope, c *call) verdict {
	n.named.mu.RLock()
	h := n.named.hosts[name]
	n.named.mu.RUnlock()
	if h == nil {
		return moved
	}
	return h.take(env, c)
}

// removed takes a stopped host out of where it was listed.
func (n *Node) removed(h *host) {
	if h.kind != nil {
		n.table.remove(h)
		return
	}
	n.named.mu.Lock()
	defer n.named.mu.Unlock()
	if n.named.hosts[h.id] == h {
		delete(n.named.hosts, h.id)
	}
}

func (n *Node) stopNamed(ctx context.Context) {
	n.named.mu.RLock()
	var list []*host
	for _, h := range n.named.hosts {
		list = append(list, h)
	}
	n.named.mu.RUnlock()
	for _, h := range list {
		h.mu.Lock()
		pid := h.pid
		h.mu.Unlock()
		if pid != nil {
			n.system.Root.Stop(pid)
		}
	}
	limit := time.NewTimer(releaseTimeout)
	defer limit.Stop()
	for _, h := range list {
		select {
		case <-h.whenGone():
		case <-ctx.Done():
			return
		case <-limit.C:
			n.log.Warn("a named actor did not stop in time", "actor", h.id)
			return
		}
	}
}
