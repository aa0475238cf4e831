package connection_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/gobwas/ws/wsutil"

	"github.com/rookery-chat/rookery/actors/connection"
	"github.com/rookery-chat/rookery/protocol"
)

// FuzzFrames sends frames (lines of the input) to connections of both protocols,
// before and after the login. Each is answered, ignored or ends the connection;
// nothing panics and nothing is left behind.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		"40\n42[\"subscribeAll\"]", "42[\"sendMessage\",{}]\n420[\"sendMessage\",{\"channelId\":1}]", "41", "40/x,\n42/x,[\"a\"]",
		"42[\"typingStart\",{\"channelId\":\"0190d0b0-0000-7000-8000-000000000000\"}]\n421[\"presenceOnline\",{\"idle\":1}]", "2\n3\n1", "40{\"token\":\"x\"}\n40{}\n40",
		"{\"op\":\"ping\"}\n{\"id\":1,\"op\":\"message.send\",\"d\":{\"channelId\":[]}}", "{\"op\":\"hello\"}", "{\"op\":\"ack\",\"n\":9}\n{\"op\":\"focus\",\"d\":{}}", "\n\n{}", "42[\"\",null]",
	} {
		f.Add([]byte(seed), true, true)
		f.Add([]byte(seed), true, false)
		f.Add([]byte(seed), false, true)
		f.Add([]byte(seed), false, false)
	}
	w := newWorld(f, func(s *settings) { s.limits = connection.Limits{Off: true} })
	w.do = func(op *protocol.Operation, _ protocol.Caller, body json.RawMessage) (any, error) {
		if !json.Valid(body) {
			return nil, protocol.ErrInternal
		}
		if len(body)%2 == 0 {
			return nil, protocol.ErrForbidden
		}
		return &protocol.Message{}, nil
	}
	s := w.nodes[0]
	u := newUser()
	f.Fuzz(func(t *testing.T, input []byte, native, loggedIn bool) {
		path := socketIOPath
		if native {
			path = "/ws"
		}
		c := dial(t, s, path, nil)
		switch {
		case loggedIn && native:
			c.send(`{"op":"hello","d":{"token":"` + token(u) + `"}}`)
			c.next()
		case loggedIn:
			c.login(u)
		}
		for _, line := range bytes.SplitN(input, []byte("\n"), 20) {
			if wsutil.WriteClientText(c.conn, line) != nil {
				break // it was ended
			}
		}
		// An invalid frame, behind everything else, ends whatever is still open.
		_ = wsutil.WriteClientText(c.conn, []byte(`{`))
		for {
			if _, err := c.read(); err != nil {
				break
			}
		}
		_ = c.conn.Close()
		if n := w.panics.Load(); n > 0 {
			t.Fatalf("%d panics", n)
		}
	})
}
