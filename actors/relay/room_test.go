package relay

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
)

// model is the membership of a shard, said simply.
type model map[*socket.Socket]map[protocol.Topic]bool

func (m model) members(t protocol.Topic) map[*socket.Socket]bool {
	in := map[*socket.Socket]bool{}
	for s, topics := range m {
		if topics[t] {
			in[s] = true
		}
	}
	return in
}

// Whatever happens to rooms, they are what the model says, positions lead where
// they should, and claims that were made before equal the members afterwards.
func TestRoomsAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rs, want := newRooms(), model{}
		claims := map[protocol.Topic]int32{}
		changed := func(topic protocol.Topic, by int32) { claims[topic] += by }
		sockets := make([]*socket.Socket, 6)
		for i := range sockets {
			sockets[i] = new(socket.Socket)
		}
		topic := rapid.Custom(func(t *rapid.T) protocol.Topic {
			return protocol.Topic{Room: protocol.RoomChannel, ID: [16]byte{rapid.ByteRange(0, 7).Draw(t, "topic")}}
		})
		topics := rapid.SliceOfN(topic, 0, 6)
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				s, to := rapid.SampledFrom(sockets).Draw(t, "socket"), topics.Draw(t, "topics")
				at := rs.seats[s]
				if at == nil {
					at = &seat{socket: s, who: &protocol.Caller{UserID: protocol.UserID{byte(1 + slices.Index(sockets, s))}}}
					rs.seats[s] = at
				}
				want[s] = map[protocol.Topic]bool{}
				for _, topic := range to {
					claims[topic]++
					want[s][topic] = true
				}
				rs.set(at, to, changed)
			},
			"remove": func(t *rapid.T) {
				s := rapid.SampledFrom(sockets).Draw(t, "socket")
				if at := rs.seats[s]; at != nil {
					rs.remove(at, changed)
				}
				delete(want, s)
			},
			"move": func(t *rapid.T) {
				m := &protocol.Rooms{Of: topic.Draw(t, "of"), Join: topics.Draw(t, "join"), Leave: topics.Draw(t, "leave")}
				for _, topic := range m.Join {
					claims[topic]++
				}
				for s := range want.members(m.Of) {
					for _, topic := range m.Join {
						want[s][topic] = true
					}
					for _, topic := range m.Leave {
						delete(want[s], topic)
					}
				}
				rs.move(m, changed)
			},
			"empty": func(t *rapid.T) {
				topic := topic.Draw(t, "topic")
				keep := rapid.SliceOfN(rapid.SampledFrom(sockets), 0, 3).Draw(t, "keep")
				var users []protocol.UserID
				for _, s := range keep {
					users = append(users, protocol.UserID{byte(1 + slices.Index(sockets, s))})
				}
				for s := range want {
					if !slices.Contains(keep, s) {
						delete(want[s], topic)
					}
				}
				rs.empty(topic, users, changed)
			},
			"": func(t *rapid.T) {
				for id := range byte(8) {
					topic := protocol.Topic{Room: protocol.RoomChannel, ID: [16]byte{id}}
					in := want.members(topic)
					got := map[*socket.Socket]bool{}
					rs.each([]protocol.Topic{topic, topic}, func(s *seat) { got[s.socket] = true })
					if !maps.Equal(got, in) {
						t.Fatalf("topic %d has %d members, want %d", id, len(got), len(in))
					}
					if int(claims[topic]) != len(in) {
						t.Fatalf("topic %d has %d claims, want %d", id, claims[topic], len(in))
					}
					r := rs.topics[topic]
					if (r != nil) != (len(in) > 0) {
						t.Fatalf("topic %d: room %v, members %d", id, r != nil, len(in))
					}
					if r == nil {
						continue
					}
					for i, m := range r.members {
						if p := m.seat.places[m.place]; p.room != r || p.at != uint32(i) {
							t.Fatalf("topic %d: member %d does not know its place", id, i)
						}
					}
				}
			},
		})
	})
}
