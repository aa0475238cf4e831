package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// config is what flags and environment say. A flag wins over its variable.
type config struct {
	listen        string
	data          string
	databaseURL   string
	redisURL      string
	clusterListen string
	clusterSecret string
	clusterCert   string
	clusterKey    string
	clusterCA     string
	join          string
	rateLimits    string
	corsOrigin    string
	trustProxy    string
	apiDocs       string
	secureCookies bool
	logLevel      string
	logFormat     string
	profile       string
	writeQueue    int
	debugPanel    bool
	resumeWindow  time.Duration
	privatePush   bool

	filesDir string
	blobURL  string

	voice         string
	livekitURL    string
	livekitAPI    string
	livekitKey    string
	livekitSecret string
	mediaAddress  string
	mediaUDP      int
	mediaTCP      int
}

func (c *config) flags(fs *flag.FlagSet) {
	text := func(p *string, name, env, value, about string) {
		if v, ok := os.LookupEnv(env); ok {
			value = v
		}
		fs.StringVar(p, name, value, about+" [$"+env+"]")
	}
	text(&c.listen, "listen", "ROOKERY_LISTEN", "127.0.0.1:3000", "`host:port` for clients")
	text(&c.data, "data", "ROOKERY_DATA", "./data", "`directory` for the embedded Postgres and generated secrets")
	text(&c.databaseURL, "database-url", "DATABASE_URL", "", "`URL` of a Postgres 14 or newer; empty: start one in the data directory")
	text(&c.redisURL, "redis-url", "REDIS_URL", "", "`URL` of a Redis that nodes share for rate limits; empty: each node counts for itself")
	text(&c.clusterListen, "cluster-listen", "ROOKERY_CLUSTER_LISTEN", "", "`host:port` for gossip, remoting takes the next free port; empty: a single node")
	text(&c.clusterSecret, "cluster-secret", "ROOKERY_CLUSTER_SECRET", "", "secret that all nodes share; empty: taken from the database they share")
	text(&c.clusterCert, "cluster-cert", "ROOKERY_CLUSTER_CERT", "", "PEM `file` of this node's certificate: nodes talk mutual TLS")
	text(&c.clusterKey, "cluster-key", "ROOKERY_CLUSTER_KEY", "", "PEM `file` of its key")
	text(&c.clusterCA, "cluster-ca", "ROOKERY_CLUSTER_CA", "", "PEM `file` of the authority that signed the nodes' certificates")
	text(&c.join, "join", "ROOKERY_JOIN", "", "comma-separated gossip `addresses` of other nodes")
	text(&c.rateLimits, "rate-limits", "ROOKERY_RATE_LIMITS", "on", "`on or off`")
	text(&c.corsOrigin, "cors-origin", "CORS_ORIGIN", "http://localhost:5173", "comma-separated `origins` that browsers may call from")
	text(&c.trustProxy, "trust-proxy", "TRUST_PROXY", "", "how X-Forwarded-For is trusted: number of `hops`, true, false or networks")
	text(&c.apiDocs, "api-docs", "ROOKERY_API_DOCS", defaultDocs(), "`on or off`: describe the API at /api-docs and /api/openapi.json; $ENABLE_SWAGGER is understood too")
	text(&c.logLevel, "log-level", "ROOKERY_LOG_LEVEL", "info", "`level`: debug, info, warn or error")
	text(&c.logFormat, "log-format", "ROOKERY_LOG_FORMAT", "text", "`format`: text or json")
	text(&c.profile, "profile-listen", "ROOKERY_PROFILE_LISTEN", "", "`host:port` for Go profiles (keep it private); empty: none")
	text(&c.filesDir, "files", "FILE_UPLOAD_DEST", "", "`directory` for uploaded files, which all nodes must share; empty: uploads in the data directory")
	text(&c.blobURL, "blob-url", "ROOKERY_BLOB_URL", "", "`URL` of a bucket for uploaded files instead: s3://, azblob:// or gs://")
	c.voiceFlags(fs, text)
	fs.IntVar(&c.writeQueue, "write-queue", 100_000, "`rows` that may wait for Postgres before senders are told to retry")
	fs.DurationVar(&c.resumeWindow, "resume-window", 2*time.Minute, "`time` for clients whose connection broke to come back without missing anything; 0: none")
	fs.BoolVar(&c.debugPanel, "debug-panel", os.Getenv("ADMIN_DEBUG_PANEL") == "true",
		"let owners of the instance send events by /api/debug [$ADMIN_DEBUG_PANEL]")
	fs.BoolVar(&c.privatePush, "push-private", os.Getenv("ROOKERY_PUSH_PRIVATE") == "true",
		"let browsers be pushed to at private addresses, for tests [$ROOKERY_PUSH_PRIVATE]")
	fs.BoolVar(&c.secureCookies, "secure-cookies", os.Getenv("NODE_ENV") == "production" || os.Getenv("ROOKERY_SECURE_COOKIES") == "true",
		"mark cookies Secure: clients come by https [$ROOKERY_SECURE_COOKIES]")
}

// defaultDocs is what the variables of the contract say: on, unless production
// or an explicit no.
func defaultDocs() string {
	enabled, set := os.LookupEnv("ENABLE_SWAGGER")
	if enabled == "true" || !set && os.Getenv("NODE_ENV") != "production" {
		return "on"
	}
	return "off"
}

func parseConfig(args []string, out io.Writer) (*config, error) {
	var c config
	fs := flag.NewFlagSet("rookery serve", flag.ContinueOnError)
	fs.SetOutput(out)
	c.flags(fs)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return &c, c.check()
}

// check finds contradictions before anything is opened.
func (c *config) check() error {
	for name, addr := range map[string]string{"--listen": c.listen, "--cluster-listen": c.clusterListen, "--profile-listen": c.profile} {
		if addr == "" && name != "--listen" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("%s %q is not host:port", name, addr)
		}
	}
	if c.databaseURL != "" {
		u, err := url.Parse(c.databaseURL)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			return errors.New("--database-url must look like postgres://user:password@host:port/database")
		}
	}
	if c.rateLimits != "on" && c.rateLimits != "off" {
		return fmt.Errorf("--rate-limits is %q, must be on or off", c.rateLimits)
	}
	if c.apiDocs != "on" && c.apiDocs != "off" {
		return fmt.Errorf("--api-docs is %q, must be on or off", c.apiDocs)
	}
	if c.resumeWindow < 0 || c.resumeWindow > time.Hour {
		return errors.New("--resume-window must be from 0 to 1h")
	}
	if c.join != "" && c.clusterListen == "" {
		return errors.New("--join needs --cluster-listen")
	}
	if c.clusterListen != "" && c.databaseURL == "" && c.join != "" {
		return errors.New("nodes of a cluster share one database: give all of them the same --database-url")
	}
	if (c.clusterCert == "") != (c.clusterKey == "") || (c.clusterCert == "") != (c.clusterCA == "") {
		return errors.New("--cluster-cert, --cluster-key and --cluster-ca belong together")
	}
	return c.checkVoice()
}

func (c *config) seeds() []string {
	var seeds []string
	for s := range strings.SplitSeq(c.join, ",") {
		if s = strings.TrimSpace(s); s != "" {
			seeds = append(seeds, s)
		}
	}
	return seeds
}

func (c *config) logger(out io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level %q is not debug, info, warn or error", c.logLevel)
	}
	opts := &slog.HandlerOptions{Level: level}
	switch c.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(out, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(out, opts)), nil
	default:
		return nil, fmt.Errorf("--log-format %q is not text or json", c.logFormat)
	}
}
