package relay

import (
	"encoding/binary"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
)

// room is the sockets of one topic in one shard.
type room struct {
	topic   protocol.Topic
	members []member
	log     deque[*delivery] // what it heard of late
	lost    uint64           // position of the last one that is not in log any more
	seen    uint64           // number of the walk that met it last
}

// member is a place in a room; it knows which place of the seat leads here.
type member struct {
	seat  *seat
	place uint32 // index in seat.places
}

// place is a room that a seat is in, and where in it.
type place struct {
	room *room
	at   uint32 // index in room.members
}

// seat is one subscribed socket.
type seat struct {
	socket *socket.Socket
	conn   *actor.PID
	who    *protocol.Caller
	places []place
	early  *[]*delivery // before the greeting; nil: none
	view   *view        // nil: it gets what its rooms get
	watch  *[]watched   // nil: nothing
	past   *past        // nil: it is where it began
	base   uint64       // position at which it began
	n      int64        // number of its last event
	seen   uint64       // number of the walk that met it last
	open   bool         // the greeting went out
	known  bool         // changes of its rooms are noted
	parked bool         // its socket is closed, its session is not
	tag    uint32       // tagOf who.Conn
}

// tagOf is a part of the id of a connection that differs for nearly all of them.
// A walk over many seats compares it first: who they are lies elsewhere in memory.
func tagOf(c protocol.ConnID) uint32 { return binary.LittleEndian.Uint32(c[12:]) }

// is reports whether the seat is that of a connection.
func (s *seat) is(c protocol.ConnID, tag uint32) bool { return s.tag == tag && s.who.Conn == c }

// rooms is the membership of a shard: plain data, no actor, no clock.
type rooms struct {
	topics map[protocol.Topic]*room
	seats  map[*socket.Socket]*seat
	walk   uint64
	pos    uint64 // of the last delivery
}

func newRooms() rooms {
	return rooms{topics: map[protocol.Topic]*room{}, seats: map[*socket.Socket]*seat{}}
}

// in reports whether the seat is in the room.
func (s *seat) in(r *room) bool {
	for i := range s.places {
		if s.places[i].room == r {
			return true
		}
	}
	return false
}

// join puts a seat into a room in which it is not.
func (rs *rooms) join(s *seat, r *room) {
	s.places = append(s.places, place{r, uint32(len(r.members))})
	r.members = append(r.members, member{s, uint32(len(s.places) - 1)})
	if s.known {
		rs.moved(s, r, true)
	}
}

// leave takes a seat out of the room of one of its places. The last member and
// the last place move into the gaps.
func (rs *rooms) leave(s *seat, i uint32) {
	p := s.places[i]
	if s.known {
		rs.moved(s, p.room, false)
	}
	last := uint32(len(p.room.members) - 1)
	if p.at != last {
		moved := p.room.members[last]
		p.room.members[p.at] = moved
		moved.seat.places[moved.place].at = p.at
	}
	p.room.members[last] = member{}
	p.room.members = p.room.members[:last]
	switch {
	case last == 0:
		delete(rs.topics, p.room.topic)
	case cap(p.room.members) > 64 && int(last) < cap(p.room.members)/4:
		p.room.members = append(make([]member, 0, last*2), p.room.members...)
	}
	end := uint32(len(s.places) - 1)
	if i != end {
		moved := s.places[end]
		s.places[i] = moved
		moved.room.members[moved.at].place = i
	}
	s.places[end] = place{}
	s.places = s.places[:end]
}

// room finds or makes the room of a topic. A room without members must be
// joined or swept.
func (rs *rooms) room(t protocol.Topic) *room {
	r := rs.topics[t]
	if r == nil {
		r = &room{topic: t}
		rs.topics[t] = r
	}
	return r
}

// set makes topics the rooms of a seat. Each topic was claimed once before;
// changed is told by how much the claims are too high or too low.
func (rs *rooms) set(s *seat, topics []protocol.Topic, changed func(protocol.Topic, int32)) {
	rs.walk += 2
	before, wanted := rs.walk-1, rs.walk
	for i := range s.places {
		s.places[i].room.seen = before
	}
	if cap(s.places) < len(topics) {
		s.places = append(make([]place, 0, len(topics)), s.places...)
	}
	for _, t := range topics {
		switch r := rs.room(t); r.seen {
		case before:
			r.seen = wanted
			changed(t, -1)
		case wanted: // named twice
			changed(t, -1)
		default:
			r.seen = wanted
			rs.join(s, r)
		}
	}
	for i := len(s.places) - 1; i >= 0; i-- {
		if r := s.places[i].room; r.seen == before {
			rs.leave(s, uint32(i))
			changed(r.topic, -1)
		}
	}
}

// remove takes a seat out of all its rooms.
func (rs *rooms) remove(s *seat, changed func(protocol.Topic, int32)) {
	s.known = false
	for i := len(s.places) - 1; i >= 0; i-- {
		t := s.places[i].room.topic
		rs.leave(s, uint32(i))
		changed(t, -1)
	}
	delete(rs.seats, s.socket)
}

// move lets all seats in Of join and leave rooms. Each topic of Join was
// claimed once before, for nobody in particular.
func (rs *rooms) move(m *protocol.Rooms, changed func(protocol.Topic, int32)) {
	var of []*seat
	if r := rs.topics[m.Of]; r != nil {
		of = make([]*seat, len(r.members))
		for i := range r.members {
			of[i] = r.members[i].seat
		}
	}
	for _, t := range m.Join {
		joined := int32(0)
		for _, s := range of {
			if r := rs.room(t); !s.in(r) {
				rs.join(s, r)
				joined++
			}
		}
		if joined != 1 {
			changed(t, joined-1)
		}
	}
	for _, t := range m.Leave {
		left := int32(0)
		for _, s := range of {
			if i, ok := s.placeOf(t); ok {
				rs.leave(s, i)
				left++
			}
		}
		if left > 0 {
			changed(t, -left)
		}
	}
}

func (s *seat) placeOf(t protocol.Topic) (uint32, bool) {
	for i := range s.places {
		if s.places[i].room.topic == t {
			return uint32(i), true
		}
	}
	return 0, false
}

// empty takes everybody out of a room but the sockets of those to keep.
func (rs *rooms) empty(t protocol.Topic, keep []protocol.UserID, changed func(protocol.Topic, int32)) {
	r := rs.topics[t]
	if r == nil {
		return
	}
	stay := make(map[protocol.UserID]struct{}, len(keep))
	for _, u := range keep {
		stay[u] = struct{}{}
	}
	n := int32(0)
	for i := len(r.members) - 1; i >= 0; i-- { // whoever moves into a gap was looked at
		m := r.members[i]
		if _, stays := stay[m.seat.who.UserID]; stays {
			continue
		}
		rs.leave(m.seat, m.place)
		n++
	}
	if n > 0 {
		changed(t, -n)
	}
}

// each visits every member of the topics once.
func (rs *rooms) each(topics []protocol.Topic, visit func(*seat)) {
	if len(topics) == 1 {
		if r := rs.topics[topics[0]]; r != nil {
			for i := range r.members {
				visit(r.members[i].seat)
			}
		}
		return
	}
	rs.walk++
	for _, t := range topics {
		r := rs.topics[t]
		if r == nil {
			continue
		}
		for i := range r.members {
			if s := r.members[i].seat; s.seen != rs.walk {
				s.seen = rs.walk
				visit(s)
			}
		}
	}
}
