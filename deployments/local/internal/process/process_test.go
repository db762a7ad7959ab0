package process

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCrashNamesTheChildAndShowsTheEndOfItsLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	child := start(t, log, `for i in $(seq 100); do echo line $i; done; echo "no disk" >&2; exit 3`)
	<-child.Done()
	crash := child.Crash()
	if crash == nil {
		t.Fatal("no crash is reported")
	}
	for _, want := range []string{"test child", "exit status 3", log, "line 100", "no disk"} {
		if !strings.Contains(crash.Error(), want) {
			t.Errorf("%q is not in the report: %v", want, crash)
		}
	}
	if strings.Contains(crash.Error(), "line 50") {
		t.Errorf("the report has more than the end of the log: %v", crash)
	}
}

func TestStoppedChildIsNoCrash(t *testing.T) {
	child := start(t, filepath.Join(t.TempDir(), "log"), "sleep 60")
	child.Stop(5 * time.Second)
	if crash := child.Crash(); crash != nil {
		t.Errorf("a stopped child is reported: %v", crash)
	}
}

func TestStopEndsWhoDoesNotListenAndTheirChildren(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	child := start(t, log, `trap "" TERM; sh -c 'trap "" TERM; echo $$; sleep 60' & wait; sleep 60`)
	var grandchild int
	waitUntil(t, func() bool {
		grandchild, _ = strconv.Atoi(Tail(log, 1))
		return grandchild != 0
	})
	child.Stop(100 * time.Millisecond)
	waitUntil(t, func() bool { return !running(grandchild) })
}

func TestCancelledGroupEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "sh", "-c", "sleep 60 & wait")
	if err := StartGroup(cmd, time.Second); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := cmd.Wait(); err == nil {
		t.Error("the command did not notice")
	}
}

func TestPortTakenIsRecognized(t *testing.T) {
	child := start(t, filepath.Join(t.TempDir(), "log"), `echo "listen tcp 127.0.0.1:1: bind: address already in use"; exit 1`)
	<-child.Done()
	if !PortTaken(child.Crash()) {
		t.Errorf("not recognized: %v", child.Crash())
	}
}

func TestLockIsHeldByOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = TryLock(path)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("the second gets %v, want ErrLocked with our pid", err)
	}
	go lock.Release()
	second, err := WaitLock(context.Background(), path, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	second.Release()
}

func TestTwoStacksReserveDifferentPorts(t *testing.T) {
	one, two := newPorts(t), newPorts(t)
	first, err := one.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	second, err := two.Reserve(first)
	if err != nil || second == first {
		t.Errorf("both have %d, %v", second, err)
	}
	if err := two.ReserveExactly(first); !errors.Is(err, ErrPortTaken) {
		t.Errorf("ReserveExactly of a reserved port: %v", err)
	}
	one.Release()
	if err := two.ReserveExactly(first); err != nil {
		t.Errorf("after its release: %v", err)
	}
}

func TestPortInUseIsNotReserved(t *testing.T) {
	var binding net.ListenConfig
	listener, err := binding.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	used := listener.Addr().(*net.TCPAddr).Port
	if port, err := newPorts(t).Reserve(used); err != nil || port == used {
		t.Errorf("got %d, %v although somebody listens there", port, err)
	}
}

func newPorts(t *testing.T) *Ports {
	t.Helper()
	ports, err := NewPorts()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ports.Release)
	return ports
}

func start(t *testing.T, log, script string) *Child {
	t.Helper()
	child, err := Start(Command{Name: "test child", Path: "/bin/sh", Args: []string{"-c", script}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Stop(0) })
	return child
}

// running tells whether a process is there and not only waits to be reaped.
func running(pid int) bool {
	state, _ := exec.CommandContext(context.Background(), "ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	text := strings.TrimSpace(string(state))
	return text != "" && !strings.HasPrefix(text, "Z")
}

func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 10 s")
		}
	}
}
