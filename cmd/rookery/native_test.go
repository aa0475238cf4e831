package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// nativeClient speaks the native protocol, one frame at a time.
type nativeClient struct {
	t    *testing.T
	conn net.Conn
	n    int64 // the last event
}

// frame is everything that the server may send.
type frame struct {
	ID  int64           `json:"id"`
	OK  json.RawMessage `json:"ok"`
	Err *struct {
		Code    string
		Status  int
		Message string
		Fields  map[string][]string
	} `json:"err"`
	Ev  string          `json:"ev"`
	N   int64           `json:"n"`
	Ch  string          `json:"ch"`
	Ep  int64           `json:"ep"`
	Seq int64           `json:"seq"`
	Rev int64           `json:"rev"`
	D   json.RawMessage `json:"d"`
}

func dialNative(t *testing.T, n *node, token string) *nativeClient {
	t.Helper()
	return dialNativeWith(t, n, token, nil)
}

// dialNativeWith says more in its hello.
func dialNativeWith(t *testing.T, n *node, token string, more map[string]any) *nativeClient {
	t.Helper()
	conn, _, _, err := ws.Dialer{Protocols: []string{"rookery.v1.json"}}.Dial(within(t), "ws://"+n.addr+"/ws")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &nativeClient{t: t, conn: conn}
	hello := map[string]any{"token": token}
	maps.Copy(hello, more)
	c.send(map[string]any{"op": "hello", "d": hello})
	return c
}

func (c *nativeClient) send(v any) {
	c.t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := wsutil.WriteClientText(c.conn, raw); err != nil {
		c.t.Fatal(err)
	}
}

// next reads a frame and checks that events are numbered without a gap.
func (c *nativeClient) next() frame {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	raw, _, err := wsutil.ReadServerData(c.conn)
	if err != nil {
		c.t.Fatal(err)
	}
	var f frame
	if err := json.Unmarshal(raw, &f); err != nil {
		c.t.Fatalf("%s: %v", raw, err)
	}
	if f.N != 0 {
		if f.N != c.n+1 {
			c.t.Errorf("event %d after %d", f.N, c.n)
		}
		c.n = f.N
	}
	return f
}

// nextOrClose reads a frame, or the code with which the server closes.
func (c *nativeClient) nextOrClose() (f frame, code ws.StatusCode) {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	raw, _, err := wsutil.ReadServerData(c.conn)
	if closed, ok := errors.AsType[wsutil.ClosedError](err); ok {
		return f, closed.Code
	}
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return f, 0
}

// until reads frames until one is wanted, however many others come meanwhile: what
// others do is heard here too.
func (c *nativeClient) until(what string, wanted func(frame) bool) frame {
	c.t.Helper()
	count := 0
	for limit := time.Now().Add(patience); time.Now().Before(limit); count++ {
		if f := c.next(); wanted(f) {
			return f
		}
	}
	c.t.Fatalf("%d frames without %s", count, what)
	return frame{}
}

// call sends a request and waits for its reply.
func (c *nativeClient) call(id int64, op string, d any) frame {
	c.t.Helper()
	c.send(map[string]any{"id": id, "op": op, "d": d})
	return c.until("the reply to "+op, func(f frame) bool { return f.ID == id })
}

// TestNative talks the native protocol over two nodes: ready, request and
// reply, events in sequence, errors, nonces, and the end of a session.
func TestNative(t *testing.T) {
	nodes := startCluster(t, pgtest.NewServer(t).URL(), 2)
	ctx := within(t)
	owner, err := nodes[0].api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a, b := dialNative(t, nodes[0], owner.Token), dialNative(t, nodes[1], owner.Token)
	for _, c := range []*nativeClient{a, b} {
		ready := c.next()
		var d struct {
			Session     string
			User        struct{ ID string }
			Communities []struct{ ID, Name string }
		}
		if err := json.Unmarshal(ready.D, &d); err != nil || ready.Ev != "ready" {
			t.Fatalf("first frame %+v %v", ready, err)
		}
		if d.User.ID != owner.UserID || len(d.Communities) != 1 || d.Communities[0].ID != owner.Community || d.Session == "" {
			t.Errorf("ready %s", ready.D)
		}
	}

	body := map[string]any{"channelId": owner.General, "attachments": []string{}, "nonce": "n-1",
		"spans": []map[string]string{{"type": "PLAINTEXT", "text": "hello"}}}
	first := a.call(7, "message.send", body)
	var sent struct {
		ID  string
		Seq int64
	}
	if err := json.Unmarshal(first.OK, &sent); err != nil || sent.ID == "" || sent.Seq == 0 {
		t.Fatalf("message.send: %+v", first)
	}
	heard := b.until("the message", func(f frame) bool { return f.Ev == "newMessage" })
	if heard.Ch != "channel:"+owner.General || heard.Seq != sent.Seq || heard.Ep == 0 {
		t.Errorf("event %+v", heard)
	}
	again := a.call(8, "message.send", body)
	if string(again.OK) != string(first.OK) {
		t.Errorf("the same nonce gives %s, first %s", again.OK, first.OK)
	}
	body["nonce"] = "n-2"
	a.call(9, "message.send", body)
	if next := b.until("the next message", func(f frame) bool { return f.Ev == "newMessage" }); next.Seq != heard.Seq+1 || next.Ep != heard.Ep {
		t.Errorf("seq %d of epoch %d after %d of %d: the nonce was sent twice or an event is lost", next.Seq, next.Ep, heard.Seq, heard.Ep)
	}

	page := b.call(1, "message.list", map[string]any{"channelId": owner.General, "limit": 2})
	var list struct{ Messages []struct{ ID string } }
	if err := json.Unmarshal(page.OK, &list); err != nil || len(list.Messages) != 2 || list.Messages[1].ID != sent.ID {
		t.Errorf("message.list %s", page.OK)
	}
	for id, c := range map[int64]struct {
		op   string
		d    any
		code string
	}{
		20: {"no.such", nil, "unknown_op"},
		21: {"file.upload", map[string]string{"resourceType": "USER_AVATAR"}, "unknown_op"},
		24: {"session.login", map[string]string{"username": "owner", "password": "x"}, "unauthorized"},
		22: {"message.send", map[string]any{"channelId": owner.General, "attachments": []string{}, "spans": []string{}}, "invalid"},
		23: {"channel.get", map[string]any{"id": "00000000-0000-4000-8000-000000000000"}, "not_found"},
	} {
		if f := a.call(id, c.op, c.d); f.Err == nil || f.Err.Code != c.code {
			t.Errorf("%s: %+v, want %s", c.op, f, c.code)
		}
	}
	a.send(map[string]any{"op": "ping"})
	a.until("pong", func(f frame) bool { return f.Ev == "pong" })

	if err := nodes[1].api().As(owner.Token).Call(context.WithoutCancel(ctx), "POST", "/api/auth/logout", nil, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*nativeClient{a, b} {
		if code := c.closeCode(); code != 4004 {
			t.Errorf("closed with %d after logout", code)
		}
	}
	refused := dialNative(t, nodes[0], "not.a.token")
	if code := refused.closeCode(); code != 4003 {
		t.Errorf("a bad token is closed with %d", code)
	}
}

// closeCode reads until the server closes.
func (c *nativeClient) closeCode() ws.StatusCode {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	for {
		_, _, err := wsutil.ReadServerData(c.conn)
		if closed, ok := errors.AsType[wsutil.ClosedError](err); ok {
			return closed.Code
		}
		if err != nil {
			c.t.Errorf("no close frame: %v", err)
			return 0
		}
	}
}
