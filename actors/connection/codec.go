package connection

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/rookery-chat/rookery/protocol"
)

// codec is what the two protocols say differently. Its values have no state;
// everything that is remembered is in conn.
type codec interface {
	// receive handles one frame. It reports true when the frame became a
	// request, which then keeps its weight.
	receive(c *conn, data []byte, weight int32) (kept bool)
	// greeting is the first frame of a session; it runs beside the mailbox.
	greeting(ctx context.Context, l *login) ([]byte, error)
	// refused ends or answers a login that failed.
	refused(c *conn, err error)
	// late ends a connection that did not log in in time.
	late(c *conn)
	// succeeded and failed answer a request.
	succeeded(c *conn, r *request, result any)
	failed(c *conn, r *request, e *protocol.Error)
	// revoked ends a connection whose session is over.
	revoked(c *conn, reason string)
	// replaced ends a connection whose session goes on with another one.
	replaced(c *conn)
	native() bool
	// farewell is how connections end when the node does.
	farewell(jitter float64) farewell
}

// encode renders the result of an operation.
func encode(result any) (json.RawMessage, error) {
	switch v := result.(type) {
	case nil:
		return nil, nil
	case json.RawMessage:
		return v, nil
	case *json.RawMessage:
		return *v, nil
	case *protocol.None, *protocol.Done:
		return nil, nil
	default:
		return json.Marshal(v)
	}
}

// shown is what the client gets to see of an error; what it does not is logged.
func (s *Server) shown(err error, r *request, who *protocol.Caller) *protocol.Error {
	var e *protocol.Error
	if errors.As(err, &e) {
		return e
	}
	s.cfg.Log.Error("operation failed", "op", r.op.Name, "user", who.UserID.String(), "error", err)
	return protocol.ErrInternal
}
