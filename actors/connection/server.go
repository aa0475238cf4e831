package connection

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/rookeryws"
)

// Relay is what connections need of the node's relay; see relay.Relay.
type Relay interface {
	Subscribe(s *socket.Socket, conn *actor.PID, who *protocol.Caller, topics []protocol.Topic, done func(error))
	Open(s *socket.Socket, who *protocol.Caller, greeting []byte, done func())
	Resume(s *socket.Socket, who *protocol.Caller, greeting []byte, taken *protocol.SessionTaken, done func())
	Park(s *socket.Socket, who *protocol.Caller)
	Look(s *socket.Socket, who *protocol.Caller, f protocol.Focus)
	Watch(s *socket.Socket, who *protocol.Caller, topics []protocol.Topic)
	Ack(s *socket.Socket, who *protocol.Caller, n int64)
	Take(s *socket.Socket, who *protocol.Caller, m *protocol.TakeSession, done func(*protocol.SessionTaken))
	Unsubscribe(s *socket.Socket, who *protocol.Caller)
	Typing(s *socket.Socket, who *protocol.Caller, topic protocol.Topic, active bool)
}

// Authenticate tells who a token belongs to. A failure that is not retryable
// means that it belongs to nobody.
type Authenticate func(ctx context.Context, token string) (protocol.Caller, error)

// Do performs an operation. The body is what the client sent; the result is a
// pointer to the reply type, JSON, or nil.
type Do func(ctx context.Context, op *protocol.Operation, caller protocol.Caller, body json.RawMessage) (any, error)

// Accounts tells whether what a login found out of its user still holds. *gate.Gate
// is one.
type Accounts interface {
	Mark(user protocol.UserID) uint32
	Renew(ctx context.Context, who protocol.Caller, mark uint32) (protocol.Caller, uint32, error)
}

// Config is what a Server works with. Node, Relay, Poller, Gate and Do are
// required.
type Config struct {
	Node   *cluster.Node
	Relay  Relay
	Poller *socket.Poller
	Gate   Authenticate
	// Accounts are asked before every operation: a login may be hours old. nil:
	// rights are those of the login.
	Accounts Accounts
	Do       Do
	Log      *slog.Logger // default slog.Default()

	// Operations are the rows that clients may call. Default: the whole table.
	Operations []*protocol.Operation
	// Address is the client's address behind trusted proxies. Default: the peer.
	Address func(*http.Request) string
	// Origin decides about requests for the native protocol that have an Origin
	// header. Default: every origin; the token is not a cookie.
	Origin func(*http.Request) bool

	Limits Limits
}

// Limits bound what one client may do. The zero value is what production uses.
type Limits struct {
	Off bool // no rate limits: for tests and benchmarks

	Connect     time.Duration // for the CONNECT of Socket.IO, default 45 s
	Hello       time.Duration // for the hello of the native protocol, default 10 s
	Login       time.Duration // for a login to be decided, default 15 s
	Request     time.Duration // for an operation, default 65 s: a send may wait a minute for Postgres
	Heartbeat   time.Duration // between renewals of presence, default 30 s
	Resume      time.Duration // for a client to come back to its session, default 2 min; negative: sessions end with their sockets
	Linger      time.Duration // for clients to fetch their sessions from a node that drains, default 6 s
	Logins      int           // under way at the same time, default 64; others wait, in order
	Events      int           // per user and group in EventWindow, default 50
	EventWindow time.Duration // default 10 s
	Frames      int           // of a native connection in FrameWindow, default 120
	FrameWindow time.Duration // default 10 s
	FailedAuth  int           // failed logins per address and minute, default 20
	PerUser     int           // connections of a user to this node, default 100
}

func (l Limits) withDefaults() Limits {
	set(&l.Connect, 45*time.Second)
	set(&l.Hello, rookeryws.HelloTimeout)
	set(&l.Login, 15*time.Second)
	set(&l.Request, 65*time.Second)
	set(&l.Heartbeat, 30*time.Second)
	set(&l.Resume, 2*time.Minute)
	set(&l.Linger, 6*time.Second)
	set(&l.Logins, 64)
	set(&l.Events, 50)
	set(&l.EventWindow, 10*time.Second)
	set(&l.Frames, 120)
	set(&l.FrameWindow, 10*time.Second)
	set(&l.FailedAuth, 20)
	set(&l.PerUser, 100)
	return l
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Operations == nil {
		c.Operations = protocol.Operations()
	}
	if c.Address == nil {
		c.Address = peerAddress
	}
	c.Limits = c.Limits.withDefaults()
	return c
}

func peerAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Server makes connections of HTTP requests. It is safe for concurrent use.
type Server struct {
	cfg   Config
	root  *actor.RootContext
	props *actor.Props

	events map[string]*protocol.Operation // by Socket.IO name
	names  map[string]*protocol.Operation // by native name

	conns    registry
	parked   registry
	sessions sessions
	quotas   quotas
	frames   rate // of a native connection
	failures failures
	agents   agents
	logins   chan struct{}
	workers  workers

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	beats  sync.WaitGroup
}

// NewServer returns a server that takes connections until Drain or Close.
func NewServer(cfg Config) *Server {
	cfg = cfg.withDefaults()
	s := &Server{
		cfg:    cfg,
		root:   cfg.Node.System().Root,
		events: map[string]*protocol.Operation{},
		names:  map[string]*protocol.Operation{},
		logins: make(chan struct{}, cfg.Limits.Logins),
	}
	for _, op := range cfg.Operations {
		s.names[op.Name] = op
		if op.Event != "" {
			s.events[op.Event] = op
		}
	}
	s.quotas.init(bucket(cfg.Limits.Events, cfg.Limits.EventWindow))
	s.frames = bucket(cfg.Limits.Frames, cfg.Limits.FrameWindow)
	s.failures.init(cfg.Limits.FailedAuth)
	s.conns.init()
	s.parked.init()
	s.sessions.init()
	if _, err := cfg.Node.Spawn(sessionsName, actor.PropsFromProducer(func() actor.Actor { return &keeper{s} })); err != nil {
		cfg.Log.Error("sessions cannot be given to other nodes", "error", err)
	}
	s.workers.run = s.perform
	s.props = actor.PropsFromProducer(func() actor.Actor { return &shell{} }, actor.WithMailbox(actor.UnboundedLockfree()))
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.beats.Go(s.beat)
	return s
}

// Len is the number of connections, also of those that are not logged in.
func (s *Server) Len() int { return s.conns.len() }

// Close ends what the server does by itself. Its sockets end with the Poller.
func (s *Server) Close() {
	s.conns.close()
	s.cancel()
	s.beats.Wait()
	s.workers.close()
}

// beat renews the presence of a slice of the connections at every step, and
// ends workers that nobody needs.
func (s *Server) beat() {
	t := time.NewTicker(max(s.cfg.Limits.Heartbeat/beatSlots, time.Millisecond))
	defer t.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for slot := 0; ; {
		select {
		case <-t.C:
			s.conns.eachOf(slot, func(c *conn) { s.root.Send(c.pid, theBeat) })
			s.parked.eachOf(slot, func(c *conn) { s.root.Send(c.pid, theBeat) })
			slot = (slot + 1) % beatSlots
		case <-sweep.C:
			s.workers.sweep()
		case <-s.ctx.Done():
			return
		}
	}
}
