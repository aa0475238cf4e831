package connection

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/rookeryws"
	"github.com/rookery-chat/rookery/protocol/socketio"
)

// What Socket.IO clients are told about the transport.
const (
	pingInterval = 25 * time.Second
	pingTimeout  = 60 * time.Second
)

// ServeSocketIO answers /socket.io/. It returns as soon as the connection is
// made; nothing of the request is kept.
func (s *Server) ServeSocketIO(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch {
	case query.Get("transport") != "websocket":
		refuse(w, socketio.TransportUnknown)
	case query.Get("sid") != "":
		refuse(w, socketio.SessionUnknown)
	case !wantsWebsocket(r):
		refuse(w, socketio.BadRequest)
	case query.Get("EIO") != "4":
		refuse(w, socketio.UnsupportedVersion)
	case s.mayConnect(w, r):
		open := socketio.AppendOpen(nil, socketio.Open{
			SID: engineID(), PingInterval: pingInterval, PingTimeout: pingTimeout, MaxPayload: socket.DefaultMaxSocketIO,
		})
		s.upgrade(w, r, ws.HTTPUpgrader{Timeout: upgradeTimeout}, socketIO{}, socket.SocketIO, open, s.cfg.Limits.Connect)
	}
}

// ServeNative answers /ws. It returns as soon as the connection is made;
// nothing of the request is kept.
func (s *Server) ServeNative(w http.ResponseWriter, r *http.Request) {
	switch {
	case !wantsWebsocket(r):
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "This is a websocket", http.StatusUpgradeRequired)
	case s.cfg.Origin != nil && r.Header.Get("Origin") != "" && !s.cfg.Origin(r):
		http.Error(w, "Origin not allowed", http.StatusForbidden)
	case s.mayConnect(w, r):
		up := ws.HTTPUpgrader{Timeout: upgradeTimeout, Protocol: func(p string) bool { return p == rookeryws.Subprotocol }}
		s.upgrade(w, r, up, native{}, socket.Native, nil, s.cfg.Limits.Hello)
	}
}

// upgradeTimeout is for writing the answer to an upgrade.
const upgradeTimeout = 10 * time.Second

func refuse(w http.ResponseWriter, why socketio.Refusal) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(socketio.RefusalStatus)
	_, _ = w.Write([]byte(why.Body()))
}

func wantsWebsocket(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// mayConnect answers those who may not: after too many failed logins, and when
// the node drains.
func (s *Server) mayConnect(w http.ResponseWriter, r *http.Request) bool {
	if s.conns.isClosed() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Going away", http.StatusServiceUnavailable)
		return false
	}
	if wait, over := s.failures.over(s.cfg.Address(r), socket.Now()); over && !s.cfg.Limits.Off {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		http.Error(w, "Too many failed logins", http.StatusTooManyRequests)
		return false
	}
	return true
}

// engineID is the id of an Engine.IO session, which is not that of the socket.
func engineID() string {
	var b [15]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// upgrade makes a connection of a request: the answer, what the server says
// first, and an actor that takes over.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, up ws.HTTPUpgrader, k codec, framing socket.Framing, first []byte, patience time.Duration) {
	nc, rw, _, err := up.Upgrade(r, w)
	if err != nil {
		if nc != nil {
			_ = nc.Close()
		}
		return
	}
	if first != nil {
		_ = nc.SetWriteDeadline(time.Now().Add(upgradeTimeout))
		err := ws.WriteFrame(nc, ws.NewTextFrame(first))
		_ = nc.SetWriteDeadline(time.Time{})
		if err != nil {
			_ = nc.Close()
			return
		}
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	c := &conn{srv: s, codec: k, yield: protocol.PeerOf(r.Context()).Hold(protocol.UserID{}), pending: &pending{
		address:       s.cfg.Address(r),
		agent:         s.agents.intern(r.UserAgent()),
		authorization: strings.Clone(r.Header.Get("Authorization")),
	}}
	c.pid = s.root.Spawn(s.props)
	s.root.Send(c.pid, &begin{c})
	if c.listed = &s.conns; !s.conns.add(c) {
		c.yield()
		s.root.Stop(c.pid)
		_ = nc.Close()
		return
	}
	c.pending.timer = time.AfterFunc(patience, func() { s.root.Send(c.pid, theLate) })
	sock, err := s.cfg.Poller.Add(nc, socket.Options{Framing: framing, Handler: c, Buffered: early})
	if err != nil {
		s.root.Send(c.pid, theClosed)
		return
	}
	s.root.Send(c.pid, &attached{sock})
}
