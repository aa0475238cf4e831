package connection_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/rookery-chat/rookery/protocol"
)

// client is the other side of a websocket.
type client struct {
	t    testing.TB
	conn net.Conn
	r    io.Reader

	pid    string // Socket.IO: of the session
	offset string // of the last event
}

// offsets stand behind what stock clients read as the arguments of an event.
var offsets = regexp.MustCompile(`,"([0-9a-z]+\.[a-z2-7]{8})"\]$`)

const socketIOPath = "/socket.io/?EIO=4&transport=websocket"

func dial(t testing.TB, s *station, path string, header http.Header) *client {
	t.Helper()
	c, err := tryDial(t, s, path, header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.conn.Close() })
	return c
}

// tryDial leaves the closing to the caller.
func tryDial(t testing.TB, s *station, path string, header http.Header) (*client, error) {
	d := ws.Dialer{Timeout: patience, Header: ws.HandshakeHeaderHTTP(header)}
	conn, br, _, err := d.Dial(context.Background(), "ws"+strings.TrimPrefix(s.http.URL, "http")+path)
	if err != nil {
		return nil, err
	}
	c := &client{t: t, conn: conn, r: conn}
	if br != nil {
		var early bytes.Buffer
		_, _ = io.CopyN(&early, br, int64(br.Buffered()))
		c.r = io.MultiReader(&early, conn)
		ws.PutReader(br)
	}
	c.r = bufio.NewReaderSize(c.r, 1024)
	return c, nil
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := wsutil.WriteClientText(c.conn, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// read gives the next text frame; heartbeats are answered on the way.
func (c *client) read() (string, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		f, err := ws.ReadFrame(c.r)
		if err != nil {
			return "", err
		}
		switch f.Header.OpCode {
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(f.Payload)
			_ = ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewCloseFrame(f.Payload)))
			return "", wsutil.ClosedError{Code: code, Reason: reason}
		case ws.OpPing:
			_ = ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewPongFrame(f.Payload)))
		case ws.OpText:
			text := string(f.Payload)
			if m := offsets.FindStringSubmatchIndex(text); m != nil && strings.HasPrefix(text, "42[") {
				c.offset = text[m[2]:m[3]]
				text = text[:m[0]] + "]"
			}
			return text, nil
		default: // nothing that the server sends
		}
	}
}

func (c *client) next() string {
	c.t.Helper()
	text, err := c.read()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return text
}

func (c *client) expect(want string) {
	c.t.Helper()
	if got := c.next(); got != want {
		c.t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// expectClose wants nothing further but the end. Code 0 stands for an end
// without a close frame, or one without a code.
func (c *client) expectClose(code ws.StatusCode) string {
	c.t.Helper()
	text, err := c.read()
	var closed wsutil.ClosedError
	switch {
	case err == nil:
		c.t.Fatalf("got %s instead of the end", text)
	case errors.As(err, &closed):
		if closed.Code != code && (code != 0 || closed.Code != ws.StatusNoStatusRcvd) {
			c.t.Fatalf("closed with %d %q, want %d", closed.Code, closed.Reason, code)
		}
		return closed.Reason
	case code != 0:
		c.t.Fatalf("ended with %v, want %d", err, code)
	}
	return ""
}

// login is a Socket.IO client that is connected.
func login(t testing.TB, s *station, u protocol.UserID) *client {
	t.Helper()
	c := dial(t, s, socketIOPath, nil)
	c.login(u)
	return c
}

func (c *client) login(u protocol.UserID) {
	c.t.Helper()
	if open := c.next(); !strings.HasPrefix(open, `0{"sid":"`) {
		c.t.Fatalf("open packet: %s", open)
	}
	c.send(`40{"token":"Bearer ` + token(u) + `"}`)
	c.connected()
}

// connected reads the answer to CONNECT.
func (c *client) connected() (sid string) {
	c.t.Helper()
	var m struct{ SID, PID string }
	ok := c.next()
	if !strings.HasPrefix(ok, `40{"sid":"`) || json.Unmarshal([]byte(ok[2:]), &m) != nil {
		c.t.Fatalf("connect: %s", ok)
	}
	c.pid = m.PID
	return m.SID
}

// back is the client after its socket was cut: it connects as stock clients do
// when they return.
func (c *client) back(s *station, u protocol.UserID) (again *client, recovered bool) {
	c.t.Helper()
	_ = c.conn.Close()
	again = dial(c.t, s, socketIOPath, nil)
	again.next()
	auth, err := json.Marshal(map[string]string{"token": token(u), "pid": c.pid, "offset": c.offset})
	if err != nil {
		c.t.Fatal(err)
	}
	again.send("40" + string(auth))
	again.connected()
	again.offset = c.offset
	return again, again.pid == c.pid
}

// hello is a native client that is ready; it returns the ready frame.
func hello(t testing.TB, s *station, u protocol.UserID) (*client, string) {
	t.Helper()
	c := dial(t, s, "/ws", nil)
	return c, c.hello(u)
}

func (c *client) hello(u protocol.UserID) (ready string) {
	c.t.Helper()
	c.send(`{"op":"hello","d":{"token":"` + token(u) + `"}}`)
	return c.next()
}
