package socketio

// Refusal is a reason for which an HTTP request to /socket.io/ is refused. All
// of them are answered with status 400 and Body.
type Refusal int

// The refusals, with the codes of the stock server.
const (
	TransportUnknown   Refusal = 0 // polling, or no such transport
	SessionUnknown     Refusal = 1 // a sid that was never given out
	BadRequest         Refusal = 3 // transport=websocket without an upgrade
	UnsupportedVersion Refusal = 5 // EIO is not 4
)

// RefusalStatus is the HTTP status of every refusal.
const RefusalStatus = 400

// Body is the JSON body of the answer; "" for a value that is not a Refusal.
func (r Refusal) Body() string {
	switch r {
	case TransportUnknown:
		return `{"code":0,"message":"Transport unknown"}`
	case SessionUnknown:
		return `{"code":1,"message":"Session ID unknown"}`
	case BadRequest:
		return `{"code":3,"message":"Bad request"}`
	case UnsupportedVersion:
		return `{"code":5,"message":"Unsupported protocol version"}`
	default:
		return ""
	}
}
