package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admission "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// completed on the way into the cluster, by defaults, allocations, controllers and a webhook: nothing of it may come
// back. NS is the namespace.
const partial = `# Kept by hand. Only what we care about is said here.
apiVersion: v1
kind: Namespace
metadata: {name: NS, labels: {acs: NS}}
---
apiVersion: apps/v1
kind: Deployment
metadata:
    name: web
    namespace: NS
    labels: {acs: NS}
spec:
    replicas: 2
    selector: {matchLabels: {app: web}}
    template:
        metadata: {labels: {app: web}}
        spec:
            containers:
            -   {name: web, image: "example.com/web:1"}   # one line is enough
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: scaled, namespace: NS, labels: {acs: NS}}
spec:
    # the autoscaler knows how many
    selector: {matchLabels: {app: scaled}}
    template:
        metadata: {labels: {app: scaled}}
        spec: {containers: [{name: c, image: "example.com/scaled:1"}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: scaled, namespace: NS, labels: {acs: NS}}
spec: {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: scaled}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS, labels: {acs: NS}}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: NS, labels: {acs: NS}}
spec:
    serviceName: db
    selector: {matchLabels: {app: db}}
    template:
        metadata: {labels: {app: db}}
        spec: {containers: [{name: db, image: "example.com/db:1"}]}
    volumeClaimTemplates:
    -   metadata: {name: data}
        spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: uploads, namespace: NS, labels: {acs: NS}}
spec: {accessModes: [ReadWriteOnce], storageClassName: NS, resources: {requests: {storage: 1Gi}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report, namespace: NS, labels: {acs: NS}}
spec:
    schedule: "* * * * *"
    jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: report}]}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: NS, labels: {acs: NS}}
spec:
    defaultBackend: {service: {name: web, port: {number: 80}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NS, labels: {acs: NS}}
data: {colour: blue}
`

// injecting serves a webhook that adds a label to everything in a namespace and a container to every workload.
func injecting(t *testing.T, on *cluster, ns string) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admission.AdmissionReview
		var object unstructured.Unstructured
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || json.Unmarshal(review.Request.Object.Raw, &object.Object) != nil {
			http.Error(w, "no review", http.StatusBadRequest)
			return
		}
		var patch []map[string]any
		if labels := object.GetLabels(); labels != nil && labels["injected"] == "" {
			patch = append(patch, map[string]any{"op": "add", "path": "/metadata/labels/injected", "value": "yes"})
		}
		const containers = "/spec/template/spec/containers"
		if list, found, _ := unstructured.NestedSlice(object.Object, strings.Split(containers[1:], "/")...); found && !strings.Contains(fmt.Sprint(list), "sidecar") {
			patch = append(patch, map[string]any{"op": "add", "path": containers + "/-", "value": map[string]any{"name": "sidecar", "image": "example.com/sidecar:1"}})
		}
		review.Response = &admission.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		if patch != nil {
			kind := admission.PatchTypeJSONPatch
			review.Response.PatchType = &kind
			review.Response.Patch, _ = json.Marshal(patch) // of strings
		}
		_ = json.NewEncoder(w).Encode(review) // the API server tells
	}))
	t.Cleanup(server.Close)
	ca := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	mutating := schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}
	create(t, on, mutating, `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: `+ns+`}
webhooks:
- name: inject.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  timeoutSeconds: 30
  clientConfig: {url: "`+server.URL+`", caBundle: `+ca+`}
  namespaceSelector: {matchLabels: {acs: `+ns+`}}
  rules:
  - {apiGroups: [apps], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [deployments, statefulsets]}
  - {apiGroups: [""], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [configmaps, services]}
`)
	t.Cleanup(func() {
		_ = on.objects.Resource(mutating).Delete(context.Background(), ns, metav1.DeleteOptions{})
	})
}

// written is when the sync wrote the objects of a namespace last, and their generation where it is the sync's alone
// to change.
func written(t *testing.T, on *cluster, ns string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, resource := range []schema.GroupVersionResource{
		deployments, services, statefulSets, cronJobs, autoscalers, configMaps,
		{Version: "v1", Resource: "persistentvolumeclaims"}, {Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"},
	} {
		list, err := on.objects.Resource(resource).Namespace(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "acs=" + ns})
		require.NoError(t, err)
		for _, o := range list.Items {
			for _, entry := range o.GetManagedFields() {
				if strings.Contains(entry.Manager, "active-cluster-sync") {
					found[resource.Resource+"/"+o.GetName()] += fmt.Sprint(entry.Operation, entry.Subresource, entry.Time)
				}
			}
			if o.GetName() != "scaled" {
				found[resource.Resource+"/"+o.GetName()] += fmt.Sprint(" ", o.GetGeneration())
			}
		}
	}
	return found
}

// TestNothingThatTheClusterAddsComesBack has a cluster complete what people say in Git, in every way there is, and
// go on with what clusters do.
func TestNothingThatTheClusterAddsComesBack(t *testing.T) {
	t.Parallel()
	const ns = "no-echo"
	on, repo := clusters["standby"], newRepo(t)
	injecting(t, on, ns)
	volumes := schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}
	create(t, on, volumes, "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: "+ns+"}\nspec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: "+ns+", hostPath: {path: /tmp}}")
	t.Cleanup(func() {
		_ = on.objects.Resource(volumes).Delete(context.Background(), ns, metav1.DeleteOptions{})
	})
	const file = "shop/all.yaml"
	text := strings.ReplaceAll(partial, "NS", ns)
	edit(t, repo, "The shop", func(dir string) { write(t, dir, file, text) })
	s := join(t, on, "no-echo", ns, repo)
	s.settled()
	require.Equal(t, "yes", get(t, on, configMaps, ns, "settings").GetLabels()["injected"])
	require.Contains(t, fmt.Sprint(get(t, on, deployments, ns, "web").Object["spec"]), "sidecar")
	eventually(t, func() bool {
		phase, _, _ := unstructured.NestedString(get(t, on, schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}, ns, "uploads").Object, "status", "phase")
		return phase == "Bound" && count(t, on, pods, ns) >= 4
	}, func() string { return "the controllers don't work" })
	s.settled()

	tip := git(t, repo, "rev-parse", "main")
	before, changes := written(t, on, ns), func() int { return strings.Count(s.worker.log.String(), `"msg":"object changed"`) }
	require.Len(t, before, 9)
	known := changes()
	ticks := func() {
		for n := range 50 {
			if n%5 == 0 {
				_, err := on.objects.Resource(deployments).Namespace(ns).Patch(t.Context(), "scaled", types.MergePatchType,
					fmt.Appendf(nil, `{"spec": {"replicas": %d}}`, 2+n/5%3), metav1.PatchOptions{FieldManager: "kube-controller-manager"}, "scale")
				require.NoError(t, err)
				_, err = on.objects.Resource(services).Namespace(ns).Patch(t.Context(), "web", types.MergePatchType,
					fmt.Appendf(nil, `{"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.%d"}]}}}`, n+1), metav1.PatchOptions{FieldManager: "cloud"}, "status")
				require.NoError(t, err)
			}
			now := syncNow(t, s.name)
			require.True(t, inSync(now), describe(now, nil))
		}
		require.Equal(t, tip, git(t, repo, "rev-parse", "main"), "an echo:\n%s", git(t, repo, "show", "main"))
		require.Equal(t, text, s.file(file)+"\n")
		require.Equal(t, before, written(t, on, ns))
		require.Equal(t, known, changes(), tail(s.worker.log.String()))
	}
	ticks()

	// A worker without a memory compares everything anew when the branch has moved.
	s.worker.kill()
	s.worker = startWorker(t, s.name, on, t.TempDir())
	tip = edit(t, repo, "Say more", func(dir string) { write(t, dir, "README.md", "Our clusters.\n") })
	s.settled()
	known = 0
	ticks()
}

// setting is one key of a ConfigMap.
type setting struct{ namespace, name, key string }

// insist plays a program that wants a setting to be something, until the test ends or it is told to stop.
func insist(t *testing.T, on *cluster, of setting, manager, value string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for poll := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				poll.Stop()
				return
			case <-poll.C:
			}
			maps := on.objects.Resource(configMaps).Namespace(of.namespace)
			now, err := maps.Get(ctx, of.name, metav1.GetOptions{})
			if err != nil {
				continue
			}
			if set, _, _ := unstructured.NestedString(now.Object, "data", of.key); set != value {
				_ = unstructured.SetNestedField(now.Object, value, "data", of.key)
				_, _ = maps.Update(ctx, now, metav1.UpdateOptions{FieldManager: manager})
			}
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// TestTwoProgramsThatWantDifferentValuesDoNotCommitForEver has a program in each of two clusters set the same field.
func TestTwoProgramsThatWantDifferentValuesDoNotCommitForEver(t *testing.T) {
	t.Parallel()
	const ns = "ping-pong"
	a := share(t, clusters["primary"], "ping", ns)
	b := join(t, clusters["standby"], "pong", ns, a.repo)
	b.settled()
	a.settled()
	colour := func(s *shared) setting { return setting{s.ns, "settings", "colour"} }
	stops := []func(){insist(t, a.on, colour(a), "red-operator", "red"), insist(t, b.on, colour(b), "green-operator", "green")}

	commits := func() int { return strings.Count(git(t, a.repo, "log", "--format=%h", "main"), "\n") }
	told := func() string {
		for _, s := range []*shared{a, b} {
			if now, err := status(t, s.name); err == nil && now.FailedCount > 0 {
				require.Equal(t, "configmaps "+ns+"/settings", now.Failed[0].Object)
				return now.Failed[0].Message
			}
		}
		return ""
	}
	eventually(t, func() bool { return told() != "" }, func() string { return git(t, a.repo, "log", "--oneline", "main") })
	require.Regexp(t, `"(red|green)-operator" makes it the same again each time that Git says something else`, told())
	require.Contains(t, told(), "--ignore-field configmaps:/data/colour")

	// The quarrel isn't fought at each tick, and the rest goes on.
	fought := commits()
	changeAs(t, "kubectl-edit", a.on, deployments, ns, "cart", field(int64(7), "spec", "replicas"))
	eventually(t, func() bool {
		replicas, _, _ := unstructured.NestedInt64(get(t, b.on, deployments, ns, "cart").Object, "spec", "replicas")
		return replicas == 7
	}, func() string { return tail(b.worker.log.String()) })
	ticksPass(t, a.name, 8)
	ticksPass(t, b.name, 8)
	t.Logf("%d commits until it was told, %d more in 16 ticks", fought, commits()-fought)
	require.LessOrEqual(t, commits(), fought+9)

	// Who says something new in Git isn't kept waiting.
	for _, stop := range stops {
		stop()
	}
	text := a.file("shop/all.yaml")
	now := "red"
	if strings.Contains(text, "colour: green") {
		now = "green"
	}
	a.editFile("colour: "+now, "colour: white")
	for _, s := range []*shared{a, b} {
		eventually(t, func() bool { return s.setting("colour") == "white" }, func() string { return tail(s.worker.log.String()) })
		reaches(t, s.name, inSync)
	}
}
