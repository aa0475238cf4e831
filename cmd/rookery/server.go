package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rookery-chat/rookery/actors/channel"
	"github.com/rookery-chat/rookery/actors/community"
	"github.com/rookery-chat/rookery/actors/connection"
	"github.com/rookery-chat/rookery/actors/dispatch"
	"github.com/rookery-chat/rookery/actors/dm"
	"github.com/rookery-chat/rookery/actors/gate"
	"github.com/rookery-chat/rookery/actors/instance"
	"github.com/rookery-chat/rookery/actors/notice"
	"github.com/rookery-chat/rookery/actors/push"
	"github.com/rookery-chat/rookery/actors/relay"
	"github.com/rookery-chat/rookery/actors/sfu"
	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/actors/user"
	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/httpapi"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/jobs"
	"github.com/rookery-chat/rookery/protocol"
)

// server is everything that runs in this process. Only here everybody is known.
type server struct {
	cfg     *config
	log     *slog.Logger
	db      *persistence.DB
	writer  *persistence.Writer
	node    *cluster.Node
	gate    *gate.Gate
	relay   *relay.Relay
	poller  *socket.Poller
	sockets *connection.Server
	ops     *dispatch.Dispatcher
	redis   redis.UniversalClient
	http    *httpapi.Server
	jobs    *jobs.Runner
	push    *push.Sender
	notices *notice.Service
	noticed atomic.Pointer[notice.Service] // for actors, which are there first
	indexer *persistence.SearchIndexer
	blobs   *persistence.Blobs
	profile *http.Server
	media   *sfu.Server
	ready   atomic.Bool
	started time.Time
}

// newServer makes the parts, from the bottom up.
func newServer(ctx context.Context, cfg *config, keys *secrets, db *persistence.DB, log *slog.Logger) (_ *server, err error) {
	s := &server{cfg: cfg, log: log, db: db, started: time.Now()}
	defer func() {
		if err != nil {
			s.abandon()
		}
	}()
	s.writer = persistence.NewWriter(db, persistence.WriterConfig{Log: log, MaxRows: cfg.writeQueue})
	if s.poller, err = socket.NewPoller(socket.Config{}); err != nil {
		return nil, fmt.Errorf("start poller: %w", err)
	}
	if err := s.openRedis(ctx); err != nil {
		return nil, err
	}
	if err := s.joinCluster(ctx, keys); err != nil {
		return nil, err
	}
	if err := s.openBlobs(ctx); err != nil {
		return nil, err
	}
	if err := s.openPush(ctx); err != nil {
		return nil, err
	}
	if err := s.openVoice(keys); err != nil {
		return nil, err
	}
	if err := s.openEdges(keys); err != nil {
		return nil, err
	}
	if err := s.openProfile(ctx); err != nil {
		return nil, err
	}
	s.indexer = persistence.StartSearchIndexer(db, s.writer)
	chores := append(jobs.Chores(db), jobs.Chore{Name: "upload.expire", Schedule: "* * * * *", Do: s.expireUploads})
	chores = append(chores, jobs.FileChores(db, s.blobs)...)
	return s, s.startJobs(ctx, chores)
}

// thumbnails are made where ffmpeg is.
func (s *server) thumbnails() *jobs.Thumbnails {
	t := &jobs.Thumbnails{Blobs: s.blobs, FFmpeg: jobs.FindFFmpeg(), Ready: func(_ context.Context, p persistence.FilePlace) {
		s.node.Tell(string(p.In().Kind()), p.In().ID().String(), &protocol.FileChanged{Message: p.Message})
	}}
	if t.FFmpeg == "" {
		s.log.Info("ffmpeg is not installed: videos get no thumbnails")
	}
	return t
}

// expireUploads has the owners of messages end the wait for uploads that do not
// come. An owner that can't answer now is asked again the next time.
func (s *server) expireUploads(ctx context.Context, now protocol.Instant) (more bool, err error) {
	const enough = 500
	list, err := s.db.StaleUploads(ctx, now-protocol.UploadPatience, enough)
	for _, u := range list {
		in := protocol.Place{Channel: u.Channel, Group: u.Group}
		if _, err := s.node.Ask(ctx, string(in.Kind()), in.ID().String(), &protocol.ExpireUploads{Message: u.ID}); err != nil {
			s.log.Debug("an upload could not be given up", "in", in.String(), "error", err)
		}
	}
	return false, err
}

func (s *server) openRedis(ctx context.Context) error {
	if s.cfg.redisURL == "" {
		return nil
	}
	opts, err := redis.ParseURL(s.cfg.redisURL)
	if err != nil {
		return fmt.Errorf("--redis-url: %w", err)
	}
	s.redis = redis.NewClient(opts)
	if err := s.redis.Ping(ctx).Err(); err != nil {
		s.log.Warn("redis does not answer, limits are per node until it does", "error", err)
	}
	return nil
}

// openBlobs opens the storage of files. A bucket that does not answer now may do
// so later; a wrong address is told at once.
func (s *server) openBlobs(ctx context.Context) (err error) {
	dir := s.cfg.filesDir
	if dir == "" {
		dir = filepath.Join(s.cfg.data, uploadsDir)
	}
	if s.blobs, err = persistence.OpenBlobs(ctx, persistence.BlobConfig{Dir: dir, URL: s.cfg.blobURL}); err != nil {
		return fmt.Errorf("open storage of files: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.blobs.Reach(ctx); err != nil {
		s.log.Warn("the storage of files does not answer", "error", err)
	}
	return nil
}

// uploadsDir is where files are, below the data directory, unless another place
// was given.
const uploadsDir = "uploads"

// joinCluster makes the node with its kinds. Actors that every node has are
// spawned before others know of it.
func (s *server) joinCluster(ctx context.Context, keys *secrets) error {
	registry := cluster.NewRegistry()
	for name, t := range protocol.WireTypes() {
		registry.Add(name, t)
	}
	env := &turn.Env{DB: s.db, Writer: s.writer, Log: s.log, Noticed: s.wakeNotices}
	secret, err := keys.gossipKey()
	if err != nil {
		return err
	}
	security, err := s.cfg.clusterTLS()
	if err != nil {
		return err
	}
	s.node, err = cluster.Start(ctx, cluster.Config{
		Log:      s.log,
		Listen:   s.cfg.clusterListen,
		Join:     s.cfg.seeds(),
		Secret:   secret,
		TLS:      security,
		Registry: registry,
		Kinds: []cluster.Kind{
			channel.New(channel.Config{}).Cluster(env),
			dm.New(dm.Config{}).Cluster(env),
			community.New(community.Config{}).Cluster(env),
			user.New(user.Config{Deliver: s.deliverNotification}).Cluster(env),
			instance.New().Cluster(env),
		},
		Prepare: func(n *cluster.Node) (err error) {
			env.Node, s.node = n, n
			s.gate, err = gate.New(gate.Config{
				AccessSecret: []byte(keys.Access), RefreshSecret: []byte(keys.Refresh), DB: s.db, Node: n, Log: s.log, Redis: s.redis,
			})
			if err != nil {
				return err
			}
			s.relay, err = relay.Start(n, relay.Config{Log: s.log, Window: s.cfg.history()})
			return err
		},
	})
	if err != nil {
		return fmt.Errorf("join the cluster: %w", err)
	}
	return nil
}

// clusterTLS is mutual TLS between nodes, when certificates were given.
func (c *config) clusterTLS() (*tls.Config, error) {
	if c.clusterCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.clusterCert, c.clusterKey)
	if err != nil {
		return nil, fmt.Errorf("read cluster certificate: %w", err)
	}
	pem, err := os.ReadFile(c.clusterCA)
	if err != nil {
		return nil, fmt.Errorf("read cluster authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", c.clusterCA)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool, MinVersion: tls.VersionTLS13}, nil
}

// openEdges makes what clients talk to.
func (s *server) openEdges(keys *secrets) error {
	links, err := keys.fileKey()
	if err != nil {
		return err
	}
	s.ops = dispatch.New(dispatch.Config{
		Cluster: s.node, DB: s.db, Passwords: s.gate.Passwords, Log: s.log, Machine: machine, Debug: s.cfg.debugPanel,
		Files: links, Push: s.push,
	})
	limited := s.cfg.rateLimits == "on"
	_, corsGiven := os.LookupEnv("CORS_ORIGIN")
	origins := httpapi.ParseOrigins(s.cfg.corsOrigin, corsGiven || s.cfg.corsOrigin != "")
	proxy, err := httpapi.ParseTrustProxy(s.cfg.trustProxy)
	if err != nil {
		return fmt.Errorf("--trust-proxy: %w", err)
	}
	s.sockets = connection.NewServer(connection.Config{
		Node: s.node, Relay: s.relay, Poller: s.poller, Gate: s.gate.Authenticate, Accounts: s.gate,
		Do: func(ctx context.Context, op *protocol.Operation, caller protocol.Caller, body json.RawMessage) (any, error) {
			if s.http.Answers(op) { // it is set before a socket comes
				return s.http.Call(ctx, op, caller, body)
			}
			return s.ops.Do(ctx, op, caller, protocol.Input{Body: body})
		},
		Log:     s.log,
		Address: func(r *http.Request) string { return protocol.PeerOf(r.Context()).Address },
		Origin:  func(r *http.Request) bool { return allowedOrigin(origins, r) },
		Limits:  connection.Limits{Off: !limited, Resume: s.cfg.sessions()},
	})
	// Clients expect both parts. Without a Redis its work is done in this process,
	// which is up when it answers.
	shared := func(context.Context) error { return nil }
	if s.redis != nil {
		shared = func(ctx context.Context) error { return s.redis.Ping(ctx).Err() }
	}
	health := []httpapi.HealthPart{{Name: "database", Check: s.db.Ping}, {Name: "redis", Check: shared}}
	s.http = httpapi.New(httpapi.Config{
		Do: s.ops.Do, Gate: s.gate, DB: s.db, Debug: s.cfg.debugPanel, Blobs: s.blobs, Files: links,
		VideoStored: func(ctx context.Context, id protocol.FileID) error { return s.jobs.Thumbnail(ctx, id) },
		EndSockets: func(ctx context.Context, user protocol.UserID, end protocol.EndSessions) error {
			_, err := s.node.Ask(ctx, string(protocol.KindUser), user.String(), &end)
			return err
		},
		SocketIO: s.sockets.ServeSocketIO, NativeWS: s.sockets.ServeNative, Signal: s.signal(),
		CORSOrigins: origins, TrustProxy: proxy, SecureCookies: s.cfg.secureCookies, NoRateLimits: !limited, Redis: s.redis,
		Health: health, Ready: s.isReady,
		Instance: s.describe, Version: version, APIDocs: s.cfg.apiDocs == "on", Log: s.log,
	})
	return nil
}

// noticed is how long a dead connection may take to be noticed: what was sent
// meanwhile is missed too.
const noticed = 85 * time.Second

// history is how long events are kept for those who come back.
func (c *config) history() time.Duration {
	if c.resumeWindow == 0 {
		return -1
	}
	return c.resumeWindow + noticed
}

// sessions is how long a session waits for its client.
func (c *config) sessions() time.Duration {
	if c.resumeWindow == 0 {
		return -1
	}
	return c.resumeWindow
}

// allowedOrigin lets pages of this server and of the configured origins open
// native websockets.
func allowedOrigin(origins []string, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	own, err := url.Parse(origin)
	return slices.Contains(origins, origin) || err == nil && own.Host != "" && strings.EqualFold(own.Host, r.Host)
}

// settling is how long a node that should join others waits for them before it
// serves alone: what actors elsewhere send reaches it only when they know it.
const settling = 5 * time.Second

func (s *server) isReady(ctx context.Context) error {
	switch {
	case !s.ready.Load():
		return errors.New("starting or stopping")
	case s.cfg.join != "" && len(s.node.View().Members) == 1 && time.Since(s.started) < settling:
		return errors.New("looking for the other nodes")
	}
	return s.db.Ping(ctx)
}

// describe asks the instance for what the front page shows.
func (s *server) describe(ctx context.Context) httpapi.InstanceInfo {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	info := httpapi.InstanceInfo{Name: "Rookery"}
	if r, err := s.ops.Do(ctx, &protocol.InstancePublic.Operation, protocol.Caller{}, protocol.Input{}); err == nil {
		if settings, ok := r.(*protocol.PublicSettings); ok {
			info.Name = settings.Name
		}
	}
	if r, err := s.ops.Do(ctx, &protocol.OnboardingGet.Operation, protocol.Caller{}, protocol.Input{}); err == nil {
		if status, ok := r.(*protocol.OnboardingStatus); ok {
			info.NeedsSetup = status.NeedsSetup
		}
	}
	return info
}

// start serves clients; the channel tells when that fails.
func (s *server) start(l net.Listener) <-chan error {
	failed := make(chan error, 1)
	s.ready.Store(true)
	go func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return failed
}

// greet tells a person at a terminal where to go next.
func (s *server) greet(ctx context.Context, out io.Writer, addr net.Addr) {
	url := clientURL(addr)
	fmt.Fprintf(out, "\n  Rookery is running at %s\n", url)
	if s.describe(ctx).NeedsSetup {
		fmt.Fprintf(out, "  Make the first owner: open %s, or point a client at it\n", url)
	}
	fmt.Fprintf(out, "  Stop it with Ctrl-C\n\n")
}

// stop lets go of everything in the order in which it can still be finished:
// no new work, what is under way, actors with their writes, the writer.
func (s *server) stop() {
	s.ready.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	var errs []error
	note := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	// Beside the drain: what a chore waits for is only the database.
	s.indexer.Stop()
	jobsOver := make(chan error, 1)
	go func() { jobsOver <- s.jobs.Stop(ctx) }()
	note("close sockets", s.sockets.Drain(ctx))
	note("close http", s.http.Shutdown(ctx))
	s.notices.Stop()
	note("hand actors over", s.node.Drain(ctx))
	note("put scheduled work back", <-jobsOver)
	closing, done := context.WithTimeout(context.Background(), closeTimeout)
	defer done()
	note("write what is queued", s.writer.Close(closing))
	note("leave the cluster", s.node.Stop(closing))
	s.sockets.Close()
	s.poller.Close()
	s.gate.Close()
	if s.redis != nil {
		note("close redis", s.redis.Close())
	}
	note("close storage of files", s.blobs.Close())
	s.media.Stop()
	if s.profile != nil {
		note("close profiles", s.profile.Close())
	}
	if err := errors.Join(errs...); err != nil {
		s.log.Warn("stopped, not everything in time", "error", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	s.log.Info("stopped")
}

// abandon ends what a failed start left running.
func (s *server) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if s.indexer != nil {
		s.indexer.Stop()
	}
	if s.notices != nil {
		s.notices.Stop()
	}
	if s.node != nil {
		_ = s.node.Stop(ctx)
	}
	if s.writer != nil {
		_ = s.writer.Close(ctx)
	}
	if s.gate != nil {
		s.gate.Close()
	}
	if s.blobs != nil {
		_ = s.blobs.Close()
	}
	if s.media != nil {
		s.media.Stop()
	}
	if s.sockets != nil {
		s.sockets.Close()
	}
	if s.poller != nil {
		s.poller.Close()
	}
}
