package connection

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/rookeryws"
)

// native is the native websocket protocol.
type native struct{}

// errUnknownOp answers a request that names no operation.
var errUnknownOp = &protocol.Error{Code: protocol.CodeMethodNotFound, Message: "Unknown operation"}

// errBytes answers requests for operations whose body or answer is no JSON.
var errBytes = &protocol.Error{Code: protocol.CodeMethodNotFound, Message: "This operation is a stream of bytes and has its HTTP form only"}

// drainSpread is the time over which native clients are asked to come back.
const drainSpread = 3 * time.Second

func (native) receive(c *conn, data []byte, weight int32) bool {
	if !c.srv.cfg.Limits.Off {
		full, ok := c.srv.frames.take(c.full, socket.Now())
		if !ok {
			c.hangUp(rookeryws.CloseTooMany)
			return false
		}
		c.full = full
	}
	r, err := rookeryws.DecodeRequest(data)
	if err != nil {
		c.hangUp(rookeryws.CloseBadFrame)
		return false
	}
	switch r.Op {
	case rookeryws.OpPing:
		c.socket.Send([]byte(rookeryws.PongFrame))
	case rookeryws.OpHello:
		c.hello(&r)
	case rookeryws.OpAck:
		if c.focused && c.phase == live {
			c.srv.cfg.Relay.Ack(c.socket, c.who, r.N)
		}
	case rookeryws.OpFocus:
		c.focus(&r)
	case rookeryws.OpTypingStart, rookeryws.OpTypingStop, rookeryws.OpPresence:
		c.notice(&r)
	case rookeryws.OpWindow:
		return c.window(&r, weight)
	default:
		return c.call(&r, weight)
	}
	return false
}

func (c *conn) hangUp(code ws.StatusCode) { c.end(code, rookeryws.CloseReason(code)) }

func (c *conn) hello(r *rookeryws.Request) {
	h, err := rookeryws.DecodeHello(r.D)
	if err != nil || c.phase != waiting {
		c.hangUp(rookeryws.CloseBadFrame)
		return
	}
	if h.Mode == rookeryws.ModeFocused {
		channels, err := topicsOf(h.Focus)
		if err != nil {
			c.hangUp(rookeryws.CloseBadFrame)
			return
		}
		c.focused = true
		c.pending.look = &protocol.Focus{Only: true, Channels: channels}
	}
	c.pending.plain = h.Figures != nil && !*h.Figures
	c.logIn(h.Token, true, resumptionOf(h.Resume))
}

// focus changes what the client looks at. In a session that gets everything it
// changes nothing.
func (c *conn) focus(r *rookeryws.Request) {
	f, err := rookeryws.DecodeFocus(r.D)
	look := protocol.Focus{Only: true}
	if err == nil {
		look.Channels, err = topicsOf(f.Channels)
	}
	if err == nil && f.Community != "" {
		id, bad := protocol.ParseID[struct{}](f.Community)
		look.Community, err = protocol.CommunityID(id), bad
	}
	switch {
	case c.phase == waiting:
		c.hangUp(rookeryws.CloseNoHello)
	case err != nil:
		c.reply(r.ID, rookeryws.AppendErr(nil, r.ID, errFocus))
	case c.pending != nil: // it takes effect with the session
		if c.focused {
			c.pending.look = &look
		}
		c.reply(r.ID, rookeryws.AppendOK(nil, r.ID, nil))
	default:
		if c.focused {
			c.srv.cfg.Relay.Look(c.socket, c.who, look)
		}
		c.reply(r.ID, rookeryws.AppendOK(nil, r.ID, nil))
	}
}

// notice handles what is said in passing: typing, and whether somebody sits
// before the screen. It is answered when the client wants to know that it came.
func (c *conn) notice(r *rookeryws.Request) {
	group := protocol.GroupMessages
	if r.Op == rookeryws.OpPresence {
		group = protocol.GroupPresence
	}
	switch {
	case c.phase == waiting:
		c.hangUp(rookeryws.CloseNoHello)
		return
	case c.phase != live:
		c.reply(r.ID, rookeryws.AppendErr(nil, r.ID, protocol.ErrUnavailable))
		return
	case !c.srv.cfg.Limits.Off && !c.quota.take(c.srv.quotas.rate, group, socket.Now()):
		c.reply(r.ID, rookeryws.AppendErr(nil, r.ID, &protocol.Error{Code: protocol.CodeRateLimited, Message: slowDown}))
		return
	}
	if r.Op == rookeryws.OpPresence {
		c.presence(r.D)
	} else {
		c.typing(r.D, r.Op == rookeryws.OpTypingStart)
	}
	c.reply(r.ID, rookeryws.AppendOK(nil, r.ID, nil))
}

// errFocus answers a focus that names what can be no channel.
var errFocus = protocol.BadRequest("A focus names up to 20 channels by their ids")

// topicsOf reads the names of channels: of their streams, or their ids alone.
func topicsOf(names []string) ([]protocol.Topic, error) {
	var topics []protocol.Topic
	for _, name := range names {
		id, err := protocol.ParseID[struct{}](strings.TrimPrefix(name, "channel:"))
		if err != nil {
			return nil, err
		}
		topics = append(topics, protocol.ChannelTopic(protocol.ChannelID(id)))
	}
	return topics, nil
}

// sessionPrefix stands before the names of native sessions.
const sessionPrefix = "s_"

// resumptionOf is the session that a native client wants to go on with.
func resumptionOf(h *rookeryws.Resume) *resumption {
	if h == nil {
		return nil
	}
	r := &resumption{n: h.N, at: h.At}
	if name, ok := strings.CutPrefix(h.Session, sessionPrefix); ok {
		var home string
		r.key, home, r.ok = parseTicket(name)
		r.tags = []string{home}
	}
	return r
}

func (native) native() bool { return true }

func (native) replaced(c *conn) { c.hangUp(rookeryws.CloseReplaced) }

// call runs an operation of the table.
func (c *conn) call(r *rookeryws.Request, weight int32) bool {
	if c.phase == waiting {
		c.hangUp(rookeryws.CloseNoHello)
		return false
	}
	op := c.srv.names[r.Op]
	if op == nil {
		c.reply(r.ID, rookeryws.AppendErr(nil, r.ID, errUnknownOp))
		return false
	}
	if op.RESTOnly {
		c.reply(r.ID, rookeryws.AppendErr(nil, r.ID, errBytes))
		return false
	}
	req := &request{op: op, body: r.D, id: r.ID, wants: r.ID != 0, weight: weight}
	if c.pending != nil { // the greeting is not out yet
		c.pending.early = append(c.pending.early, req)
		return true
	}
	c.request(req)
	return true
}

func (c *conn) reply(id int64, frame []byte) {
	if id != 0 {
		c.socket.Send(frame)
	}
}

// ready is the content of the frame that opens a session.
type ready struct {
	Session     string                       `json:"session"`
	User        protocol.PublicUser          `json:"user"`
	Communities []protocol.CommunityOverview `json:"communities"`
	DMs         []protocol.GroupOverview     `json:"dms"`
	ResumeMs    int64                        `json:"resumeMs"` // 0: sessions end with their socket
	HeartbeatMs int64                        `json:"heartbeatMs"`
	Limits      readyLimits                  `json:"limits"`
}

type readyLimits struct {
	FrameBytes    int   `json:"frameBytes"`
	Frames        int   `json:"frames"`
	FrameWindowMs int64 `json:"frameWindowMs"`
}

// overview asks for what the session begins with. Clients that count for
// themselves, as when they keep what they have read, ask for no figures.
func (l *login) overview(ctx context.Context) (*protocol.Overview, error) {
	m := &protocol.AskOverview{Owner: l.who.Owner, Unread: !l.plain}
	reply, err := l.srv.cfg.Node.Ask(ctx, string(protocol.KindUser), l.who.UserID.String(), m)
	if err != nil {
		return nil, err
	}
	o, ok := reply.(*protocol.Overview)
	if !ok {
		return nil, fmt.Errorf("user actor answered %T", reply)
	}
	if o.Communities == nil {
		o.Communities = []protocol.CommunityOverview{}
	}
	return o, nil
}

// nativeHeartbeat is what clients are told about the server's pings.
const nativeHeartbeat = 30 * time.Second

func (native) greeting(ctx context.Context, l *login) ([]byte, error) {
	session := sessionPrefix + ticket(l.key, protocol.NodeTag(l.srv.cfg.Node.ID()))
	if l.taken != nil {
		return rookeryws.AppendResumed(nil, session, len(l.taken.Events)), nil
	}
	seen, err := l.overview(ctx)
	if err != nil {
		return nil, err
	}
	limits := l.srv.cfg.Limits
	r := ready{
		Session: session, User: l.rooms.User, Communities: seen.Communities, DMs: []protocol.GroupOverview{},
		ResumeMs: max(0, limits.Resume.Milliseconds()), HeartbeatMs: nativeHeartbeat.Milliseconds(),
		Limits: readyLimits{rookeryws.MaxFrame, limits.Frames, limits.FrameWindow.Milliseconds()},
	}
	unread := make(map[protocol.GroupID]protocol.GroupOverview, len(seen.Groups))
	for _, g := range seen.Groups {
		unread[g.ID] = g
	}
	for _, t := range l.rooms.Topics {
		if t.Room == protocol.RoomGroup {
			g := protocol.GroupOverview{ID: t.ID}
			if !l.plain {
				g.Unread, g.Mentions = new(int), new(int)
			}
			if u, some := unread[g.ID]; some {
				g = u
			}
			r.DMs = append(r.DMs, g)
		}
	}
	d, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if l.resume != nil {
		reason := rookeryws.ResetUnknown
		switch l.resume.fate {
		case protocol.SessionOverflow:
			reason = rookeryws.ResetOverflow
		case protocol.SessionExpired:
			reason = rookeryws.ResetExpired
		default: // a session that went on needs no reset
		}
		l.socket.Send(rookeryws.AppendReset(nil, reason))
	}
	return rookeryws.AppendReady(nil, d), nil
}

func (native) refused(c *conn, err error) {
	if retryable(err) {
		c.hangUp(rookeryws.CloseUnavailable)
		return
	}
	c.hangUp(rookeryws.CloseBadToken)
}

func (native) late(c *conn) {
	if c.phase == waiting {
		c.hangUp(rookeryws.CloseNoHello)
		return
	}
	c.hangUp(rookeryws.CloseUnavailable)
}

func (native) succeeded(c *conn, r *request, result any) {
	if !r.wants {
		return
	}
	if m, ok := result.(*protocol.Message); ok && (r.op == &protocol.MessageSend.Operation || r.op == &protocol.DirectSend.Operation || r.op == &protocol.ThreadReply.Operation) {
		result = &protocol.Sent{ID: m.ID, Seq: m.Seq, SentAt: m.SentAt}
	}
	value, err := encode(result)
	if err != nil {
		c.srv.cfg.Log.Error("reply cannot be encoded", "op", r.op.Name, "error", err)
		c.socket.Send(rookeryws.AppendErr(nil, r.id, protocol.ErrInternal))
		return
	}
	c.socket.Send(rookeryws.AppendOK(nil, r.id, value))
}

func (native) failed(c *conn, r *request, e *protocol.Error) {
	c.reply(r.id, rookeryws.AppendErr(nil, r.id, e))
}

func (native) revoked(c *conn, reason string) {
	if reason == "" {
		reason = rookeryws.CloseReason(rookeryws.CloseRevoked)
	}
	c.end(rookeryws.CloseRevoked, reason)
}

func (native) farewell(jitter float64) farewell {
	after := time.Duration(jitter * float64(drainSpread))
	return farewell{rookeryws.CloseGoingAway, rookeryws.DrainReason(after)}
}
