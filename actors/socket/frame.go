package socket

import (
	"encoding/binary"
	"encoding/json"
	"sync/atomic"

	"github.com/gobwas/ws"

	"github.com/rookery-chat/rookery/protocol/rookeryws"
	"github.com/rookery-chat/rookery/protocol/socketio"
)

// Framing is the protocol that a socket speaks above websocket.
type Framing uint8

// The framings.
const (
	SocketIO Framing = iota + 1
	Native
)

func (f Framing) String() string {
	switch f {
	case SocketIO:
		return "socketio"
	case Native:
		return "native"
	default:
		return "unknown"
	}
}

// Event is what a Frame carries.
type Event struct {
	Name    string
	Payload json.RawMessage // valid JSON, nil for none
	Stream  string          // native "ch"; empty leaves ch, ep and seq out
	Epoch   int64
	Seq     int64
	Rev     int64  // of changes, which have no Seq
	Offset  string // Socket.IO: offset of connection state recovery, empty for none
}

// Frame is one event, encoded once per framing and shared by all its receivers.
// It is immutable and safe for concurrent use.
type Frame struct {
	event Event

	sio  atomic.Pointer[[]byte] // complete websocket frame
	tail atomic.Pointer[[]byte] // native payload without its head

	raw []byte // complete websocket frame for one socket; the rest is unused
}

// NewFrame wraps an event. The payload must not be changed afterwards.
func NewFrame(ev Event) *Frame { return &Frame{event: ev} }

// Event is the event of the frame. Treat it as read-only.
func (f *Frame) Event() Event { return f.event }

// SocketIO is the complete websocket text frame for Socket.IO clients.
func (f *Frame) SocketIO() []byte {
	if b := f.sio.Load(); b != nil {
		return *b
	}
	b := make([]byte, ws.MaxHeaderSize, ws.MaxHeaderSize+len(f.event.Name)+len(f.event.Payload)+len(f.event.Offset)+16)
	b = socketio.AppendEventOffset(b, f.event.Name, f.event.Payload, f.event.Offset)
	return share(&f.sio, prependHeader(b))
}

// share makes b the encoded form for everybody, unless somebody else was faster.
func share(p *atomic.Pointer[[]byte], b []byte) []byte {
	if p.CompareAndSwap(nil, &b) {
		return b
	}
	if first := p.Load(); first != nil {
		return *first
	}
	return b
}

// Forget drops the encoded forms, which are made again when somebody needs them
// after all. It is for events that are kept when everybody has got them.
func (f *Frame) Forget() {
	f.sio.Store(nil)
	f.tail.Store(nil)
}

// Native is the complete websocket text frame for the receiver whose session
// counts this event as n.
func (f *Frame) Native(n int64) []byte {
	tail := f.nativeTail()
	return append(appendNativeHead(nil, n, len(tail)), tail...)
}

// Size is the number of bytes the frame takes on the wire, up to the few bytes
// by which event numbers differ in length.
func (f *Frame) Size(framing Framing) int { return entry{f: f, n: 1}.size(framing) }

func (f *Frame) nativeTail() []byte {
	if b := f.tail.Load(); b != nil {
		return *b
	}
	ev := &f.event
	seq := ev.Seq
	if seq == 0 && ev.Rev != 0 {
		seq = -1
	}
	b := make([]byte, 0, len(ev.Name)+len(ev.Stream)+len(ev.Payload)+96)
	return share(&f.tail, rookeryws.AppendEventTail(b, rookeryws.Event{Name: ev.Name, Stream: ev.Stream, Epoch: ev.Epoch, Seq: seq, Rev: ev.Rev, D: ev.Payload}))
}

// maxHead bounds what stands before the shared bytes: websocket header, {"n":
// and the number.
const maxHead = ws.MaxHeaderSize + len(`{"n":9223372036854775807,`)

func appendNativeHead(dst []byte, n int64, tail int) []byte {
	var head [maxHead]byte
	h := rookeryws.AppendEventHead(head[:0], n)
	dst = appendHeader(dst, ws.OpText, len(h)+tail)
	return append(dst, h...)
}

// appendHeader appends the header of an unfragmented, unmasked frame.
func appendHeader(dst []byte, op ws.OpCode, length int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case length < 126:
		return append(dst, byte(length))
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(length))
	}
}

// prependHeader puts the header of a text frame directly before the payload
// that starts at ws.MaxHeaderSize of b.
func prependHeader(b []byte) []byte {
	var head [ws.MaxHeaderSize]byte
	h := appendHeader(head[:0], ws.OpText, len(b)-ws.MaxHeaderSize)
	b = b[ws.MaxHeaderSize-len(h):]
	copy(b, h)
	return b
}

// privateFrame copies a payload into a frame for one socket.
func privateFrame(op ws.OpCode, payload []byte) *Frame {
	raw := appendHeader(make([]byte, 0, ws.MaxHeaderSize+len(payload)), op, len(payload))
	return &Frame{raw: append(raw, payload...)}
}

// closeFrame builds a close frame; code 0 gives one without a body, which the
// peer sees as 1005, as with stock Socket.IO servers.
func closeFrame(code ws.StatusCode, reason string) *Frame {
	if code == 0 {
		return privateFrame(ws.OpClose, nil)
	}
	return privateFrame(ws.OpClose, ws.NewCloseFrameBody(code, cropUTF8(reason, ws.MaxControlFramePayloadSize-2)))
}

// cropUTF8 cuts s to at most n bytes without splitting a character.
func cropUTF8(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// pingFrame is the heartbeat of a framing.
func pingFrame(framing Framing) *Frame {
	if framing == SocketIO {
		return socketIOPing
	}
	return nativePing
}

var (
	socketIOPing = privateFrame(ws.OpText, []byte(socketio.PingPacket))
	nativePing   = privateFrame(ws.OpPing, nil)
)
