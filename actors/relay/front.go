package relay

import (
	"slices"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
)

// front is the actor that everybody tells. It knows which shard has subscribers
// of a topic, and which topics owners were told not to send.
type front struct {
	relay *Relay
	ctx   actor.Context // of the turn
	lanes []*lane
	prunes
	held     map[protocol.Topic]*hold        // what rooms hear next
	entering map[*socket.Socket][]*forSocket // subscriptions that wait, and what came after them
	tag      string                          // of this node, in offsets
	barrier  barrier
}

// forSocket is a message about one socket.
type forSocket struct {
	user protocol.UserID
	msg  any
}

// lane is a shard as the front sees it.
type lane struct {
	pid    *actor.PID
	claims map[protocol.Topic]int32 // at least as many as there are subscribers
}

func newFront(r *Relay) *front {
	return &front{relay: r, prunes: newPrunes(), held: map[protocol.Topic]*hold{}, entering: map[*socket.Socket][]*forSocket{}}
}

// Receive is the life of the front.
func (f *front) Receive(ctx actor.Context) {
	f.ctx = ctx
	switch m := ctx.Message().(type) {
	case *actor.Started:
		f.start()
	case *protocol.Fanout, *protocol.Rooms, *protocol.Empty:
		f.published(m)
	case *protocol.Notices:
		f.notices(m)
	case *protocol.CloseSockets:
		f.pass(m.User, m)
	case *subscribe:
		f.from(m.socket, m.who.UserID, m)
	case *open:
		f.from(m.socket, m.user, m)
	case *unsubscribe:
		f.from(m.socket, m.user, m)
	case *park:
		f.from(m.socket, m.user, m)
	case *look:
		f.from(m.socket, m.user, m)
	case *watch:
		f.from(m.socket, m.user, m)
	case *ack:
		f.from(m.socket, m.user, m)
	case *take:
		f.depart(m)
	case *protocol.Flush:
		f.flush(m)
	case *protocol.Flushed:
		f.flushed(m)
	case *overdue:
		f.overdue(m)
	case *typing:
		f.from(m.socket, m.user, m)
	case *settled:
		f.settled(m)
	case *grafted:
		f.grafted(m)
	case *reset:
		f.reset()
	}
	f.ctx = nil
}

// start makes the shards.
func (f *front) start() {
	f.lanes = make([]*lane, f.relay.cfg.Shards)
	for i := range f.lanes {
		l := &lane{claims: map[protocol.Topic]int32{}}
		props := actor.PropsFromProducer(func() actor.Actor {
			return &shard{relay: f.relay, lane: l, front: f.self(), figures: &f.relay.figures[i], rooms: newRooms()}
		})
		l.pid = f.ctx.SpawnPrefix(props, "shard"+strconv.Itoa(i))
		f.lanes[i] = l
	}
}

func (f *front) self() *actor.PID { return f.ctx.Self() }

// reset begins anew after this node was taken for dead: others have forgotten
// it, and events were missed. The shards end their sockets when they stop.
func (f *front) reset() {
	for _, l := range f.lanes {
		f.ctx.Stop(l.pid)
	}
	for s := range f.entering {
		s.Abort()
	}
	f.tag = ""
	f.barrier.abandon()
	f.prunes, f.held, f.entering = newPrunes(), map[protocol.Topic]*hold{}, map[*socket.Socket][]*forSocket{}
	f.start()
}

// pass forwards to the shard of a user.
func (f *front) pass(u protocol.UserID, msg any) {
	f.ctx.Send(f.lanes[shardOf(u, len(f.lanes))].pid, msg)
}

// published handles what actors publish, unless it has to wait for its turn.
func (f *front) published(msg any) {
	if h := f.holding(msg); h != nil {
		h.queue = append(h.queue, msg)
		return
	}
	switch m := msg.(type) {
	case *protocol.Fanout:
		f.fanout(m)
	case *protocol.Rooms:
		f.rooms(m)
	case *protocol.Empty:
		for _, l := range f.lanes {
			if l.wants(m.Topics) {
				f.ctx.Send(l.pid, m)
			}
		}
	}
}

func (l *lane) wants(topics []protocol.Topic) bool {
	for _, t := range topics {
		if l.claims[t] > 0 {
			return true
		}
	}
	return false
}

func (f *front) fanout(m *protocol.Fanout) {
	var d *delivery
	for _, l := range f.lanes {
		if !l.wants(m.Topics) {
			continue
		}
		if d == nil {
			d = f.newDelivery(m)
		}
		f.ctx.Send(l.pid, d)
	}
	if d == nil {
		f.relay.wasted.Add(1)
		f.prune(m)
	}
}

// notices delivers what differs for each user: those who have no socket here cost
// a look into a map.
func (f *front) notices(m *protocol.Notices) {
	for i := range m.Items {
		user := m.Items[i].User
		l := f.lanes[shardOf(user, len(f.lanes))]
		topic := protocol.UserTopic(user)
		if l.claims[topic] == 0 {
			continue
		}
		f.ctx.Send(l.pid, f.newDelivery(&protocol.Fanout{Event: protocol.Event{Name: "newNotification", Topics: []protocol.Topic{topic}, Payload: m.Payload(i)}}))
	}
}

// newDelivery numbers an event. The number is part of the frame, the same for
// all receivers: it is what a stock client tells when it comes back.
func (f *front) newDelivery(m *protocol.Fanout) *delivery {
	d := &delivery{name: m.Name, topics: m.Topics, except: m.Except, author: m.Author, without: m.Without, serial: m.Serial, pos: f.relay.position.Add(1), at: socket.Now()}
	ev := socket.Event{Name: m.Name, Payload: m.Payload}
	if m.Stream.Room != 0 && (m.Seq != 0 || m.Rev != 0) {
		ev.Stream, ev.Epoch, ev.Seq, ev.Rev = m.Stream.String(), m.Epoch, m.Seq, m.Rev
	}
	if f.relay.cfg.Window >= 0 {
		ev.Offset = f.offset(d.pos)
	}
	d.frame = socket.NewFrame(ev)
	return d
}

// rooms lets sockets join and leave. Which shards they are in is known only as
// far as claims go; each of those claims the new rooms before it is told. It is
// told when the owners of the new rooms send their events here.
func (f *front) rooms(m *protocol.Rooms) {
	h := &hold{change: m}
	for _, l := range f.lanes {
		if l.claims[m.Of] == 0 {
			continue
		}
		for _, t := range m.Join {
			l.claims[t]++
		}
		h.lanes = append(h.lanes, l)
	}
	if len(h.lanes) == 0 {
		return
	}
	for _, t := range m.Join {
		if f.wanted(t, func(error) { f.release(h) }) {
			h.missing++
		}
	}
	if h.missing > 0 {
		f.held[m.Of] = h
		return
	}
	f.move(h)
}

// move tells the shards of a change of rooms.
func (f *front) move(h *hold) {
	for _, l := range h.lanes {
		f.ctx.Send(l.pid, h.change)
	}
}

// from handles a message about a socket, unless the socket is entering: then it
// waits for its turn.
func (f *front) from(s *socket.Socket, user protocol.UserID, msg any) {
	if queue, waits := f.entering[s]; waits {
		f.entering[s] = append(queue, &forSocket{user, msg})
		return
	}
	if m, ok := msg.(*subscribe); ok && !f.subscribe(m) {
		return
	}
	f.pass(user, msg)
}

// subscribe claims the topics of a socket. It reports false when owners have to
// be asked first; the socket is entering then.
func (f *front) subscribe(m *subscribe) bool {
	l := f.lanes[shardOf(m.who.UserID, len(f.lanes))]
	for _, t := range m.topics {
		l.claims[t]++
		if f.wanted(t, func(err error) { f.entered(m, err) }) {
			m.missing++
		}
	}
	if m.missing > 0 {
		f.entering[m.socket] = nil
	}
	return m.missing == 0
}

// entered goes on when the last owner has answered.
func (f *front) entered(m *subscribe, err error) {
	if err != nil {
		m.err = err
	}
	if m.missing--; m.missing > 0 {
		return
	}
	queue := f.entering[m.socket]
	delete(f.entering, m.socket)
	f.pass(m.who.UserID, m)
	for _, next := range queue {
		f.from(m.socket, next.user, next.msg)
	}
}

// settled corrects the claims of a shard.
func (f *front) settled(m *settled) {
	if !slices.Contains(f.lanes, m.lane) {
		return // of a shard that is gone
	}
	for _, c := range m.changes {
		switch n := m.lane.claims[c.topic] + c.by; {
		case n > 0:
			m.lane.claims[c.topic] = n
		default:
			if n < 0 {
				f.relay.cfg.Log.Error("relay counts a topic below zero", "topic", c.topic.String())
			}
			delete(m.lane.claims, c.topic)
		}
	}
}
