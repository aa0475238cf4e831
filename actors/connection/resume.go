package connection

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/rookeryws"
)

// takeTimeout bounds the wait for nodes that may hold a session, hintTimeout for
// those whom the client's hints name alone. A node that hangs, and is not known to,
// costs a returning client the former; one that is only slow gives the session up in
// time, even when the machine is busy and its barrier waits for all others.
const (
	takeTimeout = 8 * time.Second
	hintTimeout = 2 * time.Second
)

// resumption is the wish of a client to go on where it was.
type resumption struct {
	key    protocol.SessionKey
	ok     bool // the key can be one
	tags   []string
	pid    string // Socket.IO: as the client has it
	offset string
	n      int64
	at     map[string]rookeryws.Position // native: of the streams, when the session is gone
	fate   protocol.SessionFate
}

// Bounds of what is collected for a session that is gone. What is beyond them its
// client is told to fetch.
const (
	maxMissed      = 2000
	maxMissedBytes = 4 << 20
)

// gap tells a client of what it may have missed something that does not come: it
// fetches what it shows of that.
type gap struct {
	Messages []string `json:"messages"` // streams of which it may have missed anything
	Changes  []string `json:"changes"`  // streams of which it has every message, but may have missed what happened to others
	Others   bool     `json:"others"`   // likewise everything that it did not name
}

// collect makes a session anew that is gone with its node: of every
// conversation that the client names and may hear, the owner is asked for what
// comes behind the client's place. What they don't know is told first. Nil: the
// client names nothing that it may hear.
func (l *login) collect(ctx context.Context) *protocol.SessionTaken {
	type answer struct {
		stream string
		missed *protocol.Missed
	}
	answers := make(chan answer, len(l.rooms.Topics))
	slots := make(chan struct{}, 16)
	asked := 0
	for _, t := range l.rooms.Topics {
		at, named := l.resume.at[t.String()]
		kind, ok := conversationOf(t)
		if !named || !ok {
			continue
		}
		asked++
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			m := &protocol.AskMissed{Epoch: at.Epoch, Seq: at.Seq, Rev: at.Rev}
			reply, err := l.srv.cfg.Node.Ask(ctx, string(kind), protocol.AnyID(t.ID).String(), m)
			missed, ok := reply.(*protocol.Missed)
			if err != nil || !ok {
				missed = &protocol.Missed{}
			}
			answers <- answer{t.String(), missed}
		}()
	}
	if asked == 0 {
		return nil
	}
	g := gap{Messages: []string{}, Changes: []string{}, Others: true}
	taken := &protocol.SessionTaken{
		Fate: protocol.SessionResumed, Events: make([]protocol.MissedEvent, 1), Seqs: map[string]int64{}, Revs: map[string]protocol.RevMark{},
	}
	bytes := 0
	for range asked {
		a := <-answers
		weight := 0
		for i := range a.missed.Events {
			weight += len(a.missed.Events[i].Payload)
		}
		if !a.missed.Whole || len(taken.Events)+len(a.missed.Events) > maxMissed || bytes+weight > maxMissedBytes {
			g.Messages = append(g.Messages, a.stream)
			continue
		}
		bytes += weight
		taken.Events = append(taken.Events, a.missed.Events...)
		taken.Seqs[a.stream] = a.missed.Seq
		if a.missed.Changes {
			taken.Revs[a.stream] = protocol.RevMark{Epoch: a.missed.Epoch, Rev: a.missed.Rev}
		} else {
			g.Changes = append(g.Changes, a.stream)
		}
	}
	payload, err := json.Marshal(&g)
	if err != nil {
		panic(err) // plain text
	}
	taken.Events[0] = protocol.MissedEvent{Name: "gap", Payload: payload}
	taken.N = l.resume.n + int64(len(taken.Events))
	return taken
}

// conversationOf is the kind that owns the messages of a topic.
func conversationOf(t protocol.Topic) (protocol.Kind, bool) {
	switch t.Room {
	case protocol.RoomChannel:
		return protocol.KindChannel, true
	case protocol.RoomGroup:
		return protocol.KindDM, true
	default:
		return "", false
	}
}

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
		Try: protocol.AnyID(protocol.NewRandomID[struct{}]()),
	}
	hinted, others := l.srv.holders(want.tags)
	for _, id := range hinted {
		hint, done := context.WithTimeout(ctx, hintTimeout)
		taken, err := l.srv.ask(hint, id, m)
		done()
		if taken != nil {
			return taken
		}
		if err != nil { // it may have given the session up: it says so when it is asked again
			others = append(others, id)
		}
	}
	found := make(chan *protocol.SessionTaken, len(others))
	for _, id := range others {
		go func() {
			taken, _ := l.srv.ask(ctx, id, m)
			found <- taken
		}()
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
	if len(l.resume.at) > 0 {
		if l.taken = l.collect(ctx); l.taken != nil {
			l.srv.sessions.count(func(s *SessionStats) { s.Collected++ })
			return
		}
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

// ask asks one node for a session; nil when it has none, or did not say.
func (s *Server) ask(ctx context.Context, node string, m *protocol.TakeSession) (*protocol.SessionTaken, error) {
	reply, err := s.cfg.Node.AskNode(ctx, node, sessionsName, m)
	if err != nil {
		return nil, err
	}
	taken, ok := reply.(*protocol.SessionTaken)
	if !ok || taken.Fate == protocol.SessionUnknown {
		return nil, nil //nolint:nilnil // it has none
	}
	return taken, nil
}
