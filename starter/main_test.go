package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// The real parts are started by the first test that needs them: the others shall run without.
var shared struct {
	once  sync.Once
	stack *stacktest.Stack
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.stack != nil {
		shared.stack.Stop()
	}
	os.Exit(code)
}

const kubernetesName = "primary"

// world is the real parts as one test sees them: a Git repository and a token of its own, and the
// environment that the command line finds them by. What it enrols is gone after the test.
type world struct {
	*testing.T
	stack    *stacktest.Stack
	temporal client.Client
	kube     kubernetes.Interface
	cluster  string // the name to enrol under
	repo     string
	token    string
	// tokenFile holds the token, with a newline as editors leave it.
	tokenFile string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		shared.stack, shared.err = stacktest.Start(ctx, stacktest.Options{
			Clusters: []string{kubernetesName}, Git: true, Temporal: true,
		})
	})
	require.NoError(t, shared.err)
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", "Test", "").Replace(t.Name()))
	w := &world{T: t, stack: shared.stack, cluster: strings.Trim(name[:min(len(name), 50)], "-"), repo: strings.Trim(name[:min(len(name), 80)], "-")}
	w.token = fmt.Sprintf("glpat-%x-%s", time.Now().UnixNano(), "secret")
	w.tokenFile = filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(w.tokenFile, []byte(w.token+"\n"), 0o600))
	require.NoError(t, w.stack.AddRepo(t.Context(), w.repo, w.token))

	t.Setenv("TEMPORAL_ADDRESS", w.stack.Env["TEMPORAL_ADDRESS"])
	t.Setenv("TEMPORAL_NAMESPACE", "default")
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
	t.Setenv("TEMPORAL_UI", "http://ui.example:8080/")
	t.Setenv("KUBECONFIG", w.stack.Kubeconfig(kubernetesName))
	var err error
	w.temporal, err = client.Dial(client.Options{HostPort: w.stack.Env["TEMPORAL_ADDRESS"], Logger: stacktest.Quiet{}})
	require.NoError(t, err)
	config, err := w.stack.Config(kubernetesName)
	require.NoError(t, err)
	w.kube, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	t.Cleanup(w.clean)
	return w
}

func (w *world) clean() {
	ctx := context.Background()
	_ = w.temporal.TerminateWorkflow(ctx, workflows.WorkflowID(w.cluster), "", "test over")
	w.temporal.Close()
	err := w.kube.CoreV1().Secrets(workflows.CredentialsNamespace).Delete(ctx, workflows.CredentialsSecret, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		w.Error(err)
	}
}

func (w *world) url() string { return w.stack.RepoURL(w.repo) }

// answer is what a command line did.
type answer struct {
	code     int
	out, err string
}

// run carries out a command line as a person does who pipes everything. The token is in none of its
// outputs.
func (w *world) run(args ...string) answer { return w.runWith("", args...) }

func (w *world) runWith(stdin string, args ...string) answer {
	w.Helper()
	a := starter(w.Context(), stdin, args...)
	w.Logf("$ starter %s\n%s%sexit %d", strings.Join(args, " "), a.err, a.out, a.code)
	require.NotContains(w, a.out+a.err, w.token)
	return a
}

func starter(ctx context.Context, stdin string, args ...string) answer {
	var out, err bytes.Buffer
	code := run(ctx, append([]string{"starter"}, args...), strings.NewReader(stdin), &out, &err)
	return answer{code, out.String(), err.String()}
}

// sentence is the error, which is one line.
func (a answer) sentence(t require.TestingT) string {
	var sentences []string
	for line := range strings.Lines(a.err) {
		if said, ok := strings.CutPrefix(line, "starter: "); ok {
			sentences = append(sentences, strings.TrimSuffix(said, "\n"))
		}
	}
	require.Len(t, sentences, 1, a.err)
	require.True(t, strings.HasSuffix(a.err, sentences[0]+"\n"), "the error comes last: %s", a.err)
	return sentences[0]
}

// enroll is the usual enrolment with more flags.
func (w *world) enroll(flags ...string) answer {
	w.Helper()
	return w.run(append([]string{"enroll", w.cluster, "--repo", w.url(), "--pat-file", w.tokenFile}, flags...)...)
}

// secret is the one with the Git credentials, nil where there is none.
func (w *world) secret() *corev1.Secret {
	w.Helper()
	secret, err := w.kube.CoreV1().Secrets(workflows.CredentialsNamespace).Get(w.Context(), workflows.CredentialsSecret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(w, err)
	return secret
}

// running tells whether the cluster is enrolled.
func (w *world) running() bool {
	w.Helper()
	r, e := w.enrolled()
	defer r.close()
	return e.running
}

// enrolled is the enrolment of the cluster, and the registry that it is in, to be closed.
func (w *world) enrolled() (*registry, enrolment) {
	w.Helper()
	r, err := openRegistry(w.Context())
	require.NoError(w, err)
	e, err := r.find(w.Context(), w.cluster)
	require.NoError(w, err)
	return r, e
}

// nothingDone makes sure that there is neither half of an enrolment.
func (w *world) nothingDone() {
	w.Helper()
	require.Nil(w, w.secret(), "no Secret")
	if workflows.ValidateCluster(w.cluster) == nil {
		require.False(w, w.running(), "no workflow")
	}
}

// eventually waits for a condition.
func (w *world) eventually(what string, condition func() bool) {
	w.Helper()
	require.Eventually(w, condition, 30*time.Second, 50*time.Millisecond, what)
}
