package main

import (
	"context"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func TestDoctorFindsNothingAtAHealthyCluster(t *testing.T) {
	for _, strategy := range []workflows.Strategy{workflows.Pull, workflows.Push, workflows.PushPull} {
		t.Run(string(strategy), func(t *testing.T) {
			p := newPatient(t, strategy)
			e := p.doctor()
			require.Equal(t, done, e.code)
			require.True(t, e.Healthy)
			for _, f := range e.Checks {
				require.Equal(t, isRight, f.Result, f)
				require.Empty(t, f.Remedy)
			}
			require.Contains(t, e.of("clocks").Message, "the one here and Temporal, the API server, the Git server agree")
			require.Contains(t, e.of("age identity").Message, "among the recipients of .sops.yaml")

			a := p.run("doctor", p.cluster)
			require.Equal(t, done, a.code)
			require.Contains(t, a.out, "ok   Temporal: "+p.stack.Env["TEMPORAL_ADDRESS"]+", namespace default\n")
			require.Contains(t, a.out, "\nNothing is broken at cluster "+p.cluster+".\n")
		})
	}
}

func TestDoctorNamesWhatIsWrongAtAStandby(t *testing.T) {
	p := newPatient(t, workflows.Pull)
	closed := "127.0.0.1:" + closedPort(t)
	bare, uid := p.stack.RepoDir(p.repo), p.uid()
	gate := func(change func(*http.Response) error) func(*testing.T) {
		return func(t *testing.T) {
			admin, err := p.stack.Config(kubernetesName)
			require.NoError(t, err)
			transport, err := rest.TransportFor(admin)
			require.NoError(t, err)
			front := stacktest.NewGate(t, admin.Host, transport, func(proxy *httputil.ReverseProxy) { proxy.ModifyResponse = change })
			p.in(t).kubeconfig(func(c *clientcmdapi.Config) { c.Clusters["c"] = &clientcmdapi.Cluster{Server: front.URL()} })
		}
	}
	for _, test := range []struct {
		name string
		// breaks what it mends at the end of the test.
		breaks func(t *testing.T)
		check  string
		says   string
		remedy string
	}{
		{"Temporal is down", func(t *testing.T) { t.Setenv("TEMPORAL_ADDRESS", closed) },
			"Temporal", "the Temporal server at " + closed + " does not answer", "set TEMPORAL_ADDRESS"},
		{"namespace missing", func(t *testing.T) { t.Setenv("TEMPORAL_NAMESPACE", "nowhere") },
			"Temporal", `has no namespace "nowhere"`, "temporal operator namespace create --namespace"},
		{"cluster down", func(t *testing.T) {
			p.in(t).kubeconfig(func(c *clientcmdapi.Config) { c.Clusters["c"].Server = "https://" + closed })
		}, "cluster", "the Kubernetes API server at https://" + closed + " does not answer", "check that it is up and reachable from here"},
		{"kubeconfig expired", func(t *testing.T) {
			p.in(t).kubeconfig(func(c *clientcmdapi.Config) { c.AuthInfos["u"].Token = "nonsense" })
		}, "cluster", "does not accept the credentials", "renew the token or certificate in the kubeconfig"},
		{"another cluster", gate(func(r *http.Response) error { return replaceBody(r, uid, strings.Repeat("7", len(uid))) }),
			"identity", "is not the one that is enrolled as " + p.cluster, "give the right --kubeconfig and --context"},
		{"clock", gate(func(r *http.Response) error {
			r.Header.Set("Date", time.Now().Add(5*time.Minute+30*time.Second).UTC().Format(http.TimeFormat))
			return nil
		}), "clocks", "the API server is 5m", "NTP"},
		{"wrong token", func(t *testing.T) {
			before, err := os.ReadFile(p.stack.TokenFile(p.repo))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(p.stack.TokenFile(p.repo), []byte("rotated"), 0o600))
			t.Cleanup(func() { require.NoError(t, os.WriteFile(p.stack.TokenFile(p.repo), before, 0o600)) })
		}, "repository", "the Git server refuses the token in Secret active-cluster-sync/git-credentials for " + p.address, "starter enroll " + p.cluster + " --repo " + p.address + " --pat-file FILE"},
		{"token damaged", func(t *testing.T) {
			p.keep(map[string][]byte{workflows.PasswordKey: []byte("a b")})
			t.Cleanup(func() { p.keep(map[string][]byte{workflows.PasswordKey: []byte(p.token)}) })
		}, "credentials", "the token holds spaces or unprintable characters", "--pat-file FILE"},
		{"repository gone", func(t *testing.T) {
			require.NoError(t, os.Rename(bare, bare+".away"))
			t.Cleanup(func() { require.NoError(t, os.Rename(bare+".away", bare)) })
		}, "repository", "there is no Git repository at " + p.address, "check the token's permissions"},
		{"branch gone", func(t *testing.T) {
			git := func(args ...string) {
				out, err := exec.CommandContext(context.Background(), "git", append([]string{"-C", bare}, args...)...).CombinedOutput()
				require.NoError(t, err, string(out))
			}
			git("branch", "--move", "--force", "main", "away")
			t.Cleanup(func() { git("branch", "--move", "away", "main") })
		}, "branch", "branch main is not in " + p.address, "push the branch again"},
		{"age identity missing", func(t *testing.T) {
			p.keep(map[string][]byte{workflows.AgeIdentityKey: nil})
			t.Cleanup(func() { p.keep(map[string][]byte{workflows.AgeIdentityKey: p.identity}) })
		}, "age identity", "there is none in Secret active-cluster-sync/git-credentials, so Secrets are not synced", "--age-key-file FILE"},
		{"age identity of another", func(t *testing.T) {
			another, _ := newIdentity(t)
			p.keep(map[string][]byte{workflows.AgeIdentityKey: another})
			t.Cleanup(func() { p.keep(map[string][]byte{workflows.AgeIdentityKey: p.identity}) })
		}, "age identity", "which can't read them", "--age-recipient age1"},
		{"lock removed", func(t *testing.T) {
			require.NoError(t, p.admin().RemoveLock(t.Context(), p.cluster))
			t.Cleanup(func() { p.lock() })
		}, "lock", "active-cluster-sync-lock-" + p.cluster + " is missing in the cluster", "the worker puts it back"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.breaks(t)
			p.in(t).doctor().names(test.check, test.says, test.remedy)
		})
	}
	require.True(t, p.doctor().Healthy, "all was mended")

	t.Run("what hangs does not hold up the rest", func(t *testing.T) {
		// A server that takes the connection and says nothing.
		t.Setenv("TEMPORAL_ADDRESS", silent(t))
		e := p.in(t).doctor()
		require.Equal(t, []string{"Temporal"}, e.failing())
		require.Equal(t, isRight, e.of("cluster").Result)
		require.Equal(t, "skipped because of Temporal", e.of("place").Message)
		require.Contains(t, e.err, "checking Temporal (")
	})
}

func TestDoctorTellsWhatTheWorkerLacksFromWhatIsMissingHere(t *testing.T) {
	p := newPatient(t, workflows.Pull)
	p.serviceAccount("get", "list", "watch")
	e := p.doctor()
	require.Equal(t, done, e.code)
	require.Equal(t, isDoubtful, e.of("permissions").Result)
	require.Contains(t, e.of("permissions").Message, "system:serviceaccount:default:limited-")
	require.Contains(t, e.of("permissions").Message, "may not create, update, delete all resources, which strategy pull needs; the sync works")

	// The worker can't do its work either.
	p.standin.set(func(s *standin) { s.export = refusal(workflows.CredentialsMissing, "there is no Secret: enrol again") })
	require.Equal(t, done, p.run("sync", p.cluster).code)
	p.awaitState(workflows.Blocked)
	e = p.doctor()
	require.Equal(t, []string{"sync", "permissions"}, e.failing())
	require.Contains(t, strings.Join(e.of("permissions").Remedy, ""), "bind that to a ClusterRole")
	require.Contains(t, e.of("sync").Message, "Blocked (CredentialsMissing): there is no Secret")

	t.Setenv("KUBECONFIG", p.stack.Kubeconfig(kubernetesName))
	require.NoError(t, p.admin().DeleteSecret(t.Context(), workflows.CredentialsNamespace, workflows.CredentialsSecret))
	e = p.doctor()
	require.Equal(t, []string{"sync", "credentials"}, e.failing())
	require.Equal(t, "there is no Secret active-cluster-sync/git-credentials in the cluster", e.of("credentials").Message)
	require.Equal(t, "skipped because of credentials", e.of("place").Message)

	a := p.run("doctor", p.cluster)
	require.Equal(t, failed, a.code)
	require.Contains(t, a.out, "FAIL credentials: there is no Secret active-cluster-sync/git-credentials in the cluster\n      → store them with `starter enroll "+p.cluster+" --repo "+p.address+" --pat-file FILE`\n")
	require.Contains(t, a.out, "skip repository: skipped because of credentials\n")
	require.Equal(t, "2 of 17 checks of cluster "+p.cluster+" failed: sync, credentials", a.sentence(t))
}

func TestDoctorNamesWhatIsWrongAtAPrimary(t *testing.T) {
	p := newPatient(t, workflows.Push)
	t.Run("token may only read", func(t *testing.T) {
		p.git.Refuse(func(r *http.Request) int {
			if r.URL.Query().Get("service") == "git-receive-pack" {
				return http.StatusForbidden
			}
			return 0
		})
		defer p.git.Refuse(nil)
		p.in(t).doctor().names("write access", "the token may read "+p.address+", and not write it", "allow it to write")
	})
	t.Run("Git server down", func(t *testing.T) {
		p.git.Shut()
		defer p.git.Open()
		p.in(t).doctor().names("repository", "the Git server can't be reached: "+p.address, "check that the Git server is up")
	})
	t.Run("sync blocked", func(t *testing.T) {
		p.standin.set(func(s *standin) {
			s.export = refusal(workflows.PushRejected, "the branch is protected: let the token push")
		})
		require.Equal(t, done, p.in(t).run("sync", p.cluster).code)
		p.awaitState(workflows.Blocked)
		p.in(t).doctor().names("sync", "Blocked (PushRejected): the branch is protected: let the token push", "let the token push to this branch")
		p.standin.set(func(s *standin) { s.export = nil })
		require.Equal(t, done, p.in(t).run("sync", p.cluster, "--wait").code)
	})
	t.Run("paused", func(t *testing.T) {
		require.Equal(t, done, p.in(t).run("pause", p.cluster).code)
		e := p.in(t).doctor()
		require.Equal(t, done, e.code)
		require.Equal(t, isDoubtful, e.of("sync").Result)
		require.Equal(t, []string{"go on with `starter resume " + p.cluster + "`"}, e.of("sync").Remedy)
		require.Equal(t, done, p.in(t).run("resume", p.cluster).code)
	})
	t.Run("place of another cluster", func(t *testing.T) {
		p.recommit(map[string]string{".cluster-sync.yaml": "layout: 1\ncluster: berlin\nuid: 7d1c\n"})
		p.in(t).doctor().names("place", `path . of branch main belongs to cluster "berlin"`, "push to another branch or --path")
	})
	t.Run("worker hangs", func(t *testing.T) {
		p.stop()
		e := p.in(t).doctor()
		require.Contains(t, e.failing(), "sync")
		require.Contains(t, e.of("sync").Message, "a worker has polled lately, and doesn't answer now")
	})
	t.Run("workflow terminated", func(t *testing.T) {
		require.NoError(t, p.temporal.TerminateWorkflow(t.Context(), workflows.WorkflowID(p.cluster), "", "by hand"))
		e := p.in(t).doctor()
		require.Contains(t, e.failing(), "workflow")
		require.Contains(t, e.of("workflow").Message, "it isn't running, so nothing is synced: terminated at ")
		require.Equal(t, []string{"enrol the cluster again: `starter enroll " + p.cluster + " --repo " + p.address + " --strategy push`"}, e.of("workflow").Remedy)
		require.Equal(t, isRight, e.of("repository").Result, "the rest is looked at all the same")
		require.Equal(t, "skipped because of workflow", e.of("sync").Message)
	})
}

func TestDoctorWithoutAWorker(t *testing.T) {
	w, _ := enrolled(t, workflows.Pull, nil)
	e := w.doctor()
	require.Equal(t, []string{"worker", "lock"}, e.failing())
	require.Equal(t, "none polls task queue cluster-sync-"+w.cluster+" for tasks of the workflow", e.of("worker").Message)
	require.Contains(t, e.of("worker").Remedy[0], "start one with `worker --cluster "+w.cluster+" --kubeconfig FILE`")
	require.Equal(t, "skipped because of worker", e.of("sync").Message)
	require.Equal(t, isRight, e.of("place").Result)
}

func TestDoctorOfAClusterThatIsNotEnrolled(t *testing.T) {
	w := newWorld(t)
	e := w.doctor()
	require.Equal(t, []string{"enrolment", "worker"}, e.failing())
	require.Contains(t, e.of("enrolment").Remedy[0], "starter enroll "+w.cluster+" --repo URL --pat-file FILE")
	require.Equal(t, isRight, e.of("cluster").Result)
	require.Equal(t, misused, w.run("doctor").code)
}

func TestDoctorNamesMissingSearchAttributes(t *testing.T) {
	w := newWorld(t)
	namespace := w.inNewNamespace()
	e := w.doctor()
	require.Contains(t, e.failing(), "search attributes")
	require.Contains(t, e.of("search attributes").Remedy[0], "temporal operator search-attribute create --namespace "+namespace+" --name ClusterName --type Keyword")
}

// A worker whose code doesn't fit the history fails each step, and Temporal tries for ever.
func TestDoctorNamesAStuckWorkflow(t *testing.T) {
	w, _ := enrolled(t, workflows.Push, nil)
	broken := worker.New(w.temporal, workflows.WorkflowID(w.cluster), worker.Options{})
	broken.RegisterWorkflowWithOptions(func(workflow.Context, workflows.State) error { panic("history mismatch") }, workflow.RegisterOptions{Name: workflows.WorkflowType})
	require.NoError(t, broken.Start())
	defer broken.Stop()
	w.eventually("the step fails", func() bool {
		r, e := w.enrolled()
		defer r.close()
		return e.attempt > 1
	})
	e := w.doctor()
	require.Contains(t, e.failing(), "workflow")
	require.Contains(t, e.of("workflow").Message, "it is stuck: its step fails again and again")
	require.Contains(t, e.of("workflow").Message, "history mismatch")
	require.Contains(t, strings.Join(e.of("workflow").Remedy, "\n"), "run the version of the worker that ran before")
}

func TestInterruptedDoctorJustEnds(t *testing.T) {
	w := newWorld(t)
	t.Setenv("TEMPORAL_ADDRESS", silent(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs stacktest.Output
	answers := make(chan int)
	go func() {
		answers <- run(ctx, []string{"starter", "doctor", w.cluster}, strings.NewReader(""), &out, &errs)
	}()
	w.eventually("it waits", func() bool { return strings.Contains(errs.String(), "checking Temporal (") })
	cancel()
	require.Equal(t, failed, <-answers)
	require.True(t, strings.HasSuffix(errs.String(), "starter: interrupted\n"), errs.String())
	require.Empty(t, out.String())
}
