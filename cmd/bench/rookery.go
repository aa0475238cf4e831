//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startTimeout bounds the start of a server, the creation of its database
// included.
const startTimeout = 90 * time.Second

// rookery is the server under test, a process with its own Postgres.
type rookery struct {
	cmd      *exec.Cmd
	exited   chan error
	addr     string // of clients
	profile  string // of profiles and figures
	data     string
	postgres int // pid
	samples  string
}

// startRookery runs the server on a data directory and waits until it is ready.
// Its log tells errors only: what is measured is the server, not its terminal.
func startRookery(ctx context.Context, binary, data string) (*rookery, error) {
	r := &rookery{data: data, exited: make(chan error, 1)}
	var err error
	if r.addr, err = freeAddr(ctx); err != nil {
		return nil, err
	}
	if r.profile, err = freeAddr(ctx); err != nil {
		return nil, err
	}
	r.cmd = exec.CommandContext(ctx, binary, "serve", "--voice", "off", "--listen", r.addr, "--profile-listen", r.profile, "--data", data,
		"--rate-limits", "off", "--log-level", "warn", "--log-format", "json")
	r.cmd.Stderr = os.Stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	r.cmd.Cancel = func() error { return r.cmd.Process.Signal(syscall.SIGTERM) }
	r.cmd.WaitDelay = 30 * time.Second
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	go func() { r.exited <- r.cmd.Wait() }()
	if err := r.ready(ctx); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func freeAddr(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// ready polls: the port tells when there is somebody to ask.
func (r *rookery) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for get(ctx, "http://"+r.addr+"/readyz", io.Discard) != nil {
		select {
		case <-tick.C:
		case err := <-r.exited:
			r.exited <- err
			return fmt.Errorf("the server ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("the server does not become ready: %w", ctx.Err())
		}
	}
	b, err := os.ReadFile(filepath.Join(r.data, "postgres", "pgdata", "postmaster.pid"))
	if err != nil {
		return fmt.Errorf("find Postgres: %w", err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	r.postgres, err = strconv.Atoi(strings.TrimSpace(first))
	return err
}

// stop ends the server as an operator does.
func (r *rookery) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	<-r.exited
}

// get reads a page into w.
func get(ctx context.Context, url string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, res.Status)
	}
	_, err = io.Copy(w, res.Body)
	return err
}

// figures are what is used of /debug/stats.
type figures struct {
	Goroutines int
	Heap       uint64
	Sockets    struct{ Writes uint64 }
	Relay      struct{ Deliveries uint64 }
}

func (r *rookery) figures(ctx context.Context) (f figures, err error) {
	var b strings.Builder
	if err := get(ctx, "http://"+r.profile+"/debug/stats", &b); err != nil {
		return f, err
	}
	return f, json.Unmarshal([]byte(b.String()), &f)
}

// usage is the processor time of the server and of its Postgres.
type usage struct {
	server, postgres float64
}

func (r *rookery) usage() (u usage, err error) {
	u.server, err = cpuOf(r.cmd.Process.Pid)
	u.postgres = treeCPU(r.postgres)
	return u, err
}

func (u usage) since(before usage) usage {
	return usage{u.server - before.server, u.postgres - before.postgres}
}

// Calm is when a server has little to do and delivers nothing.
const (
	calmCPU     = 0.15 // of a processor
	calmTimeout = 25 * time.Second
)

var errNotCalm = errors.New("the server does not come to rest")

// calm waits until what logins caused is over.
func (r *rookery) calm(ctx context.Context) error {
	deadline := time.Now().Add(calmTimeout)
	for {
		before, err := r.figures(ctx)
		if err != nil {
			return err
		}
		cpu, err := r.usage()
		if err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		after, err := r.figures(ctx)
		if err != nil {
			return err
		}
		now, err := r.usage()
		if err != nil {
			return err
		}
		if spent := now.since(cpu); after.Relay.Deliveries == before.Relay.Deliveries && spent.server+spent.postgres < calmCPU {
			return nil
		}
		if time.Now().After(deadline) {
			return errNotCalm
		}
	}
}

// pause lets time pass: what is measured here is time.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sample writes a CPU profile of the server while something is measured, when
// profiles were asked for. The function returned waits for its end.
func (r *rookery) sample(ctx context.Context, name string, seconds float64) func() error {
	if r.samples == "" || seconds < 1 {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		f, err := os.Create(filepath.Join(r.samples, name+".cpu.pprof"))
		if err == nil {
			err = errors.Join(get(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", r.profile, int(seconds)), f), f.Close())
		}
		done <- err
	}()
	return func() error { return <-done }
}

// snapshot writes a profile of the heap, when profiles were asked for. It makes
// the server collect its garbage, so it comes after what is measured.
func (r *rookery) snapshot(ctx context.Context, name string) error {
	if r.samples == "" {
		return nil
	}
	f, err := os.Create(filepath.Join(r.samples, name+".heap.pprof"))
	if err != nil {
		return err
	}
	return errors.Join(get(ctx, "http://"+r.profile+"/debug/pprof/heap?gc=1", f), f.Close())
}
