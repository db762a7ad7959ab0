// Package process starts and ends child processes, reserves loopback ports and
// takes file locks: what a stack of servers on one machine needs from the
// operating system.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Command is a server to run as a child.
type Command struct {
	// Name is what people know it by, such as "primary kube-apiserver".
	Name string
	Path string
	Args []string
	// Env is the whole environment, os.Environ() when nil.
	Env []string
	// Log takes what it prints; appended to, made when missing.
	Log string
}

// Child is a running server in a process group of its own, so that a Ctrl-C in
// the terminal reaches only the parent, who ends its children in order.
type Child struct {
	name     string
	log      string
	cmd      *exec.Cmd
	done     chan struct{}
	err      error // of Wait; read it after done is closed
	stopping atomic.Bool
}

// tailBytes is how much of a log is looked at when its process ended.
const tailBytes = 4 << 10

// Start runs the command. On Linux the kernel kills the child when this
// process dies, however it dies.
func Start(c Command) (*Child, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	defer log.Close()

	// No context ends it: children are ended in order, by Stop.
	cmd := exec.CommandContext(context.Background(), c.Path, c.Args...)
	cmd.Env = c.Env
	cmd.Stdout, cmd.Stderr = log, log
	if err := startInGroup(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}

	child := &Child{name: c.Name, log: c.Log, cmd: cmd, done: make(chan struct{})}
	go func() {
		child.err = cmd.Wait()
		close(child.done)
	}()
	return child, nil
}

// PID is the process's id, which is also its group's.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done is closed when the process has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Crash says which process ended, how, and what it logged last. It is nil
// while the process runs and when Stop ended it.
func (c *Child) Crash() error {
	select {
	case <-c.done:
	default:
		return nil
	}
	if c.stopping.Load() {
		return nil
	}
	how := "exit status 0"
	if c.err != nil {
		how = c.err.Error()
	}
	return &CrashError{Name: c.name, How: how, Log: c.log, Tail: Tail(c.log, 12)}
}

// Stop asks the process to end, and kills its whole group when it has not
// ended within grace. It returns when the process is gone.
func (c *Child) Stop(grace time.Duration) {
	c.stopping.Store(true)
	signalGroup(c.PID(), syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(grace):
	}
	// Also after an orderly end: it may have left children of its own.
	signalGroup(c.PID(), syscall.SIGKILL)
	<-c.done
}

func signalGroup(pid int, signal syscall.Signal) {
	// ESRCH, the group is gone, is what Stop wants.
	_ = syscall.Kill(-pid, signal)
}

// CrashError tells of a child that ended by itself.
type CrashError struct {
	Name string
	How  string // such as "exit status 1" or "signal: killed"
	Log  string // the log file's path
	Tail string // its last lines
}

func (e *CrashError) Error() string {
	text := fmt.Sprintf("%s ended by itself (%s); its log is %s", e.Name, e.How, e.Log)
	if e.Tail == "" {
		return text
	}
	return text + ", which ends with:\n  " + strings.ReplaceAll(e.Tail, "\n", "\n  ")
}

// PortTaken tells whether err is a crash because of a port that somebody else
// bound between its reservation and its use.
func PortTaken(err error) bool {
	var crash *CrashError
	return errors.As(err, &crash) && strings.Contains(crash.Tail, "address already in use")
}

// Tail returns the last lines of a text file, "" when it can't be read.
func Tail(path string, lines int) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return ""
	}
	from := max(0, stat.Size()-tailBytes)
	text := make([]byte, stat.Size()-from)
	n, _ := file.ReadAt(text, from)
	all := strings.Split(strings.TrimSpace(string(text[:n])), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
