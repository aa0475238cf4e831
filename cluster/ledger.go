package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/protocol/wirepb"
)

const ledgerShards = 16

// ledger knows the asks of other nodes that this node has not answered yet. It
// tells the asker of those that take long that they are in hand, so that the
// asker can tell slow from lost. An ask that is answered soon, in its turn or
// just after, costs no extra message.
type ledger struct {
	node   *Node
	shards [ledgerShards]ledgerShard
}

type ledgerShard struct {
	mu             sync.Mutex
	oldest, newest *call
	slow           map[origin]*call // their asker was told
}

// origin names an ask in the cluster.
type origin struct {
	address string
	request uint32
}

func newLedger(n *Node) *ledger {
	l := &ledger{node: n}
	for i := range l.shards {
		l.shards[i].slow = map[origin]*call{}
	}
	return l
}

func (l *ledger) shard(request uint32) *ledgerShard { return &l.shards[request%ledgerShards] }

func (l *ledger) add(c *call) {
	c.since = time.Now().UnixNano()
	s := l.shard(c.from.RequestId)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.older = s.newest; c.older != nil {
		c.older.newer = c
	} else {
		s.oldest = c
	}
	s.newest = c
}

func (l *ledger) remove(c *call) {
	s := l.shard(c.from.RequestId)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.slow {
		at := origin{c.from.Address, c.from.RequestId}
		if s.slow[at] == c {
			delete(s.slow, at)
		}
		return
	}
	s.unlink(c)
}

func (s *ledgerShard) unlink(c *call) {
	if c.older == nil && s.oldest != c {
		return // not in the list
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		s.oldest = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		s.newest = c.older
	}
	c.older, c.newer = nil, nil
}

// accept tells the askers of what has waited for acceptAfter.
func (l *ledger) accept(now time.Time) {
	before := now.Add(-acceptAfter).UnixNano()
	for i := range l.shards {
		s := &l.shards[i]
		var tell []*actor.PID
		s.mu.Lock()
		for c := s.oldest; c != nil && c.since <= before; c = s.oldest {
			s.unlink(c)
			c.slow = true
			s.slow[origin{c.from.Address, c.from.RequestId}] = c
			tell = append(tell, &c.from)
		}
		s.mu.Unlock()
		for _, to := range tell {
			_ = l.node.post(to, &wirepb.Envelope{Type: signalAccepted}, nil, urgent) // the asker, not told, tries again
		}
	}
}

// has reports whether an ask that was accepted is still owed an answer.
func (l *ledger) has(at origin) bool {
	s := l.shard(at.request)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.slow[at]
	return ok
}

func (l *ledger) run(ctx context.Context) {
	tick := time.NewTicker(acceptAfter / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			l.accept(now)
		}
	}
}
