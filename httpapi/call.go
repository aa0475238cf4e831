package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Answers reports whether a row is done by this edge when it is asked for over a
// socket: logins and accounts, which are about tokens, and whatever has limits of
// its own, so that they are the same ones over both ways.
func (s *Server) Answers(op *protocol.Operation) bool {
	return !op.RESTOnly && s.named[op.Name] != nil && (op.Rate != protocol.RateDefault && op.Rate != protocol.RateExempt || s.sessionHandler(op) != nil)
}

// Call performs a row for the caller of a socket as a request without cookies:
// tokens come in the body and go out in it. The result is the body of the answer,
// nil for none.
func (s *Server) Call(ctx context.Context, op *protocol.Operation, caller protocol.Caller, body json.RawMessage) (any, error) {
	route := s.named[op.Name]
	if route == nil {
		return nil, &protocol.Error{Code: protocol.CodeMethodNotFound, Message: "No such operation"}
	}
	r, err := http.NewRequestWithContext(ctx, op.Method, op.Path, http.NoBody)
	if err != nil {
		return nil, err
	}
	if op.Public { // as over REST, where such rows ask for no token
		caller = protocol.Caller{Conn: caller.Conn, Address: caller.Address, Agent: caller.Agent}
	}
	got := &captured{header: http.Header{}}
	x := &exchange{s: s, r: r, start: s.now(), id: requestID(r), route: route, body: body, caller: caller, socket: true}
	x.rec = recorder{ResponseWriter: got}
	x.w = &x.rec
	x.params = paramsOf(route, body)
	x.address, _ = netip.ParseAddr(caller.Address)
	if !s.admitted(x) {
		return nil, limited(got.header)
	}
	switch err := route.handler(x); {
	case err == nil:
	case persistence.Unreachable(err):
		return nil, protocol.ErrUnavailable
	default:
		if err == protocol.ErrRateLimited { //nolint:errorlint // it is handed on as it is
			return nil, limited(got.header)
		}
		return nil, err
	}
	if got.body.Len() == 0 {
		return nil, nil
	}
	return json.RawMessage(got.body.Bytes()), nil
}

// paramsOf takes the parameters of a path from where sockets have them.
func paramsOf(r *route, body json.RawMessage) map[string]string {
	fields := bodyFields(body)
	var params map[string]string
	for _, name := range r.params {
		if v, ok := fields[name].(string); ok {
			if params == nil {
				params = map[string]string{}
			}
			params[name] = v
		}
	}
	return params
}

// limited is the refusal with the wait that was announced.
func limited(h http.Header) *protocol.Error {
	e := *protocol.ErrRateLimited
	if s, err := strconv.Atoi(h.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return &e
}

// captured is an answer that goes to a socket.
type captured struct {
	header http.Header
	body   bytes.Buffer
}

func (c *captured) Header() http.Header         { return c.header }
func (c *captured) WriteHeader(int)             {}
func (c *captured) Write(b []byte) (int, error) { return c.body.Write(b) }
