package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/jobs"
)

// Bounds of the stop. A drain must be over before supervisors lose patience.
const (
	drainTimeout = 10 * time.Second
	closeTimeout = 20 * time.Second
)

// postgresDir is where the embedded Postgres lives, below the data directory.
const postgresDir = "postgres"

// serve opens things in order, runs until the context ends, and closes them in
// reverse.
func serve(ctx context.Context, args []string, out io.Writer) error {
	cfg, err := parseConfig(args, out)
	if err != nil {
		return err
	}
	log, err := cfg.logger(os.Stderr)
	if err != nil {
		return err
	}
	// The port is taken first: a second start by mistake must not touch anything.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.listen)
	if err != nil {
		return listenError(cfg.listen, err)
	}
	defer listener.Close()
	if err := makeDataDir(cfg.data); err != nil {
		return err
	}
	databaseURL, stopPostgres, err := openPostgres(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer stopPostgres()
	db, err := openDatabase(ctx, databaseURL, log)
	if err != nil {
		return err
	}
	defer db.Close()
	secrets, err := loadSecrets(ctx, cfg.data, cfg.clusterSecret, db)
	if err != nil {
		return err
	}
	s, err := newServer(ctx, cfg, secrets, db, log)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		go governGarbage(ctx, func() int { return s.poller.Stats().Open })
	}
	failed := s.start(listener)
	log.Info("listening", "address", listener.Addr().String())
	s.greet(ctx, out, listener.Addr())
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-failed:
		log.Error("the listener failed", "error", err)
	}
	s.stop()
	return err
}

// listenError says in one line why an address can't be had.
func listenError(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use by another process, choose another with --listen", addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("no permission to listen on %s, choose a port above 1023 with --listen", addr)
	default:
		return fmt.Errorf("listen: %w", err)
	}
}

// makeDataDir makes the data directory and finds out whether it can be written.
// Others may pass through it, because Postgres may run as another user, but not
// look into it.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("data directory is not writable: %w", err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// openPostgres returns the URL of the database and starts the embedded one when
// none was given.
func openPostgres(ctx context.Context, cfg *config, log *slog.Logger) (url string, stop func(), err error) {
	if cfg.databaseURL != "" {
		return cfg.databaseURL, func() {}, nil
	}
	pg, err := persistence.StartEmbedded(ctx, persistence.EmbeddedConfig{Dir: filepath.Join(cfg.data, postgresDir), Log: log})
	if err != nil {
		return "", nil, err
	}
	return pg.URL(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := pg.Stop(ctx); err != nil {
			log.Error("postgres did not stop", "error", err)
		}
	}, nil
}

func openDatabase(ctx context.Context, url string, log *slog.Logger) (*persistence.DB, error) {
	db, err := persistence.Open(ctx, persistence.Config{URL: url, Log: log})
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	if err := db.Migrate(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("migrate the database: %w", err)
	}
	if err := jobs.Migrate(ctx, db); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// postgresURL prints the URL of the Postgres in a data directory.
func postgresURL(_ context.Context, args []string, out io.Writer) error {
	cfg, err := parseConfig(args, out)
	if err != nil {
		return err
	}
	url, err := persistence.EmbeddedURL(filepath.Join(cfg.data, postgresDir))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, url)
	return err
}

// clientURL is where a person on this machine finds the server.
func clientURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "http://" + addr.String()
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
