package stacktest

import "syscall"

// ChildAttributes make a child end with the test process, however that ends. It has a process
// group of its own, so that Ctrl-C reaches it through whoever started it, and not twice.
func ChildAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
