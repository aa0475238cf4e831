package sfu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"sync"
	"time"
)

// Times of a child.
const (
	startTimeout  = 20 * time.Second
	startPoll     = 20 * time.Millisecond
	restartDelay  = 250 * time.Millisecond
	maxRestart    = 10 * time.Second
	healthyAfter  = 30 * time.Second // a child that lived that long is started again at once
	killTimeout   = 10 * time.Second
	maxStderrLine = 8 << 10
)

var errEnded = errors.New("the media server ended by itself")

// Server is the LiveKit server in use. It is safe for concurrent use.
type Server struct {
	cfg Config
	log *slog.Logger

	cancel context.CancelFunc
	over   chan struct{} // closed when there is no child any more

	mu       sync.Mutex
	internal string        // URL of the API; empty while there is none
	changed  chan struct{} // closed when internal changes
	pid      int
}

// Start uses an external server, or starts a child and keeps it running. It does not
// wait for the child: voice is not worth a start that takes longer.
func Start(cfg Config) (*Server, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: cfg.Log, over: make(chan struct{}), changed: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if cfg.URL != "" || len(cfg.Command) == 0 {
		if s.internal = cfg.InternalURL; s.internal == "" {
			s.internal = cfg.URL
		}
		s.internal = apiURL(s.internal)
		close(s.over)
		return s, nil
	}
	port, err := cfg.udpPort()
	if err != nil {
		cancel()
		return nil, err
	}
	go s.supervise(ctx, port)
	return s, nil
}

// Configured reports whether there is a server, be it that it is starting.
func (s *Server) Configured() bool { return s.cfg.URL != "" || len(s.cfg.Command) > 0 }

// External is the URL that browsers connect to; empty when they connect to this server,
// which forwards them.
func (s *Server) External() string { return s.cfg.URL }

// Credentials sign tokens and API calls.
func (s *Server) Credentials() (key, secret string) { return s.cfg.Key, s.cfg.Secret }

// API is the URL of the server as this process reaches it; empty while it is down.
func (s *Server) API() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.internal
}

// Process is the id of the child; 0: there is none.
func (s *Server) Process() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}

// Await waits until the server can be used and returns its API.
func (s *Server) Await(ctx context.Context) (string, error) {
	for {
		s.mu.Lock()
		url, changed := s.internal, s.changed
		s.mu.Unlock()
		if url != "" {
			return url, nil
		}
		select {
		case <-changed:
		case <-s.over:
			return "", errors.New("there is no LiveKit server")
		case <-ctx.Done():
			return "", fmt.Errorf("the LiveKit server does not start: %w", ctx.Err())
		}
	}
}

// Stop ends the child.
func (s *Server) Stop() {
	s.cancel()
	<-s.over
}

func (s *Server) set(url string, pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.internal, s.pid = url, pid
	close(s.changed)
	s.changed = make(chan struct{})
}

// supervise keeps a child running.
func (s *Server) supervise(ctx context.Context, udpPort int) {
	defer close(s.over)
	delay := restartDelay
	for ctx.Err() == nil {
		began := time.Now()
		err := s.run(ctx, udpPort)
		s.set("", 0)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > healthyAfter {
			delay = restartDelay
		}
		s.log.Error("the LiveKit server ended and is started again", "error", err, "delay", delay)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
		delay = min(2*delay, maxRestart)
	}
}

// run is the life of one child.
func (s *Server) run(ctx context.Context, udpPort int) error {
	signalPort, err := freeTCP(s.cfg.signal())
	if err != nil {
		return err
	}
	line, err := s.cfg.line(signalPort, udpPort)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.cfg.Command[0], s.cfg.Command[1:]...) // stop ends it
	dieWithParent(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	tail := &complaints{log: s.log}
	cmd.Stdout, cmd.Stderr = tail, tail
	ended := make(chan error, 1)
	if err := spawn(cmd, ended); err != nil {
		return err
	}
	if _, err := stdin.Write(line); err != nil {
		s.log.Debug("LiveKit did not read its configuration", "error", err)
	}
	url := "http://" + address(s.cfg.signal(), signalPort)
	if err := awaitReady(ctx, url, ended); err != nil {
		stop(cmd, stdin, ended)
		return errors.Join(err, tail.last())
	}
	s.log.Info("LiveKit is running", "signalling", url, "udp", udpPort, "media", s.cfg.media())
	s.set(url, cmd.Process.Pid)
	select {
	case err := <-ended:
		return errors.Join(errEnded, err, tail.last())
	case <-ctx.Done():
		s.set("", cmd.Process.Pid)
		stop(cmd, stdin, ended)
		return nil
	}
}

// stop ends a child by the end of its input, and by force when it does not listen.
func stop(cmd *exec.Cmd, stdin io.Closer, ended <-chan error) {
	_ = stdin.Close()
	select {
	case <-ended:
	case <-time.After(killTimeout):
		_ = cmd.Process.Kill()
		<-ended
	}
}

// awaitReady returns when the server answers.
func awaitReady(ctx context.Context, url string, ended chan error) error {
	limit := time.NewTimer(startTimeout)
	defer limit.Stop()
	client := http.Client{Timeout: time.Second, Transport: direct}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if res, err := client.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-ended:
			ended <- err // for who waits for its end
			return errors.Join(errEnded, err)
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return errors.New("it does not answer")
		case <-time.After(startPoll):
		}
	}
}

// complaints pass on what the child says, as far as somebody should know it.
type complaints struct {
	log *slog.Logger

	mu   sync.Mutex
	rest []byte
	text string // the last line
}

func (c *complaints) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest = append(c.rest, p...)
	for {
		line, rest, whole := bytes.Cut(c.rest, []byte("\n"))
		if !whole {
			if len(c.rest) > maxStderrLine {
				c.rest = nil
			}
			return len(p), nil
		}
		c.rest = rest
		c.line(line)
	}
}

func (c *complaints) line(line []byte) {
	text := string(bytes.TrimSpace(line))
	if text == "" {
		return
	}
	var entry struct{ Level, Msg, Error string }
	if json.Unmarshal(line, &entry) != nil {
		c.text = text
		c.log.Debug("LiveKit", "says", text)
		return
	}
	if entry.Error != "" {
		entry.Msg += ": " + entry.Error
	}
	if entry.Level == "error" {
		c.text = entry.Msg
	}
	c.log.Debug("LiveKit", "level", entry.Level, "says", entry.Msg)
}

func (c *complaints) last() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text == "" {
		return nil
	}
	return errors.New(c.text)
}
