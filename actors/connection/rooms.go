package connection

import (
	"context"
	"errors"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
)

// renewed is the outcome of a renewal.
type renewed struct {
	version int64
	err     error
}

// renew tells the user actor that the connection is there; one that was moved
// or restarted learns of it by this. If the rooms of the user are others than
// those that were joined, they are joined again. What comes meanwhile renews
// once more afterwards.
func (c *conn) renew() {
	if c.renewing {
		c.again = true
		return
	}
	c.renewing = true
	c.busy++
	c.beaten = socket.Now()
	r := &renewal{srv: c.srv, socket: c.socket, conn: c, who: c.who, idle: c.idle, parked: c.phase == parked, version: c.version}
	go func() {
		ctx, cancel := context.WithTimeout(r.srv.ctx, r.srv.cfg.Limits.Login)
		defer cancel()
		err := r.run(ctx)
		r.srv.root.Send(r.conn.pid, &renewed{r.version, err})
	}()
}

// renewal runs beside the mailbox; of the connection it uses the PID only.
type renewal struct {
	srv     *Server
	socket  *socket.Socket
	conn    *conn
	who     *protocol.Caller
	idle    bool
	parked  bool
	version int64
}

func (r *renewal) run(ctx context.Context) error {
	beat := &protocol.Heartbeat{Connect: *registration(r.srv, r.who, r.idle)}
	beat.Parked = r.parked
	rooms, err := r.srv.askUser(ctx, r.who, beat)
	if err != nil || rooms.Version == r.version {
		return err
	}
	rooms, err = r.srv.askUser(ctx, r.who, &protocol.SyncRooms{Conn: r.who.Conn, Version: r.version})
	if err != nil || rooms.Version == r.version {
		return err
	}
	// Until all is joined the version is none, so a failure is made good later.
	r.version = noVersion
	if err := r.srv.enter(ctx, r.socket, r.conn.pid, r.who, rooms); err != nil {
		return err
	}
	r.version = rooms.Version
	return nil
}

// noVersion differs from every version of rooms.
const noVersion = -1

func (c *conn) renewed(m *renewed) {
	c.busy--
	c.renewing = false
	c.version = m.version
	switch {
	case c.phase != live && c.phase != parked:
	case errors.Is(m.err, protocol.ErrUnauthorized): // ended, but nobody reached the socket
		c.revoked("")
	case m.err != nil:
		c.srv.cfg.Log.Warn("rooms could not be looked at", "error", m.err)
	case c.again:
		c.again = false
		c.renew()
	}
}

// beat renews presence, unless the client did so lately.
func (c *conn) beat() {
	patience := c.srv.cfg.Limits.Heartbeat / 2
	if c.phase == parked { // nobody sees whether it is there: often enough not to be forgotten
		patience += c.srv.cfg.Limits.Heartbeat
	}
	if (c.phase == live || c.phase == parked) && socket.Now()-c.beaten > int64(patience) {
		c.renew()
	}
}
