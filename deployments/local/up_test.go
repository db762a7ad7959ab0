package main

import (
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestStackIsUsableAndComesBackWithItsData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stack := startLocal(t, dir, "--clusters", "edge-1", "--repos", "demo")
	before := stack.env()

	for _, kubeconfig := range []string{"$KUBECONFIG", "$KUBECONFIG_EDGE_1"} {
		if got := stack.sh("kubectl --kubeconfig " + kubeconfig + " --context edge-1 auth can-i '*' '*'"); got != "yes" {
			t.Errorf("%s: the administrator may do everything? %s", kubeconfig, got)
		}
	}
	for _, file := range []string{"edge-1.kubeconfig", "kubeconfig", "env", "git/tokens/demo"} {
		if stat, err := os.Stat(filepath.Join(dir, file)); err != nil || stat.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", file, stat.Mode(), err)
		}
	}
	// The sample is valid, and its controllers run: the Deployment gets Pods.
	stack.sh("kubectl apply -f sample/" + sampleCRD + " && kubectl wait --for=condition=Established -f sample/" + sampleCRD)
	stack.sh("kubectl apply -f sample")
	stack.sh("kubectl -n lantern-shop wait --timeout=60s --for=jsonpath='{.status.replicas}'=2 deployment/checkout")

	start := &workflowservice.StartWorkflowExecutionRequest{
		Namespace: before["TEMPORAL_NAMESPACE"], WorkflowId: "kept", RequestId: "1",
		WorkflowType:     &commonpb.WorkflowType{Name: "Any"},
		TaskQueue:        &taskqueuepb.TaskQueue{Name: "any"},
		SearchAttributes: &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{}},
	}
	for _, name := range searchAttributes {
		start.SearchAttributes.IndexedFields[name] = &commonpb.Payload{
			Metadata: map[string][]byte{"encoding": []byte("json/plain"), "type": []byte("Keyword")}, Data: []byte(`"x"`),
		}
	}
	if _, err := frontend(t, before).StartWorkflowExecution(t.Context(), start); err != nil {
		t.Errorf("start a workflow with all search attributes: %v", err)
	}
	for _, page := range []string{"/", "/api/v1/namespaces/default"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, before["TEMPORAL_UI"]+page, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("Web UI %s: %s", page, response.Status)
		}
	}

	for _, cell := range []string{before["TEMPORAL_ADDRESS"], before["TEMPORAL_UI"], before["GIT_URL"] + "/demo.git", "edge-1"} {
		if !strings.Contains(stack.stdout.String(), cell) {
			t.Errorf("%s is not in the table:\n%s", cell, &stack.stdout)
		}
	}
	children := stack.children()
	for _, program := range []string{"etcd", "kube-apiserver"} {
		if children[program] == 0 {
			t.Errorf("no child %s in %v", program, children)
		}
	}
	if status := stack.end(); status != 0 {
		t.Errorf("exit status %d after Ctrl-C: %s", status, &stack.stderr)
	}
	checkGone(t, children)
	if _, err := os.Stat(filepath.Join(dir, "env")); err == nil {
		t.Error("the env file is still there although nothing runs")
	}

	again := startLocal(t, dir, "--clusters", "edge-1", "--repos", "demo")
	after := again.env()
	// Another process may have got a port of ours meanwhile, so only what
	// doesn't depend on them must be the same.
	if !slices.Equal(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after))) {
		t.Errorf("the variables were %v and are %v", before, after)
	}
	again.sh("kubectl -n lantern-shop get promotion midsummer")
	_, err := frontend(t, after).DescribeWorkflowExecution(t.Context(), &workflowservice.DescribeWorkflowExecutionRequest{
		Namespace: "default", Execution: &commonpb.WorkflowExecution{WorkflowId: "kept"},
	})
	if err != nil {
		t.Errorf("the workflow of before: %v", err)
	}
	if status := again.end(); status != 0 {
		t.Errorf("exit status %d: %s", status, &again.stderr)
	}
}

func TestCrashedChildEndsTheStackAndIsNamed(t *testing.T) {
	t.Parallel()
	stack := startLocal(t, t.TempDir(), "--clusters", "primary", "--temporal=false", "--git=false")
	children := stack.children()
	if err := syscall.Kill(children["kube-apiserver"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if status := stack.wait(15 * time.Second); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	for _, want := range []string{"primary kube-apiserver ended by itself (signal: killed)", "primary-kube-apiserver.log", "ends with:"} {
		if !strings.Contains(stack.stderr.String(), want) {
			t.Errorf("%q is not in the report:\n%s", want, &stack.stderr)
		}
	}
	checkGone(t, children)
}

func TestKilledStackLeavesNoChildren(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends the children of a killed process")
	}
	t.Parallel()
	stack := startLocal(t, t.TempDir(), "--clusters", "primary", "--temporal=false", "--git=false")
	children := stack.children()
	if len(children) != 3 {
		t.Errorf("children are %v, want three", children)
	}
	_ = stack.cmd.Process.Kill()
	<-stack.done
	checkGone(t, children)
}

func TestStacksRunBesideEachOther(t *testing.T) {
	t.Parallel()
	one := startLocal(t, t.TempDir(), "--clusters", "")
	two := startLocal(t, t.TempDir(), "--clusters", "")
	for _, name := range []string{"TEMPORAL_ADDRESS", "TEMPORAL_UI", "GIT_URL"} {
		if one.env()[name] == two.env()[name] {
			t.Errorf("both have %s=%s", name, one.env()[name])
		}
	}
}

func TestDirectoryIsForOneStack(t *testing.T) {
	t.Parallel()
	first := startLocal(t, t.TempDir(), "--clusters", "", "--temporal=false")
	second := run(t, "up", "--dir", first.dir, "--clusters", "", "--temporal=false")
	if status := second.wait(10 * time.Second); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	if !strings.Contains(second.stderr.String(), "another stack runs in "+first.dir) {
		t.Errorf("the reason is not told: %s", &second.stderr)
	}
	if len(first.env()) == 0 {
		t.Error("the first one's env file is gone")
	}
}

func TestUsageErrorsExitWith2(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"slash in a cluster":      {"--clusters", "a/b"},
		"upper case in a repo":    {"--clusters", "", "--repos", "Demo"},
		"cluster named twice":     {"--clusters", "a,a"},
		"nothing to start":        {"--clusters", "", "--temporal=false", "--git=false"},
		"unknown flag":            {"--cluster", "a"},
		"argument that's no flag": {"primary"},
	} {
		t.Run(name, func(t *testing.T) {
			command := run(t, append([]string{"up", "--dir", t.TempDir()}, args...)...)
			if status := command.wait(10 * time.Second); status != 2 {
				t.Errorf("exit status %d, want 2: %s", status, &command.stderr)
			}
		})
	}
}

func TestPortThatSomebodyAskedForMustBeFree(t *testing.T) {
	t.Parallel()
	var binding net.ListenConfig
	listener, err := binding.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	command := run(t, "up", "--dir", t.TempDir(), "--clusters", "", "--temporal=false", "--git-port", port)
	if status := command.wait(10 * time.Second); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	if !strings.Contains(command.stderr.String(), "git: port is in use: 127.0.0.1:"+port) {
		t.Errorf("the reason is not told: %s", &command.stderr)
	}
}

func TestEnvFileSurvivesAnyPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "env")
	const value = `/home/it's me/$HOME "x"`
	if err := writeEnv(path, []variable{{"FIRST", "1"}, {"PLACE", value}}); err != nil {
		t.Fatal(err)
	}
	shell := &local{t: t, dir: filepath.Dir(path)}
	if got := shell.sh(`printf '%s' "$FIRST $PLACE"`); got != "1 "+value {
		t.Errorf("a shell reads %q", got)
	}
}

var searchAttributes = []string{"ClusterName", "SyncStrategy", "SyncState", "SyncRevision"}

func frontend(t *testing.T, env map[string]string) workflowservice.WorkflowServiceClient {
	t.Helper()
	connection, err := grpc.NewClient(env["TEMPORAL_ADDRESS"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return workflowservice.NewWorkflowServiceClient(connection)
}
