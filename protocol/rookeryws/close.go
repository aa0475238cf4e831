package rookeryws

import (
	"strconv"
	"time"

	"github.com/gobwas/ws"
)

// Subprotocol is the websocket subprotocol of this package.
const Subprotocol = "rookery.v1.json"

// Limits of the protocol.
const (
	MaxFrame     = 64 << 10         // bytes of an inbound frame; more closes with CloseBadFrame
	HelloTimeout = 10 * time.Second // for the first frame; later closes with CloseNoHello
	MaxFocus     = 20               // channels in focus
	MaxResumeAt  = 1000             // channel positions in a hello
	MaxOp        = 64               // bytes of an operation name
	MaxWindow    = 100              // members in a window
)

// Close codes of the protocol.
const (
	CloseGoingAway   ws.StatusCode = 4000 // drain; reconnect as the reason tells (DrainReason)
	CloseNoHello     ws.StatusCode = 4001 // reconnect
	CloseBadToken    ws.StatusCode = 4003 // reconnect after a refresh
	CloseRevoked     ws.StatusCode = 4004 // session revoked, user banned or deleted: do not reconnect
	CloseTooMany     ws.StatusCode = 4008 // reconnect with back-off
	CloseBadFrame    ws.StatusCode = 4009 // too large or not understood: fix, then reconnect
	CloseSlowReader  ws.StatusCode = 4010 // reconnect and resume
	CloseReplaced    ws.StatusCode = 4011 // the same session was resumed elsewhere: do not reconnect
	CloseUnavailable ws.StatusCode = 4012 // reconnect with back-off
)

// CloseReason is the text sent with a close code of this package; "" for other
// codes.
func CloseReason(code ws.StatusCode) string {
	switch code {
	case CloseGoingAway, ws.StatusGoingAway:
		return "going away"
	case CloseNoHello:
		return "no hello"
	case CloseBadToken:
		return "token missing, invalid or expired"
	case CloseRevoked:
		return "session revoked"
	case CloseTooMany:
		return "too many frames"
	case CloseBadFrame:
		return "frame too large or not understood"
	case CloseSlowReader:
		return "too slow a reader"
	case CloseReplaced:
		return "session resumed elsewhere"
	case CloseUnavailable:
		return "cannot serve now"
	default:
		return ""
	}
}

// DrainReason is the reason sent with CloseGoingAway: after which time this
// client may reconnect.
func DrainReason(retryAfter time.Duration) string {
	return `{"retryAfterMs":` + strconv.FormatInt(retryAfter.Milliseconds(), 10) + `}`
}
