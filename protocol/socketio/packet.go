package socketio

import "encoding/json"

// Kind says what an inbound packet is.
type Kind uint8

// The inbound packets. Ping is refused by the stock server ("invalid heartbeat
// direction"), it is decoded so that the caller can choose.
const (
	Close      Kind = iota + 1 // 1   Engine.IO close
	Ping                       // 2   Engine.IO ping
	Pong                       // 3   Engine.IO pong
	Connect                    // 40  Socket.IO CONNECT
	Disconnect                 // 41  Socket.IO DISCONNECT
	Event                      // 42  Socket.IO EVENT
)

func (k Kind) String() string {
	names := [...]string{Close: "close", Ping: "ping", Pong: "pong", Connect: "connect", Disconnect: "disconnect", Event: "event"}
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return "unknown"
}

// Packet is one decoded inbound packet. Auth and Payload share memory with the
// decoded bytes.
type Packet struct {
	Kind      Kind
	Namespace string          // "" for the main namespace, else with its leading slash
	Auth      json.RawMessage // Connect: the auth object, nil when absent
	Name      string          // Event: its name
	Payload   json.RawMessage // Event: its only argument, nil when absent
	HasAck    bool            // Event: the client wants an ACK
	AckID     int64           // Event: under this id, 0 to 2^53-1
}

// Error says why a packet was refused. The transport has to be closed.
type Error struct{ Reason string }

func (e *Error) Error() string { return "socket.io packet refused: " + e.Reason }

// The reasons for which Decode refuses a packet.
var (
	ErrEmpty         = &Error{"empty frame"}
	ErrEngineType    = &Error{"unknown Engine.IO packet type"}
	ErrPacketType    = &Error{"unknown or unexpected Socket.IO packet type"}
	ErrJSON          = &Error{"undecodable JSON"}
	ErrAuth          = &Error{"auth is not an object"}
	ErrDisconnect    = &Error{"DISCONNECT with data"}
	ErrAckID         = &Error{"ack id out of range or out of place"}
	ErrEventShape    = &Error{"EVENT is not an array that starts with a name"}
	ErrEventReserved = &Error{"EVENT with a reserved name"}
	ErrEventArgs     = &Error{"EVENT with more than one argument"}
)

// Auth is what Rookery reads from the auth object of a CONNECT. Members of
// another type count as absent, as they do in the stock server.
type Auth struct {
	Token  string // "token"
	PID    string // "pid": private session id of connection state recovery
	Offset string // "offset": last offset the client has seen
}

// DecodeAuth reads the auth object of a CONNECT packet; nil gives a zero Auth.
func DecodeAuth(raw json.RawMessage) (Auth, error) {
	if len(raw) == 0 {
		return Auth{}, nil
	}
	var loose struct {
		Token  any `json:"token"`
		PID    any `json:"pid"`
		Offset any `json:"offset"`
	}
	if err := json.Unmarshal(raw, &loose); err != nil {
		return Auth{}, ErrAuth
	}
	var a Auth
	a.Token, _ = loose.Token.(string)
	a.PID, _ = loose.PID.(string)
	a.Offset, _ = loose.Offset.(string)
	return a, nil
}
