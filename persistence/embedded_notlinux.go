//go:build !linux

package persistence

import "syscall"

// dieWithParent does nothing where the kernel cannot do it: the next start finds the server
// that was left behind and stops it.
func dieWithParent(*syscall.SysProcAttr) {}
