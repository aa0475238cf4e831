package connection

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/socketio"
)

// What Socket.IO clients are told. They know the first text by heart.
const (
	authFailed       = "AUTH_FAILED"
	invalidNamespace = "Invalid namespace"
	slowDown         = "Rate limit exceeded. Please slow down."
)

// maxFailed is how often one transport may fail to log in.
const maxFailed = 3

// socketIO is the protocol of existing clients.
type socketIO struct{}

func (socketIO) receive(c *conn, data []byte, weight int32) bool {
	p, err := socketio.Decode(data)
	if err != nil {
		c.abort()
		return false
	}
	switch p.Kind {
	case socketio.Pong:
	case socketio.Connect:
		c.connect(&p)
	case socketio.Event:
		if c.phase != live || p.Namespace != "" {
			c.abort()
			return false
		}
		return c.event(&p, weight)
	default: // Close, Disconnect, and a Ping, which is not the client's to send
		c.abort()
	}
	return false
}

func (c *conn) connect(p *socketio.Packet) {
	switch {
	case p.Namespace != "":
		c.socket.Send(socketio.AppendConnectError(nil, p.Namespace, invalidNamespace))
	case c.phase != waiting:
		c.abort()
	default:
		auth, err := socketio.DecodeAuth(p.Auth)
		if err != nil {
			c.abort()
			return
		}
		token := auth.Token
		if token == "" {
			token = c.pending.authorization
		}
		c.logIn(token, false, wanted(auth.PID, auth.Offset))
	}
}

// wanted is the session that a stock client wants to go on with.
func wanted(pid, offset string) *resumption {
	if pid == "" {
		return nil
	}
	r := &resumption{pid: pid, offset: offset}
	var home string
	r.key, home, r.ok = parseTicket(pid)
	if _, tag, ok := protocol.SplitOffset(offset); ok {
		r.tags = append(r.tags, tag)
	}
	r.tags = append(r.tags, home)
	return r
}

func (socketIO) native() bool { return false }

// replaced ends the transport only: the client has left it.
func (socketIO) replaced(c *conn) { c.end(0, "") }

func (socketIO) greeting(_ context.Context, l *login) ([]byte, error) {
	pid, id := "", sid(l.who.Conn)
	if l.srv.resumable() {
		pid = ticket(l.key, protocol.NodeTag(l.srv.cfg.Node.ID()))
	}
	if l.taken != nil {
		pid, id = l.resume.pid, l.taken.SID
	}
	return socketio.AppendConnect(nil, id, pid), nil
}

// sid is the id of a Socket.IO socket: twenty characters.
func sid(id protocol.ConnID) string { return base64.RawURLEncoding.EncodeToString(id[:15]) }

func (socketIO) refused(c *conn, err error) {
	if retryable(err) {
		c.abort()
		return
	}
	c.socket.Send(socketio.AppendConnectError(nil, "", authFailed))
	if c.failed >= maxFailed {
		c.end(0, "")
	}
}

func (socketIO) late(c *conn) { c.abort() }

// event handles an EVENT of a client that is logged in.
func (c *conn) event(p *socketio.Packet, weight int32) bool {
	switch p.Name {
	case "subscribeAll":
		if c.admit(protocol.GroupRooms, p) {
			c.renew()
		}
	case "presenceOnline":
		if c.admit(protocol.GroupPresence, p) {
			c.presenceOnline(p)
		}
	case "typingStart", "typingStop":
		if c.admit(protocol.GroupMessages, p) {
			c.typing(p.Payload, p.Name == "typingStart")
		}
	default:
		op := c.srv.events[p.Name]
		if op == nil || !c.admit(op.Group, p) {
			return false
		}
		if op == &protocol.MessageSend.Operation && namesGroup(p.Payload) {
			c.exception(protocol.ErrForbidden, p.Name, p.Payload)
			return false
		}
		c.request(&request{op: op, body: p.Payload, id: p.AckID, wants: p.HasAck, weight: weight})
		return true
	}
	return false
}

// namesGroup reports whether a message is for a group and for no channel: this
// event is for channels, groups have one of their own.
func namesGroup(payload json.RawMessage) bool {
	if !bytes.Contains(payload, []byte(`"directMessageGroupId"`)) {
		return false
	}
	var m struct {
		Channel any `json:"channelId"`
		Group   any `json:"directMessageGroupId"`
	}
	return json.Unmarshal(payload, &m) == nil && m.Channel == nil && m.Group != nil
}

// admit takes an event out of the user's budget, or tells him that it is used
// up.
func (c *conn) admit(group protocol.EventGroup, p *socketio.Packet) bool {
	if c.srv.cfg.Limits.Off || c.quota.take(c.srv.quotas.rate, group, socket.Now()) {
		return true
	}
	e := &protocol.Error{Code: protocol.CodeRateLimited, Message: slowDown}
	c.exception(e, p.Name, p.Payload)
	if op := c.srv.events[p.Name]; op != nil && op.AcksErrors && p.HasAck {
		c.ackError(p.AckID, e)
	}
	return false
}

func (c *conn) exception(e *protocol.Error, event string, payload json.RawMessage) {
	c.socket.Send(socketio.AppendEvent(nil, "exception", e.Exception(event, payload)))
}

func (c *conn) presenceOnline(p *socketio.Packet) {
	c.presence(p.Payload)
	if p.HasAck {
		c.socket.Send(socketio.AppendAck(nil, p.AckID, []byte(`"ACK"`)))
	}
}

func (c *conn) presence(payload json.RawMessage) {
	var m struct {
		Idle any `json:"idle"`
	}
	_ = json.Unmarshal(payload, &m) // anything else than {"idle":true} is active
	c.idle = m.Idle == true
	c.renew()
}

// typing passes the indicator on. What does not name a room is ignored.
func (c *conn) typing(payload json.RawMessage, active bool) {
	var m struct {
		Channel *string `json:"channelId"`
		Group   *string `json:"directMessageGroupId"`
	}
	if json.Unmarshal(payload, &m) != nil {
		return
	}
	topic := protocol.Topic{Room: protocol.RoomGroup}
	id := m.Group
	if id == nil {
		topic.Room, id = protocol.RoomChannel, m.Channel
	}
	if id == nil {
		return
	}
	room, err := protocol.ParseID[struct{}](*id)
	if err != nil {
		return
	}
	topic.ID = room
	c.srv.cfg.Relay.Typing(c.socket, c.who, topic, active)
}

func (socketIO) succeeded(c *conn, r *request, result any) {
	if !r.wants || !r.op.Acks {
		return
	}
	if m, ok := result.(*protocol.Message); ok {
		result = m.ID
	}
	value, err := encode(result)
	if err != nil {
		c.srv.cfg.Log.Error("reply cannot be encoded", "op", r.op.Name, "error", err)
		return
	}
	c.socket.Send(socketio.AppendAck(nil, r.id, value))
}

func (socketIO) failed(c *conn, r *request, e *protocol.Error) {
	c.exception(e, r.op.Event, r.body)
	if r.wants && r.op.AcksErrors {
		c.ackError(r.id, e)
	}
}

// ackError acks {"error":"text"} to clients that wait for it.
func (c *conn) ackError(id int64, e *protocol.Error) {
	value, err := encode(struct {
		Error string `json:"error"`
	}{e.Message})
	if err == nil {
		c.socket.Send(socketio.AppendAck(nil, id, value))
	}
}

// revoked sends a DISCONNECT: the client reconnects once by itself, is refused
// and refreshes its token, or not.
func (socketIO) revoked(c *conn, _ string) {
	if c.who != nil {
		c.socket.Send([]byte(socketio.DisconnectPacket))
	}
	c.end(0, "")
}

func (socketIO) farewell(float64) farewell { return farewell{} }
