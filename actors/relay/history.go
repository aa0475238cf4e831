package relay

import (
	"slices"
	"time"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
)

// history is what a shard has delivered of late, so that sessions can go on
// where their sockets ended. An event is in it once, and once in the log of each
// of its rooms; nothing is kept per socket.
type history struct {
	all   deque[*delivery]
	lean  int // how many of the oldest are kept without their encoded forms
	bytes int
}

// overhead is about what a delivery takes besides its payload.
const overhead = 400

// fatTime is how long a delivery keeps its encoded forms: who waits for it longer
// than that has it encoded again.
const fatTime = time.Second

// weight is about what a delivery takes in memory.
func (d *delivery) weight() int {
	return overhead + len(d.frame.Event().Payload)
}

// remember puts a delivery into the history and forgets what has no place in it
// any more.
func (s *shard) remember(d *delivery) {
	s.rooms.pos = d.pos
	if s.relay.cfg.Window < 0 {
		return
	}
	for _, t := range d.topics {
		if r := s.rooms.topics[t]; r != nil {
			r.log.push(d)
		}
	}
	s.history.all.push(d)
	s.history.bytes += d.weight()
	s.forget(d.at)
	s.armSweep()
}

// forget drops what is too old or too much.
func (s *shard) forget(now int64) {
	h := &s.history
	bytes, events := s.relay.cfg.MaxHistoryBytes/s.relay.cfg.Shards, s.relay.cfg.MaxHistory/s.relay.cfg.Shards
	for fat := h.all.items()[h.lean:]; len(fat) > 0 && fat[0].at < now-int64(fatTime); fat = fat[1:] {
		fat[0].frame.Forget()
		h.lean++
	}
	oldest := now - int64(s.relay.cfg.Window)
	for h.all.len() > 0 {
		d := h.all.front()
		if d.at >= oldest && h.bytes <= bytes && h.all.len() <= events {
			break
		}
		h.all.pop()
		h.lean = max(h.lean-1, 0)
		h.bytes -= d.weight()
		for _, t := range d.topics {
			if r := s.rooms.topics[t]; r != nil {
				r.forget(d)
			}
		}
	}
	s.figures.history.Store(int64(h.bytes))
}

// forget drops a delivery that is the oldest of the log, if it is in it.
func (r *room) forget(d *delivery) {
	if r.log.len() > 0 && r.log.front() == d {
		r.log.pop()
		r.lost = d.pos
	}
}

// sweepTick makes a quiet shard forget.
type sweepTick struct{}

var theSweep = &sweepTick{}

func (s *shard) armSweep() {
	if s.sweeping || s.history.all.len() == 0 {
		return
	}
	s.sweeping = true
	root, self := s.root, s.self
	s.sweeper = time.AfterFunc(max(s.relay.cfg.Window/8, time.Second), func() { root.Send(self, theSweep) })
}

func (s *shard) sweep(now int64) {
	s.sweeping = false
	s.forget(now)
	first := s.rooms.pos + 1
	if s.history.all.len() > 0 {
		first = s.history.all.front().pos
	}
	for _, seat := range s.rooms.seats {
		if p := seat.past; p != nil {
			if b := p.begun; b != nil && b.at < now-int64(s.relay.cfg.Window) {
				s.figures.replays.Add(-int64(b.bytes))
				p.begun = nil
			}
			p.forget(first)
			if p.empty() {
				seat.past = nil
			}
		}
	}
	s.armSweep()
}

// past is what a seat remembers of itself. Most have none.
type past struct {
	moves []move
	begun *begun
}

// move is a change of rooms after which deliveries are to be heard, or not.
type move struct {
	room   *room
	pos    uint64 // of the delivery before it
	joined bool
}

// begun is how a seat began that continues a session.
type begun struct {
	at    int64
	taken *protocol.SessionTaken
	last  int64 // number of the last event of taken
	marks map[markKey]uint64
	seqs  map[string]int64
	revs  map[string]protocol.RevMark
	bytes int
}

type markKey struct {
	from  uint64
	topic protocol.Topic
}

func (p *past) empty() bool { return len(p.moves) == 0 && p.begun == nil }

// forget drops the moves before the first delivery that is still known.
func (p *past) forget(first uint64) {
	n := 0
	for n < len(p.moves) && p.moves[n].pos < first {
		n++
	}
	if n > 0 {
		p.moves = append(p.moves[:0:0], p.moves[n:]...)
	}
}

// heard reports whether the session had heard a delivery before this seat.
func (b *begun) heard(d *delivery) bool {
	if b == nil {
		return false
	}
	switch ev := d.frame.Event(); {
	case ev.Seq != 0:
		if ev.Seq <= b.seqs[ev.Stream] {
			return true
		}
	case ev.Rev != 0:
		if m := b.revs[ev.Stream]; ev.Epoch == m.Epoch && ev.Rev <= m.Rev {
			return true
		}
	}
	if d.serial.From == 0 || len(d.topics) == 0 {
		return false
	}
	return d.serial.N <= b.marks[markKey{d.serial.From, d.topics[0]}]
}

func (s *seat) begun() *begun {
	if s.past == nil {
		return nil
	}
	return s.past.begun
}

// moved notes a change of rooms.
func (rs *rooms) moved(s *seat, r *room, joined bool) {
	if s.past == nil {
		s.past = &past{}
	}
	s.past.moves = append(s.past.moves, move{r, rs.pos, joined})
}

// stays tells during which deliveries a seat was in a room, after its first one.
type stays struct {
	seat  *seat
	rooms map[protocol.Topic][]stay
}

type stay struct {
	room        *room
	after, upTo uint64 // positions
}

// stays looks back over the rooms of a seat.
func (s *seat) stays() *stays {
	st := &stays{seat: s, rooms: map[protocol.Topic][]stay{}}
	var moves []move
	if s.past != nil {
		moves = s.past.moves
	}
	for i := range s.places {
		st.add(s.places[i].room, moves)
	}
	for _, m := range moves {
		if !s.in(m.room) {
			st.add(m.room, moves)
		}
	}
	return st
}

// add finds the stays in one room.
func (st *stays) add(r *room, moves []move) {
	for _, known := range st.rooms[r.topic] {
		if known.room == r {
			return
		}
	}
	const forever = ^uint64(0)
	list := st.rooms[r.topic]
	open, after := true, st.seat.base
	for _, m := range moves {
		switch {
		case m.room != r:
		case m.joined:
			after, open = m.pos, true
		case open:
			list = append(list, stay{r, after, m.pos})
			open = false
		}
	}
	if open {
		list = append(list, stay{r, after, forever})
	}
	st.rooms[r.topic] = list
}

// lost is the last delivery behind a position that the seat was given and that
// is forgotten; 0: all are known.
func (st *stays) lost(pos uint64) uint64 {
	last := uint64(0)
	for _, in := range st.rooms {
		for _, s := range in {
			if l := min(s.room.lost, s.upTo); l > max(pos, s.after) {
				last = max(last, l)
			}
		}
	}
	return last
}

// during reports whether the seat was in a room at a delivery.
func (st *stays) during(t protocol.Topic, pos uint64) bool {
	for _, s := range st.rooms[t] {
		if pos > s.after && pos <= s.upTo {
			return true
		}
	}
	return false
}

// after is what the seat was given behind a position, in order, as far as it is
// known.
func (st *stays) after(pos uint64) []*delivery {
	var list []*delivery
	begun := st.seat.begun()
	for _, in := range st.rooms {
		for _, s := range in {
			log := s.room.log.items()
			from := max(pos, s.after)
			i, _ := slices.BinarySearchFunc(log, from+1, func(d *delivery, p uint64) int {
				switch {
				case d.pos < p:
					return -1
				case d.pos > p:
					return 1
				}
				return 0
			})
			for ; i < len(log) && log[i].pos <= s.upTo; i++ {
				d := log[i]
				if d.except == st.seat.who.Conn && !d.except.IsZero() || d.without.Room != 0 && st.during(d.without, d.pos) || begun.heard(d) {
					continue
				}
				list = append(list, d)
			}
		}
	}
	slices.SortFunc(list, func(a, b *delivery) int {
		switch {
		case a.pos < b.pos:
			return -1
		case a.pos > b.pos:
			return 1
		}
		return 0
	})
	return slices.CompactFunc(list, func(a, b *delivery) bool { return a == b })
}

// marks is up to where the seat has heard whom.
func (st *stays) marks() []protocol.SerialMark {
	marks := map[markKey]uint64{}
	if b := st.seat.begun(); b != nil {
		for k, n := range b.marks {
			marks[k] = n
		}
	}
	for _, in := range st.rooms {
		for _, s := range in {
			for _, d := range s.room.log.items() {
				if d.serial.From == 0 || d.pos <= s.after || d.pos > s.upTo {
					continue
				}
				k := markKey{d.serial.From, d.topics[0]}
				marks[k] = max(marks[k], d.serial.N)
			}
		}
	}
	list := make([]protocol.SerialMark, 0, len(marks))
	for k, n := range marks {
		list = append(list, protocol.SerialMark{From: k.from, Topic: k.topic, N: n})
	}
	return list
}

func missed(ev socket.Event) protocol.MissedEvent {
	return protocol.MissedEvent{Name: ev.Name, Payload: ev.Payload, Stream: ev.Stream, Epoch: ev.Epoch, Seq: ev.Seq, Rev: ev.Rev, Offset: ev.Offset}
}
