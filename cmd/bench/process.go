//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// process is a command of this program in a process of its own.
type process struct {
	cmd    *exec.Cmd
	orders io.WriteCloser
	lines  *bufio.Scanner
}

func spawn(ctx context.Context, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd, in, bufio.NewScanner(out)}, nil
}

// order writes one line to the process.
func (p *process) order(what any) error { return json.NewEncoder(p.orders).Encode(what) }

// await reads lines up to the one of that event, and decodes it.
func (p *process) await(event string, into any) error {
	for p.lines.Scan() {
		var n note
		if err := json.Unmarshal(p.lines.Bytes(), &n); err != nil {
			return err
		}
		if n.Event != event {
			continue
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(p.lines.Bytes(), into)
	}
	return fmt.Errorf("ended before %q: %w", event, errors.Join(p.lines.Err(), io.ErrUnexpectedEOF))
}

// stop ends the process, if it has not ended yet.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
