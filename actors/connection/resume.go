package connection

import (
	"context"
	"slices"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// takeTimeout bounds the wait for a node that may hold a session. One that is
// dead but not known to be so costs a returning client this long.
const takeTimeout = 3 * time.Second

// resumption is the wish of a client to go on where it was.
type resumption struct {
	key    protocol.SessionKey
	ok     bool // the key can be one
	tags   []string
	pid    string // Socket.IO: as the client has it
	offset string
	n      int64
	at     map[string]position // native: of the streams, when the session is gone
	fate   protocol.SessionFate
}

// position is a place in the stream of a channel.
type position struct{ epoch, seq int64 }

// take looks for the session that the client wants to go on with: where the
// client's hints lead, then everywhere. Nil: there is none.
func (l *login) take(ctx context.Context) *protocol.SessionTaken {
	want := l.resume
	if want == nil || !want.ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, takeTimeout)
	defer cancel()
	m := &protocol.TakeSession{
		Node: l.srv.cfg.Node.ID(), Key: want.key, User: l.who.UserID, Login: l.who.Session, Native: l.native, Offset: want.offset, N: want.n,
	}
	hinted, others := l.srv.holders(want.tags)
	for _, id := range hinted {
		hint, done := context.WithTimeout(ctx, takeTimeout/2)
		taken := l.srv.ask(hint, id, m)
		done()
		if taken != nil {
			return taken
		}
	}
	found := make(chan *protocol.SessionTaken, len(others))
	for _, id := range others {
		go func() { found <- l.srv.ask(ctx, id, m) }()
	}
	for range others {
		if taken := <-found; taken != nil {
			return taken
		}
	}
	return nil
}

// continueSession finds out whether the login goes on with a session.
func (l *login) continueSession(ctx context.Context) {
	l.key = newSessionKey()
	if l.resume == nil {
		return
	}
	taken := l.take(ctx)
	if taken != nil && taken.Fate == protocol.SessionResumed {
		if l.taken = taken; !l.native {
			l.key = l.resume.key // stock clients recognise the session by it
		}
		l.srv.sessions.count(func(s *SessionStats) { s.Resumed++ })
		return
	}
	l.srv.sessions.count(func(s *SessionStats) { s.Reset++ })
	if l.resume.fate = protocol.SessionUnknown; taken != nil {
		l.resume.fate = taken.Fate
	}
}

// holders are the nodes to ask for a session: those that the hints name, in
// their order, and all others.
func (s *Server) holders(tags []string) (hinted, others []string) {
	for _, tag := range tags {
		for _, m := range s.cfg.Node.View().Members {
			if protocol.NodeTag(m.ID) == tag && !slices.Contains(hinted, m.ID) {
				hinted = append(hinted, m.ID)
			}
		}
	}
	for _, m := range s.cfg.Node.View().Members {
		if !slices.Contains(hinted, m.ID) {
			others = append(others, m.ID)
		}
	}
	return hinted, others
}

// ask asks one node for a session; nil when it has none.
func (s *Server) ask(ctx context.Context, node string, m *protocol.TakeSession) *protocol.SessionTaken {
	reply, err := s.cfg.Node.AskNode(ctx, node, sessionsName, m)
	if err != nil {
		return nil
	}
	taken, ok := reply.(*protocol.SessionTaken)
	if !ok || taken.Fate == protocol.SessionUnknown {
		return nil
	}
	return taken
}
