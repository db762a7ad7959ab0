package process

import (
	"os/exec"
	"syscall"
	"time"
)

// StartGroup starts a command that ends by itself, in a process group of its
// own. When the command's context ends, the whole group is asked to end, and
// the command is killed after grace. The caller reads the pipes it made to
// their end and then calls cmd.Wait.
func StartGroup(cmd *exec.Cmd, grace time.Duration) error {
	cmd.WaitDelay = grace
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	return startInGroup(cmd)
}
