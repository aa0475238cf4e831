package connection

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/protocol"
)

// sessionsName is the actor of every node that gives sessions up to others.
const sessionsName = "sessions"

// session is what outlives a socket: who was logged in, and the place in the
// relay. It never changes.
type session struct {
	key    protocol.SessionKey
	sid    string // Socket.IO: of the socket, which stays
	native bool
	who    *protocol.Caller // as he logged in
	socket *socket.Socket
	conn   *actor.PID
}

// sessions are those of this node that can be taken.
type sessions struct {
	mu     sync.Mutex
	held   map[protocol.SessionKey]*session
	parked map[protocol.UserID][]*session // without a client, oldest first
	n      int                            // of parked
	late   map[protocol.SessionKey]protocol.UserID
	takes  map[protocol.SessionKey]*taking
	kept   int                       // bytes of their answers
	order  [4096]protocol.SessionKey // of late: the ring of those that expired last
	next   int
	stats  SessionStats
}

// SessionStats is what became of sessions since the node started.
type SessionStats struct {
	Held      int    // now
	Parked    int    // of Held: their client is away
	Taken     uint64 // continued by a socket of this node or another
	Resumed   uint64 // begun on this node as the continuation of one
	Collected uint64 // begun anew for a session that was gone, from the owners of its channels
	Reset     uint64 // clients that asked for a session and began afresh
	Expired   uint64 // whose client did not come back in time
	Crowded   uint64 // ended because there were too many
	Overflow  uint64 // that had missed too much
	Repeated  uint64 // asked for again by the same socket: an answer was late or lost
}

func (s *sessions) init() {
	s.held, s.parked = map[protocol.SessionKey]*session{}, map[protocol.UserID][]*session{}
	s.late = map[protocol.SessionKey]protocol.UserID{}
	s.takes = map[protocol.SessionKey]*taking{}
}

func (s *sessions) add(v *session) {
	s.mu.Lock()
	s.held[v.key] = v
	s.mu.Unlock()
}

// park notes that the client of a session is away. It reports false when the
// session was taken already, and returns another one that has to end because the
// user has too many.
func (s *sessions) park(v *session, perUser, most int) (crowded *session, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[v.key] != v || s.n >= most {
		return nil, false
	}
	user := v.who.UserID
	if list := s.parked[user]; len(list) >= perUser {
		crowded = list[0]
		s.forget(crowded)
		s.stats.Crowded++
	}
	s.parked[user] = append(s.parked[user], v)
	s.n++
	return crowded, true
}

// drop ends a session; false when it was taken or dropped before.
func (s *sessions) drop(v *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[v.key] != v {
		return false
	}
	s.forget(v)
	return true
}

// expire ends a session whose time is over. Its client is told so, if it comes
// back soon after.
func (s *sessions) expire(v *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[v.key] != v {
		return
	}
	s.forget(v)
	s.stats.Expired++
	delete(s.late, s.order[s.next])
	s.order[s.next] = v.key
	s.next = (s.next + 1) % len(s.order)
	s.late[v.key] = v.who.UserID
}

func (s *sessions) forget(v *session) {
	delete(s.held, v.key)
	user := v.who.UserID
	list := s.parked[user]
	i := slices.Index(list, v)
	if i < 0 {
		return
	}
	s.n--
	if list = slices.Delete(list, i, i+1); len(list) > 0 {
		s.parked[user] = list
		return
	}
	delete(s.parked, user)
}

// taking is a session that was given up lately. The answer is kept for a while:
// when it is lost on its way, or late, the socket asks again, and the session must
// not be lost with it.
type taking struct {
	by      protocol.TakeSession
	reply   []func(any, error) // nil when the answer is there
	answer  *protocol.SessionTaken
	bytes   int // of answer
	settled bool
}

// Bounds of the answers that are kept. Beyond them an answer that is lost is lost.
const (
	keepTaken = takeTimeout + 2*time.Second
	maxTakes  = 4096
	maxKept   = 32 << 20 // bytes
)

// again answers the same question as before, now or when the answer is there.
// False: it is another one.
func (s *sessions) again(m *protocol.TakeSession, reply func(any, error)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.takes[m.Key]
	if t == nil || t.by != *m || m.Try.IsZero() {
		return false
	}
	s.stats.Repeated++
	if !t.settled {
		t.reply = append(t.reply, reply)
		return true
	}
	reply(t.answer, nil)
	return true
}

// giving notes that a session is being given up.
func (s *sessions) giving(m *protocol.TakeSession, reply func(any, error)) *taking {
	t := &taking{by: *m, reply: []func(any, error){reply}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.takes) < maxTakes {
		s.takes[m.Key] = t
		time.AfterFunc(keepTaken, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.untake(t)
		})
	}
	return t
}

// given answers all who have asked.
func (s *sessions) given(t *taking, taken *protocol.SessionTaken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, reply := range t.reply {
		reply(taken, nil)
	}
	t.reply, t.answer, t.settled = nil, taken, true
	if s.takes[t.by.Key] != t {
		return
	}
	for i := range taken.Events {
		t.bytes += len(taken.Events[i].Payload)
	}
	if s.kept += t.bytes; s.kept > maxKept {
		s.untake(t)
	}
}

// untake lets an answer go.
func (s *sessions) untake(t *taking) {
	if s.takes[t.by.Key] == t {
		delete(s.takes, t.by.Key)
		s.kept -= t.bytes
	}
}

// take gives a session to its user.
func (s *sessions) take(m *protocol.TakeSession) (v *session, fate protocol.SessionFate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v = s.held[m.Key]
	if v == nil {
		if user, known := s.late[m.Key]; known && user == m.User {
			return nil, protocol.SessionExpired
		}
		return nil, protocol.SessionUnknown
	}
	if v.who.UserID != m.User || v.who.Session != m.Login || v.native != m.Native {
		return nil, protocol.SessionUnknown
	}
	s.forget(v)
	s.stats.Taken++
	return v, protocol.SessionResumed
}

func (s *sessions) count(f func(*SessionStats)) {
	s.mu.Lock()
	f(&s.stats)
	s.mu.Unlock()
}

// live are the sessions that have a client.
func (s *sessions) live() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*session
	for _, v := range s.held {
		if !slices.Contains(s.parked[v.who.UserID], v) {
			list = append(list, v)
		}
	}
	return list
}

// holds reports whether one of the sessions is still here.
func (s *sessions) holds(list []*session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(list, func(v *session) bool { return s.held[v.key] == v })
}

// Sessions is what became of sessions on this node.
func (s *Server) Sessions() SessionStats {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	st := s.sessions.stats
	st.Held, st.Parked = len(s.sessions.held), s.sessions.n
	return st
}

// ticket is what the client shows to get its session back: a secret, and which
// node to ask first.
func ticket(key protocol.SessionKey, tag string) string {
	return base64.RawURLEncoding.EncodeToString(key[:]) + "." + tag
}

func parseTicket(s string) (key protocol.SessionKey, tag string, ok bool) {
	secret, tag, ok := strings.Cut(s, ".")
	if !ok || len(secret) != base64.RawURLEncoding.EncodedLen(len(key)) || len(tag) > 16 {
		return key, "", false
	}
	_, err := base64.RawURLEncoding.Decode(key[:], []byte(secret))
	return key, tag, err == nil
}

func newSessionKey() (key protocol.SessionKey) {
	_, _ = rand.Read(key[:])
	return key
}

// keeper is the actor that others ask for sessions. It never waits.
type keeper struct{ srv *Server }

func (k *keeper) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(*protocol.TakeSession)
	if !ok {
		return
	}
	reply := cluster.Replier(ctx)
	if k.srv.sessions.again(m, reply) {
		return
	}
	v, fate := k.srv.sessions.take(m)
	if v == nil {
		reply(&protocol.SessionTaken{Fate: fate}, nil)
		return
	}
	t := k.srv.sessions.giving(m, reply)
	k.srv.cfg.Relay.Take(v.socket, v.who, m, func(taken *protocol.SessionTaken) {
		taken.SID = v.sid
		if taken.Fate == protocol.SessionOverflow {
			k.srv.sessions.count(func(s *SessionStats) { s.Overflow++ })
		}
		k.srv.sessions.given(t, taken)
		k.srv.root.Send(v.conn, theTaken)
	})
}

// Bounds of parked sessions.
const (
	parkedPerUser = 16
	maxParked     = 20_000
)

// resumable reports whether sessions outlive their sockets here.
func (s *Server) resumable() bool { return s.cfg.Limits.Resume > 0 }

// park keeps the session of a connection whose socket is gone. It reports false
// when there is nothing to keep.
func (c *conn) park() bool {
	v := c.session
	if v == nil || c.over || !c.srv.resumable() || c.srv.ctx.Err() != nil {
		return false
	}
	crowded, ok := c.srv.sessions.park(v, parkedPerUser, maxParked)
	if crowded != nil {
		c.srv.root.Send(crowded.conn, theExpired)
	}
	if !ok {
		return false
	}
	c.phase = parked
	for _, r := range c.work.drop() {
		c.handled(r.weight)
	}
	if c.quota != nil {
		c.srv.quotas.leave(c.who.UserID, socket.Now())
		c.quota = nil
	}
	c.srv.cfg.Relay.Park(c.socket, c.who)
	c.unlist()
	if c.listed = &c.srv.parked; !c.listed.add(c) {
		c.listed = nil
	}
	c.yield()
	c.yield = func() {}
	c.expiry = time.AfterFunc(c.srv.cfg.Limits.Resume, func() { c.srv.root.Send(c.pid, theExpired) })
	c.renew()
	return true
}

// unpark ends a parked session: it was taken, its time is over, or its login is.
func (c *conn) unpark() {
	c.unlist()
	c.expiry.Stop()
	c.phase = ending
	c.endSession()
}

// endSession makes the session one that nobody can continue.
func (c *conn) endSession() {
	c.over = true
	if c.session != nil {
		c.srv.sessions.drop(c.session)
		c.session = nil
	}
}
