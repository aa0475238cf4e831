package connection

import "github.com/gobwas/ws"

// farewell is how a connection ends.
type farewell struct {
	code   ws.StatusCode
	reason string
}

// abort gives the socket up at once. The session ends before the client can see
// that, and ask for it.
func (c *conn) abort() {
	c.phase = ending
	c.endSession()
	if c.socket != nil {
		c.socket.Abort()
	}
}

// end closes the socket with the closing handshake. What the client asked and
// was not begun is not done.
func (c *conn) end(code ws.StatusCode, reason string) {
	c.phase = ending
	for _, r := range c.work.drop() {
		c.handled(r.weight)
	}
	if c.socket != nil {
		c.socket.Close(code, reason)
	}
}

// revoked ends a connection whose session is over.
func (c *conn) revoked(reason string) {
	if c.phase == parked {
		c.unpark()
		return
	}
	c.endSession()
	if c.phase != ending || c.leaving != nil {
		c.leaving = nil
		c.codec.revoked(c, reason)
	}
}

// drain ends a connection because the node does, when what it has in hand is
// answered.
func (c *conn) drain(f farewell) {
	if c.phase != ending {
		c.phase = ending
		c.leaving = &f
	}
}

func (c *conn) stopTimer() {
	if c.pending != nil && c.pending.timer != nil {
		c.pending.timer.Stop()
	}
}
