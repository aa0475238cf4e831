package relay

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/protocol"
)

// Name is the name of the relay's front on every node.
const Name = "relay"

// Config configures a relay. The zero value works.
type Config struct {
	Shards       int           // default GOMAXPROCS, at most 32
	Tick         time.Duration // frames for one socket within a tick are joined, default 4 ms
	MaxEarly     int           // events kept back for a socket before Open, default 1024; more end it
	MaxPruned    int           // topics that owners were told not to send, default 100,000; more are received in vain
	GraftTimeout time.Duration // for an owner to answer that it sends again, default 5 s
	Log          *slog.Logger  // default slog.Default()

	// Sessions can go on where their sockets ended as long as what they missed is
	// in memory: for Window after it was delivered (default 205 s: two minutes, and
	// the time after which a dead connection is noticed; negative keeps nothing),
	// within MaxHistory events (default 131,072) and MaxHistoryBytes (default 64 MiB)
	// of the node. A session is given MaxReplay events (default 2,048) and
	// MaxReplayBytes (default 1 MiB) at most.
	Window          time.Duration
	MaxHistory      int
	MaxHistoryBytes int
	MaxReplay       int
	MaxReplayBytes  int
}

func (c Config) withDefaults() Config {
	if c.Shards <= 0 {
		c.Shards = runtime.GOMAXPROCS(0)
	}
	c.Shards = min(c.Shards, 32)
	if c.Tick <= 0 {
		c.Tick = 4 * time.Millisecond
	}
	if c.MaxEarly <= 0 {
		c.MaxEarly = 1024
	}
	if c.MaxPruned <= 0 {
		c.MaxPruned = 100_000
	}
	if c.GraftTimeout <= 0 {
		c.GraftTimeout = 5 * time.Second
	}
	if c.Window == 0 {
		c.Window = 205 * time.Second
	}
	for field, value := range map[*int]int{&c.MaxHistory: 1 << 17, &c.MaxHistoryBytes: 64 << 20, &c.MaxReplay: 2048, &c.MaxReplayBytes: 1 << 20} {
		if *field <= 0 {
			*field = value
		}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// Relay is the node's relay as connections see it.
type Relay struct {
	node    *cluster.Node
	cfg     Config
	front   *actor.PID
	figures []figures // of each shard
	grafts  chan struct{}
	wasted  atomic.Uint64

	position atomic.Uint64 // of the last delivery
}

// Stats is what a relay did and holds.
type Stats struct {
	Deliveries uint64 // events handed to sockets
	Unwanted   uint64 // events received that no socket of this node wanted
	Sockets    int64
	Topics     int64 // with subscribers; one that has them in several shards counts in each
	Parked     int64 // of Sockets: closed, with a session that may go on
	History    int64 // bytes of events that sessions may still be given
	Replays    int64 // bytes of what sessions were given when they went on
}

// maxGrafts bounds the questions to owners that are under way.
const maxGrafts = 64

// Start makes the node's relay. It is called before the node takes part in the
// cluster (cluster.Config.Prepare), so that no event finds nobody.
func Start(node *cluster.Node, cfg Config) (*Relay, error) {
	r := &Relay{node: node, cfg: cfg.withDefaults(), grafts: make(chan struct{}, maxGrafts)}
	r.figures = make([]figures, r.cfg.Shards)
	front, err := node.Spawn(Name, actor.PropsFromProducer(func() actor.Actor { return newFront(r) }))
	if err != nil {
		return nil, fmt.Errorf("start relay: %w", err)
	}
	r.front = front
	node.OnRejoin(func() { r.post(&reset{}) })
	return r, nil
}

// Stats sums up the shards.
func (r *Relay) Stats() Stats {
	s := Stats{Unwanted: r.wasted.Load()}
	for i := range r.figures {
		f := &r.figures[i]
		s.Deliveries += f.deliveries.Load()
		s.Sockets += f.sockets.Load()
		s.Topics += f.topics.Load()
		s.Parked += f.parked.Load()
		s.History += f.history.Load()
		s.Replays += f.replays.Load()
	}
	return s
}

// Subscribe makes topics, and nothing else, the rooms of the socket. Done is
// called once, from a turn of the relay, when no event of these topics can be
// missed any more; its error is retryable and leaves the socket subscribed,
// possibly with gaps. The connection gets *protocol.CloseSockets when the
// socket is to end. Nothing is pushed before Open.
//
// The caller must not change afterwards; its user decides about the shard.
// Every socket that was subscribed has to be unsubscribed.
func (r *Relay) Subscribe(s *socket.Socket, conn *actor.PID, who *protocol.Caller, topics []protocol.Topic, done func(error)) {
	r.post(&subscribe{socket: s, conn: conn, who: who, topics: topics, done: done})
}

// Open sends the greeting, then what was kept back, and from then on every
// event as it comes.
//
// Done, if there is one, is called from a turn of the relay when the greeting is
// out.
func (r *Relay) Open(s *socket.Socket, who *protocol.Caller, greeting []byte, done func()) {
	r.post(&open{socket: s, user: who.UserID, greeting: greeting, done: done})
}

// Resume is Open for a socket that continues a session: what the session has
// missed comes after the greeting, and nothing twice.
func (r *Relay) Resume(s *socket.Socket, who *protocol.Caller, greeting []byte, taken *protocol.SessionTaken, done func()) {
	r.post(&open{socket: s, user: who.UserID, greeting: greeting, taken: taken, done: done})
}

// Look changes what the client of a socket looks at. A session that began to look
// at some channels only, before it was opened, goes on to do so; one that did not
// gets everything, whatever it looks at.
func (r *Relay) Look(s *socket.Socket, who *protocol.Caller, f protocol.Focus) {
	r.post(&look{socket: s, user: who.UserID, focus: &f})
}

// Ack tells that a client has processed its events up to n.
func (r *Relay) Ack(s *socket.Socket, who *protocol.Caller, n int64) {
	r.post(&ack{socket: s, user: who.UserID, n: n})
}

// Park keeps the place of a socket that is closed: its session goes on hearing,
// leaves rooms and joins others, until it is taken or unsubscribed.
func (r *Relay) Park(s *socket.Socket, who *protocol.Caller) {
	r.post(&park{socket: s, user: who.UserID})
}

// Take ends the session of a socket and tells what its client has not seen. Done
// is called once, from a turn of the relay; the socket is not subscribed any
// more then.
func (r *Relay) Take(s *socket.Socket, who *protocol.Caller, m *protocol.TakeSession, done func(*protocol.SessionTaken)) {
	r.post(&take{socket: s, user: who.UserID, from: m, done: done})
}

// Unsubscribe takes the socket out of all its rooms.
func (r *Relay) Unsubscribe(s *socket.Socket, who *protocol.Caller) {
	r.post(&unsubscribe{socket: s, user: who.UserID})
}

// Typing passes a typing indicator to the owner of the topic, if the socket is
// in the room.
func (r *Relay) Typing(s *socket.Socket, who *protocol.Caller, topic protocol.Topic, active bool) {
	r.post(&typing{socket: s, user: who.UserID, topic: topic, active: active})
}

func (r *Relay) post(msg any) { r.node.System().Root.Send(r.front, msg) }

// Messages from connections to the front and on to a shard.
type (
	subscribe struct {
		socket *socket.Socket
		conn   *actor.PID
		who    *protocol.Caller
		topics []protocol.Topic
		done   func(error)

		missing int   // owners that have not answered, in turns of the front
		err     error // of those that did
	}
	open struct {
		socket   *socket.Socket
		user     protocol.UserID
		greeting []byte
		taken    *protocol.SessionTaken // nil: a new session
		done     func()                 // or nil
	}
	look struct {
		socket *socket.Socket
		user   protocol.UserID
		focus  *protocol.Focus
	}
	ack struct {
		socket *socket.Socket
		user   protocol.UserID
		n      int64
	}
	park struct {
		socket *socket.Socket
		user   protocol.UserID
	}
	take struct {
		socket *socket.Socket
		user   protocol.UserID
		from   *protocol.TakeSession
		done   func(*protocol.SessionTaken)
	}
	unsubscribe struct {
		socket *socket.Socket
		user   protocol.UserID
	}
	typing struct {
		socket *socket.Socket
		user   protocol.UserID
		topic  protocol.Topic
		active bool
	}
	reset struct{}
)

// shardOf spreads users over n shards by the random end of their ids.
func shardOf(u protocol.UserID, n int) int {
	return int(binary.LittleEndian.Uint32(u[12:]) % uint32(n))
}

// owner is the actor that publishes the events of a topic, if one actor does.
func owner(t protocol.Topic) (protocol.Kind, string, bool) {
	switch t.Room {
	case protocol.RoomUser:
		return protocol.KindUser, protocol.AnyID(t.ID).String(), true
	case protocol.RoomCommunity:
		return protocol.KindCommunity, protocol.AnyID(t.ID).String(), true
	case protocol.RoomChannel:
		return protocol.KindChannel, protocol.AnyID(t.ID).String(), true
	case protocol.RoomGroup:
		return protocol.KindDM, protocol.AnyID(t.ID).String(), true
	default:
		return "", "", false
	}
}

// graft asks the owner of a topic to send its events to this node again.
func (r *Relay) graft(t protocol.Topic) error {
	kind, id, ok := owner(t)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.GraftTimeout)
	defer cancel()
	_, err := r.node.Ask(ctx, string(kind), id, &protocol.Graft{Node: r.node.ID()})
	return err
}
