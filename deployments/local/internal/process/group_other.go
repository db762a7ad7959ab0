//go:build !linux

package process

import (
	"os/exec"
	"syscall"
)

// startInGroup has no parent-death signal to ask for outside Linux: a parent
// killed with SIGKILL leaves its children behind there.
func startInGroup(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd.Start()
}
