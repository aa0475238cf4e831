package httpapi

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// Timeouts of connections. readTimeout and writeTimeout are longer than the
// longest operation, because either would cut it off.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 75 * time.Second
	writeTimeout  = 90 * time.Second
	idleTimeout   = 75 * time.Second
	maxHeader     = 160 << 10 // a request line of 128 KiB and the headers
)

// Server is the HTTP edge. It is an http.Handler, and can listen itself.
type Server struct {
	cfg     Config
	log     *slog.Logger
	now     func() time.Time
	origins map[string]bool
	router  router
	named   map[string]*route // of rows
	limiter limiter           // nil: no limits
	sockets *socketCounts
	health  *prober
	front   *frontPage
	docs    *apiDocs      // nil: not served
	exports chan struct{} // one for each export under way
	uploads *uploadSlots

	uploadStep time.Duration // tests are less patient

	described instanceCache
	http      *http.Server
	draining  atomic.Bool
}

// New compiles the routes. It panics when two of them collide.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, log: cfg.Log, now: cfg.Now, origins: map[string]bool{}, named: map[string]*route{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if cfg.Operations == nil {
		s.cfg.Operations = protocol.Operations()
	}
	for _, o := range cfg.CORSOrigins {
		s.origins[o] = true
	}
	switch {
	case cfg.NoRateLimits:
	case cfg.Redis != nil:
		s.limiter = newRedisLimiter(cfg.Redis, s.log)
	default:
		s.limiter = newMemoryLimiter()
	}
	s.sockets = newSocketCounts(cfg)
	s.health = newProber(cfg.Health)
	s.front = newFrontPage(cfg.Version)
	if cfg.APIDocs {
		s.docs = newAPIDocs(s.cfg)
	}
	s.exports = make(chan struct{}, maxExports)
	s.uploads, s.uploadStep = newUploadSlots(), uploadStep
	s.routes()
	s.http = &http.Server{
		Handler: s, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return s
}

// Serve answers requests on the listener until Shutdown; then it returns
// http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error { return s.http.Serve(l) }

// Drain makes /readyz fail, so that a load balancer sends no more clients.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown stops listening and waits for requests under way, at most until ctx
// ends. Sockets that were upgraded are not its business.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
		return err
	}
	return nil
}

// routes fills the router.
func (s *Server) routes() {
	for _, op := range s.cfg.Operations {
		if op.Method == "" || op.Debug && !s.cfg.Debug {
			continue
		}
		h := s.operation(op)
		if special := s.sessionHandler(op); special != nil {
			h = special
		}
		r := &route{
			name: op.Name, handler: h, limits: limitsOf[op.Rate],
			public:  op.Public || op.Name == protocol.SessionLogout.Name, // which reads its token itself
			rawBody: op.Multipart != "", auth: s.fileAuth(op),
		}
		s.router.add(op.Method, op.Path, r)
		s.named[op.Name] = r
	}
	s.router.add("POST", "/reset", &route{
		name: "POST /reset", handler: s.takeReset, limits: limitsOf[protocol.RateReset], public: true,
	})
	for _, own := range s.ownRoutes() {
		s.router.add("GET", own.path, &route{name: own.path, handler: own.handle, limits: own.limits, public: true})
	}
	for _, r := range s.cfg.Routes {
		s.router.add(r.Method, r.Path, &route{
			name: r.Method + " " + r.Path, limits: limitsOf[r.Rate], public: !r.Authenticated, rawBody: r.RawBody,
			handler: func(x *exchange) error { r.Handler(x.w, x.r.WithContext(x.context())); return nil },
		})
	}
}

// ownRoute is a GET of the server itself, for everybody.
type ownRoute struct {
	path   string
	limits []Limit
	handle handler
}

func (s *Server) ownRoutes() []ownRoute {
	own := []ownRoute{
		{"/", nil, s.serveFront},
		{"/reset", limitsOf[protocol.RateDefault], s.serveReset},
		{"/healthz", nil, s.serveAlive},
		{"/readyz", nil, s.serveReady},
		{"/api", limitsOf[protocol.RateDefault], s.serveHello},
		{"/api/health", nil, s.serveHealth},
	}
	if s.docs != nil {
		own = append(own, ownRoute{documentPath, limitsOf[protocol.RateDefault], s.serveDocument}, ownRoute{docsPath, nil, s.serveDocs})
	}
	return own
}

// ServeHTTP takes a request through the steps of the contract (0.5).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{s: s, r: r, start: s.now()}
	x.rec = recorder{ResponseWriter: w}
	x.w = &x.rec
	x.id = requestID(r)
	defer x.end()
	h := w.Header()
	s.secure(h, r)
	h["X-Request-Id"] = []string{x.id}
	switch {
	case r.Method == http.MethodOptions:
		preflight(x.w, r)
	case isSocketIO(r.URL.Path):
		s.serveSocketIO(x)
	case r.URL.Path == "/ws" || r.URL.Path == "/ws/":
		s.serveNativeWS(x)
	case s.cfg.Signal != nil && (r.URL.Path == "/rtc" || strings.HasPrefix(r.URL.Path, "/rtc/")):
		s.upgrade(x, s.cfg.Signal)
	default:
		if err := s.serve(x); err != nil {
			x.fail(err)
		}
	}
}

func isSocketIO(path string) bool {
	return path == "/socket.io" || strings.HasPrefix(path, "/socket.io/")
}
