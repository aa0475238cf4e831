package socketio

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/rookery-chat/rookery/protocol/internal/jsontext"
)

// Packets that never vary.
const (
	PingPacket       = "2"
	DisconnectPacket = "41"
)

// Open is the content of the Engine.IO open packet.
type Open struct {
	SID          string // of the Engine.IO session, not of the Socket.IO socket
	PingInterval time.Duration
	PingTimeout  time.Duration
	MaxPayload   int // bytes
}

// AppendOpen appends the Engine.IO open packet, the first frame of a session.
func AppendOpen(dst []byte, o Open) []byte {
	dst = append(dst, `0{"sid":`...)
	dst = jsontext.AppendString(dst, o.SID)
	dst = append(dst, `,"upgrades":[],"pingInterval":`...)
	dst = strconv.AppendInt(dst, o.PingInterval.Milliseconds(), 10)
	dst = append(dst, `,"pingTimeout":`...)
	dst = strconv.AppendInt(dst, o.PingTimeout.Milliseconds(), 10)
	dst = append(dst, `,"maxPayload":`...)
	dst = strconv.AppendInt(dst, int64(o.MaxPayload), 10)
	return append(dst, '}')
}

// AppendConnect appends the acceptance of a CONNECT to the main namespace. An
// empty pid leaves connection state recovery off for this client.
func AppendConnect(dst []byte, sid, pid string) []byte {
	dst = append(dst, `40{"sid":`...)
	dst = jsontext.AppendString(dst, sid)
	if pid != "" {
		dst = append(dst, `,"pid":`...)
		dst = jsontext.AppendString(dst, pid)
	}
	return append(dst, '}')
}

// AppendConnectError appends the refusal of a CONNECT. The namespace is "" for
// the main one.
func AppendConnectError(dst []byte, namespace, message string) []byte {
	dst = append(dst, "44"...)
	if namespace != "" {
		dst = append(dst, namespace...)
		dst = append(dst, ',')
	}
	dst = append(dst, `{"message":`...)
	dst = jsontext.AppendString(dst, message)
	return append(dst, '}')
}

// AppendEvent appends an EVENT. A nil payload leaves the argument out. The
// payload must be valid JSON.
func AppendEvent(dst []byte, name string, payload json.RawMessage) []byte {
	return AppendEventOffset(dst, name, payload, "")
}

// AppendEventOffset appends an EVENT that carries, when offset is not empty,
// the offset of connection state recovery as its last argument: stock clients
// remember it and send it back when they reconnect.
func AppendEventOffset(dst []byte, name string, payload json.RawMessage, offset string) []byte {
	dst = append(dst, "42["...)
	dst = jsontext.AppendString(dst, name)
	if len(payload) > 0 {
		dst = append(dst, ',')
		dst = append(dst, payload...)
	}
	if offset != "" {
		dst = append(dst, ',')
		dst = jsontext.AppendString(dst, offset)
	}
	return append(dst, ']')
}

// AppendAck appends the ACK of an event. The value must be valid JSON; nil is
// sent as null, because an ACK holds exactly one value.
func AppendAck(dst []byte, id int64, value json.RawMessage) []byte {
	dst = append(dst, "43"...)
	dst = strconv.AppendInt(dst, id, 10)
	dst = append(dst, '[')
	if len(value) == 0 {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, value...)
	}
	return append(dst, ']')
}
