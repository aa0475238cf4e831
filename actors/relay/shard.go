package relay

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
)

// figures are what a shard counts for Stats.
type figures struct {
	deliveries atomic.Uint64
	sockets    atomic.Int64
	topics     atomic.Int64
	parked     atomic.Int64
	history    atomic.Int64 // bytes
	replays    atomic.Int64 // bytes
}

// shard is the actor that holds some of the sockets and writes to them.
type shard struct {
	relay   *Relay
	lane    *lane // what the front knows it by
	front   *actor.PID
	figures *figures
	rooms   rooms
	history history

	self  *actor.PID
	root  *actor.RootContext
	late  []*seat     // whose frames wait for the next tick
	timer *time.Timer // nil before the first tick
	armed bool

	echoes  []*seat // whose frames wait for an answer to go with
	echo    *time.Timer
	echoing bool

	hints    []*seat // that wait to be told of channels which they don't look at
	watchers []*seat // that wait to be told of communities which they watch
	hinter   *time.Timer
	hinting  bool

	sweeper  *time.Timer
	sweeping bool
}

// delivery is one event on its way from the front to shards.
type delivery struct {
	name   string
	frame  *socket.Frame
	topics []protocol.Topic
	except protocol.ConnID
	// author gets the event together with the answer to what caused it.
	author protocol.ConnID
	// without is a room whose sockets are left out; zero: none.
	without protocol.Topic
	serial  protocol.Serial
	pos     uint64 // among all that this relay delivers
	at      int64  // socket.Now()
}

// settled tells the front by how much the claims of a shard were wrong.
type settled struct {
	lane    *lane
	changes []change
}

type change struct {
	topic protocol.Topic
	by    int32
}

// flushTick ends a tick.
type flushTick struct{}

// flushEcho ends the wait for answers.
type flushEcho struct{}

var (
	theTick = &flushTick{}
	theEcho = &flushEcho{}
)

// Receive is the life of a shard.
func (s *shard) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.self, s.root = ctx.Self(), ctx.ActorSystem().Root
	case *delivery:
		s.deliver(m)
	case *flushTick:
		s.flush()
	case *flushEcho:
		s.flushEchoes()
	case *sweepTick:
		s.sweep(socket.Now())
	case *subscribe:
		s.subscribe(ctx, m)
	case *open:
		s.open(m)
	case *unsubscribe:
		s.unsubscribe(ctx, m)
	case *park:
		s.park(m)
	case *take:
		s.take(ctx, m)
	case *look:
		s.look(m)
	case *ack:
		s.acknowledged(m)
	case *hintTick:
		s.tellHints(socket.Now())
		s.tellWatchers(socket.Now())
	case *watch:
		s.watch(ctx, m)
	case *typing:
		s.typing(m)
	case *protocol.Rooms:
		s.settle(ctx, func(changed func(protocol.Topic, int32)) { s.rooms.move(m, changed) })
	case *protocol.Empty:
		s.settle(ctx, func(changed func(protocol.Topic, int32)) {
			for _, t := range m.Topics {
				s.rooms.empty(t, m.Keep, changed)
			}
		})
	case *protocol.CloseSockets:
		s.closeSockets(ctx, m)
	case *actor.Stopping, *actor.Restarting:
		s.abandon()
	}
}

// settle runs a change of rooms and tells the front what became of its claims.
func (s *shard) settle(ctx actor.Context, work func(changed func(protocol.Topic, int32))) {
	var changes []change
	work(func(t protocol.Topic, by int32) { changes = append(changes, change{t, by}) })
	s.count()
	if len(changes) > 0 {
		ctx.Send(s.front, &settled{s.lane, changes})
	}
}

func (s *shard) count() {
	s.figures.sockets.Store(int64(len(s.rooms.seats)))
	s.figures.topics.Store(int64(len(s.rooms.topics)))
}

// deliver pushes one event to everybody in its topics, once.
func (s *shard) deliver(d *delivery) {
	now := socket.Now()
	count := uint64(0)
	anyone := d.except.IsZero() && d.author.IsZero() && d.without.Room == 0
	except, author := tagOf(d.except), tagOf(d.author)
	s.rooms.each(d.topics, func(seat *seat) {
		if !anyone && d.spares(seat, except) {
			return
		}
		if seat.past != nil && seat.past.begun.heard(d) {
			return
		}
		if seat.watch != nil {
			s.stir(seat, d, now)
		}
		if seat.open && seat.view != nil && s.passive(seat, d, now) {
			return
		}
		count++
		if !seat.open {
			s.keep(seat, d)
			return
		}
		if !anyone && seat.is(d.author, author) {
			s.later(seat, d.frame, now)
			return
		}
		s.push(seat, d.frame, now)
	})
	s.figures.deliveries.Add(count)
	s.remember(d)
	s.arm()
}

// push gives a seat its next event.
func (s *shard) push(seat *seat, f *socket.Frame, now int64) {
	seat.n++
	if seat.view != nil {
		seat.view.keep(f)
	}
	if !seat.parked && seat.socket.PushN(f, seat.n, now) {
		s.late = append(s.late, seat)
	}
}

// echoWait is how long what a client caused waits for the answer that goes with
// it: some commits of the database, and less than anybody notices.
const echoWait = 20 * time.Millisecond

// later gives a seat its next event, to go out with what is sent to its socket
// alone, or a little later if nothing is.
func (s *shard) later(seat *seat, f *socket.Frame, now int64) {
	seat.n++
	if seat.view != nil {
		seat.view.keep(f)
	}
	if seat.parked || !seat.socket.PushLater(f, seat.n, now) {
		return
	}
	s.echoes = append(s.echoes, seat)
	if s.echoing {
		return
	}
	s.echoing = true
	if s.echo == nil {
		root, self := s.root, s.self
		s.echo = time.AfterFunc(echoWait, func() { root.Send(self, theEcho) })
		return
	}
	s.echo.Reset(echoWait)
}

// flushEchoes writes what was not answered in time.
func (s *shard) flushEchoes() {
	s.echoing = false
	for _, seat := range s.echoes {
		seat.socket.Flush()
	}
	clear(s.echoes)
	s.echoes = s.echoes[:0]
}

// spares reports whether a socket is one of those that do not get the event.
func (d *delivery) spares(s *seat, except uint32) bool {
	if s.is(d.except, except) {
		return true
	}
	if d.without.Room == 0 {
		return false
	}
	_, in := s.placeOf(d.without)
	return in
}

// keep holds an event back until the socket was greeted.
func (s *shard) keep(seat *seat, d *delivery) {
	if seat.early == nil {
		seat.early = new([]*delivery)
	}
	if len(*seat.early) >= s.relay.cfg.MaxEarly {
		seat.socket.Abort()
		return
	}
	*seat.early = append(*seat.early, d)
}

// arm sees to the next tick, when there is something to flush in it.
func (s *shard) arm() {
	if s.armed || len(s.late) == 0 {
		return
	}
	s.armed = true
	if s.timer == nil {
		root, self := s.root, s.self
		s.timer = time.AfterFunc(s.relay.cfg.Tick, func() { root.Send(self, theTick) })
		return
	}
	s.timer.Reset(s.relay.cfg.Tick)
}

// flush writes what was joined during the tick. The next tick begins when it is
// done, so a shard that is busy writes less often and more at once.
func (s *shard) flush() {
	s.armed = false
	for _, seat := range s.late {
		seat.socket.Flush()
	}
	clear(s.late)
	s.late = s.late[:0]
}

func (s *shard) subscribe(ctx actor.Context, m *subscribe) {
	at := s.rooms.seats[m.socket]
	if at == nil {
		at = &seat{socket: m.socket, conn: m.conn, who: m.who, tag: tagOf(m.who.Conn), base: s.rooms.pos}
		s.rooms.seats[m.socket] = at
	}
	s.settle(ctx, func(changed func(protocol.Topic, int32)) { s.rooms.set(at, m.topics, changed) })
	at.known = true
	m.done(m.err)
}

func (s *shard) open(m *open) {
	if m.done != nil {
		defer m.done()
	}
	seat := s.rooms.seats[m.socket]
	if seat == nil || seat.open {
		return
	}
	seat.open = true
	seat.socket.Send(m.greeting)
	now := socket.Now()
	if m.taken != nil {
		s.resume(seat, m.taken, now)
	}
	if seat.early == nil {
		s.arm()
		return
	}
	begun := seat.begun()
	for _, d := range *seat.early {
		if !begun.heard(d) && (seat.view == nil || !s.passive(seat, d, now)) {
			s.push(seat, d.frame, now)
		}
	}
	seat.early = nil
	s.arm()
}

func (s *shard) unsubscribe(ctx actor.Context, m *unsubscribe) {
	if seat := s.rooms.seats[m.socket]; seat != nil {
		s.remove(ctx, seat)
	}
}

// typing passes the indicator on if the socket is in the room.
func (s *shard) typing(m *typing) {
	seat := s.rooms.seats[m.socket]
	if seat == nil {
		return
	}
	if _, ok := seat.placeOf(m.topic); !ok {
		return
	}
	kind, id, ok := owner(m.topic)
	if !ok {
		return
	}
	s.relay.node.Tell(string(kind), id, &protocol.Typing{User: seat.who.UserID, Conn: seat.who.Conn, Active: m.active})
}

// closeSockets tells connections to end.
func (s *shard) closeSockets(ctx actor.Context, m *protocol.CloseSockets) {
	r := s.rooms.topics[protocol.UserTopic(m.User)]
	if r == nil {
		return
	}
	for i := range r.members {
		seat := r.members[i].seat
		if (m.Session.IsZero() || m.Session == seat.who.Session) && (m.Token.IsZero() || m.Token == seat.who.Token) {
			ctx.Send(seat.conn, m)
		}
	}
}

// abandon gives up all sockets: who is in which room is about to be lost.
func (s *shard) abandon() {
	for _, t := range []*time.Timer{s.timer, s.sweeper, s.echo, s.hinter} {
		if t != nil {
			t.Stop()
		}
	}
	for _, seat := range s.rooms.seats {
		seat.socket.Abort()
	}
	s.rooms, s.late, s.echoes, s.history = newRooms(), nil, nil, history{}
	s.figures.history.Store(0)
	s.figures.parked.Store(0)
	s.figures.replays.Store(0)
	s.count()
}
