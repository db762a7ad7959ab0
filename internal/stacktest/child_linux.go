package stacktest

import "syscall"

// childAttributes makes the stack end with the test process, however that ends. The stack has a process
// group of its own, so that Ctrl-C reaches it through Stop and not twice.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
