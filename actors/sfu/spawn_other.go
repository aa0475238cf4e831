//go:build !linux

package sfu

import "os/exec"

func dieWithParent(*exec.Cmd) {}

// spawn starts a process; ended gets how it ended, once.
func spawn(cmd *exec.Cmd, ended chan<- error) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { ended <- cmd.Wait() }()
	return nil
}
