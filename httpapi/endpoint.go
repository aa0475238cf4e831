package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// handler serves a route. What it returns is rendered; it may also write the
// answer itself and return nil.
type handler func(x *exchange) error

// serve is the way of every request that is not an upgrade.
func (s *Server) serve(x *exchange) (err error) {
	x.route, x.params = s.router.find(x.r.Method, x.r.URL.EscapedPath())
	if x.route == nil || !x.route.rawBody {
		if x.body, err = readBody(x.w, x.r); err != nil {
			return err
		}
	}
	if x.route == nil {
		return unknownRoute(x.r)
	}
	if x.route.rawBody { // may take as long as its handler lets it
		rc := http.NewResponseController(x.w)
		_ = rc.SetReadDeadline(time.Time{}) // without support there was no deadline
		_ = rc.SetWriteDeadline(time.Time{})
	}
	x.address = s.cfg.TrustProxy.Client(x.r)
	switch {
	case x.route.auth != nil:
		x.caller, err = x.route.auth(x)
	case !x.route.public:
		x.caller, err = s.authenticate(x)
	}
	if err != nil {
		return err
	}
	x.caller.Address, x.caller.Agent = addressText(x.address), x.r.UserAgent()
	if !s.admitted(x) {
		return protocol.ErrRateLimited
	}
	return x.route.handler(x)
}

func unknownRoute(r *http.Request) error {
	return &protocol.Error{Code: protocol.CodeUnknownRoute, Message: "Cannot " + r.Method + " " + r.URL.RequestURI()}
}

// operation is the generic endpoint of a row.
func (s *Server) operation(op *protocol.Operation) handler {
	status := op.SuccessStatus()
	return func(x *exchange) error {
		reply, err := s.perform(x, op)
		if err != nil {
			return err
		}
		return writeReply(x.w, x.r, status, reply)
	}
}

// perform does what a request asks for.
func (s *Server) perform(x *exchange, op *protocol.Operation) (any, error) {
	if s.cfg.Do == nil {
		return nil, protocol.ErrUnavailable
	}
	in := protocol.Input{Path: x.params, Query: query(x.r.URL), Body: x.body}
	return s.cfg.Do(protocol.WithRequestID(x.r.Context(), x.id), op, x.caller, in)
}

// query is the last value of each query parameter.
func query(u *url.URL) map[string]string {
	if u.RawQuery == "" {
		return nil
	}
	values := u.Query() // what is not well-formed is left out
	m := make(map[string]string, len(values))
	for name, list := range values {
		m[name] = list[len(list)-1]
	}
	return m
}

// authenticate tells who calls, from the header or, without one, the cookie.
func (s *Server) authenticate(x *exchange) (protocol.Caller, error) {
	token := accessToken(x.r)
	if token == "" || s.cfg.Gate == nil {
		return protocol.Caller{}, protocol.ErrUnauthorized
	}
	caller, err := s.cfg.Gate.Authenticate(x.r.Context(), token)
	var known *protocol.Error
	if err != nil && !errors.As(err, &known) {
		x.log(slog.LevelError, "caller could not be checked", err)
		return caller, protocol.ErrUnavailable
	}
	return caller, err
}

func accessToken(r *http.Request) string {
	if token := bearer(r); token != "" {
		return token
	}
	return cookie(r, accessCookie)
}

// bearer is the token of the Authorization header, if that is its scheme.
func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// admitted counts the request against the limits of its route.
func (s *Server) admitted(x *exchange) bool {
	if s.limiter == nil || x.route.limits == nil {
		return true
	}
	who := limitKey(x.address)
	if !x.caller.Anonymous() {
		who = x.caller.UserID.String()
	}
	v := s.limiter.hit(x.r.Context(), x.route.name+"|"+who, x.route.limits, s.now().UnixMilli())
	return v.announce(x.w.Header(), x.route.limits)
}

// addressText is the form of addresses in sessions and logs.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

type exchangeKey struct{}

// CallerOf is who calls an authenticated Route.
func CallerOf(r *http.Request) protocol.Caller {
	if x, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		return x.caller
	}
	return protocol.Caller{}
}

// Param is a parameter of the path of a Route, percent-decoded.
func Param(r *http.Request, name string) string {
	if x, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		return x.params[name]
	}
	return ""
}

// context is the request's context with what Routes may ask for.
func (x *exchange) context() context.Context {
	return context.WithValue(protocol.WithRequestID(x.r.Context(), x.id), exchangeKey{}, x)
}
