package connection

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/gobwas/ws"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/protocol"
)

// phase is how far a connection has come.
type phase uint8

const (
	waiting phase = iota // for CONNECT or hello
	joining              // a login is under way
	live                 //
	ending               // nothing more is taken from the client
	parked               // the socket is gone, the session is not
)

// conn is one connection. What stands first is set before the actor runs or is
// safe for concurrent use; everything else is touched in its turns only.
type conn struct {
	srv   *Server
	codec codec
	pid   *actor.PID
	yield func()       // gives back what the client's address may have
	inbox atomic.Int32 // weight of what is in hand

	slot               uint8 // these three under the mutex of the registry
	listNext, listPrev *conn
	listed             *registry // which one, in turns only

	phase    phase
	idle     bool // as the client says
	renewing bool
	again    bool // renew once more afterwards
	gone     bool // the socket is closed
	focused  bool // it gets the events of what it looks at only
	over     bool // nobody may continue the session
	joined   bool // the user actor knows the connection
	failed   uint8
	busy     int32 // goroutines that will post to the mailbox
	socket   *socket.Socket
	session  *session         // nil before the login, and when it was given up
	expiry   *time.Timer      // of a parked session
	who      *protocol.Caller // set by the login, immutable; renewed as a whole
	mark     uint32           // of the account when who was found out
	quota    *quota
	version  int64 // of the rooms
	beaten   int64 // when presence was renewed last
	full     int64 // bucket of native frames
	work     requests
	windows  map[protocol.CommunityID]*window
	leaving  *farewell // a drain that waits for answers
	pending  *pending  // nil after the login
}

// pending is what a connection needs until it is logged in.
type pending struct {
	address       string
	agent         string
	authorization string // header of the upgrade
	timer         *time.Timer
	cancel        context.CancelFunc // of the login under way
	resume        *resumption        // what that is to continue
	look          *protocol.Focus    // what the client looks at; nil: everything
	early         []*request         // what was asked before the login was decided
	plain         bool               // the client wants no figures of what is unread
}

// Messages to a connection.
type (
	begin    struct{ c *conn }
	attached struct{ socket *socket.Socket }
	frame    struct {
		socket *socket.Socket
		data   []byte
	}
	closed   struct{ err error }
	taken    struct{} // the session goes on with another socket
	expired  struct{} // or with none
	opened   struct{} // the greeting is out
	late     struct{}
	answered struct {
		request *request
		who     *protocol.Caller // with what he may do now; nil: as before
		mark    uint32
		result  any
		err     error
	}
	reached struct{}
	beat    struct{}
	drain   struct{ farewell }
)

var (
	theBeat    = &beat{}
	theClosed  = &closed{}
	theTaken   = &taken{}
	theExpired = &expired{}
	theOpened  = &opened{}
	theLate    = &late{}
	theReached = &reached{}
)

// shell is what the actor system holds of a connection.
type shell struct{ c *conn }

// Receive is the life of a connection. A panic ends this connection only.
func (s *shell) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*begin); ok {
		s.c = m.c
		return
	}
	if s.c == nil {
		return
	}
	defer s.c.survive()
	s.c.receive(ctx)
}

func (c *conn) survive() {
	if r := recover(); r != nil {
		c.srv.cfg.Log.Error("connection panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		c.abort()
	}
}

func (c *conn) receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *attached:
		c.socket = m.socket
		if c.phase == ending && !c.gone { // it had to end before it had a socket
			c.abort()
		}
	case *frame:
		c.socket = m.socket
		c.frame(m.data)
	case *reached:
		for _, next := range c.work.ready() {
			c.run(next)
		}
	case *answered:
		c.answered(m)
	case *loggedIn:
		c.loggedIn(m)
	case *renewed:
		c.renewed(m)
	case *beat:
		c.beat()
	case *late:
		if c.phase == waiting || c.phase == joining {
			c.codec.late(c)
		}
	case *protocol.CloseSockets:
		c.revoked(m.Reason)
	case *drain:
		c.drain(m.farewell)
	case *protocol.Stirred:
		c.stirred(m)
	case *counted:
		c.counted(m)
	case *glance:
		c.glance(m)
	case *opened:
		c.opened()
	case *taken:
		c.taken()
	case *expired:
		c.expired()
	case *closed:
		c.closed(m.err)
	default:
		return
	}
	c.settle(ctx)
}

// settle ends the actor when its socket is closed and nothing will be posted to
// it any more.
func (c *conn) settle(ctx actor.Context) {
	if c.leaving != nil && c.work.len() == 0 {
		c.end(c.leaving.code, c.leaving.reason)
		c.leaving = nil
	}
	if !c.gone || c.busy > 0 || c.phase == parked {
		return
	}
	c.busy = -1 // once
	c.endSession()
	c.loggedOut()
	c.stopTimer()
	c.unlist()
	c.yield()
	ctx.Stop(ctx.Self())
}

// Limits of what a connection has in hand before it stops reading, in units of
// a request and of weightBytes of a frame.
const (
	mostInHand  = 64
	fewInHand   = 32
	weightBytes = 16 << 10
)

func weightOf(data []byte) int32 { return 1 + int32(len(data)/weightBytes) }

// OnMessage posts a frame. It runs on the epoll loop.
func (c *conn) OnMessage(s *socket.Socket, data []byte) {
	n := c.inbox.Add(weightOf(data))
	c.srv.root.Send(c.pid, &frame{s, append([]byte(nil), data...)})
	if n <= mostInHand {
		return
	}
	s.Pause()
	if c.inbox.Load() <= fewInHand { // it caught up before it was paused
		s.Resume()
	}
}

// OnClose posts the end of the socket. It runs on the epoll loop.
func (c *conn) OnClose(_ *socket.Socket, err error) {
	c.srv.root.Send(c.pid, &closed{err})
}

// closed keeps the session of a socket that is gone, if its client may come back.
func (c *conn) closed(err error) {
	c.gone = true
	returns := c.phase == joining && c.pending.resume != nil // the session may be on its way here
	if c.pending != nil && c.pending.cancel != nil && !returns {
		c.pending.cancel()
	}
	var peer *socket.CloseError
	if errors.As(err, &peer) && peer.Code == ws.StatusNormalClosure || errors.Is(err, socket.ErrPollerClosed) {
		c.over = true // it said so, or nobody could take it
	}
	if c.phase = ending; c.session != nil && !c.park() {
		c.endSession()
	}
}

// taken ends a connection whose session goes on elsewhere.
func (c *conn) taken() {
	c.session = nil
	c.over = true
	switch c.phase {
	case parked:
		c.unpark()
	case ending:
	default:
		c.codec.replaced(c)
	}
}

// expired ends a parked session when its time is over.
func (c *conn) expired() {
	if c.phase != parked {
		return
	}
	if c.session != nil {
		c.srv.sessions.expire(c.session)
	}
	c.unpark()
}

// opened runs what was asked before the greeting went out.
func (c *conn) opened() {
	if c.pending == nil {
		return
	}
	early := c.pending.early
	c.pending = nil
	for _, r := range early {
		if c.phase == live {
			c.request(r)
		} else {
			c.handled(r.weight)
		}
	}
}

func (c *conn) unlist() {
	if c.listed != nil {
		c.listed.remove(c)
		c.listed = nil
	}
}

// handled takes weight off what is in hand, and reads on when that is little.
func (c *conn) handled(weight int32) {
	n := c.inbox.Add(-weight)
	if n <= fewInHand && n+weight > fewInHand && c.socket != nil {
		c.socket.Resume()
	}
}

func (c *conn) frame(data []byte) {
	weight := weightOf(data)
	if c.phase == ending {
		c.handled(weight)
		return
	}
	if kept := c.codec.receive(c, data, weight); !kept {
		c.handled(weight)
	}
}

// request runs an operation, now or when what was sent before is done. It keeps
// the weight of its frame until then.
func (c *conn) request(r *request) {
	if c.work.add(r) {
		c.run(r)
	}
}

func (c *conn) run(r *request) {
	c.busy++
	c.srv.workers.start(task{request: r, conn: c.pid, who: *c.who, mark: c.mark, waiting: &c.work.waiting})
}

// task is a request on its way through a worker.
type task struct {
	request *request
	conn    *actor.PID
	who     protocol.Caller
	mark    uint32
	waiting *atomic.Bool // of the connection's requests
}

// perform runs an operation beside the mailbox and posts what came of it.
func (s *Server) perform(t task) {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Limits.Request)
	defer cancel()
	ctx = cluster.WithDelivered(ctx, func() {
		t.request.delivered.Store(true)
		if t.waiting.Load() {
			s.root.Send(t.conn, theReached)
		}
	})
	m := &answered{request: t.request}
	who, mark, err := s.renewed(ctx, t)
	if err != nil {
		m.err = err
	} else {
		m.result, m.err = s.do(ctx, t.request, who)
		if mark != t.mark {
			m.who, m.mark = &who, mark
		}
	}
	s.root.Send(t.conn, m)
}

// renewed is the caller with the rights that he has now.
func (s *Server) renewed(ctx context.Context, t task) (protocol.Caller, uint32, error) {
	if s.cfg.Accounts == nil {
		return t.who, t.mark, nil
	}
	return s.cfg.Accounts.Renew(ctx, t.who, t.mark)
}

// do performs an operation; a panic in it is an internal error.
func (s *Server) do(ctx context.Context, r *request, who protocol.Caller) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.cfg.Log.Error("operation panicked", "op", r.op.Name, "user", who.UserID.String(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			result, err = nil, protocol.ErrInternal
		}
	}()
	body := r.body
	if len(body) == 0 {
		body = emptyObject
	}
	return s.cfg.Do(ctx, r.op, who, body)
}

var emptyObject = []byte("{}")

func (c *conn) answered(m *answered) {
	c.busy--
	if m.who != nil && c.who != nil {
		c.who, c.mark = m.who, m.mark
	}
	if w := m.request.window; w != nil {
		c.read(w, m.result, m.err)
	}
	if !c.gone && !m.request.inner {
		if m.err != nil {
			c.codec.failed(c, m.request, c.srv.shown(m.err, m.request, c.who))
		} else {
			c.codec.succeeded(c, m.request, m.result)
		}
	}
	c.finish(m.request)
}

// finish begins what had to wait for a request.
func (c *conn) finish(r *request) {
	for _, next := range c.work.done(r) {
		c.run(next)
	}
	c.handled(r.weight)
}
