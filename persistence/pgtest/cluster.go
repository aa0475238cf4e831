package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence"
)

// urlVariable names a server to use instead of an embedded one.
const urlVariable = "ROOKERY_TEST_POSTGRES_URL"

// startTimeout is wide: machines that run tests are busy.
const startTimeout = 3 * time.Minute

// settings trade durability, which no test can observe, for speed.
var settings = map[string]string{
	"fsync":            "off",
	"full_page_writes": "off",
	"max_connections":  "300",
	"shared_buffers":   "64MB",
	"max_wal_size":     "256MB",
}

// area is the directory of this test binary, removed when the binary ends.
type area struct {
	dir string

	// lifeline is the write end of the reaper's standard input. Kept here, it closes when the
	// process ends and not when the garbage collector finds it.
	lifeline io.WriteCloser
}

var scratch = sync.OnceValues(func() (area, error) {
	dir, err := os.MkdirTemp("", "rookery-pgtest-")
	if err != nil {
		return area{}, err
	}
	// Started as root, the server runs as another user, who must pass through.
	if err := os.Chmod(dir, 0o711); err != nil {
		return area{}, err
	}
	lifeline, err := reapAtExit(dir)
	return area{dir, lifeline}, err
})

// reaper waits for the end of its standard input, then stops every server under $1, private
// ones included, and removes the directory.
const reaper = `cat >/dev/null
for f in "$1"/*/pgdata/postmaster.pid; do
	pid=$(head -n 1 "$f" 2>/dev/null) || continue
	kill -QUIT "$pid" 2>/dev/null
	n=0
	while kill -0 "$pid" 2>/dev/null && [ "$n" -lt 100 ]; do n=$((n+1)); sleep 0.1; done
done
rm -rf "$1"`

func reapAtExit(dir string) (lifeline io.WriteCloser, err error) {
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", reaper, "sh", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // survives Ctrl-C in the terminal
	if lifeline, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return lifeline, cmd.Start()
}

// base is the URL of the server that all tests of the binary share.
var base = sync.OnceValues(func() (string, error) {
	if url := os.Getenv(urlVariable); url != "" {
		return url, nil
	}
	at, err := scratch()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	e, err := persistence.StartEmbedded(ctx, persistence.EmbeddedConfig{Dir: filepath.Join(at.dir, "shared"), Settings: settings})
	if err != nil {
		return "", fmt.Errorf("start the Postgres for tests: %w", err)
	}
	return e.URL(), nil
})

// Dir is an empty directory in which an embedded Postgres can be started, also by root: the
// unprivileged user can pass through its parents, which is not so for t.TempDir. It is
// removed when the test ends.
func Dir(t testing.TB) string {
	t.Helper()
	at, err := scratch()
	if err != nil {
		t.Fatalf("make a directory: %v", err)
	}
	dir, err := os.MkdirTemp(at.dir, "dir-")
	if err == nil {
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		t.Fatalf("make a directory: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove directory: %v", err)
		}
	})
	return dir
}

// Server is a private Postgres for tests of outages.
type Server struct {
	t        testing.TB
	dir      string
	settings map[string]string

	mu  sync.Mutex
	run *persistence.Embedded // nil while stopped
}

// NewServer starts a private server, which is stopped when the test ends. Its one database
// is empty: open it with persistence.Open and migrate it.
func NewServer(t testing.TB) *Server {
	t.Helper()
	return newServer(t, settings)
}

// NewDurableServer is NewServer with the settings of production, for benchmarks.
func NewDurableServer(t testing.TB) *Server {
	t.Helper()
	return newServer(t, nil)
}

func newServer(t testing.TB, settings map[string]string) *Server {
	t.Helper()
	s := &Server{t: t, dir: Dir(t), settings: settings}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// URL is the same through every restart, as long as the port stays free.
func (s *Server) URL() string {
	s.t.Helper()
	url, err := persistence.EmbeddedURL(s.dir)
	if err != nil {
		s.t.Fatalf("read URL: %v", err)
	}
	return url
}

// Start starts the server when it is stopped.
func (s *Server) Start() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	run, err := persistence.StartEmbedded(ctx, persistence.EmbeddedConfig{Dir: s.dir, Settings: s.settings})
	if err != nil {
		s.t.Fatalf("start private Postgres: %v", err)
	}
	s.run = run
}

// Stop shuts the server down and waits for its end: clients lose their connections.
func (s *Server) Stop() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.run.Stop(ctx); err != nil {
		s.t.Errorf("stop private Postgres: %v", err)
	}
	s.run = nil
}

// Kill ends the server process with SIGKILL, when it is up. It comes back by itself and
// recovers.
func (s *Server) Kill() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		s.t.Fatal("kill private Postgres: it is stopped")
	}
	pid := s.run.PID()
	if pid == 0 {
		return // still on its way back
	}
	err := syscall.Kill(pid, syscall.SIGKILL)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		s.t.Fatalf("kill private Postgres: %v", err)
	}
}
