package sfu

import (
	"os/exec"
	"runtime"
	"syscall"
)

// dieWithParent has the kernel end the child with the thread that started it, which
// spawn keeps alive as long as the child. The end of its input would do, unless it
// hangs.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// spawn starts a process; ended gets how it ended, once.
func spawn(cmd *exec.Cmd, ended chan<- error) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	return <-started
}
