package persistence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	startAttempts   = 4
	restartDelay    = 500 * time.Millisecond
	maxRestartDelay = 10 * time.Second
	readyPoll       = 20 * time.Millisecond
	patience        = 5 * time.Second // then the log says what is being waited for
	orphanTimeout   = 15 * time.Second
	hardStopTimeout = 5 * time.Second

	// deadPID is a process id that no system hands out.
	deadPID = "2147483646"
)

// process is one run of the server.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// start brings the server up, trying again when it ends at once: the port may have been
// taken in between, or the last processes of a killed predecessor are still going away.
func (c *cluster) start(ctx context.Context) (*process, error) {
	var err error
	for attempt := range startAttempts {
		if attempt > 0 {
			select {
			case <-time.After(time.Duration(attempt) * restartDelay):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		var p *process
		if p, err = c.startOnce(ctx); err == nil || ctx.Err() != nil {
			return p, err
		}
	}
	return nil, err
}

func (c *cluster) startOnce(ctx context.Context) (*process, error) {
	if err := c.stopOrphan(ctx); err != nil {
		return nil, err
	}
	if err := c.choosePort(ctx); err != nil {
		return nil, err
	}
	if err := c.writeData("pg_hba.conf", hostAuthentication); err != nil {
		return nil, fmt.Errorf("start embedded Postgres: %w", err)
	}
	output, err := os.OpenFile(filepath.Join(c.dir, embeddedStartLog), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start embedded Postgres: %w", err)
	}
	defer func() { _ = output.Close() }()
	cmd := c.account.command(context.WithoutCancel(ctx), c.dir, c.binaries.postgres, c.arguments()...)
	cmd.Cancel = nil
	cmd.Stdout, cmd.Stderr = output, output
	p, err := spawn(cmd)
	if err != nil {
		return nil, fmt.Errorf("start embedded Postgres: %w", err)
	}
	if err := c.awaitReady(ctx, p); err != nil {
		_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended already
		<-p.exited
		return nil, fmt.Errorf("start embedded Postgres: %w", err)
	}
	return p, nil
}

// writeData replaces a file of the data directory. It never follows a link that the
// server's account might have put there.
func (c *cluster) writeData(name, text string) error {
	path := filepath.Join(c.data(), name)
	if err := writeSecret(path, text); err != nil || !c.account.drop {
		return err
	}
	return os.Lchown(path, int(c.account.uid), int(c.account.gid))
}

// spawn starts the process on an operating system thread that lives as long as it does:
// the kernel delivers the parent's death signal when the starting thread ends.
func spawn(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		_ = cmd.Wait() // ProcessState tells how it ended
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// awaitReady returns when the server lets the role in, which after a crash is when it has
// recovered.
func (c *cluster) awaitReady(ctx context.Context, p *process) error {
	cc, err := pgconn.ParseConfig(c.url())
	if err != nil {
		return err
	}
	cc.ConnectTimeout = patience
	slow := time.After(patience)
	for {
		conn, err := pgconn.ConnectConfig(ctx, cc)
		if err == nil {
			return conn.Close(ctx)
		}
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code != "57P03" { // 57P03: still starting up
			return err
		}
		select {
		case <-p.exited:
			return fmt.Errorf("it ended at once (%s): %s", p.cmd.ProcessState, c.complaint())
		case <-ctx.Done():
			return fmt.Errorf("it is not ready yet: %w", ctx.Err())
		case <-slow:
			c.log.Info("waiting for the embedded Postgres, after a crash it recovers first", "dir", c.dir)
		case <-time.After(readyPoll):
		}
	}
}

// complaint is the line in which the server said why it does not start.
func (c *cluster) complaint() string {
	out, err := os.ReadFile(filepath.Join(c.dir, embeddedStartLog))
	if err != nil {
		return err.Error()
	}
	for line := range bytes.Lines(out) {
		if i := bytes.Index(line, []byte("FATAL:")); i >= 0 {
			return string(bytes.TrimSpace(line[i:]))
		}
	}
	return lastLine(out)
}

// stopOrphan ends the server that a killed predecessor left running on our directory. We
// hold the lock of the directory, so nobody else needs it.
func (c *cluster) stopOrphan(ctx context.Context) error {
	name := filepath.Join(c.data(), "postmaster.pid")
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a running Postgres: %w", err)
	}
	first, rest, _ := bytes.Cut(b, []byte("\n"))
	pid := processID(first)
	if pid <= 1 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return nil // Postgres itself clears what a dead server left
	}
	if !processRuns(pid) || !c.isServer(ctx, pid) {
		// The id went to another process, after a reboot or in a fresh container, or the dead
		// server was not reaped. Postgres would take that for a running server. Only the id is
		// replaced: the rest lets Postgres see whether processes of the dead server are still
		// attached to its memory.
		return c.writeData("postmaster.pid", deadPID+"\n"+string(rest))
	}
	c.log.Warn("stopping a Postgres that was left running", "pid", pid, "dir", c.dir)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the Postgres that was left running (process %d): %w", pid, err)
		}
		gone, err := awaitGone(ctx, pid)
		if err != nil || gone {
			return err
		}
	}
	return fmt.Errorf("stop the Postgres that was left running: process %d does not end", pid)
}

// processID reads the id of a process; 0 for what is none.
func processID(text []byte) int {
	pid, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 32)
	if err != nil {
		return 0
	}
	return int(pid)
}

func awaitGone(ctx context.Context, pid int) (bool, error) {
	for deadline := time.Now().Add(orphanTimeout); time.Now().Before(deadline); {
		if !processRuns(pid) {
			return true, nil
		}
		select {
		case <-time.After(readyPoll):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return false, nil
}

// processRuns is false for a process that has ended, reaped or not.
func processRuns(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // "pid (name) state ..."
	if err != nil {
		return true // no /proc here
	}
	state := bytes.TrimSpace(stat[bytes.LastIndexByte(stat, ')')+1:])
	return !bytes.HasPrefix(state, []byte("Z"))
}

// isServer reports whether the process is a Postgres that was started on our data directory.
func (c *cluster) isServer(ctx context.Context, pid int) bool {
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		args, err = exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	}
	return err == nil && bytes.Contains(args, []byte("postgres")) && bytes.Contains(args, []byte(c.data()))
}
