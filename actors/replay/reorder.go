package replay

import "github.com/pion/rtp"

// window is how many packets may come before one that is missing until it is lost.
const window = 256

// reorder puts packets into their order.
type reorder struct {
	next    uint16
	started bool
	held    map[uint16]*rtp.Packet
}

// push adds a packet and calls back with those that are due; gap tells that some are
// missing before.
func (r *reorder) push(p *rtp.Packet, due func(p *rtp.Packet, gap bool)) {
	if !r.started {
		r.started, r.next, r.held = true, p.SequenceNumber, map[uint16]*rtp.Packet{}
	}
	ahead := p.SequenceNumber - r.next
	switch {
	case ahead >= 1<<15: // late, or twice
		return
	case ahead >= 1<<12: // another beginning
		r.next, r.held = p.SequenceNumber, map[uint16]*rtp.Packet{}
		r.next++
		due(p, true)
		return
	}
	r.held[p.SequenceNumber] = p
	gap := false
	if ahead >= window || len(r.held) >= window {
		for r.held[r.next] == nil {
			r.next++
			gap = true
		}
	}
	for {
		p := r.held[r.next]
		if p == nil {
			return
		}
		delete(r.held, r.next)
		r.next++
		due(p, gap)
		gap = false
	}
}
