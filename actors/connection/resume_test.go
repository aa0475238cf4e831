package connection_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
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

// A session that looks at one channel gets that one's events and a hint a second
// of the others; it resumes exactly.
func TestFocus(t *testing.T) {
	w := newWorld(t)
	u, other, seen, quiet := newUser(), newUser(), newChannel(), newChannel()
	w.member(u, seen, quiet)
	s := w.nodes[0]
	c := dial(t, s, "/ws", nil)
	c.send(fmt.Sprintf(`{"op":"hello","d":{"token":%q,"mode":"focused","focus":["channel:%s"]}}`, token(u), seen))
	session := regexp.MustCompile(`s_[\w-]+\.[a-z2-7]{8}`).FindString(c.next())
	said := func(by protocol.UserID, mention string) string {
		return fmt.Sprintf(`{"message":{"authorId":"%s","spans":[{"userId":"%s"}]}}`, by, mention)
	}
	full := func(n int, ch protocol.ChannelID, seq int, payload string) string {
		return fmt.Sprintf(`{"n":%d,"ev":"newMessage","ch":"channel:%s","ep":3,"seq":%d,"d":%s}`, n, ch, seq, payload)
	}
	w.publish(message(quiet, 1, said(other, "nobody")))
	c.expect(fmt.Sprintf(`{"n":1,"ev":"unread","ch":"channel:%s","d":{"lastSeq":1,"unread":1,"mentions":0}}`, quiet))
	w.publish(message(quiet, 2, said(other, u.String())))
	w.publish(message(quiet, 3, said(u, "nobody")))
	w.publish(message(seen, 1, `"shown"`))
	c.expect(full(2, seen, 1, `"shown"`))
	c.expect(fmt.Sprintf(`{"n":3,"ev":"unread","ch":"channel:%s","d":{"lastSeq":3,"unread":2,"mentions":1}}`, quiet))
	typing := protocol.Fanout{Event: protocol.Event{Name: "userTyping", Topics: []protocol.Topic{protocol.ChannelTopic(quiet)}, Payload: []byte(`{}`)}}
	w.publish(typing) // not heard
	c.send(fmt.Sprintf(`{"id":1,"op":"focus","d":{"channels":["%s"]}}`, quiet))
	c.expect(`{"id":1,"ok":null}`)
	w.tell(&protocol.Fanout{Event: protocol.Event{Name: "mark", Topics: []protocol.Topic{protocol.UserTopic(u)}}})
	c.expect(`{"n":4,"ev":"mark"}`)
	w.publish(typing)
	c.expect(`{"n":5,"ev":"userTyping","d":{}}`)
	c.send(`{"op":"ack","n":3}`)
	_ = c.conn.Close()
	w.awaitParked(1)
	w.publish(message(quiet, 4, `"missed"`))
	c = dial(t, s, "/ws", nil)
	c.send(fmt.Sprintf(`{"op":"hello","d":{"token":%q,"mode":"focused","focus":["%s"],"resume":{"session":%q,"n":4}}}`, token(u), quiet, session))
	if got := c.next(); !strings.HasSuffix(got, `"replayed":2}}`) {
		t.Error(got)
	}
	c.expect(`{"n":5,"ev":"userTyping","d":{}}`)
	c.expect(full(6, quiet, 4, `"missed"`))
	c.send(`{"id":2,"op":"focus","d":{"channels":["nonsense"]}}`)
	if got := c.next(); !strings.HasPrefix(got, `{"id":2,"err":`) {
		t.Error(got)
	}
	c.send(fmt.Sprintf(`{"id":3,"op":"typing.start","d":{"channelId":"%s"}}`, quiet))
	c.expect(`{"id":3,"ok":null}`)
	w.await("typing", func() bool { return len(w.typed) == 1 })
}

// What is asked before the session is ready is answered after that, in order.
func TestNativeRequestsBeforeReady(t *testing.T) {
	w := newWorld(t)
	w.do = func(_ *protocol.Operation, _ protocol.Caller, body json.RawMessage) (any, error) { return body, nil }
	c := dial(t, w.nodes[0], "/ws", nil)
	c.send(fmt.Sprintf(`{"op":"hello","d":{"token":%q}}`, token(newUser())))
	ch := newChannel()
	for i := range 10 {
		c.send(fmt.Sprintf(`{"id":%d,"op":"message.send","d":{"channelId":"%s","i":%d}}`, i+1, ch, i))
	}
	if got := c.next(); !strings.HasPrefix(got, `{"ev":"ready"`) {
		t.Fatal(got)
	}
	for i := range 10 {
		if got := c.next(); !strings.Contains(got, `"ok":`) {
			t.Errorf("request %d: %s", i, got)
		}
	}
}

// All come back at once: few log in at the same time, nobody is sent away.
func TestStorm(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.limits.Logins = 2 })
	const crowd = 300
	var all sync.WaitGroup
	for range crowd {
		u := newUser()
		all.Go(func() {
			c, err := tryDial(t, w.nodes[0], socketIOPath, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.conn.Close()
			for i, want := range []string{`0{"sid"`, `40{"sid"`} {
				got, err := c.read()
				if err != nil || !strings.HasPrefix(got, want) {
					t.Errorf("got %q, %v", got, err)
					return
				}
				if i == 0 {
					c.send(`40{"token":"` + token(u) + `"}`)
				}
			}
		})
	}
	all.Wait()
}

// A window tells which of its rows changed, and how many are online.
func TestWindows(t *testing.T) {
	w := newWorld(t)
	u := newUser()
	community := protocol.CommunityID(protocol.NewID[struct{}]())
	topic := protocol.CommunityTopic(community)
	rows := `[{"m":1},{"m":2},{"m":3}]`
	w.change(func() { w.rooms[u] = []protocol.Topic{topic}; w.online = 2 })
	w.do = func(op *protocol.Operation, _ protocol.Caller, body json.RawMessage) (any, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if want := fmt.Sprintf(`{"after":"","communityId":"%s","limit":50}`, community); op != &protocol.MemberList.Operation || string(body) != want {
			t.Errorf("%s %s", op.Name, body)
		}
		if rows == "" {
			return nil, protocol.ErrForbidden
		}
		return json.RawMessage(rows), nil
	}
	c, _ := hello(t, w.nodes[0], u)
	// both waits for two frames that have no order.
	both := func(want ...string) {
		t.Helper()
		for range want {
			got := c.next()
			i := slices.Index(want, got)
			if i < 0 {
				t.Fatalf("got %s, want %s", got, want)
			}
			want[i] = ""
		}
	}
	stir := func(name string) string {
		w.publish(protocol.Fanout{Event: protocol.Event{Name: name, Topics: []protocol.Topic{topic}}})
		return name
	}
	id := community.String()
	c.send(fmt.Sprintf(`{"id":1,"op":"member.window","d":{"communityId":"%s","count":50}}`, id))
	both(`{"id":1,"ok":`+rows+`}`, `{"ev":"presence.count","d":{"communityId":"`+id+`","online":2}}`)
	w.change(func() { rows = `[{"m":1},{"m":"two"}]`; w.online = 3 })
	both(`{"n":1,"ev":"`+stir("roleAssigned")+`"}`,
		`{"ev":"memberWindow","d":{"communityId":"`+id+`","count":2,"rows":[{"index":1,"row":{"m":"two"}}]}}`,
		`{"ev":"presence.count","d":{"communityId":"`+id+`","online":3}}`)
	w.change(func() { rows = `[{"m":1}]` })
	both(`{"n":2,"ev":"`+stir("userKicked")+`"}`, `{"ev":"memberWindow","d":{"communityId":"`+id+`","count":1,"rows":[]}}`) // within the second: it waits
	w.change(func() { rows = "" })
	both(`{"n":3,"ev":"` + stir("userOffline") + `"}`)
	c.send(fmt.Sprintf(`{"id":2,"op":"member.window","d":{"communityId":"%s","count":0}}`, id))
	both(`{"id":2,"ok":null}`)
	for _, d := range []string{`{}`, `{"communityId":"x"}`, `{"communityId":"` + id + `","count":101}`, `{"communityId":"` + id + `","count":-1}`} {
		c.send(`{"id":3,"op":"member.window","d":` + d + `}`)
		if got := c.next(); !strings.HasPrefix(got, `{"id":3,"err":{"code":"`) {
			t.Errorf("%s: %s", d, got)
		}
	}
	c.send(`{"id":4,"op":"ping"}`)
	both(`{"ev":"pong"}`)
}
