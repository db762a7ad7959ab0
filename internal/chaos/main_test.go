// Package chaos tests what becomes of the sync when parts of the world around it die, come back, or come back as
// they were before: workers, Temporal, the Git server and the clusters, each of which has a stack of its own here.
package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// The parts of the world.
var (
	server, host     *stacktest.Stack // Temporal's, and that of Git
	primary, standby *cluster
	temporal         client.Client
	environment      []string // of a user who works with this Temporal server
)

// token is the access token of every repository. It is looked for in all that must not hold it.
const token = "acs_chaos_7b1d9e3f5a2c8064"

var (
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	secretKind  = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	services    = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
)

// cluster is a control plane that can be killed.
type cluster struct {
	*stacktest.Stack
	name    string
	objects dynamic.Interface
}

func TestMain(m *testing.M) {
	if runtime.GOOS != "linux" {
		fmt.Println("skipped: only the Linux kernel ends all processes of a part with it")
		return
	}
	os.Exit(func() int {
		stop, err := startAll(context.Background())
		defer stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// startAll starts every part in a stack of its own, so that it can be killed alone.
func startAll(ctx context.Context) (stop func(), err error) {
	primary, standby = &cluster{name: "primary"}, &cluster{name: "standby"}
	var started sync.Map
	begin := func(to **stacktest.Stack, o stacktest.Options) func() error {
		return func() (err error) {
			if *to, err = stacktest.Start(ctx, o); err == nil {
				started.Store(*to, nil)
			}
			return err
		}
	}
	ports := map[string]int{}
	for _, part := range []string{"temporal", "ui", "git"} {
		if ports[part], err = stacktest.FreePort(); err != nil {
			return func() {}, err
		}
	}
	var group errgroup.Group
	group.Go(begin(&server, stacktest.Options{Temporal: true, Ports: ports}))
	group.Go(begin(&host, stacktest.Options{Git: true, Ports: ports}))
	group.Go(begin(&primary.Stack, stacktest.Options{Clusters: []string{"primary"}}))
	group.Go(begin(&standby.Stack, stacktest.Options{Clusters: []string{"standby"}}))
	err = group.Wait()
	stop = func() {
		var group sync.WaitGroup
		started.Range(func(stack, _ any) bool {
			group.Go(stack.(*stacktest.Stack).Stop)
			return true
		})
		group.Wait()
	}
	for _, c := range []*cluster{primary, standby} {
		if err == nil {
			err = c.connect()
		}
	}
	if err == nil {
		environment = append(os.Environ(), "TEMPORAL_ADDRESS="+server.Env["TEMPORAL_ADDRESS"], "TEMPORAL_NAMESPACE="+server.Env["TEMPORAL_NAMESPACE"])
		temporal, err = client.Dial(client.Options{HostPort: server.Env["TEMPORAL_ADDRESS"], Logger: stacktest.Quiet{}})
	}
	return stop, err
}

func (c *cluster) connect() error {
	config, err := c.Config(c.name)
	if err != nil {
		return err
	}
	config.QPS, config.WarningHandler, config.Timeout = -1, rest.NoWarnings{}, 10*time.Second
	c.objects, err = dynamic.NewForConfig(config)
	return err
}

// newRepo makes an empty repository of its own for a test.
func newRepo(t *testing.T) string {
	t.Helper()
	return host.NewRepo(t, token)
}

// git runs the git command in a repository of the server.
func git(t *testing.T, repo string, args ...string) string {
	t.Helper()
	return host.Git(t, repo, args...)
}

// worker is bin/worker for one enrolment, over all of its lives.
type worker struct {
	name    string
	args    []string
	process *exec.Cmd
	log     *stacktest.Output
	done    chan struct{}
}

// startWorker serves an enrolment. It ends with the test.
func startWorker(t *testing.T, name string, on *cluster, more ...string) *worker {
	t.Helper()
	w := &worker{name: name, log: new(stacktest.Output), args: append([]string{
		"--cluster", name + "=" + on.name, "--kubeconfig", on.Kubeconfig(on.name), "--data-dir", t.TempDir(),
	}, more...)}
	require.NoError(t, w.start())
	t.Cleanup(func() {
		w.stop()
		require.NotContains(t, w.log.String(), token)
		if t.Failed() {
			text := w.log.String()
			t.Logf("worker %s:\n%s", name, text[max(0, len(text)-15_000):])
		}
	})
	return w
}

func (w *worker) start() error {
	w.process = exec.Command(filepath.Join(stacktest.Root(), "bin", "worker"), w.args...)
	w.process.Env, w.process.Stderr = environment, w.log
	w.process.SysProcAttr = stacktest.ChildAttributes()
	if err := w.process.Start(); err != nil {
		return err
	}
	w.done = make(chan struct{})
	go func(process *exec.Cmd, done chan struct{}) { defer close(done); _ = process.Wait() }(w.process, w.done)
	return nil
}

// kill ends the worker as a power cut does. It answers false when the worker had ended by itself.
func (w *worker) kill() bool {
	select {
	case <-w.done:
		return false
	default:
	}
	_ = w.process.Process.Kill()
	<-w.done
	return true
}

// stop ends the worker as Kubernetes does, and says how long that took.
func (w *worker) stop() time.Duration {
	began := time.Now()
	_ = w.process.Process.Signal(syscall.SIGTERM)
	<-w.done
	return time.Since(began)
}

// starter runs bin/starter and returns what it printed.
func starter(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(stacktest.Root(), "bin", "starter"), args...)
	cmd.Env = environment
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "starter %v: %s", args, out)
	require.NotContains(t, string(out), token)
	return string(out)
}

// enroll enrols a cluster with the CLI, for as long as the test lasts.
func enroll(t *testing.T, name string, on *cluster, repo string, strategy workflows.Strategy, more ...string) {
	t.Helper()
	pat := filepath.Join(t.TempDir(), "pat")
	require.NoError(t, os.WriteFile(pat, []byte(token+"\n"), 0o600))
	starter(t, append([]string{
		"enroll", name, "--repo", host.RepoURL(repo), "--strategy", string(strategy), "--interval", "1s",
		"--pat-file", pat, "--kubeconfig", on.Kubeconfig(on.name), "--context", on.name, "--lock=off",
	}, more...)...)
	t.Cleanup(func() {
		_ = temporal.TerminateWorkflow(context.Background(), workflows.WorkflowID(name), "", "the test has ended")
	})
}

// status asks the workflow.
func status(ctx context.Context, name string) (s workflows.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := temporal.QueryWorkflow(ctx, workflows.WorkflowID(name), "", workflows.StatusQuery)
	if err == nil {
		err = answer.Get(&s)
	}
	return s, err
}

// reaches waits until the status is as the condition wants it.
func reaches(t *testing.T, name string, condition func(workflows.Status) bool) (last workflows.Status) {
	t.Helper()
	var lastErr error
	eventually(t, func() bool {
		last, lastErr = status(t.Context(), name)
		return lastErr == nil && condition(last)
	}, func() string {
		text, _ := json.MarshalIndent(last, "", "  ")
		return fmt.Sprintf("%s\nerror: %v", text, lastErr)
	})
	return last
}

func inSync(s workflows.Status) bool { return s.State == workflows.InSync }

// at is a status in sync at a revision.
func at(revision string) func(workflows.Status) bool {
	return func(s workflows.Status) bool { return inSync(s) && s.Revision == revision }
}

// eventually waits for a condition.
func eventually(t *testing.T, condition func() bool, explain func() string) {
	t.Helper()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-poll.C {
		if condition() {
			return
		}
	}
	require.Fail(t, "the condition was not met in time", explain())
}
