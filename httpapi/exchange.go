package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// exchange is one request with what is found out about it on its way.
type exchange struct {
	s       *Server
	w       http.ResponseWriter // &rec
	r       *http.Request
	rec     recorder
	id      string
	start   time.Time
	route   *route
	params  map[string]string
	body    json.RawMessage
	address netip.Addr
	caller  protocol.Caller
	socket  bool // asked for over a socket: no cookies, tokens in bodies
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// showsTokens reports whether refresh tokens go in bodies: browsers have a cookie.
func (x *exchange) showsTokens() bool { return x.socket || isDesktop(x.r.UserAgent()) }

// fail answers with an error. One that is not for callers is logged here.
func (x *exchange) fail(err error) {
	var known *protocol.Error
	switch {
	case errors.As(err, &known):
	case persistence.Unreachable(err):
		x.log(slog.LevelWarn, "the database is away", err)
		known = protocol.ErrUnavailable
	default:
		x.log(slog.LevelError, "request failed", err)
		known = protocol.ErrInternal
	}
	if x.rec.status != 0 {
		return // the answer has begun
	}
	writeError(x.w, known)
}

// end is the last thing that happens to a request: a panic becomes a 500, and
// one line is logged.
func (x *exchange) end() {
	if p := recover(); p != nil {
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		}
		x.log(slog.LevelError, "request panicked", fmt.Errorf("%v\n%s", p, debug.Stack()))
		if x.rec.status == 0 {
			writeError(x.w, protocol.ErrInternal)
		}
	}
	if !x.s.log.Enabled(x.r.Context(), slog.LevelInfo) {
		return
	}
	name := ""
	if x.route != nil {
		name = x.route.name
	}
	x.s.log.LogAttrs(x.r.Context(), slog.LevelInfo, "request",
		slog.String("method", x.r.Method), slog.String("path", x.r.URL.Path), slog.String("route", name),
		slog.Int("status", x.rec.status), slog.Int64("bytes", x.rec.bytes), slog.Duration("took", x.s.now().Sub(x.start)),
		slog.String("user", userText(x.caller.UserID)), slog.String("address", addressText(x.address)), slog.String("request", x.id))
}

func (x *exchange) log(level slog.Level, text string, err error) {
	x.s.log.LogAttrs(x.r.Context(), level, text, slog.Any("error", err), slog.String("method", x.r.Method),
		slog.String("path", x.r.URL.Path), slog.String("user", userText(x.caller.UserID)), slog.String("request", x.id))
}

func userText(u protocol.UserID) string {
	if u.IsZero() {
		return ""
	}
	return u.String()
}

// maxRequestID bounds the ids that are taken over from a proxy.
const maxRequestID = 64

// requestID is the one that a proxy has given, or a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if id == "" || len(id) > maxRequestID {
		return protocol.NewID[struct{}]().String()
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return protocol.NewID[struct{}]().String()
		}
	}
	return id
}
