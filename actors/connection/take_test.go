package connection_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/actors/connection"
	"github.com/rookery-chat/rookery/actors/relay"
	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
)

// slowRelay keeps the answers to takes back until it is let go.
type slowRelay struct {
	*relay.Relay
	taken chan struct{}
}

func (r slowRelay) Take(s *socket.Socket, who *protocol.Caller, m *protocol.TakeSession, done func(*protocol.SessionTaken)) {
	r.Relay.Take(s, who, m, func(taken *protocol.SessionTaken) {
		go func() {
			<-r.taken
			done(taken)
		}()
	})
}

// TestTakeIsSlow holds that a session is not lost when the node that had it has
// given it up, but its answer does not come in time: the socket asks again and gets
// the same answer.
func TestTakeIsSlow(t *testing.T) {
	for _, test := range []struct {
		name string
		at   int // node at which the client returns
	}{{"on the same node", 0}, {"on another node", 1}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			w := newWorld(t, func(s *settings) { s.nodes, s.taken = 2, release })
			u, ch := newUser(), newChannel()
			w.member(u, ch)
			stock := login(t, w.nodes[0], u)
			native, ready := hello(t, w.nodes[0], u)
			session := regexp.MustCompile(`s_[\w-]+\.[a-z2-7]{8}`).FindString(ready)
			w.publish(message(ch, 1, `1`))
			stock.expect(`42["newMessage",1]`)
			native.next()
			_, _ = stock.conn.Close(), native.conn.Close()
			w.awaitParked(2)
			w.publish(message(ch, 2, `2`))

			go func() {
				within(t, "both ask again", func() bool { return w.nodes[0].server.Sessions().Repeated >= 2 })
				close(release)
			}()
			again := dial(t, w.nodes[test.at], "/ws", nil)
			again.send(fmt.Sprintf(`{"op":"hello","d":{"token":%q,"resume":{"session":%q,"n":1}}}`, token(u), session))
			stock, recovered := stock.back(w.nodes[test.at], u)
			if !recovered {
				t.Error("the stock client was not recovered")
			}
			stock.expect(`42["newMessage",2]`)
			if got := again.next(); !strings.HasPrefix(got, `{"ev":"resumed"`) || !strings.HasSuffix(got, `"replayed":1}}`) {
				t.Error(got)
			}
			if got := again.next(); !strings.HasPrefix(got, `{"n":2,"ev":"newMessage"`) {
				t.Error(got)
			}
		})
	}
}

// TestTakeIsAskedAgain holds that the same question gets the same answer, as when
// the first one was lost on its way, and that nobody else gets it.
func TestTakeIsAskedAgain(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.nodes = 2 })
	u, ch := newUser(), newChannel()
	w.member(u, ch)
	c := login(t, w.nodes[0], u)
	w.publish(message(ch, 1, `1`))
	c.expect(`42["newMessage",1]`)
	pid, offset := c.pid, c.offset
	_ = c.conn.Close()
	w.awaitParked(1)
	w.publish(message(ch, 2, `2`))
	key, ok := connection.ParseTicket(pid)
	if !ok {
		t.Fatalf("pid %q", pid)
	}
	ask := func(m protocol.TakeSession) *protocol.SessionTaken {
		t.Helper()
		reply, err := w.nodes[1].node.AskNode(t.Context(), w.nodes[0].node.ID(), "sessions", &m)
		if err != nil {
			t.Fatal(err)
		}
		return reply.(*protocol.SessionTaken)
	}
	m := protocol.TakeSession{Node: w.nodes[1].node.ID(), Key: key, User: u, Offset: offset, Try: protocol.AnyID(newChannel())}
	for i := range 3 {
		if got := ask(m); got.Fate != protocol.SessionResumed || len(got.Events) != 1 || string(got.Events[0].Payload) != `2` {
			t.Errorf("question %d is answered %+v", i, got)
		}
	}
	for name, change := range map[string]func(*protocol.TakeSession){
		"another socket": func(m *protocol.TakeSession) { m.Try = protocol.AnyID(newChannel()) },
		"another user":   func(m *protocol.TakeSession) { m.User = newUser() },
		"another login":  func(m *protocol.TakeSession) { m.Login[0]++ },
	} {
		other := m
		change(&other)
		if got := ask(other); got.Fate != protocol.SessionUnknown || len(got.Events) != 0 {
			t.Errorf("%s is given %+v", name, got)
		}
	}
}
