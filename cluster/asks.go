package cluster

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-chat/rookery/protocol/wirepb"
)

// pending is one try of an ask, on the side of the asker.
type pending struct {
	ch       chan outcome // takes one
	done     atomic.Bool
	accepted atomic.Bool

	// Of tries that went to another node:
	request uint32
	node    string
	address string
	since   time.Time
}

func newPending() *pending { return &pending{ch: make(chan outcome, 1)} }

func (p *pending) answer(out outcome) {
	if p.done.CompareAndSwap(false, true) {
		p.ch <- out
	}
}

const askShards = 32

// asks are the tries that wait for another node.
type asks struct {
	seq    atomic.Uint32
	shards [askShards]askShard
}

type askShard struct {
	mu   sync.Mutex
	open map[uint32]*pending
}

func newAsks() *asks {
	a := &asks{}
	for i := range a.shards {
		a.shards[i].open = map[uint32]*pending{}
	}
	return a
}

func (a *asks) add(m *Member) *pending {
	p := newPending()
	p.node, p.address, p.since = m.ID, m.Address(), time.Now()
	for {
		p.request = a.seq.Add(1)
		if p.request == 0 { // 0 is "no ask"
			continue
		}
		s := &a.shards[p.request%askShards]
		s.mu.Lock()
		_, taken := s.open[p.request]
		if !taken {
			s.open[p.request] = p
		}
		s.mu.Unlock()
		if !taken {
			return p
		}
	}
}

func (a *asks) remove(p *pending) {
	s := &a.shards[p.request%askShards]
	s.mu.Lock()
	delete(s.open, p.request)
	s.mu.Unlock()
}

func (a *asks) get(request uint32) *pending {
	s := &a.shards[request%askShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[request]
}

func (a *asks) each(f func(*pending)) {
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.Lock()
		for _, p := range s.open {
			f(p)
		}
		s.mu.Unlock()
	}
}

// loseNode ends what waits for a node that is gone.
func (a *asks) loseNode(id string) {
	a.each(func(p *pending) {
		if p.node == id {
			p.answer(outcome{verdict: lost})
		}
	})
}

// loseAddress ends what was sent over a connection that broke and was not
// accepted; what was accepted is in good hands, the answer has a connection of
// its own.
func (a *asks) loseAddress(address string) {
	a.each(func(p *pending) {
		if p.address == address && !p.accepted.Load() {
			p.answer(outcome{verdict: lost})
		}
	})
}

// check asks the peers about what they accepted long ago. Answers can get lost
// like everything else; a peer that does not know the ask any more says so.
func (n *Node) check(ctx context.Context) {
	tick := time.NewTicker(queryAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			n.checkOnce(now)
		}
	}
}

// maxQuery bounds the ids in one query.
const maxQuery = 8192

func (n *Node) checkOnce(now time.Time) {
	open := map[string][]uint32{}
	n.asks.each(func(p *pending) {
		if p.accepted.Load() && now.Sub(p.since) >= queryAfter {
			open[p.node] = append(open[p.node], p.request)
		}
	})
	view := n.topology.Load().view
	for id, requests := range open {
		m := view.find(id)
		if m == nil {
			n.asks.loseNode(id)
			continue
		}
		for part := range slices.Chunk(requests, maxQuery) {
			body, err := encoder.Marshal(part)
			if err != nil { // integers only: cannot happen
				continue
			}
			_ = n.post(m.door, &wirepb.Envelope{Type: signalQuery, Body: body, Node: m.hash}, n.sender(0), urgent) // asked again in the next round
		}
	}
}
