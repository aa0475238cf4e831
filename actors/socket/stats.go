package socket

// Counts are traffic figures, of one socket or of all. Bytes include websocket
// headers. Joined writes show as fewer Writes than FramesOut.
type Counts struct {
	FramesOut uint64
	BytesOut  uint64
	Writes    uint64 // system calls
	FramesIn  uint64 // messages handed to the handler
	BytesIn   uint64
}

func (c *Counts) add(d Counts) {
	c.FramesOut += d.FramesOut
	c.BytesOut += d.BytesOut
	c.Writes += d.Writes
	c.FramesIn += d.FramesIn
	c.BytesIn += d.BytesIn
}

// Stats are the figures of a Poller since it started.
type Stats struct {
	Open         int    // sockets that are open now
	Accepted     uint64 // sockets ever added
	SlowReaders  uint64 // closed with ErrSlowReader
	NoPong       uint64 // closed with ErrNoPong
	PartialBytes int64  // held for incomplete messages now
	Counts              // of all sockets, those that are closed included
}

// Stats collects the figures. It visits every socket.
func (p *Poller) Stats() Stats {
	st := Stats{SlowReaders: p.slow.Load(), NoPong: p.unanswered.Load(), PartialBytes: p.partial.Load()}
	p.mu.Lock()
	st.Open, st.Accepted, st.Counts = p.open, p.accepted, p.total
	p.mu.Unlock()
	p.each(func(s *Socket) {
		s.mu.Lock()
		if !s.is(done) {
			st.Counts.add(s.counts)
		}
		s.mu.Unlock()
	})
	return st
}
