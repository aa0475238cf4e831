package httpapi

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/socketio"
)

// Bounds of sockets. An office behind one address reconnects as a whole after a
// deploy, so addresses get much more than users.
const (
	socketsPerAddress = 2000
	socketsPerUser    = 100
	refusedFor        = 10 * time.Second
)

// upgradeLimits bound the attempts of one address. Refusing at the upgrade lets
// stock clients retry; refusing later makes them give up (contract b-websocket
// 3.1).
var upgradeLimits = []Limit{{"short", 200, time.Second}, {"medium", 600, 10 * time.Second}, {"long", 1200, time.Minute}}

// socketCounts counts the open sockets of this node.
type socketCounts struct {
	perAddress, perUser int // negative: no bound
	mu                  sync.Mutex
	open                map[string]int
}

func newSocketCounts(cfg Config) *socketCounts {
	c := &socketCounts{perAddress: cfg.SocketsPerAddress, perUser: cfg.SocketsPerUser, open: map[string]int{}}
	if c.perAddress == 0 {
		c.perAddress = socketsPerAddress
	}
	if c.perUser == 0 {
		c.perUser = socketsPerUser
	}
	if cfg.NoRateLimits {
		c.perAddress, c.perUser = -1, -1
	}
	return c
}

// hold counts a socket until the returned function is called.
func (c *socketCounts) hold(key string) (release func()) {
	if c.perAddress < 0 && c.perUser < 0 {
		return func() {} // nobody looks at the counts
	}
	c.mu.Lock()
	c.open[key]++
	c.mu.Unlock()
	p := &place{counts: c, key: key}
	return p.leave
}

// place is one open socket in the counts. There is one per connection, so it is
// small.
type place struct {
	counts *socketCounts
	key    string
	left   bool
}

func (p *place) leave() {
	p.counts.mu.Lock()
	defer p.counts.mu.Unlock()
	if p.left {
		return
	}
	p.left = true
	if p.counts.open[p.key]--; p.counts.open[p.key] <= 0 {
		delete(p.counts.open, p.key)
	}
}

func (c *socketCounts) full(key string, limit int) bool {
	if limit < 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open[key] >= limit
}

// serveSocketIO answers what is no upgrade with the codes of the stock server
// and hands on the rest.
func (s *Server) serveSocketIO(x *exchange) {
	q := x.r.URL.Query()
	upgrade := isUpgrade(x.r)
	switch {
	case s.cfg.SocketIO == nil:
		x.fail(unknownRoute(x.r))
	case q.Get("transport") != "websocket":
		refuseSocketIO(x, socketio.TransportUnknown)
	case q.Get("sid") != "":
		refuseSocketIO(x, socketio.SessionUnknown)
	case !upgrade:
		refuseSocketIO(x, socketio.BadRequest)
	case q.Get("EIO") != "4":
		refuseSocketIO(x, socketio.UnsupportedVersion)
	default:
		s.upgrade(x, s.cfg.SocketIO)
	}
}

func refuseSocketIO(x *exchange, why socketio.Refusal) {
	x.w.Header()["Content-Type"] = []string{"application/json"}
	x.w.WriteHeader(socketio.RefusalStatus)
	_, _ = x.w.Write([]byte(why.Body())) // the client is gone: nobody to tell
}

func (s *Server) serveNativeWS(x *exchange) {
	switch {
	case s.cfg.NativeWS == nil:
		x.fail(unknownRoute(x.r))
	case !isUpgrade(x.r):
		x.fail(protocol.BadRequest("A websocket upgrade is expected"))
	case !s.originAllowed(x.r):
		x.fail(protocol.Forbidden("Origin is not allowed"))
	default:
		s.upgrade(x, s.cfg.NativeWS)
	}
}

// originAllowed accepts programs, which send no origin, pages of this server
// itself and what CORS allows.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || s.origins[origin] {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

func isUpgrade(r *http.Request) bool {
	if r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return false
	}
	for _, v := range r.Header.Values("Connection") {
		for item := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(item), "upgrade") {
				return true
			}
		}
	}
	return false
}

// upgrade hands a request on that passes the limits.
func (s *Server) upgrade(x *exchange, take http.HandlerFunc) {
	x.address = s.cfg.TrustProxy.Client(x.r)
	address := limitKey(x.address)
	if s.limiter != nil {
		v := s.limiter.hit(x.r.Context(), "upgrade|"+address, upgradeLimits, s.now().UnixMilli())
		if v.refusedBy >= 0 {
			refuseUpgrade(x, seconds(v.buckets[v.refusedBy].reset))
			return
		}
	}
	if s.sockets.full(address, s.sockets.perAddress) || s.userFull(x.r) {
		refuseUpgrade(x, strconv.Itoa(int(refusedFor.Seconds())))
		return
	}
	ctx := protocol.WithPeer(protocol.WithRequestID(x.r.Context(), x.id), protocol.Peer{
		Address: addressText(x.address), Agent: x.r.UserAgent(),
		Hold: func(user protocol.UserID) func() {
			if user.IsZero() {
				return s.sockets.hold(address)
			}
			return s.sockets.hold(user.String())
		},
	})
	x.rec.status = http.StatusSwitchingProtocols // for the log; the taker answers itself
	take(x.rec.ResponseWriter, x.r.WithContext(ctx))
}

// userFull is a courtesy: browsers show who they are by their cookie, so a page
// that opens socket after socket is stopped before each of them costs anything.
func (s *Server) userFull(r *http.Request) bool {
	token := accessToken(r)
	if token == "" || s.cfg.Gate == nil {
		return false
	}
	caller, _, err := s.cfg.Gate.ReadAccess(token)
	return err == nil && s.sockets.full(caller.UserID.String(), s.sockets.perUser)
}

func refuseUpgrade(x *exchange, wait string) {
	x.w.Header()["Retry-After"] = []string{wait}
	x.fail(protocol.ErrRateLimited)
}
