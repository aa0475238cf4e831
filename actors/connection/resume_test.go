package connection_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/actors/connection"
	"github.com/rookery-chat/rookery/protocol"
)

// awaitParked waits until the server has noticed that so many sockets are gone and keeps
// their sessions.
func (w *world) awaitParked(n int) {
	w.t.Helper()
	within(w.t, "parked sessions", func() bool {
		parked := 0
		for _, s := range w.nodes {
			parked += s.server.Sessions().Parked
		}
		return parked == n
	})
}

func TestSocketIORecovers(t *testing.T) {
	for _, test := range []struct {
		name  string
		nodes int
	}{{"on the same node", 1}, {"on another node", 2}} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, func(s *settings) { s.nodes = test.nodes })
			u, ch, other := newUser(), newChannel(), newChannel()
			w.member(u, ch)
			first, last := w.nodes[0], w.nodes[test.nodes-1]
			c := login(t, first, u)
			w.publish(message(ch, 1, `{"m":1}`))
			c.expect(`42["newMessage",{"m":1}]`)
			_ = c.conn.Close()
			w.awaitParked(1)
			w.await("offline", func() bool { return onlyParked(w.conns) })
			w.publish(message(ch, 2, `{"m":2}`))
			w.publish(message(other, 1, `{"x":1}`)) // not his
			w.publish(message(ch, 3, `{"m":3}`))
			c, recovered := c.back(last, u)
			if !recovered {
				t.Fatal("not recovered")
			}
			c.expect(`42["newMessage",{"m":2}]`)
			c.expect(`42["newMessage",{"m":3}]`)
			w.publish(message(ch, 4, `{"m":4}`))
			c.expect(`42["newMessage",{"m":4}]`)
			w.await("one socket again", func() bool { return len(w.conns) == 1 && !onlyParked(w.conns) })

			// The server has not noticed yet that the socket is gone.
			w.publish(message(ch, 5, `{"m":5}`))
			again := dial(t, first, socketIOPath, nil)
			again.next()
			again.send(`40{"token":"` + token(u) + `","pid":"` + c.pid + `","offset":"` + c.offset + `"}`)
			again.connected()
			again.expect(`42["newMessage",{"m":5}]`)
			if again.pid != c.pid {
				t.Error("another session")
			}
			c.expect(`42["newMessage",{"m":5}]`)
			c.expectClose(0)

			// A session is given away once, and to its user only.
			thief := newUser()
			for _, who := range []protocol.UserID{thief, u} {
				x := dial(t, last, socketIOPath, nil)
				x.next()
				x.send(`40{"token":"` + token(who) + `x","pid":"` + again.pid + `","offset":"` + c.offset + `"}`) // another login
				if x.connected(); x.pid == again.pid {
					t.Error("a session was given to somebody else")
				}
			}
		})
	}
}

// onlyParked reports whether nobody is online.
func onlyParked(conns map[protocol.ConnID]protocol.Connect) bool {
	for _, c := range conns {
		if !c.Parked {
			return false
		}
	}
	return true
}

// What a client is cut from while it is given what it missed is given to it once
// more, not twice.
func TestSocketIORecoversFromRecovery(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.nodes = 3 })
	u, ch := newUser(), newChannel()
	w.member(u, ch)
	c := login(t, w.nodes[0], u)
	w.publish(message(ch, 1, `{"m":1}`))
	c.expect(`42["newMessage",{"m":1}]`)
	seen := 1
	for round := range 6 {
		_ = c.conn.Close()
		w.awaitParked(1)
		for i := range 4 {
			m := 2 + round*4 + i
			w.publish(message(ch, int64(m), fmt.Sprintf(`{"m":%d}`, m)))
		}
		var recovered bool
		if c, recovered = c.back(w.nodes[round%3], u); !recovered {
			t.Fatalf("round %d: not recovered", round)
		}
		for range round % 4 { // it sees some of what it missed
			seen++
			c.expect(fmt.Sprintf(`42["newMessage",{"m":%d}]`, seen))
		}
	}
	for seen < 25 {
		seen++
		c.expect(fmt.Sprintf(`42["newMessage",{"m":%d}]`, seen))
	}
	w.publish(message(ch, 26, `{"m":"end"}`))
	c.expect(`42["newMessage",{"m":"end"}]`)
}

// Rooms change while the client is away: what he may not hear any more he does
// not get, what he may hear now he does.
func TestRoomsChangeWhileAway(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.nodes = 2 })
	u, kept, lost, won := newUser(), newChannel(), newChannel(), newChannel()
	w.member(u, kept, lost)
	c := login(t, w.nodes[0], u)
	w.publish(message(kept, 1, `"seen"`))
	c.expect(`42["newMessage","seen"]`)
	_ = c.conn.Close()
	w.awaitParked(1)
	w.publish(message(lost, 1, `"before"`))
	w.tell(&protocol.Rooms{Of: protocol.UserTopic(u), Leave: []protocol.Topic{protocol.ChannelTopic(lost)}})
	w.change(func() {
		w.version++
		w.rooms[u] = []protocol.Topic{protocol.ChannelTopic(kept), protocol.ChannelTopic(won)}
	})
	w.publish(message(lost, 2, `"after"`))
	early := message(won, 1, `"too early"`)
	early.Origin = protocol.Origin{} // or the node is not sent more of it until it asks
	w.publish(early)
	w.tell(&protocol.Rooms{Of: protocol.UserTopic(u), Join: []protocol.Topic{protocol.ChannelTopic(won)}})
	w.publish(message(won, 2, `"welcome"`))
	w.publish(message(kept, 2, `"end"`))
	c, recovered := c.back(w.nodes[1], u)
	if !recovered {
		t.Fatal("not recovered")
	}
	c.expect(`42["newMessage","before"]`)
	c.expect(`42["newMessage","welcome"]`)
	c.expect(`42["newMessage","end"]`)
}

func TestSessionsEnd(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.limits = connection.Limits{Resume: 30 * time.Second} })
	s := w.nodes[0]
	u := newUser()
	fresh := func(why string, c *client) *client {
		t.Helper()
		pid := c.pid
		if c, recovered := c.back(s, u); recovered || c.pid == "" {
			t.Errorf("%s: recovered %t, pid %q", why, recovered, c.pid)
		} else {
			c.pid = pid
		}
		return login(t, s, u)
	}
	c := login(t, s, u)
	c.send(`41`)
	c.expectClose(0)
	c = fresh("after a DISCONNECT", c)
	c.offset = "nonsense"
	c = fresh("with a strange offset", c)
	c.pid = "nonsense"
	c = fresh("with a strange pid", c)
	_ = c.conn.Close()
	within(t, "parked", func() bool { return s.server.Sessions().Parked > 0 })
	w.tell(&protocol.CloseSockets{User: u})
	within(t, "ended", func() bool { return s.server.Sessions().Held == 0 && s.relay.Stats().Sockets == 0 })
	fresh("after its login was revoked", c)
}

func TestSessionsExpire(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.limits.Resume = time.Millisecond })
	s, u := w.nodes[0], newUser()
	c, ready := hello(t, s, u)
	session := regexp.MustCompile(`s_[\w-]+\.[a-z2-7]{8}`).FindString(ready)
	_ = c.conn.Close()
	within(t, "expired", func() bool { return s.server.Sessions().Expired == 1 })
	c = dial(t, s, "/ws", nil)
	c.send(`{"op":"hello","d":{"token":"` + token(u) + `","resume":{"session":"` + session + `","n":0}}}`)
	c.expect(`{"ev":"reset","d":{"reason":"expired"}}`)
	if got := c.next(); !strings.HasPrefix(got, `{"ev":"ready"`) {
		t.Error(got)
	}
}

// A user who drops one socket after the other keeps a few sessions.
func TestParkedSessionsAreBounded(t *testing.T) {
	w := newWorld(t)
	s, u := w.nodes[0], newUser()
	for range 20 {
		_ = login(t, s, u).conn.Close()
	}
	within(t, "sessions", func() bool { st := s.server.Sessions(); return st.Parked == 16 && st.Crowded == 4 })
	within(t, "places", func() bool { return s.relay.Stats().Sockets == 16 })
}

func TestNativeResumes(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.nodes = 2 })
	u, ch := newUser(), newChannel()
	w.member(u, ch)
	c, ready := hello(t, w.nodes[0], u)
	session := regexp.MustCompile(`s_[\w-]+\.[a-z2-7]{8}`).FindString(ready)
	event := func(n int) string {
		return fmt.Sprintf(`{"n":%d,"ev":"newMessage","ch":"channel:%s","ep":3,"seq":%d,"d":%d}`, n, ch, n, n)
	}
	n := 0
	say := func() {
		n++
		w.publish(message(ch, int64(n), fmt.Sprint(n)))
	}
	say()
	c.expect(event(1))
	seen := 1
	for round := range 6 {
		_ = c.conn.Close()
		w.awaitParked(1)
		say()
		say()
		say()
		c = dial(t, w.nodes[round%2], "/ws", nil)
		c.send(fmt.Sprintf(`{"op":"hello","d":{"token":%q,"resume":{"session":%q,"n":%d}}}`, token(u), session, seen))
		resumed := c.next()
		if want := fmt.Sprintf(`"replayed":%d}}`, n-seen); !strings.HasSuffix(resumed, want) || !strings.HasPrefix(resumed, `{"ev":"resumed"`) {
			t.Fatalf("round %d: %s, want %s", round, resumed, want)
		}
		session = regexp.MustCompile(`s_[\w-]+\.[a-z2-7]{8}`).FindString(resumed)
		for range round % 3 {
			seen++
			c.expect(event(seen))
		}
	}
	say()
	for seen < n {
		seen++
		c.expect(event(seen))
	}
	// Elsewhere, before the server knows that this socket is not used any more.
	again := dial(t, w.nodes[0], "/ws", nil)
	again.send(fmt.Sprintf(`{"op":"hello","d":{"token":%q,"resume":{"session":%q,"n":%d}}}`, token(u), session, seen))
	if got := again.next(); !strings.HasPrefix(got, `{"ev":"resumed"`) {
		t.Error(got)
	}
	c.expectClose(4011)
}
