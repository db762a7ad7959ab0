package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func wrapped(err error) error { return fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", err)) }

func TestErrorsOfTemporalSayWhatToDo(t *testing.T) {
	r := &registry{address: "t.example:7233", namespace: "prod"}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"down", serviceerror.NewUnavailable("connection refused"), "the Temporal server at t.example:7233 does not answer: start it, or set TEMPORAL_ADDRESS"},
		{"too slow", context.DeadlineExceeded, "the Temporal server at t.example:7233 does not answer"},
		{"namespace", serviceerror.NewNamespaceNotFound("prod"), `has no namespace "prod": create it with`},
		{"forbidden", serviceerror.NewPermissionDenied("no", ""), "check TEMPORAL_API_KEY"},
		{"anything else", serviceerror.NewInvalidArgument("bad"), "refuses: outer: inner: bad"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.ErrorContains(t, r.explain(wrapped(test.err)), test.want)
		})
	}
	require.NoError(t, r.explain(nil))
}

func TestErrorsOfMessagesSayWhatToDo(t *testing.T) {
	r := &registry{address: "t.example:7233", namespace: "prod"}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"rejected", temporal.NewApplicationError("the sync is paused: resume it first", ""), "the sync is paused: resume it first"},
		{"gone", serviceerror.NewNotFound("workflow not found"), "cluster edge is not enrolled: enrol it with `starter enroll edge"},
		{"no answer", client.NewWorkflowUpdateServiceTimeoutOrCanceledError(context.DeadlineExceeded), "no worker of cluster edge has answered within 30s, so it may or may not have been done: see `starter status edge`"},
		{"Temporal gone", serviceerror.NewUnavailable(""), "the Temporal server at t.example:7233 does not answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.ErrorContains(t, r.explainUpdate("edge", 30*time.Second, test.err), test.want)
		})
	}
	var nobody *noWorkerError
	for _, err := range []error{context.DeadlineExceeded, serviceerror.NewDeadlineExceeded(""), serviceerror.NewFailedPrecondition("no poller seen")} {
		require.ErrorAs(t, r.explainQuery("edge", err), &nobody)
	}
	require.ErrorContains(t, nobody, "look at the worker's log, or start one with `worker --cluster edge")
	require.ErrorContains(t, r.explainQuery("edge", serviceerror.NewQueryFailed("unknown queryType status")), "can't answer")
	require.ErrorContains(t, r.explainQuery("edge", serviceerror.NewNotFound("")), "not enrolled")
}

func TestErrorsOfTheClusterSayWhatToDo(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{kube.ErrUnreachable, "at https://k.example does not answer: check that it is up"},
		{context.DeadlineExceeded, "at https://k.example does not answer"},
		{kube.ErrUnauthorized, "does not accept the credentials: renew the token or certificate"},
		{kube.ErrForbidden, "lacks a permission in the cluster at https://k.example"},
		{errors.New("strange"), "refuses: outer: inner: strange"},
	} {
		require.ErrorContains(t, explainCluster("https://k.example", wrapped(test.err)), test.want)
	}
}

func TestErrorsOfTheRepositorySayWhatToDo(t *testing.T) {
	e := &enrolling{config: workflows.Config{Repository: "https://git.example/a.git"}}
	for _, test := range []struct {
		err  error
		want string
	}{
		{repo.ErrAuth, "refuses the token in the cluster's Secret for https://git.example/a.git: check that it is right"},
		{repo.ErrNotFound, "there is no Git repository at https://git.example/a.git"},
		{repo.ErrUnreachable, "the Git server can't be reached; check --repo and the network"},
		{&repo.RateLimitedError{RetryAfter: time.Minute}, "try again in 1m0s"},
		{repo.ErrMoved, "can't be read"},
	} {
		require.ErrorContains(t, e.explainRepository(wrapped(test.err)), test.want)
	}
	e.token = "t"
	require.ErrorContains(t, e.explainRepository(repo.ErrAuth), "refuses the token for")
}

const twoContexts = `
apiVersion: v1
kind: Config
current-context: primary
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts:
- {name: primary, context: {cluster: c, user: u}}
- {name: standby, context: {cluster: c, user: u}}
`

func TestClusterIsChosenLikeKubectlDoesButNeverByAccident(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	require.NoError(t, os.WriteFile(file, []byte(twoContexts), 0o600))
	undecided := filepath.Join(dir, "undecided")
	require.NoError(t, os.WriteFile(undecided, []byte(strings.ReplaceAll(twoContexts, "current-context: primary", "")), 0o600))
	for _, test := range []struct {
		name, env, cluster string
		given, want        target
		problem            string
	}{
		{name: "current context", env: file, cluster: "primary", want: target{file, "primary"}},
		{name: "current context of another name", env: file, cluster: "edge", want: target{file, "primary"}},
		{name: "named context", env: file, cluster: "standby", given: target{"", "standby"}, want: target{file, "standby"}},
		{name: "named file", env: "/missing", cluster: "primary", given: target{file, ""}, want: target{file, "primary"}},
		{name: "another context has the cluster's name", env: file, cluster: "standby", problem: "give --context standby, or --context primary, which is the kubeconfig's current one"},
		{name: "unknown context", env: file, cluster: "primary", given: target{"", "nowhere"}, problem: `context "nowhere" is not in the kubeconfig`},
		{name: "no current context", env: undecided, cluster: "edge", problem: "no current context: choose one with --context"},
		{name: "missing file", cluster: "primary", given: target{filepath.Join(dir, "missing"), ""}, problem: "the file of --kubeconfig does not exist"},
		{name: "several files", env: undecided + ":" + file, cluster: "primary", want: target{"", "primary"}},
		{name: "no kubeconfig at all", env: "/missing", cluster: "primary", want: target{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", test.env)
			got, err := test.given.resolve(test.cluster)
			if test.problem != "" {
				require.ErrorContains(t, err, test.problem)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestTheContextOfTheClustersNameIsTakenWhereThatDoesNoHarm(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(file, []byte("current-context: primary\ncontexts: [{name: primary, context: {}}, {name: standby, context: {}}]\n"), 0o600))
	t.Setenv("KUBECONFIG", file)
	require.Equal(t, target{"", "standby"}, target{}.named("standby"))
	require.Equal(t, target{}, target{}.named("edge"))
	require.Equal(t, target{"", "primary"}, target{"", "primary"}.named("standby"), "given is given")
	require.Equal(t, target{"/missing", ""}, target{"/missing", ""}.named("standby"))
}

func TestMarkerDecidesWhoseBranchItIs(t *testing.T) {
	e := &enrolling{config: workflows.Config{
		Cluster: "primary", ClusterUID: "uid-1", Repository: "https://git.example/a.git", Branch: "main", Path: "clusters/primary",
	}}
	found, err := e.checkMarker(context.Background(), []byte("layout: 1\ncluster: primary\nuid: uid-1\n"))
	require.NoError(t, err)
	require.Contains(t, found, "resumes")
	for _, test := range []struct{ content, want string }{
		{"layout: 1\ncluster: other\nuid: uid-2\n", `path clusters/primary on branch main of https://git.example/a.git belongs to cluster "other": choose another --branch or --path for primary`},
		{"layout: 2\ncluster: primary\nuid: uid-1\n", "says layout 2"},
		{"layout: [", "no YAML"},
		{"", "names no cluster"},
	} {
		_, err := e.checkMarker(context.Background(), []byte(test.content))
		require.ErrorContains(t, err, test.want)
	}
}

func TestTokenInClearIsPointedOut(t *testing.T) {
	for address, clear := range map[string]bool{
		"http://git.example/a.git": true, "http://10.0.0.1/a.git": true, "https://git.example/a.git": false,
		"http://127.0.0.1:3000/a.git": false, "http://[::1]/a.git": false, "http://localhost/a.git": false,
	} {
		require.Equal(t, clear, sentInClear(address), address)
	}
}
