package socketio

import (
	"bytes"
	"encoding/json"

	"github.com/rookery-chat/rookery/protocol/internal/jsontext"
)

// Decode reads one text frame from a client. A failure is always an *Error and
// means that the transport has to be closed. It allocates only the event name
// and a namespace other than the main one.
func Decode(b []byte) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, ErrEmpty
	}
	switch b[0] {
	case '1':
		return Packet{Kind: Close}, nil
	case '2':
		return Packet{Kind: Ping}, nil
	case '3':
		return Packet{Kind: Pong}, nil
	case '4':
		return decodeMessage(b[1:])
	default:
		return Packet{}, ErrEngineType
	}
}

func decodeMessage(b []byte) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, ErrPacketType
	}
	kind, b := b[0], b[1:]
	nsp, b := cutNamespace(b)
	switch kind {
	case '0':
		return decodeConnect(nsp, b)
	case '1':
		if len(b) != 0 {
			return Packet{}, ErrDisconnect
		}
		return Packet{Kind: Disconnect, Namespace: nsp}, nil
	case '2':
		return decodeEvent(nsp, b)
	default:
		return Packet{}, ErrPacketType
	}
}

// cutNamespace takes "/nsp," from the front; without a comma all of b is the
// namespace.
func cutNamespace(b []byte) (string, []byte) {
	if len(b) == 0 || b[0] != '/' {
		return "", b
	}
	nsp, rest, _ := bytes.Cut(b, []byte{','})
	if len(nsp) == 1 {
		return "", rest
	}
	return string(nsp), rest
}

func decodeConnect(nsp string, b []byte) (Packet, error) {
	p := Packet{Kind: Connect, Namespace: nsp}
	if len(b) == 0 {
		return p, nil
	}
	if b[0] >= '0' && b[0] <= '9' {
		return Packet{}, ErrAckID
	}
	if !json.Valid(b) {
		return Packet{}, ErrJSON
	}
	if b[jsontext.SkipSpace(b, 0)] != '{' {
		return Packet{}, ErrAuth
	}
	p.Auth = json.RawMessage(b)
	return p, nil
}

func decodeEvent(nsp string, b []byte) (Packet, error) {
	p := Packet{Kind: Event, Namespace: nsp}
	digits := 0
	for digits < len(b) && b[digits] >= '0' && b[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		id, ok := jsontext.Integer(b[:digits])
		if !ok {
			return Packet{}, ErrAckID
		}
		p.HasAck, p.AckID = true, id
		b = b[digits:]
	}
	if !json.Valid(b) {
		return Packet{}, ErrJSON
	}
	var err error
	p.Name, p.Payload, err = splitEvent(b)
	if err != nil {
		return Packet{}, err
	}
	return p, nil
}

// splitEvent takes name and argument out of a valid JSON text.
func splitEvent(b []byte) (string, json.RawMessage, error) {
	i := jsontext.SkipSpace(b, 0)
	if b[i] != '[' {
		return "", nil, ErrEventShape
	}
	i = jsontext.SkipSpace(b, i+1)
	end := jsontext.SkipValue(b, i)
	name, ok := jsontext.Unquote(b[i:end])
	if !ok {
		return "", nil, ErrEventShape
	}
	if reserved(name) {
		return "", nil, ErrEventReserved
	}
	if i = jsontext.SkipSpace(b, end); b[i] == ']' {
		return name, nil, nil
	}
	i = jsontext.SkipSpace(b, i+1)
	end = jsontext.SkipValue(b, i)
	if b[jsontext.SkipSpace(b, end)] != ']' {
		return "", nil, ErrEventArgs
	}
	return name, json.RawMessage(b[i:end]), nil
}

// reserved names cannot be sent by a stock client, and make the stock server's
// parser refuse the packet (socket.io-parser RESERVED_EVENTS).
func reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}
