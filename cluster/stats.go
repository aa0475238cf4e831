package cluster

import "sync/atomic"

type counters struct {
	asks, retries, refused, dropped, unencodable atomic.Int64
	rejoins                                      atomic.Int64
}

// Stats are counters since the start and gauges of the moment.
type Stats struct {
	Asks        int64 // Ask and AskNode
	Retries     int64 // tries beyond the first
	Refused     int64 // asks that failed because a bound was hit
	Dropped     int64 // tells that went nowhere, messages refused for a full peer
	Unencodable int64 // messages that could not cross nodes: a defect
	Rejoins     int64 // times this node was declared dead and came back
	Activations map[string]int64
	Peers       map[string]PeerStats // by node id
}

// PeerStats is what waits to be written to one peer.
type PeerStats struct {
	Messages int64
	Bytes    int64
	Refused  int64 // since the connection was made
}

// Stats returns the node's numbers.
func (n *Node) Stats() Stats {
	s := Stats{
		Asks: n.counters.asks.Load(), Retries: n.counters.retries.Load(), Refused: n.counters.refused.Load(),
		Dropped: n.counters.dropped.Load(), Unencodable: n.counters.unencodable.Load(), Rejoins: n.counters.rejoins.Load(),
		Activations: map[string]int64{}, Peers: map[string]PeerStats{},
	}
	for name, k := range n.kinds {
		s.Activations[name] = k.active.Load()
	}
	view := n.topology.Load().view
	for i := range view.Members {
		m := &view.Members[i]
		if c, ok := n.peers.byAddress.Load(m.Address()); ok && m.ID != view.self {
			c := c.(*credit)
			s.Peers[m.ID] = PeerStats{Messages: c.count.Load(), Bytes: c.bytes.Load(), Refused: c.refused.Load()}
		}
	}
	return s
}
