package socket

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/gobwas/ws"
)

// Config configures a Poller. The zero value works.
type Config struct {
	Loops int // epoll loops, default half of the processors, 1 to 4

	Tick        time.Duration // frames to one socket within a tick are joined, default 4 ms; negative never joins
	QuietWrites int           // single frames per second that Push writes at once, default 25,000; negative for no limit
	SendBuffer  int           // SO_SNDBUF in bytes, default 256 KiB (the kernel doubles it); negative leaves the system's
	ReadBuffer  int           // bytes of the one read buffer of a loop, default 64 KiB

	MaxQueueBytes  int           // waiting for one socket, default 1 MiB
	MaxQueueFrames int           // waiting for one socket, default 1024
	SlowAfter      time.Duration // without progress of a full socket, default 15 s

	PartialTimeout  time.Duration // for a message once its first byte is here, default 20 s
	MaxPartialBytes int64         // of incomplete messages of all sockets, default 256 MiB

	Linger time.Duration // for the peer's answer to a close frame, default 2 s

	SocketIOPing Heartbeat // default 25 s, 60 s
	NativePing   Heartbeat // default 30 s, 60 s
}

// Heartbeat is when a socket is pinged and how long it may take to answer.
type Heartbeat struct {
	Interval time.Duration
	Timeout  time.Duration
}

// Default limits of inbound messages in bytes.
const (
	DefaultMaxSocketIO = 1_000_000
	DefaultMaxNative   = 64 << 10
)

func (c Config) withDefaults() Config {
	set(&c.Loops, min(max(runtime.GOMAXPROCS(0)/2, 1), 4))
	set(&c.Tick, 4*time.Millisecond)
	set(&c.QuietWrites, 25_000)
	set(&c.SendBuffer, 256<<10)
	set(&c.ReadBuffer, 64<<10)
	set(&c.MaxQueueBytes, 1<<20)
	set(&c.MaxQueueFrames, 1024)
	set(&c.SlowAfter, 15*time.Second)
	set(&c.PartialTimeout, 20*time.Second)
	set(&c.MaxPartialBytes, 256<<20)
	set(&c.Linger, 2*time.Second)
	set(&c.SocketIOPing.Interval, 25*time.Second)
	set(&c.SocketIOPing.Timeout, 60*time.Second)
	set(&c.NativePing.Interval, 30*time.Second)
	set(&c.NativePing.Timeout, 60*time.Second)
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// resolution is the step of the clock: fine enough that no deadline is late by
// more than an eighth, and never finer than a millisecond or coarser than a
// second.
func (c Config) resolution() time.Duration {
	shortest := min(c.SlowAfter, c.PartialTimeout, c.Linger,
		c.SocketIOPing.Interval, c.SocketIOPing.Timeout, c.NativePing.Interval, c.NativePing.Timeout)
	return min(max(shortest/8, time.Millisecond), time.Second)
}

func (c Config) heartbeat(f Framing) Heartbeat {
	if f == SocketIO {
		return c.SocketIOPing
	}
	return c.NativePing
}

// Options describe one connection to Add.
type Options struct {
	Framing    Framing
	Handler    Handler
	Owner      any    // value of Socket.Owner
	Buffered   []byte // what was read from the connection beyond the upgrade request
	MaxMessage int    // bytes of an inbound message, default by framing
}

// Handler receives what arrives on a socket. The methods of one socket are
// called one after the other; they must not block.
type Handler interface {
	// OnMessage gets one complete text message. Data is valid during the call
	// only and may be changed. Heartbeats are not shown.
	OnMessage(s *Socket, data []byte)
	// OnClose comes exactly once, last. The error is ErrClosed after Close and
	// Abort, a *CloseError when the peer closed, io.EOF or a network error when
	// the connection broke, and one of the errors of this package otherwise.
	OnClose(s *Socket, err error)
}

// Errors with which a socket is closed.
var (
	ErrClosed       = errors.New("socket: closed by its owner")
	ErrSlowReader   = errors.New("socket: peer reads too slowly")
	ErrSlowSender   = errors.New("socket: peer did not complete a message in time")
	ErrNoPong       = errors.New("socket: no answer to a ping")
	ErrTooLarge     = errors.New("socket: message too large")
	ErrProtocol     = errors.New("socket: websocket protocol violated")
	ErrUTF8         = errors.New("socket: text is not UTF-8")
	ErrOverloaded   = errors.New("socket: too many incomplete messages")
	ErrPollerClosed = errors.New("socket: poller closed")
)

// CloseError is the close frame of the peer. Code 0 stands for an empty one.
type CloseError struct {
	Code   ws.StatusCode
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("socket: closed by the peer: code %d %q", e.Code, e.Reason)
}

// clockStart is the origin of Now.
var clockStart = time.Now()

// Now is the monotonic time in nanoseconds that Push expects.
func Now() int64 { return int64(time.Since(clockStart)) }
