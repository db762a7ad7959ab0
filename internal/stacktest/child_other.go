//go:build !linux

package stacktest

import "syscall"

// ChildAttributes gives a child a process group of its own.
func ChildAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
