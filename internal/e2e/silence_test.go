package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// deed is something that a person does, and the only file that changes by it.
type deed struct {
	what string
	path string
	do   func(t *testing.T, on *cluster, n int)
}

func of(path string) string { return "namespaces/" + busyNamespace + "/" + path }

var (
	autoscalers  = schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
	cronJobs     = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"}
	services     = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	statefulSets = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}
)

// deeds of a person with kubectl.
var deeds = []deed{
	{"kubectl edit configmap", of("configmaps/settings.yaml"), func(t *testing.T, on *cluster, n int) {
		change(t, on, configMaps, busyNamespace, "settings", func(o *unstructured.Unstructured) {
			require.NoError(t, unstructured.SetNestedField(o.Object, fmt.Sprint(n), "data", "key"))
		})
	}},
	{"kubectl set image, which rolls out", of("deployments.apps/web.yaml"), func(t *testing.T, on *cluster, n int) {
		patch(t, on, deployments, "web", fmt.Sprintf(`{"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "app:%d"}]}}}}`, n+2))
	}},
	{"kubectl apply --server-side of what an autoscaler owns", of("deployments.apps/scaled.yaml"), func(t *testing.T, on *cluster, n int) {
		apply(t, on, deployments, fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: scaled, namespace: busy}\nspec: {selector: {matchLabels: {app: scaled}}, template: {metadata: {labels: {app: scaled}}, spec: {containers: [{name: c, image: 'app:1', env: [{name: DEED, value: '%d'}]}]}}}", n))
	}},
	{"kubectl scale", of("statefulsets.apps/db.yaml"), func(t *testing.T, on *cluster, n int) {
		_, err := on.objects.Resource(statefulSets).Namespace(busyNamespace).Patch(t.Context(), "db", types.MergePatchType,
			fmt.Appendf(nil, `{"spec": {"replicas": %d}}`, 1+n%2), metav1.PatchOptions{FieldManager: "kubectl"}, "scale")
		require.NoError(t, err)
	}},
	{"kubectl create of a custom resource", of("signs.busy.example.com/second.yaml"), func(t *testing.T, on *cluster, _ int) {
		create(t, on, signs, sign("second"))
	}},
	{"kubectl label", of("services/web.yaml"), func(t *testing.T, on *cluster, n int) {
		patch(t, on, services, "web", fmt.Sprintf(`{"metadata": {"labels": {"deed": "%d"}}}`, n))
	}},
	{"kubectl apply --server-side of a CronJob", of("cronjobs.batch/report.yaml"), func(t *testing.T, on *cluster, n int) {
		apply(t, on, cronJobs, fmt.Sprintf("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: report, namespace: busy, annotations: {deed: '%d'}}\nspec: {failedJobsHistoryLimit: %d}", n, 1+n%5))
	}},
	{"kubectl edit of a custom resource", of("signs.busy.example.com/first.yaml"), func(t *testing.T, on *cluster, n int) {
		patch(t, on, signs, "first", fmt.Sprintf(`{"spec": {"text": "%d"}}`, n))
	}},
	{"kubectl patch of an autoscaler", of("horizontalpodautoscalers.autoscaling/scaled.yaml"), func(t *testing.T, on *cluster, n int) {
		patch(t, on, autoscalers, "scaled", fmt.Sprintf(`{"spec": {"maxReplicas": %d}}`, 10+n%5))
	}},
	{"kubectl delete of a custom resource that its controller holds", of("signs.busy.example.com/second.yaml"), func(t *testing.T, on *cluster, _ int) {
		remove(t, on, signs, busyNamespace, "second")
	}},
	{"kubectl rollout restart", of("deployments.apps/web.yaml"), func(t *testing.T, on *cluster, n int) {
		patch(t, on, deployments, "web", fmt.Sprintf(`{"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "%d"}}}}}`, n))
	}},
}

func patch(t *testing.T, on *cluster, resource schema.GroupVersionResource, name, patch string) {
	t.Helper()
	kind := types.StrategicMergePatchType
	if resource == signs {
		kind = types.MergePatchType
	}
	_, err := on.objects.Resource(resource).Namespace(busyNamespace).Patch(t.Context(), name, kind, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-patch"})
	require.NoError(t, err)
}

func apply(t *testing.T, on *cluster, resource schema.GroupVersionResource, manifest string) {
	t.Helper()
	obj := object(t, manifest)
	_, err := on.objects.Resource(resource).Namespace(busyNamespace).Apply(t.Context(), obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "kubectl", Force: true})
	require.NoError(t, err)
}

// TestSilenceOfABusyCluster shows that nothing but what people do makes a commit, and that a commit holds
// nothing else.
func TestSilenceOfABusyCluster(t *testing.T) {
	t.Parallel()
	busy, repo := clusters["busy"], newRepo(t)
	lasts, pause := stacktest.Lasting(50*time.Second, 10*time.Minute), stacktest.Lasting(time.Second, 15*time.Second)
	doings := keepBusy(t, busy, stacktest.Lasting(10*time.Second, time.Minute))
	startWorker(t, "busy", busy, t.TempDir())
	eventually(t, func() bool {
		web := get(t, busy, deployments, busyNamespace, "web")
		available, _, _ := unstructured.NestedInt64(web.Object, "status", "availableReplicas")
		return available == 2 && get(t, busy, signs, busyNamespace, "first").GetFinalizers() != nil
	}, func() string { return "the cluster doesn't work:\n" + report(doings) })
	enroll(t, "busy", busy, repo, workflows.Push)
	reaches(t, "busy", inSync)

	head := git(t, repo, "rev-parse", "main")
	done := 0
	for end := time.Now().Add(lasts); time.Now().Before(end); done++ {
		next := time.Now().Add(pause + rand.N(4*pause)) //nolint:gosec // any time
		for time.Now().Before(next) {
			require.Equal(t, head, git(t, repo, "rev-parse", "main"), "a commit that nobody asked for:\n%s", git(t, repo, "log", "-1", "-p"))
			<-time.After(200 * time.Millisecond)
		}
		deed := deeds[done%len(deeds)]
		deed.do(t, busy, done)
		eventually(t, func() bool { return git(t, repo, "rev-parse", "main") != head },
			func() string { return "no commit for " + deed.what })
		require.Equal(t, deed.path, git(t, repo, "diff", "--name-only", head, "main"), deed.what)
		require.Equal(t, "1", git(t, repo, "rev-list", "--count", head+"..main"), deed.what)
		head = git(t, repo, "rev-parse", "main")
	}
	syncNow(t, "busy")
	require.Equal(t, head, git(t, repo, "rev-parse", "main"), "a commit that nobody asked for:\n%s", git(t, repo, "log", "-1", "-p"))
	require.Equal(t, workflows.InSync, reaches(t, "busy", inSync).State)
	require.Greater(t, done, 4)
	t.Logf("%d deeds of people in %s and as many commits\n%s", done, lasts, report(doings))
	for _, a := range doings {
		require.Positive(t, a.changes.Load(), "%s: %v", a.name, a.failed.Load())
	}
	require.NotContains(t, strings.Join(files(t, repo), "\n"), "jobs.batch/once")
}

// report says what went on.
func report(doings []*doing) string {
	var text strings.Builder
	for _, a := range doings {
		fmt.Fprintf(&text, "%6d %s", a.changes.Load(), a.name)
		if err := a.failed.Load(); err != nil {
			fmt.Fprintf(&text, " (%v)", err)
		}
		text.WriteString("\n")
	}
	return text.String()
}
