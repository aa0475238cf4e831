package connection

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
)

// login is one attempt to log a connection in. It runs beside the mailbox and
// ends as a loggedIn.
type login struct {
	srv    *Server
	codec  codec
	socket *socket.Socket
	pid    *actor.PID
	token  string
	native bool
	resume *resumption // nil: a new session is wanted
	plain  bool        // no figures of what is unread are wanted

	who   *protocol.Caller // allocated apart: it outlives the login, and the token must not
	mark  uint32           // of his account
	rooms *protocol.Connected
	taken *protocol.SessionTaken // what the session missed; nil: it is a new one
	key   protocol.SessionKey    // of the session, old or new
}

// loggedIn is the outcome of a login.
type loggedIn struct {
	who      *protocol.Caller
	mark     uint32
	joined   bool // the user actor and the relay know the connection, also after an error
	version  int64
	greeting []byte
	key      protocol.SessionKey
	sid      string
	taken    *protocol.SessionTaken // nil: a new session
	err      error
}

// errTooMany refuses a user with too many connections.
var errTooMany = protocol.Unavailable("Too many connections")

// maxSyncs bounds how often rooms may change while a connection joins them.
const maxSyncs = 20

// logIn begins a login.
func (c *conn) logIn(token string, native bool, resume *resumption) {
	c.phase = joining
	c.busy++
	ctx, cancel := context.WithCancel(c.srv.ctx)
	c.pending.cancel, c.pending.resume = cancel, resume
	c.pending.timer.Reset(c.srv.cfg.Limits.Connect)
	l := &login{
		srv: c.srv, codec: c.codec, socket: c.socket, pid: c.pid, native: native, resume: resume, plain: c.pending.plain,
		token: strings.TrimPrefix(token, "Bearer "),
		who:   &protocol.Caller{Conn: newConnID(), Address: c.pending.address, Agent: c.pending.agent},
	}
	go func() {
		defer cancel()
		l.srv.root.Send(l.pid, l.run(ctx))
	}()
}

func newConnID() protocol.ConnID { return protocol.ConnID(protocol.NewRandomID[struct{}]()) }

func (l *login) run(ctx context.Context) (m *loggedIn) {
	m = &loggedIn{}
	defer func() {
		if p := recover(); p != nil {
			m.err = fmt.Errorf("login panicked: %v", p)
		}
	}()
	select {
	case l.srv.logins <- struct{}{}:
		defer func() { <-l.srv.logins }()
	case <-ctx.Done():
		m.err = protocol.ErrDeadline
		return m
	}
	ctx, cancel := context.WithTimeout(ctx, l.srv.cfg.Limits.Login) // the wait for others does not count
	defer cancel()
	if m.err = l.authenticate(ctx); m.err != nil {
		return m
	}
	m.who = l.who
	m.joined = true
	if m.err = l.join(ctx, m.who); m.err != nil {
		return m
	}
	// Only now can a revocation find the socket: what came before it is seen here.
	if m.err = l.authenticate(ctx); m.err != nil {
		return m
	}
	m.who, m.mark, m.version = l.who, l.mark, l.rooms.Version
	l.continueSession(ctx)
	m.key, m.sid, m.taken = l.key, sid(l.who.Conn), l.taken
	if l.taken != nil && l.taken.SID != "" {
		m.sid = l.taken.SID
	}
	m.greeting, m.err = l.codec.greeting(ctx, l)
	return m
}

// authenticate fills in who the token belongs to; the second time it checks that
// it still does, and what he may do now.
func (l *login) authenticate(ctx context.Context) error {
	if l.token == "" {
		return protocol.ErrUnauthorized
	}
	if accounts := l.srv.cfg.Accounts; accounts != nil && !l.who.Anonymous() {
		l.mark = accounts.Mark(l.who.UserID) // before the account is looked at
	}
	who, err := l.srv.cfg.Gate(ctx, l.token)
	switch {
	case err != nil:
		return err
	case who.Anonymous():
		return protocol.ErrUnauthorized
	}
	who.Conn, who.Address, who.Agent = l.who.Conn, l.who.Address, l.who.Agent
	if who != *l.who { // others have the one that it was
		l.who = &who
	}
	return nil
}

// join registers the connection with its user and joins its rooms, until they
// are those of the user after the last of them was joined.
func (l *login) join(ctx context.Context, who *protocol.Caller) error {
	node := l.srv.cfg.Node.ID()
	var err error
	if l.rooms, err = l.srv.connect(ctx, who); err != nil {
		return err
	}
	if err := l.srv.enter(ctx, l.socket, l.pid, who, l.rooms); err != nil {
		return err
	}
	if node != l.srv.cfg.Node.ID() { // the node rejoined under another name
		return protocol.ErrUnavailable
	}
	return nil
}

// connect registers a connection with the user actor.
func (s *Server) connect(ctx context.Context, who *protocol.Caller) (*protocol.Connected, error) {
	return s.askUser(ctx, who, registration(s, who, false))
}

func registration(s *Server, who *protocol.Caller, idle bool) *protocol.Connect {
	return &protocol.Connect{Conn: who.Conn, Node: s.cfg.Node.ID(), Session: who.Session, Token: who.Token, Idle: idle}
}

func (s *Server) askUser(ctx context.Context, who *protocol.Caller, msg any) (*protocol.Connected, error) {
	reply, err := s.cfg.Node.Ask(ctx, string(protocol.KindUser), who.UserID.String(), msg)
	if err != nil {
		return nil, err
	}
	rooms, ok := reply.(*protocol.Connected)
	if !ok {
		return nil, fmt.Errorf("user actor answered %T", reply)
	}
	return rooms, nil
}

// enter joins rooms and asks whether they changed meanwhile, until they did
// not. It leaves in rooms what was joined last.
func (s *Server) enter(ctx context.Context, sock *socket.Socket, pid *actor.PID, who *protocol.Caller, rooms *protocol.Connected) error {
	for range maxSyncs {
		if err := s.subscribe(ctx, sock, pid, who, rooms.Topics); err != nil {
			return err
		}
		now, err := s.askUser(ctx, who, &protocol.SyncRooms{Conn: who.Conn, Version: rooms.Version, Rooms: rooms.Rooms})
		if err != nil {
			return err
		}
		if now.Version == rooms.Version && now.Rooms == rooms.Rooms {
			return nil
		}
		rooms.Version, rooms.Rooms, rooms.Topics = now.Version, now.Rooms, now.Topics
	}
	return protocol.ErrUnavailable
}

func (s *Server) subscribe(ctx context.Context, sock *socket.Socket, pid *actor.PID, who *protocol.Caller, topics []protocol.Topic) error {
	done := make(chan error, 1)
	s.cfg.Relay.Subscribe(sock, pid, who, topics, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return protocol.ErrDeadline
	}
}

// loggedIn begins the session, or does not.
func (c *conn) loggedIn(m *loggedIn) {
	c.busy--
	c.pending.cancel = nil
	c.joined, c.who, c.mark, c.version = m.joined, m.who, m.mark, m.version
	if m.err == nil && c.phase == joining {
		c.quota = c.srv.quotas.enter(m.who.UserID, c.srv.perUser(), socket.Now())
		if c.quota == nil {
			m.err = errTooMany
		}
	}
	switch {
	case m.err == nil && m.taken != nil && c.gone && !c.over: // cut again: the session waits here now
		c.begin(m)
		c.opened()
		c.closed(nil)
	case c.phase != joining: // the socket is closed or about to be
	case m.err != nil:
		c.loggedOut()
		c.phase = waiting
		if !retryable(m.err) {
			c.failed++
			c.srv.failures.add(c.pending.address, socket.Now())
		} else if !errors.Is(m.err, context.Canceled) {
			c.srv.cfg.Log.Warn("login failed", "error", m.err)
		}
		c.codec.refused(c, m.err)
	default:
		c.begin(m)
	}
}

// begin makes the connection live.
func (c *conn) begin(m *loggedIn) {
	c.phase = live
	c.stopTimer()
	c.beaten = socket.Now()
	if c.srv.resumable() {
		c.session = &session{key: m.key, sid: m.sid, native: c.codec.native(), who: m.who, socket: c.socket, conn: c.pid}
		c.srv.sessions.add(c.session)
	}
	if c.pending.look != nil {
		c.srv.cfg.Relay.Look(c.socket, c.who, *c.pending.look)
	}
	done := func() { c.srv.root.Send(c.pid, theOpened) }
	if !c.codec.native() { // stock clients say nothing before they were greeted
		c.pending, done = nil, nil
	}
	if m.taken != nil {
		c.srv.cfg.Relay.Resume(c.socket, c.who, m.greeting, m.taken, done)
		return
	}
	c.srv.cfg.Relay.Open(c.socket, c.who, m.greeting, done)
}

func (s *Server) perUser() int {
	if s.cfg.Limits.Off {
		return 0
	}
	return s.cfg.Limits.PerUser
}

// retryable reports whether a login failed for a reason that is not the token.
func retryable(err error) bool {
	var e *protocol.Error
	return !errors.As(err, &e) || e.Retryable() || e.Code == protocol.CodeInternal
}

// loggedOut takes a connection out of what a login put it into.
func (c *conn) loggedOut() {
	if c.quota != nil {
		c.srv.quotas.leave(c.who.UserID, socket.Now())
		c.quota = nil
	}
	if c.joined {
		c.joined = false
		c.srv.cfg.Relay.Unsubscribe(c.socket, c.who)
		c.srv.cfg.Node.Tell(string(protocol.KindUser), c.who.UserID.String(), &protocol.Disconnect{Conn: c.who.Conn})
	}
	c.who = nil
}
