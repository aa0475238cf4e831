package rookeryws

import (
	"encoding/json"

	"github.com/rookery-chat/rookery/protocol/internal/jsontext"
)

// Operations of the session itself. All others are rows of the operations
// table.
const (
	OpHello = "hello"
	OpPing  = "ping"
	OpAck   = "ack"
	OpFocus = "focus"

	OpTypingStart = "typing.start"
	OpTypingStop  = "typing.stop"
	OpPresence    = "presence.online"
	OpWindow      = "member.window"
)

// Request is one frame from a client.
type Request struct {
	Op string
	ID int64           // 1 to 2^53-1; 0 when absent: no reply is wanted
	N  int64           // ack: last event processed; 0 when absent
	D  json.RawMessage // an object, or nil when absent; shares memory with the frame
}

// Error says why a frame was refused. The connection is closed with
// CloseBadFrame.
type Error struct{ Reason string }

func (e *Error) Error() string { return "frame refused: " + e.Reason }

// The reasons for which a frame is refused.
var (
	ErrTooLarge = &Error{"too large"}
	ErrJSON     = &Error{"undecodable JSON"}
	ErrShape    = &Error{"not an object"}
	ErrOp       = &Error{"op missing, empty or too long"}
	ErrID       = &Error{"id is not an integer from 1 to 2^53-1"}
	ErrN        = &Error{"n is not an integer from 0 to 2^53-1"}
	ErrD        = &Error{"d is not an object or misses the form of its op"}
	ErrLimit    = &Error{"too many channels"}
)

// DecodeRequest reads one text frame. A failure is always an *Error. It
// allocates the operation's name only.
func DecodeRequest(b []byte) (Request, error) {
	if len(b) > MaxFrame {
		return Request{}, ErrTooLarge
	}
	if !json.Valid(b) {
		return Request{}, ErrJSON
	}
	i := jsontext.SkipSpace(b, 0)
	if b[i] != '{' {
		return Request{}, ErrShape
	}
	var r Request
	for i = jsontext.SkipSpace(b, i+1); b[i] != '}'; {
		end := jsontext.SkipValue(b, i)
		key := b[i:end]
		i = jsontext.SkipSpace(b, end) // the colon
		i = jsontext.SkipSpace(b, i+1) // the value
		end = jsontext.SkipValue(b, i) //
		if err := r.set(key, b[i:end]); err != nil {
			return Request{}, err
		}
		if i = jsontext.SkipSpace(b, end); b[i] == ',' {
			i = jsontext.SkipSpace(b, i+1)
		}
	}
	if r.Op == "" {
		return Request{}, ErrOp
	}
	return r, nil
}

func (r *Request) set(key, value []byte) error {
	var ok bool
	switch string(key) {
	case `"op"`:
		if r.Op, ok = jsontext.Unquote(value); !ok || r.Op == "" || len(r.Op) > MaxOp {
			return ErrOp
		}
	case `"id"`:
		if r.ID, ok = jsontext.Integer(value); !ok || r.ID == 0 {
			return ErrID
		}
	case `"n"`:
		if r.N, ok = jsontext.Integer(value); !ok {
			return ErrN
		}
	case `"d"`:
		switch {
		case value[0] == '{':
			r.D = json.RawMessage(value)
		case string(value) == "null":
			r.D = nil
		default:
			return ErrD
		}
	}
	return nil
}
