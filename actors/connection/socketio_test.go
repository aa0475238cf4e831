package connection_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

func TestSocketIOHandshake(t *testing.T) {
	w := newWorld(t)
	c := dial(t, w.nodes[0], socketIOPath+"&t=abc", nil)
	open := c.next()
	pattern := regexp.MustCompile(`^0\{"sid":"[\w-]{20}","upgrades":\[\],"pingInterval":25000,"pingTimeout":60000,"maxPayload":1000000\}$`)
	if !pattern.MatchString(open) {
		t.Fatalf("open packet %s", open)
	}
	c.send(`40/admin,{"token":"x"}`)
	c.expect(`44/admin,{"message":"Invalid namespace"}`)
	u := newUser()
	c.send(`40{"token":"` + token(u) + `"}`) // without Bearer
	if ok := c.next(); !regexp.MustCompile(`^40\{"sid":"[\w-]{20}","pid":"[\w-]{22}\.[a-z2-7]{8}"\}$`).MatchString(ok) {
		t.Fatalf("connect %s", ok)
	}
	w.await("registration", func() bool { return len(w.conns) == 1 })
	c.send(`40/admin`)
	c.expect(`44/admin,{"message":"Invalid namespace"}`)
	c.send(`41`)
	c.expectClose(0)
	w.await("disconnect", func() bool { return len(w.conns) == 0 && w.left == 1 })
}

func TestSocketIOAuthFailed(t *testing.T) {
	w := newWorld(t)
	s := w.nodes[0]
	u := newUser()
	for _, connect := range []string{`40`, `40{}`, `40{"token":"Bearer nonsense"}`, `40{"token":17}`} {
		c := dial(t, s, socketIOPath, nil)
		c.next()
		c.send(connect)
		c.expect(`44{"message":"AUTH_FAILED"}`)
		c.send(`40{"token":"` + token(u) + `"}`) // the transport is still good
		if ok := c.next(); !strings.HasPrefix(ok, `40{"sid"`) {
			t.Fatalf("after %s: %s", connect, ok)
		}
	}
	c := dial(t, s, socketIOPath, http.Header{"Authorization": {"Bearer " + token(u)}})
	c.next()
	c.send(`40`)
	if ok := c.next(); !strings.HasPrefix(ok, `40{"sid"`) {
		t.Fatalf("with a header: %s", ok)
	}
}

func TestSocketIOFailedLoginsAreCounted(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.limits.FailedAuth = 5 })
	s := w.nodes[0]
	for range 2 {
		c := dial(t, s, socketIOPath, nil)
		c.next()
		for range 3 {
			c.send(`40{"token":"bad"}`)
			c.expect(`44{"message":"AUTH_FAILED"}`)
		}
		c.expectClose(0)
	}
	if _, err := tryDial(t, s, socketIOPath, nil); err == nil || !strings.Contains(err.Error(), "429") {
		t.Fatalf("got %v, want 429", err)
	}
}

// A gate or user actor that is away is no reason to log out.
func TestSocketIOLoginUnavailable(t *testing.T) {
	w := newWorld(t)
	w.change(func() { w.away = true })
	c := dial(t, w.nodes[0], socketIOPath, nil)
	c.next()
	c.send(`40{"token":"` + token(newUser()) + `"}`)
	c.expectClose(0)
}

func TestSocketIOClosesOnNonsense(t *testing.T) {
	w := newWorld(t)
	u := newUser()
	for _, frame := range []string{`42["subscribeAll"]`, `9`, `4`, `2`, `1`, `41`, `40[1]`, `42`, `40{"token":`, `hello`} {
		c := dial(t, w.nodes[0], socketIOPath, nil)
		c.next()
		c.send(frame)
		c.expectClose(0)
	}
	for _, frame := range []string{`42["a",`, `42{}`, `42[1]`, `42["a",1,2]`, `43["a"]`, `45-["a"]`, `42/x,["a"]`, `40{"token":"again"}`, `42["connect"]`} {
		c := login(t, w.nodes[0], u)
		c.send(frame)
		c.expectClose(0)
	}
	w.await("all gone", func() bool { return len(w.conns) == 0 })
}

func TestSocketIORefusals(t *testing.T) {
	w := newWorld(t)
	s := w.nodes[0]
	upgrade := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
	for _, test := range []struct {
		query  string
		header http.Header
		body   string
	}{
		{"EIO=4&transport=polling", nil, `{"code":0,"message":"Transport unknown"}`},
		{"EIO=4", nil, `{"code":0,"message":"Transport unknown"}`},
		{"EIO=4&transport=websocket&sid=nope", nil, `{"code":1,"message":"Session ID unknown"}`},
		{"EIO=4&transport=websocket", nil, `{"code":3,"message":"Bad request"}`},
		{"EIO=3&transport=websocket", upgrade, `{"code":5,"message":"Unsupported protocol version"}`},
	} {
		req := must(http.NewRequest("GET", s.http.URL+"/socket.io/?"+test.query, nil))
		req.Header = test.header
		res := must(http.DefaultClient.Do(req))
		body := must(io.ReadAll(res.Body))
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest || string(body) != test.body || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", test.query, res.StatusCode, body)
		}
	}
}

func TestSocketIOConnectTimeout(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.limits.Connect = 50 * time.Millisecond })
	c := dial(t, w.nodes[0], socketIOPath, nil)
	c.next()
	c.expectClose(0)
}

func TestSocketIOAcksAndExceptions(t *testing.T) {
	w := newWorld(t)
	id := protocol.MessageID(protocol.NewID[struct{}]())
	w.do = func(op *protocol.Operation, _ protocol.Caller, body json.RawMessage) (any, error) {
		switch {
		case op != &protocol.MessageSend.Operation:
			return &protocol.ReactedMessage{}, nil
		case strings.Contains(string(body), "forbidden"), string(body) == "{}":
			return nil, protocol.ErrForbidden
		case strings.Contains(string(body), "invalid"):
			return nil, protocol.Invalid([]protocol.FieldError{{Field: "spans", Rule: "isArray", Message: "spans must be an array"}})
		case strings.Contains(string(body), "broken"):
			return nil, fmt.Errorf("secret detail")
		case strings.Contains(string(body), "panic"):
			panic("at the disco")
		}
		return &protocol.Message{ID: id}, nil
	}
	c := login(t, w.nodes[0], newUser())
	for _, step := range []struct{ send, want string }{
		{`420["sendMessage",{"a":"ok"}]`, `430["` + id.String() + `"]`},
		{`421["sendMessage",{"a":"forbidden"}]`, `42["exception",{"status":"error","message":"Forbidden resource","cause":{"pattern":"sendMessage","data":{"a":"forbidden"}}}]`},
		{`422["sendMessage"]`, `42["exception",{"status":"error","message":"Forbidden resource","cause":{"pattern":"sendMessage"}}]`},
		{`423["sendMessage",{"a":"invalid"}]`, `42["exception",[{"property":"spans","children":[],"constraints":{"isArray":"spans must be an array"}}]]`},
		{`424["sendMessage",{"a":"broken"}]`, `42["exception",{"status":"error","message":"Internal server error","cause":{"pattern":"sendMessage","data":{"a":"broken"}}}]`},
		{`425["sendMessage",{"a":"panic"}]`, `42["exception",{"status":"error","message":"Internal server error","cause":{"pattern":"sendMessage","data":{"a":"panic"}}}]`},
		{`42["sendMessage",{"a":"unacked"}]`, ``},
		{`426["addReaction",{"messageId":"x"}]`, ``}, // succeeds, and is never acked
		{`427["noSuchEvent",{}]`, ``},
		{`428["subscribeAll"]`, ``},
		{`429["presenceOnline",{"idle":true}]`, `439["ACK"]`},
		{`4210["presenceOnline"]`, `4310["ACK"]`},
	} {
		c.send(step.send)
		if step.want != "" {
			c.expect(step.want)
		}
	}
	w.await("heartbeat", func() bool { return w.beats > 0 })
}

func TestSocketIOThrottle(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.limits.Events, s.limits.EventWindow = 5, time.Hour })
	u := newUser()
	a, b := login(t, w.nodes[0], u), login(t, w.nodes[0], u)
	for i := range 5 {
		a.send(fmt.Sprintf(`42%d["presenceOnline"]`, i))
		a.expect(fmt.Sprintf(`43%d["ACK"]`, i))
	}
	b.send(`420["presenceOnline",{"idle":false}]`) // another socket of the same user
	b.expect(`42["exception",{"status":"error","message":"Rate limit exceeded. Please slow down.","cause":{"pattern":"presenceOnline","data":{"idle":false}}}]`)
	c := login(t, w.nodes[0], newUser())
	c.send(`420["presenceOnline"]`)
	c.expect(`430["ACK"]`)
	w.change(func() {
		w.do = func(*protocol.Operation, protocol.Caller, json.RawMessage) (any, error) {
			return &protocol.Message{}, nil
		}
	})
	b.send(`421["sendMessage",{}]`) // another group
	b.expect(`431["00000000-0000-0000-0000-000000000000"]`)
}

func TestSocketIORevocation(t *testing.T) {
	w := newWorld(t)
	u := newUser()
	a, b := dial(t, w.nodes[0], socketIOPath, nil), login(t, w.nodes[0], u)
	a.next()
	a.send(`40{"token":"` + token(u) + `session-a"}`)
	a.next()
	m := &protocol.CloseSockets{User: u, Reason: "logout"}
	copy(m.Session[:], "session-a")
	w.tell(m)
	a.expect(`41`)
	a.expectClose(0)
	b.send(`420["presenceOnline"]`)
	b.expect(`430["ACK"]`)
	w.tell(&protocol.CloseSockets{User: u})
	b.expect(`41`)
	b.expectClose(0)
	w.await("all gone", func() bool { return len(w.conns) == 0 })
}

// A token that is revoked while its owner logs in finds no socket to close; the
// second look at it does.
func TestRevokedDuringLogin(t *testing.T) {
	w := newWorld(t)
	u, ch := newUser(), newChannel()
	w.member(u, ch)
	hold := make(chan struct{})
	w.grafting = hold
	s := w.nodes[0]
	w.publish(message(ch, 1, `{}`)) // nobody wants it: pruned, so the login has to graft
	w.await("prune", func() bool { return w.pruned[ch.String()][s.node.ID()] })
	c := dial(t, s, socketIOPath, nil)
	c.next()
	c.send(`40{"token":"` + token(u) + `"}`)
	w.await("registration", func() bool { return len(w.conns) == 1 })
	w.change(func() { w.revoked[token(u)] = true })
	close(hold)
	c.expect(`44{"message":"AUTH_FAILED"}`)
	w.await("all gone", func() bool { return len(w.conns) == 0 })
}

func TestTyping(t *testing.T) {
	w := newWorld(t)
	u, in, out := newUser(), newChannel(), newChannel()
	w.member(u, in)
	c := login(t, w.nodes[0], u)
	c.send(`42["typingStart",{"channelId":"` + out.String() + `"}]`)
	c.send(`42["typingStart",{"channelId":"nonsense"}]`)
	c.send(`42["typingStart",{"channelId":17}]`)
	c.send(`42["typingStart"]`)
	c.send(`42["typingStart",{"channelId":"` + in.String() + `","directMessageGroupId":"` + in.String() + `"}]`)
	c.send(`42["typingStart",{"channelId":"` + in.String() + `"}]`)
	c.send(`420["typingStop",{"channelId":"` + in.String() + `"}]`)
	w.await("typing", func() bool { return len(w.typed) == 2 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if a, b := w.typed[0], w.typed[1]; a.User != u || !a.Active || b.Active || a.Conn != b.Conn || w.conns[a.Conn].Conn != a.Conn {
		t.Fatalf("typed %+v", w.typed)
	}
}

func TestSubscribeAll(t *testing.T) {
	w := newWorld(t)
	u, first, second := newUser(), newChannel(), newChannel()
	w.member(u, first)
	c := login(t, w.nodes[0], u)
	w.publish(message(first, 1, `{"m":1}`))
	c.expect(`42["newMessage",{"m":1}]`)

	w.change(func() { w.rooms[u] = []protocol.Topic{protocol.ChannelTopic(second)}; w.version++ })
	c.send(`42["subscribeAll"]`)
	w.await("rooms", func() bool { return w.settled == 2 })
	w.publish(message(second, 1, `{"m":2}`))
	c.expect(`42["newMessage",{"m":2}]`)
	w.publish(message(first, 2, `{"m":3}`)) // no longer there
	w.publish(protocol.Fanout{Event: protocol.Event{Name: "end", Topics: []protocol.Topic{protocol.UserTopic(u)}}})
	c.expect(`42["end"]`)
}

func TestDrain(t *testing.T) {
	w := newWorld(t)
	begun, release := make(chan struct{}), make(chan struct{})
	w.do = func(*protocol.Operation, protocol.Caller, json.RawMessage) (any, error) {
		close(begun)
		<-release
		return &protocol.Message{}, nil
	}
	s := w.nodes[0]
	c := login(t, s, newUser())
	n, _ := hello(t, s, newUser())
	c.send(`420["sendMessage",{}]`)
	<-begun
	drained := make(chan error, 1)
	go func() { drained <- s.server.Drain(t.Context()) }()
	if reason := n.expectClose(4000); !regexp.MustCompile(`^\{"retryAfterMs":\d+\}$`).MatchString(reason) {
		t.Errorf("reason %q", reason)
	}
	if _, err := tryDial(t, s, socketIOPath, nil); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("new connection: %v", err)
	}
	close(release)
	c.expect(`430["00000000-0000-0000-0000-000000000000"]`) // what was asked is answered first
	c.expectClose(0)
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	if s.server.Len() != 0 {
		t.Fatal("connections left")
	}
}
