// Package e2e tests the whole: bin/worker and bin/starter as users run them, against real API servers, a
// real Git server and a real Temporal server.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// The stack of this package: two clusters, which the tests use one after the other, and one for a test that
// runs beside others.
var (
	stack    *stacktest.Stack
	temporal client.Client
	clusters = map[string]*cluster{}
)

// token is the access token of every repository. It is looked for in all that must not hold it.
const token = "acs_e2e_4f1c2b7d9e8a6053"

// cluster is one of the stack's API servers.
type cluster struct {
	kubeconfig, context string
	objects             dynamic.Interface
	typed               kubernetes.Interface
}

func TestMain(m *testing.M) {
	// Tests of push-pull take part in a cluster by a label of their own, and run together after the others. They
	// wait for ticks most of the time, however many processors there are.
	flag.Parse()
	_ = flag.Set("test.parallel", "5")
	names := []string{"primary", "standby", "busy"}
	stacktest.Main(m, stacktest.Options{Clusters: names, Git: true, Temporal: true}, func(s *stacktest.Stack) (err error) {
		stack = s
		for _, name := range names {
			if clusters[name], err = connect(stack, name); err != nil {
				return err
			}
		}
		temporal, err = client.Dial(client.Options{HostPort: stack.Env["TEMPORAL_ADDRESS"], Logger: stacktest.Quiet{}})
		return err
	})
}

func connect(stack *stacktest.Stack, name string) (*cluster, error) {
	config, err := stack.Config(name)
	if err != nil {
		return nil, err
	}
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	return &cluster{
		kubeconfig: stack.Env["KUBECONFIG"], context: name,
		objects: dynamic.NewForConfigOrDie(config), typed: kubernetes.NewForConfigOrDie(config),
	}, nil
}

// newRepo makes an empty repository of its own for a test.
func newRepo(t *testing.T) string {
	t.Helper()
	return stack.NewRepo(t, token)
}

// git runs the git command in a repository of the server.
func git(t *testing.T, repo string, args ...string) string {
	t.Helper()
	return stack.Git(t, repo, args...)
}

// edit commits what change does to a work tree, as a person does: whoever meets a push of the sync begins again with
// what that has left.
func edit(t *testing.T, repo, message string, change func(dir string)) (revision string) {
	t.Helper()
	var refused string
	eventually(t, func() (pushed bool) {
		dir := t.TempDir()
		try := func(args ...string) (string, error) {
			cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=P", "-c", "user.email=p@example.com"}, args...)...)
			out, err := cmd.CombinedOutput()
			return strings.TrimSpace(string(out)), err
		}
		run := func(args ...string) string {
			out, err := try(args...)
			require.NoError(t, err, "git %v: %s", args, out)
			return out
		}
		run("clone", "--quiet", stack.RepoDir(repo), ".")
		run("checkout", "--quiet", "-B", "main")
		change(dir)
		run("add", "--all")
		run("commit", "--quiet", "--allow-empty", "-m", message)
		revision = run("rev-parse", "HEAD")
		var err error
		refused, err = try("push", "--quiet", "origin", "main")
		return err == nil
	}, func() string { return "git push: " + refused })
	return revision
}

func write(t *testing.T, dir, path, content string) {
	t.Helper()
	full := filepath.Join(dir, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o700))
	require.NoError(t, os.WriteFile(full, []byte(content), 0o600))
}

// files lists the paths on the branch.
func files(t *testing.T, repo string) []string {
	t.Helper()
	return strings.Split(git(t, repo, "ls-tree", "-r", "--name-only", "main"), "\n")
}

// environment is that of a user's shell who sourced the stack's env file.
func environment() []string {
	env := os.Environ()
	for name, value := range stack.Env {
		env = append(env, name+"="+value)
	}
	return env
}

// worker is a running bin/worker.
type worker struct {
	process *exec.Cmd
	log     *stacktest.Output
	done    chan struct{}
}

// startWorker serves an enrolment. It ends with the test.
func startWorker(t *testing.T, name string, on *cluster, dataDir string) *worker {
	t.Helper()
	return startWorkerAs(t, name, on.kubeconfig, on, dataDir)
}

// startWorkerAs is startWorker with the user of another kubeconfig.
func startWorkerAs(t *testing.T, name, kubeconfig string, on *cluster, dataDir string) *worker {
	t.Helper()
	return startWorkerWith(t, name, nil, "--cluster", name+"="+on.context, "--kubeconfig", kubeconfig, "--data-dir", dataDir)
}

// startWorkerWith is for other flags and further variables of the environment.
func startWorkerWith(t *testing.T, name string, env []string, args ...string) *worker {
	t.Helper()
	w := &worker{log: new(stacktest.Output), done: make(chan struct{})}
	w.process = exec.Command(filepath.Join(stacktest.Root(), "bin", "worker"), args...)
	w.process.Env, w.process.Stderr = append(environment(), env...), w.log
	require.NoError(t, w.process.Start())
	go func() { defer close(w.done); _ = w.process.Wait() }()
	t.Cleanup(func() {
		_ = w.process.Process.Signal(syscall.SIGTERM)
		<-w.done
		if t.Failed() {
			t.Logf("worker %s:\n%s", name, tail(w.log.String()))
		}
	})
	return w
}

// kill ends the worker as a power cut does.
func (w *worker) kill() {
	_ = w.process.Process.Kill()
	<-w.done
}

func tail(text string) string { return text[max(0, len(text)-20_000):] }

// starter runs bin/starter and returns what it printed and its exit status.
func starter(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(stacktest.Root(), "bin", "starter"), args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(), &out, &errs
	_ = cmd.Run()
	require.NotContains(t, out.String()+errs.String(), token)
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// enroll enrols a cluster with the CLI and unenrols it when the test ends. It returns what was printed.
func enroll(t *testing.T, name string, on *cluster, repo string, strategy workflows.Strategy, more ...string) string {
	t.Helper()
	out, errs, status := tryEnroll(t, name, on, repo, strategy, more...)
	require.Zero(t, status, "%s%s", out, errs)
	unlockAfter(t, on, name)
	t.Cleanup(func() {
		_ = temporal.TerminateWorkflow(context.Background(), workflows.WorkflowID(name), "", "the test has ended")
	})
	return errs + out
}

func tryEnroll(t *testing.T, name string, on *cluster, repo string, strategy workflows.Strategy, more ...string) (stdout, stderr string, status int) {
	t.Helper()
	pat := filepath.Join(t.TempDir(), "pat")
	require.NoError(t, os.WriteFile(pat, []byte(token+"\n"), 0o600))
	return starter(t, append([]string{
		"enroll", name, "--repo", stack.RepoURL(repo), "--strategy", string(strategy), "--interval", "1s",
		"--pat-file", pat, "--kubeconfig", on.kubeconfig, "--context", on.context,
	}, more...)...)
}

// status asks the workflow.
func status(t *testing.T, name string) (workflows.Status, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	var s workflows.Status
	answer, err := temporal.QueryWorkflow(ctx, workflows.WorkflowID(name), "", workflows.StatusQuery)
	if err == nil {
		err = answer.Get(&s)
	}
	return s, err
}

// syncNow makes the workflow sync and returns the status after it.
func syncNow(t *testing.T, name string) workflows.Status {
	t.Helper()
	return update(t, name, workflows.SyncNowMessage)
}

func update(t *testing.T, name, message string, args ...any) workflows.Status {
	t.Helper()
	s, err := tryUpdate(t, name, message, args...)
	require.NoError(t, err)
	return s
}

func tryUpdate(t *testing.T, name, message string, args ...any) (s workflows.Status, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		handle, err := temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
			WorkflowID: workflows.WorkflowID(name), UpdateName: message, Args: args, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		var thrown *serviceerror.WorkflowNotReady
		if errors.As(err, &thrown) {
			continue // with the step in which the workflow went on to a fresh history; starter sends it again, too
		}
		if err == nil {
			err = handle.Get(ctx, &s)
		}
		return s, err
	}
}

// reaches waits until the status is as the condition wants it.
func reaches(t *testing.T, name string, condition func(workflows.Status) bool) workflows.Status {
	t.Helper()
	var last workflows.Status
	var lastErr error
	eventually(t, func() bool {
		last, lastErr = status(t, name)
		return lastErr == nil && condition(last)
	}, func() string { return describe(last, lastErr) })
	return last
}

func inSync(s workflows.Status) bool { return s.State == workflows.InSync }

func describe(s workflows.Status, err error) string {
	text, _ := json.MarshalIndent(s, "", "  ")
	return fmt.Sprintf("%s\nerror: %v", text, err)
}

// eventually waits for a condition.
func eventually(t *testing.T, condition func() bool, explain func() string) {
	t.Helper()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); <-poll.C {
		if condition() {
			return
		}
	}
	require.Fail(t, "the condition was not met in time", explain())
}
