package relay

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
)

// offset is what a stock client remembers of an event: its position and the
// node whose position it is.
func (f *front) offset(pos uint64) string {
	if f.tag == "" {
		f.tag = protocol.NodeTag(f.relay.node.ID())
	}
	return protocol.JoinOffset(pos, f.tag)
}

func (s *shard) park(m *park) {
	if seat := s.rooms.seats[m.socket]; seat != nil && !seat.parked {
		seat.parked = true
		s.figures.parked.Add(1)
	}
}

// remove ends a seat.
func (s *shard) remove(ctx actor.Context, seat *seat) {
	if seat.parked {
		s.figures.parked.Add(-1)
	}
	if b := seat.begun(); b != nil {
		s.figures.replays.Add(-int64(b.bytes))
	}
	s.settle(ctx, func(changed func(protocol.Topic, int32)) { s.rooms.remove(seat, changed) })
}

func (s *shard) take(ctx actor.Context, m *take) {
	seat := s.rooms.seats[m.socket]
	if seat == nil {
		m.done(&protocol.SessionTaken{})
		return
	}
	taken := &protocol.SessionTaken{}
	if seat.open {
		s.missed(seat, m.from, taken)
	}
	s.remove(ctx, seat)
	m.done(taken)
}

// missed fills in what the client of a seat has not seen.
func (s *shard) missed(seat *seat, from *protocol.TakeSession, taken *protocol.SessionTaken) {
	st := seat.stays()
	var complete bool
	switch {
	case from.Native && seat.view != nil:
		taken.Events, complete = seat.view.missedOf(seat.n - from.N)
	case from.Native:
		taken.Events, complete = st.missedSince(from.N)
	default:
		taken.Events, complete = st.missedAfter(from.Offset, s.relay.node.ID())
	}
	bytes := 0
	for i := range taken.Events {
		bytes += len(taken.Events[i].Payload)
	}
	cfg := &s.relay.cfg
	if !complete || len(taken.Events) > cfg.MaxReplay || bytes > cfg.MaxReplayBytes {
		*taken = protocol.SessionTaken{Fate: protocol.SessionOverflow}
		return
	}
	taken.Fate, taken.From, taken.N = protocol.SessionResumed, from.Offset, seat.n
	taken.Marks = st.marks()
}

// missedAfter is what comes behind an offset.
func (st *stays) missedAfter(offset, node string) (list []protocol.MissedEvent, complete bool) {
	begun := st.seat.begun()
	pos := st.seat.base
	if p, tag, ok := protocol.SplitOffset(offset); ok && tag == protocol.NodeTag(node) && p > pos {
		pos = p
	} else if begun != nil {
		if list, complete = begun.after(offset); !complete {
			return nil, false
		}
	} else if offset != "" {
		return nil, false
	}
	if st.lost(pos) > 0 {
		return nil, false
	}
	for _, d := range st.after(pos) {
		list = append(list, missed(d.frame.Event()))
	}
	return list, true
}

// after is what a session was given when it began, behind an offset.
func (b *begun) after(offset string) (list []protocol.MissedEvent, complete bool) {
	if b.taken == nil {
		return nil, false
	}
	if offset == b.taken.From {
		return b.taken.Events, true
	}
	for i := range b.taken.Events {
		if b.taken.Events[i].Offset == offset {
			return b.taken.Events[i+1:], true
		}
	}
	return nil, false
}

// missedSince is what comes behind an event of a native session.
func (st *stays) missedSince(n int64) (list []protocol.MissedEvent, complete bool) {
	seat := st.seat
	want := seat.n - n // so many are missing
	begun := seat.begun()
	first := int64(0) // number of the last event before the seat's own
	if begun != nil {
		first = begun.last
	}
	if n < 0 || want < 0 {
		return nil, false
	}
	own := min(want, seat.n-first)
	if want > own {
		if begun == nil || begun.taken == nil || want-own > int64(len(begun.taken.Events)) {
			return nil, false
		}
		list = begun.taken.Events[int64(len(begun.taken.Events))-(want-own):]
	}
	if own == 0 {
		return list, true
	}
	heard := st.after(seat.base)
	if own > int64(len(heard)) {
		return nil, false
	}
	heard = heard[int64(len(heard))-own:]
	if st.lost(heard[0].pos) > 0 {
		return nil, false
	}
	for _, d := range heard {
		list = append(list, missed(d.frame.Event()))
	}
	return list, true
}

// resume gives a new seat what its session has missed.
func (s *shard) resume(seat *seat, taken *protocol.SessionTaken, now int64) {
	b := &begun{at: now, taken: taken, last: taken.N, seqs: taken.Seqs, revs: taken.Revs, marks: make(map[markKey]uint64, len(taken.Marks))}
	for _, m := range taken.Marks {
		b.marks[markKey{m.From, m.Topic}] = m.N
	}
	if seat.past == nil {
		seat.past = &past{}
	}
	seat.past.begun = b
	seat.n = taken.N - int64(len(taken.Events))
	for i := range taken.Events {
		e := &taken.Events[i]
		b.bytes += overhead + len(e.Payload)
		s.push(seat, socket.NewFrame(socket.Event{
			Name: e.Name, Payload: e.Payload, Stream: e.Stream, Epoch: e.Epoch, Seq: e.Seq, Rev: e.Rev, Offset: e.Offset,
		}), now)
	}
	if s.figures.replays.Load()+int64(b.bytes) > int64(s.relay.cfg.MaxHistoryBytes/s.relay.cfg.Shards) {
		b.taken, b.bytes = nil, 0 // cut once more before it has seen this, the client is told to fetch afresh
		return
	}
	s.figures.replays.Add(int64(b.bytes))
}
