package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cacheDir is the top of the repository's: the binaries are made once for all
// that needs them.
const cacheDir = "../../.cache"

// asLocal makes the test binary behave as the command local.
const asLocal = "TEST_AS_LOCAL"

func TestMain(m *testing.M) {
	if os.Getenv(asLocal) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// local is the command, running.
type local struct {
	t      *testing.T
	cmd    *exec.Cmd
	dir    string
	stdout bytes.Buffer
	stderr bytes.Buffer
	done   chan struct{}
}

// run starts `local <args>`; it is ended with the test if it hasn't before.
func run(t *testing.T, args ...string) *local {
	t.Helper()
	l := &local{t: t, cmd: exec.CommandContext(context.Background(), os.Args[0], args...), done: make(chan struct{})}
	l.cmd.Env = append(os.Environ(), asLocal+"=yes")
	l.cmd.Stdout, l.cmd.Stderr = &l.stdout, &l.stderr
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = l.cmd.Wait()
		close(l.done)
	}()
	t.Cleanup(func() {
		_ = l.cmd.Process.Signal(syscall.SIGTERM)
		<-l.done
	})
	return l
}

// startLocal starts a stack in dir and returns when its env file is there.
func startLocal(t *testing.T, dir string, args ...string) *local {
	t.Helper()
	l := run(t, append([]string{"up", "--dir", dir, "--cache-dir", cacheDir}, args...)...)
	l.dir = dir
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "env")); err == nil {
			return l
		}
		select {
		case <-l.done:
			t.Fatalf("local up ended: %s", &l.stderr)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("not up in time: %s", &l.stderr)
		}
	}
}

// end interrupts the command as Ctrl-C does and returns its exit status.
func (l *local) end() int {
	l.t.Helper()
	if err := l.cmd.Process.Signal(os.Interrupt); err != nil {
		l.t.Fatal(err)
	}
	return l.wait(15 * time.Second)
}

func (l *local) wait(limit time.Duration) int {
	l.t.Helper()
	select {
	case <-l.done:
	case <-time.After(limit):
		l.t.Fatalf("still running after %s: %s", limit, &l.stderr)
	}
	return l.cmd.ProcessState.ExitCode()
}

var exportLine = regexp.MustCompile(`^export ([A-Z_0-9]+)='([^']*)'$`)

// env reads the env file the way a test of another module would.
func (l *local) env() map[string]string {
	l.t.Helper()
	text, err := os.ReadFile(filepath.Join(l.dir, "env"))
	if err != nil {
		l.t.Fatal(err)
	}
	vars := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		match := exportLine.FindStringSubmatch(line)
		if match == nil {
			l.t.Fatalf("not an export: %q", line)
		}
		vars[match[1]] = match[2]
	}
	return vars
}

// children are the pids of the command's child processes, by program.
func (l *local) children() map[string]int {
	l.t.Helper()
	out, err := exec.CommandContext(l.t.Context(), "ps", "-A", "-o", "pid=,ppid=,comm=").Output()
	if err != nil {
		l.t.Fatal(err)
	}
	found := map[string]int{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) >= 3 && fields[1] == strconv.Itoa(l.cmd.Process.Pid) {
			pid, _ := strconv.Atoi(fields[0])
			found[filepath.Base(fields[2])] = pid
		}
	}
	return found
}

// checkGone waits until the processes are no more.
func checkGone(t *testing.T, children map[string]int) {
	t.Helper()
	for program, pid := range children {
		for deadline := time.Now().Add(10 * time.Second); running(pid); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("%s, pid %d, is still running", program, pid)
				break
			}
		}
	}
}

// running tells whether a process is there and not only waits to be reaped.
func running(pid int) bool {
	state, _ := exec.CommandContext(context.Background(), "ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	text := strings.TrimSpace(string(state))
	return text != "" && !strings.HasPrefix(text, "Z")
}

// sh runs a shell command with the stack's env file and returns its output.
func (l *local) sh(script string) string {
	l.t.Helper()
	cmd := exec.CommandContext(l.t.Context(), "sh", "-ec", fmt.Sprintf(". %s/env; PATH=$KUBE_ASSETS:$PATH; %s", shellQuote(l.dir), script))
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s: %v: %s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}
