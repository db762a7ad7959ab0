package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/durationpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func TestEnrollChecksThenStoresTheTokenAndStarts(t *testing.T) {
	w := newWorld(t)
	a := w.enroll("--strategy", "push", "--ignore-namespace", "scratch", "--path", "./clusters/a/")
	require.Equal(t, done, a.code)
	for _, check := range []string{"✓ arguments", "✓ Temporal: ", "✓ enrolment: new", "✓ cluster: https://", "✓ repository: http://", "✓ branch: main, the first push creates it", "! worker: none polls"} {
		require.Contains(t, a.err, check)
	}
	require.NotContains(t, a.err+a.out, "\x1b")
	require.Contains(t, a.out, "worker --cluster "+w.cluster+"="+kubernetesName)
	require.Contains(t, a.out, "starter status "+w.cluster+" --watch")
	require.Contains(t, a.out, "http://ui.example:8080/namespaces/default/workflows/cluster-sync-"+w.cluster)

	secret := w.secret()
	require.NotNil(t, secret)
	require.Equal(t, "git", string(secret.Data["username"]))
	require.Equal(t, w.token, string(secret.Data["password"]))
	keys, err := agekey.Parse(secret.Data["age.agekey"], nil)
	require.NoError(t, err)
	require.Contains(t, a.err, "✓ Secrets: encrypted for "+keys.Own()[0]+" (a new identity)")
	require.NotContains(t, a.err+a.out, "AGE-SECRET-KEY")
	require.Contains(t, a.out, "keep a copy (repeat this with --age-key-out FILE)")
	require.Equal(t, "active-cluster-sync", secret.Labels["app.kubernetes.io/managed-by"])

	r, err := openRegistry(t.Context())
	require.NoError(t, err)
	defer r.close()
	e, err := r.find(t.Context(), w.cluster)
	require.NoError(t, err)
	require.Equal(t, workflows.Push, e.strategy)
	require.Equal(t, workflows.Syncing, e.state)
	config, err := r.config(t.Context(), e)
	require.NoError(t, err)
	system, err := w.kube.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, workflows.Config{
		Cluster: w.cluster, ClusterUID: string(system.UID), Repository: w.url(), Branch: "main", Path: "clusters/a",
		Strategy: workflows.Push, IgnoredNamespaces: []string{"kube-node-lease", "kube-public", "kube-system", "scratch"},
		Interval: metav1.Duration{Duration: 10 * time.Second}, Secrets: workflows.SecretsEncrypt,
		Prune: workflows.DefaultPrune, Lock: workflows.DefaultLock, BreakGlassGroup: workflows.DefaultBreakGlassGroup,
		OnConflict: workflows.DefaultConflict,
	}, config)
	require.NotContains(t, w.history(), w.token)

	described, err := w.temporal.DescribeWorkflowExecution(t.Context(), workflows.WorkflowID(w.cluster), "")
	require.NoError(t, err)
	shown := described.GetExecutionConfig().GetUserMetadata()
	require.Contains(t, string(shown.GetSummary().GetData()), "cluster `"+w.cluster+"` and branch `main` of `"+w.url()+"`")
	require.Contains(t, string(shown.GetDetails().GetData()), "starter status "+w.cluster)
}

func TestTokenMayComeFromStandardInput(t *testing.T) {
	w := newWorld(t)
	a := w.runWith(w.token+"\n", "enroll", "--repo", w.url(), "--pat-stdin", "--username", "x-token-auth", "--secrets", "exclude", w.cluster, "-o", "json")
	require.Equal(t, done, a.code)
	require.Equal(t, map[string][]byte{"username": []byte("x-token-auth"), "password": []byte(w.token)}, w.secret().Data)
	var status workflows.Status
	require.NoError(t, json.Unmarshal([]byte(a.out), &status))
	require.Equal(t, workflows.Stopped, status.State)
	require.Equal(t, noWorker, status.Reason)
	require.Equal(t, w.url(), status.Repository)
}

func TestEnrollUsesTheTokenThatTheClusterHas(t *testing.T) {
	w := newWorld(t)
	a := w.run("enroll", w.cluster, "--repo", w.url())
	require.Equal(t, failed, a.code)
	require.Equal(t, "there is no token for "+w.url()+": give one with --pat-file FILE or --pat-stdin", a.sentence(t))
	w.nothingDone()

	cluster, err := target{kubeconfig: w.stack.Kubeconfig(kubernetesName)}.connect()
	require.NoError(t, err)
	require.NoError(t, cluster.WriteSecret(t.Context(), workflows.CredentialsNamespace, workflows.CredentialsSecret,
		map[string][]byte{"username": []byte("flux"), "password": []byte(w.token)}, nil))
	version := w.secret().ResourceVersion
	require.Equal(t, done, w.run("enroll", w.cluster, "--repo", w.url(), "--secrets", "exclude").code)
	require.Equal(t, version, w.secret().ResourceVersion)
}

// Each of these is refused with one sentence, before anything has been changed.
func TestEnrollRefusesBeforeChangingAnything(t *testing.T) {
	closed := "127.0.0.1:" + closedPort(t)
	for _, test := range []struct {
		name   string
		change func(w *world)
		flags  []string
		code   int
		want   string
	}{
		{name: "strategy unknown", flags: []string{"--strategy", "mirror"}, code: misused, want: `unknown strategy "mirror": use none, push, pull or push-pull`},
		{name: "token wrong", change: func(w *world) { w.writeToken("wrong-token") }, code: failed,
			want: "the Git server refuses the token for URL: check that it is right, hasn't expired and may read and write this repository, and give the right one with --pat-file or --pat-stdin"},
		{name: "token of another repository", change: func(w *world) {
			require.NoError(w, w.stack.AddRepo(w.Context(), w.repo+"-2", "other"))
			w.writeToken("other")
		}, code: failed,
			want: "the Git server refuses the token for URL"},
		{name: "token file missing", change: func(w *world) { require.NoError(w, os.Remove(w.tokenFile)) }, code: failed,
			want: "the file of --pat-file can't be read (no such file or directory): give the path of a file that holds the token"},
		{name: "age key file missing", flags: []string{"--age-key-file", "/nowhere/key"}, code: failed,
			want: "the file of --age-key-file can't be read (no such file or directory): give the path of an age key file"},
		{name: "age recipient wrong", flags: []string{"--age-recipient", "age1nobody"}, code: failed, want: "expected lines age1… (--age-key-file, --age-recipient)"},
		{name: "resource wrong", flags: []string{"--include-resource", "batch/jobs"}, code: misused, want: `"batch/jobs" is not a resource: write the plural and the group, like jobs.batch`},
		{name: "pattern wrong", flags: []string{"--ignore-name", "["}, code: misused, want: `"[" is not a pattern of names`},
		{name: "selector wrong", flags: []string{"--selector", "a in b"}, code: misused, want: "the label selector can't be read"},
		{name: "token empty", change: func(w *world) { w.writeToken("\n") }, code: failed, want: "the token is empty"},
		{name: "repository unreachable", flags: []string{"--repo", "http://" + closed + "/a.git"}, code: failed, want: "the Git server can't be reached: http://" + closed + "/a.git"},
		{name: "repository no Git server", flags: []string{"--repo", "http://" + closed + "/a.git?x=y"}, code: misused, want: "must not have a query"},
		{name: "pull of a missing branch", flags: []string{"--strategy", "pull", "--branch", "release"}, code: failed,
			want: "branch release is not in URL: push it there first, or choose another one with --branch"},
		{name: "push to content", change: func(w *world) { w.commit(map[string]string{"app/a.yaml": "a: 1\n"}) }, flags: []string{"--strategy", "push"}, code: failed,
			want: "branch main of URL is not empty, it holds app/a.yaml: the first push needs an empty place, so choose another --branch or --path, or empty this one"},
		{name: "push to a path with content", change: func(w *world) { w.commit(map[string]string{"app/README.md": "hello\n"}) }, flags: []string{"--strategy", "push", "--path", "app"}, code: failed,
			want: "path app on branch main of URL is not empty, it holds app/README.md"},
		{name: "push to the place of another cluster", change: func(w *world) {
			w.commit(map[string]string{".cluster-sync.yaml": "layout: 1\ncluster: berlin\nuid: 7d1c\n"})
		}, flags: []string{"--strategy", "push"}, code: failed,
			want: `branch main of URL belongs to cluster "berlin": choose another --branch or --path for`},
		{name: "push to a shared place", change: func(w *world) {
			w.commit(map[string]string{".cluster-sync.yaml": "layout: 1\nmembers: [{cluster: berlin, uid: 7d1c}]\n"})
		}, flags: []string{"--strategy", "push"}, code: failed,
			want: `branch main of URL is shared by push-pull with "berlin", and a push would overwrite what they store: use --strategy push-pull, choose another --branch or --path, or take those that don't sync there any more out of .cluster-sync.yaml`},
		{name: "push-pull to content", change: func(w *world) { w.commit(map[string]string{"app/a.yaml": "a: 1\n"}) }, flags: []string{"--strategy", "push-pull"}, code: failed,
			want: "branch main of URL, path ., holds app/a.yaml, which this cluster has not agreed with yet: say with --adopt git or --adopt cluster whose objects win where both hold one and differ; what only one side holds is carried to the other, nothing is deleted. To see before what each would do, enroll with --strategy none and run `starter diff "},
		{name: "push-pull to the place of another cluster", change: func(w *world) {
			w.commit(map[string]string{".cluster-sync.yaml": "layout: 1\ncluster: berlin\nuid: 7d1c\n"})
		}, flags: []string{"--strategy", "push-pull", "--adopt", "git"}, code: failed,
			want: `cluster "berlin" pushes to path . of branch main and would overwrite what is changed there: set that one to push-pull or, if it won't come back, delete .cluster-sync.yaml there by a commit; or use another branch or --path`},
		{name: "cluster permitted for reading only under push-pull", change: func(w *world) { w.serviceAccount("get", "list", "watch") }, flags: []string{"--strategy", "push-pull"}, code: failed,
			want: "the kubeconfig's user may not create, update, delete all resources of the cluster at https://"},
		{name: "Temporal down", change: func(w *world) { w.Setenv("TEMPORAL_ADDRESS", closed) }, code: failed,
			want: "the Temporal server at " + closed + " does not answer: start it, or set TEMPORAL_ADDRESS (and TEMPORAL_TLS_… where it needs TLS) to where it runs"},
		{name: "Temporal namespace missing", change: func(w *world) { w.Setenv("TEMPORAL_NAMESPACE", "nowhere") }, code: failed,
			want: `has no namespace "nowhere": create it with`},
		{name: "Temporal profile missing", change: func(w *world) { w.Setenv("TEMPORAL_PROFILE", "nowhere") }, code: failed,
			want: "the settings of the Temporal connection can't be used"},
		{name: "kubeconfig missing", flags: []string{"--kubeconfig", "/nowhere/config"}, code: failed, want: "the file of --kubeconfig does not exist"},
		{name: "context unknown", flags: []string{"--context", "nowhere"}, code: misused, want: `context "nowhere" is not in the kubeconfig`},
		{name: "cluster down", change: func(w *world) {
			w.kubeconfig(func(c *clientcmdapi.Config) { c.Clusters["c"].Server = "https://" + closed })
		}, code: failed, want: "the Kubernetes API server at https://" + closed + " does not answer"},
		{name: "credentials of the cluster wrong", change: func(w *world) {
			w.kubeconfig(func(c *clientcmdapi.Config) { c.AuthInfos["u"].Token = "nonsense" })
		}, code: failed, want: "does not accept the credentials: renew the token or certificate in the kubeconfig"},
		{name: "cluster not permitted for push", change: func(w *world) { w.serviceAccount() }, flags: []string{"--strategy", "push"}, code: failed,
			want: "the kubeconfig's user may not get, list, watch all resources of the cluster at https://"},
		{name: "cluster permitted for reading only", change: func(w *world) { w.serviceAccount("get", "list", "watch") }, flags: []string{"--strategy", "pull"}, code: failed,
			want: "the kubeconfig's user may not create, update, delete all resources of the cluster at https://"},
		{name: "no permission for the Secret", change: func(w *world) { w.serviceAccount("get", "list", "watch") }, flags: []string{"--strategy", "push"}, code: failed,
			want: "create secrets in namespace active-cluster-sync, update secrets in namespace active-cluster-sync, delete secrets in namespace active-cluster-sync, or use another --context"},
		{name: "no permission at all", change: func(w *world) { w.serviceAccount() }, code: failed,
			want: "the kubeconfig's user lacks permissions to store the Git credentials in the cluster at https://"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.change != nil {
				test.change(w)
			}
			a := w.enroll(test.flags...)
			require.Equal(t, test.code, a.code)
			require.Contains(t, a.sentence(t), strings.ReplaceAll(test.want, "URL", w.url()))
			require.Empty(t, a.out)
			require.Equal(t, 1, strings.Count(a.err, "✗"), a.err)
			t.Setenv("TEMPORAL_ADDRESS", w.stack.Env["TEMPORAL_ADDRESS"])
			t.Setenv("TEMPORAL_NAMESPACE", "default")
			t.Setenv("TEMPORAL_PROFILE", "")
			w.nothingDone()
		})
	}
}

func TestEnrollTakesAndHandsOutTheAgeIdentity(t *testing.T) {
	w := newWorld(t)
	identity, err := agekey.Generate()
	require.NoError(t, err)
	given, taken := filepath.Join(t.TempDir(), "given"), filepath.Join(t.TempDir(), "taken")
	require.NoError(t, os.WriteFile(given, identity, 0o600))
	keys, err := agekey.Parse(identity, nil)
	require.NoError(t, err)

	a := w.enroll("--age-key-file", given, "--age-key-out", taken)
	require.Equal(t, done, a.code)
	require.Contains(t, a.err, "encrypted for "+keys.Own()[0]+" (the identity of --age-key-file)")
	require.Equal(t, identity, w.secret().Data["age.agekey"])
	written, err := os.ReadFile(taken)
	require.NoError(t, err)
	require.Equal(t, identity, written)
	info, err := os.Stat(taken)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	require.NotContains(t, w.history(), "AGE-SECRET-KEY")

	again := w.enroll("--age-key-out", taken)
	require.Equal(t, failed, again.code)
	require.Contains(t, again.sentence(t), "the file of --age-key-out is there already")
	kept := w.enroll("--age-recipient", keys.Own()[0])
	require.Contains(t, kept.err, "(the identity in the cluster)")
	require.NotContains(t, kept.out, "keep a copy")
	require.Equal(t, keys.Own()[0], string(w.secret().Data["age.recipients"]))

	// Without the identity nobody can read what is in Git, so unenrolling leaves it.
	gone := w.run("unenroll", w.cluster, "--yes", "--context", kubernetesName)
	require.Equal(t, done, gone.code)
	require.Contains(t, gone.out, "The age keys are still in there")
	require.Equal(t, map[string][]byte{"age.agekey": identity, "age.recipients": []byte(keys.Own()[0])}, w.secret().Data)
}

func TestEnrollRefusesAClusterNameWithASlash(t *testing.T) {
	w := newWorld(t)
	a := w.run("enroll", "team/primary", "--repo", w.url(), "--pat-file", w.tokenFile)
	require.Equal(t, misused, a.code)
	require.Contains(t, a.sentence(t), `cluster name "team/primary" is not a DNS label`)
	w.nothingDone()
}

func TestPushResumesInThePlaceOfTheSameCluster(t *testing.T) {
	w := newWorld(t)
	system, err := w.kube.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	require.NoError(t, err)
	w.commit(map[string]string{
		"clusters/a/.cluster-sync.yaml":           fmt.Sprintf("layout: 1\ncluster: %s\nuid: %s\n", w.cluster, system.UID),
		"clusters/a/cluster/namespaces/shop.yaml": "kind: Namespace\n",
	})
	a := w.enroll("--strategy", "push", "--path", "clusters/a")
	require.Equal(t, done, a.code)
	require.Contains(t, a.err, "✓ branch: main, resumes what this cluster stored there before")
}

func TestPushTakesABranchWithAReadmeForEmpty(t *testing.T) {
	w := newWorld(t)
	w.commit(map[string]string{"README.md": "hello\n", ".gitignore": "*.tmp\n"})
	a := w.enroll("--strategy", "push")
	require.Equal(t, done, a.code)
	require.Contains(t, a.err, "✓ branch: main, empty")
}

func TestEnrollingAgainTakesOverWhatIsNewAndRefusesAnotherRepository(t *testing.T) {
	w := newWorld(t)
	w.commit(map[string]string{"a.yaml": "a: 1\n"})
	require.Equal(t, done, w.enroll("--strategy", "pull", "--interval", "1m").code)
	w.startWorker(&standin{})
	first := w.secret().ResourceVersion

	again := w.enroll("--strategy", "pull", "--repo", w.url()+"/")
	require.Equal(t, done, again.code)
	require.Contains(t, again.out, "was enrolled already: strategy pull")
	require.Contains(t, again.out, "nothing had to be changed")
	require.Equal(t, first, w.secret().ResourceVersion)

	for name, flags := range map[string][]string{
		"repo":        {"--repo", w.url() + "2"},
		"branch":      {"--branch", "other"},
		"path":        {"--path", "other"},
		"interval":    {"--interval", "5s"},
		"secrets":     {"--secrets", "plaintext"},
		"selector":    {"--selector", "team=shop"},
		"on-conflict": {"--on-conflict", "hold"},
	} {
		refused := w.enroll(flags...)
		require.Equal(t, failed, refused.code, name)
		require.Contains(t, refused.sentence(t), "is enrolled already with "+name)
		require.Contains(t, refused.sentence(t), "run `starter unenroll "+w.cluster+"` first")
	}
	require.Equal(t, first, w.secret().ResourceVersion)

	// A rotated token, another strategy and another list at once.
	w.token = "rotated-" + w.token
	w.writeToken(w.token)
	require.NoError(t, os.WriteFile(w.stack.TokenFile(w.repo), []byte(w.token), 0o600))
	changed := w.enroll("--strategy", "none", "--ignore-namespace", "scratch")
	require.Equal(t, done, changed.code)
	for _, line := range []string{"the credentials are stored", "the strategy is none", "ignored namespaces are kube-node-lease, kube-public, kube-system, scratch"} {
		require.Contains(t, changed.out, line)
	}
	require.Equal(t, w.token, string(w.secret().Data["password"]))
	var status workflows.Status
	require.NoError(t, json.Unmarshal([]byte(w.run("status", w.cluster, "-o", "json").out), &status))
	require.Equal(t, workflows.None, status.Strategy)
	require.Contains(t, status.IgnoredNamespaces, "scratch")

	// Flags that aren't given stay as they are.
	kept := w.enroll()
	require.Contains(t, kept.out, "nothing had to be changed")
	require.NotContains(t, w.history(), w.token)
}

func TestEnrollingAgainWithoutAWorkerLeavesASignal(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, done, w.enroll().code)
	a := w.enroll("--strategy", "push")
	require.Equal(t, done, a.code)
	require.Contains(t, a.out, "the strategy is push, as soon as a worker runs")
	w.startWorker(&standin{})
	w.eventually("the signal is carried out", func() bool {
		var status workflows.Status
		return json.Unmarshal([]byte(starter(t.Context(), "", "status", w.cluster, "-o", "json").out), &status) == nil &&
			status.Strategy == workflows.Push
	})
}

// When the last step fails, the one before it is undone.
func TestSecretIsTakenBackWhenTheSyncCanNotBeStarted(t *testing.T) {
	for _, before := range []map[string][]byte{nil, {"username": []byte("git"), "password": []byte("older")}} {
		w := newWorld(t)
		r, err := openRegistry(t.Context())
		require.NoError(t, err)
		at := target{kubeconfig: w.stack.Kubeconfig(kubernetesName), context: kubernetesName}
		cluster, err := at.connect()
		require.NoError(t, err)
		if before != nil {
			require.NoError(t, cluster.WriteSecret(t.Context(), workflows.CredentialsNamespace, workflows.CredentialsSecret, before, nil))
		}
		e := &enrolling{
			t: newTerminal(nil, nil, nil), flags: enrollFlags{username: "git"}, token: w.token,
			config:   workflows.Config{Cluster: w.cluster, Repository: w.url(), Branch: "main", Path: ".", Strategy: workflows.None},
			registry: r, target: at, cluster: cluster, stored: before,
		}
		r.client.Close()
		stored, err := e.storeCredentials(t.Context())
		require.NoError(t, err)
		require.True(t, stored)
		require.Equal(t, w.token, string(w.secret().Data["password"]))
		_, err = e.carryOut(t.Context())
		require.ErrorContains(t, err, "can't be started")
		if before == nil {
			require.Nil(t, w.secret())
		} else {
			require.Equal(t, before, w.secret().Data)
		}
		w.clean()
	}
}

// inNewNamespace goes on in a namespace of Temporal in which nothing is registered.
func (w *world) inNewNamespace() (namespace string) {
	w.Helper()
	namespace = fmt.Sprintf("fresh-%d", time.Now().UnixNano())
	_, err := w.temporal.WorkflowService().RegisterNamespace(w.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	require.NoError(w, err)
	w.Setenv("TEMPORAL_NAMESPACE", namespace)
	w.eventually("the namespace is known", func() bool {
		r, err := openRegistry(w.Context())
		if err != nil {
			return false
		}
		defer r.close()
		if _, err = r.attributesKnown(w.Context()); err == nil {
			_, err = r.list(w.Context())
		}
		return err == nil
	})
	return namespace
}

func TestMissingSearchAttributesAreRegistered(t *testing.T) {
	w := newWorld(t)
	w.inNewNamespace()
	a := w.enroll("--secrets", "exclude")
	require.Equal(t, done, a.code)
	require.Contains(t, a.err, "its search attributes will be registered")
	w.eventually("the enrolment is listed", func() bool {
		return strings.Contains(starter(t.Context(), "", "list").out, w.cluster+"  none")
	})
	require.Equal(t, done, w.run("unenroll", w.cluster, "--yes", "--context", kubernetesName).code)
	w.nothingDone()
}

func TestInterruptedEnrollmentDoesNothing(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := starter(ctx, "", "enroll", w.cluster, "--repo", w.url(), "--pat-file", w.tokenFile)
	require.Equal(t, failed, a.code)
	require.Equal(t, "interrupted", a.sentence(t))
	w.nothingDone()
}
