package relay

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
)

// watched is a community of which a connection wants to know that its members, or
// their presence, changed.
type watched struct {
	topic   protocol.Topic
	told    int64 // when
	waiting bool
}

// stirring are the events that change a member list.
var stirring = map[string]bool{
	"userOnline": true, "userOffline": true, "userProfileUpdated": true, "memberAddedToCommunity": true,
	"userBanned": true, "userKicked": true, "userTimedOut": true, "timeoutRemoved": true,
	"roleUpdated": true, "roleDeleted": true, "roleAssigned": true, "roleUnassigned": true,
}

// stir tells the connection of a seat that a community which it watches has
// changed, at most once a second.
func (s *shard) stir(seat *seat, d *delivery, now int64) {
	if !stirring[d.name] {
		return
	}
	for i := range *seat.watch {
		w := &(*seat.watch)[i]
		if w.waiting || !d.in(w.topic) {
			continue
		}
		if now-w.told >= unreadEvery {
			w.told = now
			s.root.Send(seat.conn, &protocol.Stirred{Topic: w.topic})
			continue
		}
		w.waiting = true
		s.watchers = append(s.watchers, seat)
		s.armHints()
	}
}

func (d *delivery) in(t protocol.Topic) bool {
	for _, own := range d.topics {
		if own == t {
			return true
		}
	}
	return false
}

// tellWatchers tells what had to wait.
func (s *shard) tellWatchers(now int64) {
	for _, seat := range s.watchers {
		if s.rooms.seats[seat.socket] != seat || seat.watch == nil {
			continue
		}
		for i := range *seat.watch {
			if w := &(*seat.watch)[i]; w.waiting {
				w.waiting, w.told = false, now
				s.root.Send(seat.conn, &protocol.Stirred{Topic: w.topic})
			}
		}
	}
	clear(s.watchers)
	s.watchers = s.watchers[:0]
}

// watch is a message to a shard.
type watch struct {
	socket *socket.Socket
	user   protocol.UserID
	topics []protocol.Topic
}

func (s *shard) watch(_ actor.Context, m *watch) {
	seat := s.rooms.seats[m.socket]
	if seat == nil {
		return
	}
	seat.watch = nil
	if len(m.topics) == 0 {
		return
	}
	list := make([]watched, len(m.topics))
	for i, t := range m.topics {
		list[i].topic = t
	}
	seat.watch = &list
}

// Watch names the communities of which the connection of a socket gets a
// *protocol.Stirred when their members, or their presence, changed: once a second
// at most.
func (r *Relay) Watch(s *socket.Socket, who *protocol.Caller, topics []protocol.Topic) {
	r.post(&watch{socket: s, user: who.UserID, topics: topics})
}
