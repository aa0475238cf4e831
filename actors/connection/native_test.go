package connection_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

func TestNativeReady(t *testing.T) {
	w := newWorld(t)
	u := newUser()
	_, got := hello(t, w.nodes[0], u)
	got = regexp.MustCompile(`"s_[\w-]{22}\.[a-z2-7]{8}"`).ReplaceAllString(got, `"s_"`)
	want := `{"ev":"ready","d":{"session":"s_","user":{"id":"` + u.String() + `","username":"ada","role":"","avatarUrl":null,"bannerUrl":null,` +
		`"lastSeen":null,"displayName":null,"bio":null,"status":null},"communities":[{"id":"` + u.String() + `","name":"Nest","unread":3,"mentions":0}],` +
		`"dms":[],"resumeMs":120000,"heartbeatMs":30000,"limits":{"frameBytes":65536,"frames":120,"frameWindowMs":10000}}}`
	if got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	// Groups without anything unread have figures too; who wants none gets none.
	quiet, loud := protocol.GroupID(newChannel()), protocol.GroupID(newChannel())
	w.change(func() { w.rooms[u] = []protocol.Topic{protocol.GroupTopic(loud), protocol.GroupTopic(quiet)} })
	for extra, want := range map[string]string{
		``: `"communities":[{"id":"` + u.String() + `","name":"Nest","unread":3,"mentions":0}],` +
			`"dms":[{"id":"` + loud.String() + `","unread":3,"mentions":3},{"id":"` + quiet.String() + `","unread":0,"mentions":0}],`,
		`,"figures":false`: `"communities":[{"id":"` + u.String() + `","name":"Nest"}],"dms":[{"id":"` + loud.String() + `"},{"id":"` + quiet.String() + `"}],`,
	} {
		c := dial(t, w.nodes[0], "/ws", nil)
		c.send(`{"op":"hello","d":{"token":"` + token(u) + `"` + extra + `}}`)
		if got := c.next(); !strings.Contains(got, want) {
			t.Errorf("hello with %q: %s\nwant %s", extra, got, want)
		}
	}
	c := dial(t, w.nodes[0], "/ws", nil)
	c.send(`{"op":"hello","d":{"token":"` + token(u) + `","resume":{"session":"s_old","n":4}}}`)
	c.expect(`{"ev":"reset","d":{"reason":"unknown"}}`)
	if got := c.next(); !strings.HasPrefix(got, `{"ev":"ready"`) {
		t.Fatal(got)
	}
}

func TestNativeRequests(t *testing.T) {
	w := newWorld(t)
	id := protocol.MessageID(protocol.NewID[struct{}]())
	w.do = func(op *protocol.Operation, _ protocol.Caller, body json.RawMessage) (any, error) {
		switch op {
		case &protocol.MessageSend.Operation:
			if strings.Contains(string(body), "slow") {
				return nil, &protocol.Error{Code: protocol.CodeSlowMode, Message: "Slow down", RetryAfter: 1800 * time.Millisecond}
			}
			return &protocol.Message{ID: id, Seq: 42, SentAt: 1735786984678}, nil
		case &protocol.MessageList.Operation:
			return json.RawMessage(`{"messages":[]}`), nil
		case &protocol.MessageDelete.Operation:
			return nil, nil
		}
		return nil, fmt.Errorf("secret detail")
	}
	c, _ := hello(t, w.nodes[0], newUser())
	for _, step := range []struct{ send, want string }{
		{`{"op":"ping"}`, `{"ev":"pong"}`},
		{`{"op":"ack","n":17}`, ``},
		{`{"id":1,"op":"message.send","d":{}}`, `{"id":1,"ok":{"id":"` + id.String() + `","seq":42,"sentAt":"2025-01-02T03:03:04.678Z"}}`},
		{`{"id":2,"op":"message.send","d":{"x":"slow"}}`, `{"id":2,"err":{"code":"slow_mode","status":403,"message":"Slow down","retryAfterMs":1800}}`},
		{`{"id":3,"op":"message.list"}`, `{"id":3,"ok":{"messages":[]}}`},
		{`{"id":4,"op":"message.delete","d":{}}`, `{"id":4,"ok":null}`},
		{`{"id":5,"op":"message.get","d":{}}`, `{"id":5,"err":{"code":"internal","status":500,"message":"Internal server error"}}`},
		{`{"id":6,"op":"no.such"}`, `{"id":6,"err":{"code":"unknown_op","status":404,"message":"Unknown operation"}}`},
		{`{"id":7,"op":"file.get","d":{}}`, `{"id":7,"err":{"code":"unknown_op","status":404,"message":"This operation is a stream of bytes and has its HTTP form only"}}`},
		{`{"op":"no.such"}`, ``},
		{`{"op":"ping"}`, `{"ev":"pong"}`},
	} {
		c.send(step.send)
		if step.want != "" {
			c.expect(step.want)
		}
	}
}

func TestNativeEvents(t *testing.T) {
	w := newWorld(t)
	u, ch := newUser(), newChannel()
	w.member(u, ch)
	c, _ := hello(t, w.nodes[0], u)
	w.publish(message(ch, 42, `{"m":1}`))
	c.expect(`{"n":1,"ev":"newMessage","ch":"channel:` + ch.String() + `","ep":3,"seq":42,"d":{"m":1}}`)
	w.publish(protocol.Fanout{Event: protocol.Event{Name: "hint", Topics: []protocol.Topic{protocol.UserTopic(u), protocol.ChannelTopic(ch)}}})
	c.expect(`{"n":2,"ev":"hint"}`)
}

func TestNativeCloseCodes(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.limits.Hello = 200 * time.Millisecond
		s.limits.Frames = 10
		s.limits.FrameWindow = time.Hour
	})
	s := w.nodes[0]
	u := newUser()

	c := dial(t, s, "/ws", nil)
	if reason := c.expectClose(4001); reason != "no hello" {
		t.Errorf("reason %q", reason)
	}
	c = dial(t, s, "/ws", nil)
	c.send(`{"id":1,"op":"message.list"}`)
	c.expectClose(4001)

	c = dial(t, s, "/ws", nil)
	c.send(`{"op":"hello","d":{"token":"nonsense"}}`)
	c.expectClose(4003)
	c = dial(t, s, "/ws", nil)
	c.send(`{"op":"hello"}`)
	c.expectClose(4003)

	c, _ = hello(t, s, u)
	w.tell(&protocol.CloseSockets{User: u})
	c.expectClose(4004)

	c, _ = hello(t, s, u)
	for range 9 {
		c.send(`{"op":"ack","n":1}`)
	}
	c.send(`{"op":"ack","n":1}`)
	c.expectClose(4008)

	for _, frame := range []string{`{`, `[]`, `{"op":1}`, `{"op":"ping","id":-1}`, `{"op":"hello","d":{}}`, `{"op":"x","d":[]}`, ``} {
		c, _ = hello(t, s, u)
		c.send(frame)
		c.expectClose(4009)
	}
	c, _ = hello(t, s, u)
	c.send(`{"op":"ping","x":"` + strings.Repeat("x", 64<<10) + `"}`)
	c.expectClose(4009)

	w.change(func() { w.away = true })
	c = dial(t, s, "/ws", nil)
	c.send(`{"op":"hello","d":{"token":"` + token(u) + `"}}`)
	c.expectClose(4012)
}

func TestNativeUpgrade(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.origin = func(r *http.Request) bool { return r.Header.Get("Origin") == "https://good.example" }
	})
	s := w.nodes[0]
	if _, err := tryDial(t, s, "/ws", http.Header{"Origin": {"https://bad.example"}}); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("bad origin: %v", err)
	}
	dial(t, s, "/ws", http.Header{"Origin": {"https://good.example"}})
	res := must(http.Get(s.http.URL + "/ws"))
	_ = res.Body.Close()
	if res.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("without an upgrade: %d", res.StatusCode)
	}
}

// Requests on one channel run in the order sent, others side by side.
func TestRequestOrder(t *testing.T) {
	w := newWorld(t)
	a, b := newChannel(), newChannel()
	started := make(chan string, 10)
	gates := map[string]chan struct{}{}
	for _, name := range []string{"a1", "a2", "b1", "x", "a3"} {
		gates[name] = make(chan struct{})
	}
	w.do = func(_ *protocol.Operation, _ protocol.Caller, body json.RawMessage) (any, error) {
		var m struct{ Name string }
		_ = json.Unmarshal(body, &m)
		started <- m.Name
		<-gates[m.Name]
		return json.RawMessage(`"` + m.Name + `"`), nil
	}
	c, _ := hello(t, w.nodes[0], newUser())
	send := func(id int, op string, fields string) {
		c.send(fmt.Sprintf(`{"id":%d,"op":"%s","d":{%s}}`, id, op, fields))
	}
	expect := func(names ...string) {
		t.Helper()
		want := map[string]bool{}
		for _, n := range names {
			want[n] = true
		}
		for range names {
			select {
			case n := <-started:
				if !want[n] {
					t.Fatalf("%s started", n)
				}
			case <-time.After(patience):
				t.Fatalf("none of %v started", names)
			}
		}
	}
	send(1, "message.send", `"name":"a1","channelId":"`+a.String()+`"`)
	send(2, "message.send", `"name":"a2","channelId":"`+strings.ToUpper(a.String())+`"`)
	send(3, "message.send", `"name":"b1","channelId":"`+b.String()+`"`)
	send(4, "message.delete", `"name":"x","id":"`+a.String()+`"`) // of a channel that is not known here
	send(5, "message.send", `"name":"a3","channelId":"`+a.String()+`"`)
	expect("a1", "b1")
	close(gates["a1"])
	c.expect(`{"id":1,"ok":"a1"}`)
	expect("a2")
	close(gates["b1"])
	c.expect(`{"id":3,"ok":"b1"}`)
	close(gates["a2"])
	c.expect(`{"id":2,"ok":"a2"}`)
	expect("x")
	close(gates["x"])
	c.expect(`{"id":4,"ok":"x"}`)
	expect("a3")
	close(gates["a3"])
	c.expect(`{"id":5,"ok":"a3"}`)
}

// A client that asks without reading the answers is not read from for ever.
func TestTooMuchInHand(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.limits.Off = true })
	release := make(chan struct{})
	w.do = func(*protocol.Operation, protocol.Caller, json.RawMessage) (any, error) {
		<-release
		return nil, nil
	}
	c, _ := hello(t, w.nodes[0], newUser())
	const n = 1000
	for i := range n {
		c.send(fmt.Sprintf(`{"id":%d,"op":"community.create","d":{}}`, i+1))
	}
	close(release)
	seen := map[string]bool{}
	for range n {
		seen[c.next()] = true
	}
	if len(seen) != n {
		t.Fatalf("%d answers", len(seen))
	}
}
