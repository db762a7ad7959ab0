// Package stacktest starts the real parts that tests work with: the same local stack that the demo runs
// on (deployments/local), with Kubernetes API servers, a Git server and Temporal, in a temporary
// directory and on free ports.
package stacktest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Options say which parts a test needs. The zero value starts nothing.
type Options struct {
	Clusters []string // names of Kubernetes control planes
	Repos    []string // names of bare Git repositories
	Git      bool     // the Git server, also without repositories
	Temporal bool
	// Ports are those of the parts "temporal", "ui" and "git"; any free one where none is given. A stack that is to
	// come back at the same addresses after Kill had better not have the usual ones, which others take meanwhile.
	Ports map[string]int
}

// Stack is a running local stack. Stop must be called.
type Stack struct {
	Dir     string            // everything that the stack keeps, logs among it
	Env     map[string]string // what the stack exports, e.g. TEMPORAL_ADDRESS
	command []string
	process *exec.Cmd
	output  *bytes.Buffer
	exited  chan struct{} // closed when the process has ended
}

// startLimit covers a stack whose Kubernetes binaries have to be linked first.
const startLimit = 15 * time.Minute

// Main runs the tests of a package with a stack, which ready is told of before the first of them, and exits.
func Main(m *testing.M, o Options, ready func(*Stack) error) {
	os.Exit(func() int {
		stack, err := Start(context.Background(), o)
		if err == nil {
			defer stack.Stop()
			err = ready(stack)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// Start brings a stack up and returns when all of its parts are ready. The command is bin/local of this
// repository, as `make build` leaves it.
func Start(ctx context.Context, o Options) (*Stack, error) {
	root := Root()
	command := filepath.Join(root, "bin", "local")
	if _, err := os.Stat(command); err != nil {
		return nil, fmt.Errorf("the tests need the local stack: run `make build` first: %w", err)
	}
	dir, err := os.MkdirTemp("", "acs-stack-")
	if err != nil {
		return nil, err
	}
	s := &Stack{Dir: dir, command: []string{
		command, "up", "--dir", dir, "--cache-dir", filepath.Join(root, ".cache"),
		"--clusters", strings.Join(o.Clusters, ","), "--repos", strings.Join(o.Repos, ","),
		"--temporal=" + strconv.FormatBool(o.Temporal), "--git=" + strconv.FormatBool(o.Git || len(o.Repos) > 0),
	}}
	for part, port := range o.Ports {
		s.command = append(s.command, fmt.Sprintf("--%s-port=%d", part, port))
	}
	if err := s.run(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.awaitReady(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Stack) run() error {
	s.output, s.exited = new(bytes.Buffer), make(chan struct{})
	s.process = exec.Command(s.command[0], s.command[1:]...)
	s.process.Stdout, s.process.Stderr = s.output, s.output
	s.process.SysProcAttr = ChildAttributes()
	if err := s.process.Start(); err != nil {
		return err
	}
	go func(process *exec.Cmd, exited chan struct{}) { defer close(exited); _ = process.Wait() }(s.process, s.exited)
	return nil
}

// awaitReady waits for the environment file, which the stack writes last.
func (s *Stack) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		env, err := readEnv(filepath.Join(s.Dir, "env"))
		if err == nil {
			s.Env = env
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("the local stack ended before it was ready: %s\n%s", s.process.ProcessState, s.output)
		case <-ctx.Done():
			return fmt.Errorf("the local stack is not ready: %w", ctx.Err())
		case <-poll.C:
		}
	}
}

// Stop ends the stack and removes what it kept.
func (s *Stack) Stop() {
	_ = s.process.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-s.exited:
	case <-time.After(30 * time.Second):
		_ = s.process.Process.Kill()
		<-s.exited
	}
	_ = os.RemoveAll(s.Dir)
}

// Kubeconfig is the path of the administrator's kubeconfig of a cluster.
func (s *Stack) Kubeconfig(cluster string) string {
	return s.Env["KUBECONFIG_"+envName(cluster)]
}

// Config is the administrator's client configuration of a cluster.
func (s *Stack) Config(cluster string) (*rest.Config, error) {
	return clientcmd.BuildConfigFromFlags("", s.Kubeconfig(cluster))
}

// RepoURL is the address of a repository on the Git server.
func (s *Stack) RepoURL(repo string) string {
	return s.Env["GIT_URL"] + "/" + repo + ".git"
}

// RepoDir is the bare repository behind RepoURL, for looking into and for breaking things.
func (s *Stack) RepoDir(repo string) string {
	return filepath.Join(s.Dir, "git", repo+".git")
}

// TokenFile holds the token of a repository. The server reads it at each request.
func (s *Stack) TokenFile(repo string) string {
	return filepath.Join(s.Dir, "git", "tokens", repo)
}

// Token is the current token of a repository.
func (s *Stack) Token(repo string) (string, error) {
	token, err := os.ReadFile(s.TokenFile(repo))
	return strings.TrimSpace(string(token)), err
}

// AddRepo makes a bare repository with a token of its own while the stack is running.
func (s *Stack) AddRepo(ctx context.Context, repo, token string) error {
	init := exec.CommandContext(ctx, "git", "init", "--quiet", "--bare", "--initial-branch=main", s.RepoDir(repo))
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("git init: %w: %s", err, out)
	}
	for _, setting := range []string{"http.receivepack", "uploadpack.allowFilter", "uploadpack.allowReachableSHA1InWant"} {
		set := exec.CommandContext(ctx, "git", "-C", s.RepoDir(repo), "config", setting, "true")
		if out, err := set.CombinedOutput(); err != nil {
			return fmt.Errorf("git config: %w: %s", err, out)
		}
	}
	return os.WriteFile(s.TokenFile(repo), []byte(token), 0o600)
}

// Lasting is how long a test looks at something that goes on: a short time, and a long one with ACS_SOAK=1,
// as `make soak` sets it.
func Lasting(short, long time.Duration) time.Duration {
	if os.Getenv("ACS_SOAK") != "" {
		return long
	}
	return short
}

// Root is the folder of this repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

func envName(name string) string {
	return strings.ReplaceAll(strings.ToUpper(name), "-", "_")
}

// readEnv reads the lines `export NAME='value'` of the stack's environment file.
func readEnv(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	env := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		if ok {
			env[name] = strings.Trim(value, "'")
		}
	}
	return env, nil
}
