package persistence

import "syscall"

// dieWithParent has the kernel ask for a fast shutdown when the thread that started the
// process ends, which spawn keeps alive as long as the process.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }
