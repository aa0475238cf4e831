package persistence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Files inside EmbeddedConfig.Dir.
const (
	embeddedLock     = "lock"        // flock: one server per directory
	embeddedPassword = "password"    // of role rookery, mode 0600
	embeddedPort     = "port"        // stays the same as long as it is free
	embeddedStartLog = "startup.log" // what the server said before its own log began
	embeddedData     = "pgdata"      // the cluster; its log is in pgdata/log, one file per weekday

	embeddedRole = "rookery" // role and database
)

// EmbeddedConfig says where the embedded Postgres lives.
type EmbeddedConfig struct {
	// Dir is a directory that belongs to the embedded Postgres alone; it is made when it does
	// not exist. Started as root, it is given to an unprivileged user, who must be able to
	// pass through its parents.
	Dir string
	// Log receives what is worth telling an operator; silent when nil.
	Log *slog.Logger
	// Settings are additional server settings, which win over the built-in ones. With
	// "fsync" set to "off" the directory is not synced on creation either: for tests only.
	Settings map[string]string
}

// Embedded is a Postgres server that this process started and keeps running: should it end
// by itself, it is started again on the same port.
type Embedded struct {
	cluster *cluster
	lock    *os.File
	log     *slog.Logger

	stop    chan struct{} // closed by Stop
	stopped chan struct{} // closed by the supervisor when the server is down for good
	once    sync.Once

	mu   sync.Mutex
	proc *process // the current run; nil between two runs
}

// StartEmbedded starts the Postgres of cfg.Dir, making it on first use, and returns once it
// accepts connections. ctx bounds the start only, which after a crash includes recovery. A
// server that a killed predecessor left running on the directory is stopped first. Every
// error is one line.
func StartEmbedded(ctx context.Context, cfg EmbeddedConfig) (*Embedded, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("find database directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("create database directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	log := logger(cfg.Log)
	e := &Embedded{lock: lock, log: log, stop: make(chan struct{}), stopped: make(chan struct{})}
	if e.cluster, err = openCluster(ctx, dir, cfg.Settings, log); err == nil {
		e.proc, err = e.cluster.start(ctx)
	}
	if err != nil {
		unlockDir(lock)
		return nil, oneLine(err)
	}
	go e.supervise()
	return e, nil
}

// URL is the connection URL, password included.
func (e *Embedded) URL() string { return e.cluster.url() }

// PID is the process id of the running server, 0 while it is down.
func (e *Embedded) PID() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.proc == nil {
		return 0
	}
	return e.proc.cmd.Process.Pid
}

// Stop shuts the server down cleanly and frees the directory. When ctx ends first the
// server is stopped the hard way, which costs a recovery at the next start and no data; the
// error then says so.
func (e *Embedded) Stop(ctx context.Context) error {
	e.once.Do(func() { close(e.stop) })
	select {
	case <-e.stopped:
		return nil
	case <-ctx.Done():
	}
	e.signal(syscall.SIGQUIT)
	select {
	case <-e.stopped:
	case <-time.After(hardStopTimeout):
		e.signal(syscall.SIGKILL)
		<-e.stopped
	}
	return fmt.Errorf("stop embedded Postgres: had to end it hard: %w", ctx.Err())
}

func (e *Embedded) signal(sig syscall.Signal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.proc != nil {
		_ = e.proc.cmd.Process.Signal(sig) // it may have ended meanwhile
	}
}

// supervise keeps the server running until Stop.
func (e *Embedded) supervise() {
	defer close(e.stopped)
	defer unlockDir(e.lock)
	for e.watch() {
		if !e.restart() {
			return
		}
	}
}

// watch waits for the end of the current run and reports whether there should be another.
func (e *Embedded) watch() (again bool) {
	select {
	case <-e.stop:
		_ = e.proc.cmd.Process.Signal(syscall.SIGINT) // fast shutdown
		<-e.proc.exited
	case <-e.proc.exited:
		again = true
		e.log.Error("embedded Postgres ended unexpectedly, starting it again", "state", e.proc.cmd.ProcessState.String())
	}
	e.setProcess(nil)
	return again
}

func (e *Embedded) restart() bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-e.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	for wait := restartDelay; ; wait = min(2*wait, maxRestartDelay) {
		proc, err := e.cluster.start(ctx)
		if err == nil {
			e.setProcess(proc)
			e.log.Info("embedded Postgres is back")
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		e.log.Error("embedded Postgres does not start", "error", oneLine(err))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}

func (e *Embedded) setProcess(p *process) {
	e.mu.Lock()
	e.proc = p
	e.mu.Unlock()
}

// EmbeddedURL is the connection URL of the embedded Postgres in dir, whether it runs or
// not, for tools like psql. It fails when there has never been one.
func EmbeddedURL(dir string) (string, error) {
	password, err := os.ReadFile(filepath.Join(dir, embeddedPassword))
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("no embedded Postgres in %s", dir)
	}
	if err != nil {
		return "", fmt.Errorf("read password of embedded Postgres: %w", err)
	}
	port, err := readPort(dir)
	if err != nil {
		return "", err
	}
	return embeddedURL(string(password), port), nil
}

func embeddedURL(password string, port int) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(embeddedRole, password),
		Host: "127.0.0.1:" + strconv.Itoa(port), Path: "/" + embeddedRole, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// lockDir takes the directory for this process. The lock goes with the process, however
// that ends.
func lockDir(dir string) (*os.File, error) {
	name := filepath.Join(dir, embeddedLock)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock database directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(name) // only to name it
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock database directory: %s is in use by another server (process %s)", dir, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("lock database directory: %w", &os.PathError{Op: "flock", Path: name, Err: err})
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		unlockDir(f)
		return nil, fmt.Errorf("lock database directory: %w", err)
	}
	return f, nil
}

// unlockDir frees the directory at once. Closing alone would not, while a process that
// another goroutine is just starting still has its copy of the open file.
func unlockDir(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	_ = f.Close()
}
