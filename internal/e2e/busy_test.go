package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// busyNamespace is where a busy cluster is busy.
const busyNamespace = "busy"

var signs = schema.GroupVersionResource{Group: "busy.example.com", Version: "v1", Resource: "signs"}

// busyObjects are the applications of a busy cluster, by resource.
var busyObjects = []struct {
	resource schema.GroupVersionResource
	manifest string
}{
	{namespaces, "apiVersion: v1\nkind: Namespace\nmetadata: {name: busy}"},
	{schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: signs.busy.example.com}
spec:
  group: busy.example.com
  scope: Namespaced
  names: {plural: signs, singular: sign, kind: Sign, listKind: SignList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`},
	{configMaps, configMap(busyNamespace, "settings", "one")},
	{configMaps, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old-lock, namespace: busy, annotations: {control-plane.alpha.kubernetes.io/leader: '{}'}}"},
	{schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}, "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: limits, namespace: busy}\nspec: {hard: {pods: 100, services: 50}}"},
	{schema.GroupVersionResource{Version: "v1", Resource: "services"}, "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: busy}\nspec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}"},
	{deployments, busyWorkload("Deployment", "web", "replicas: 2")},
	{deployments, busyWorkload("Deployment", "scaled", "replicas: 2")},
	{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}, busyWorkload("StatefulSet", "db", "replicas: 1, serviceName: db")},
	{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}, busyWorkload("DaemonSet", "agent", "minReadySeconds: 0")},
	{schema.GroupVersionResource{Version: "v1", Resource: "pods"}, "apiVersion: v1\nkind: Pod\nmetadata: {name: toolbox, namespace: busy}\nspec: {containers: [{name: c, image: toolbox}]}"},
	{schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"}, "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web, namespace: busy}\nspec: {minAvailable: 1, selector: {matchLabels: {app: web}}}"},
	{schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}, "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: scaled, namespace: busy}\nspec: {minReplicas: 2, maxReplicas: 6, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: scaled}}"},
	{schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"}, `
apiVersion: batch/v1
kind: CronJob
metadata: {name: report, namespace: busy}
spec:
  schedule: "* * * * *"
  successfulJobsHistoryLimit: 1
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: report}]}}}}
`},
}

func busyWorkload(kind, name, more string) string {
	return fmt.Sprintf("apiVersion: apps/v1\nkind: %s\nmetadata: {name: %s, namespace: busy}\nspec: {%s, selector: {matchLabels: {app: %[2]s}}, template: {metadata: {labels: {app: %[2]s}}, spec: {containers: [{name: c, image: 'app:1'}]}}}", kind, name, more)
}

// doing is something that goes on in a cluster all the time without a person's doing.
type doing struct {
	name  string
	every time.Duration
	// act returns how much it changed.
	act func(context.Context) (int, error)

	changes atomic.Int64
	failed  atomic.Value // the last error, as text
}

// keepBusy makes a cluster busy until the test ends. Controllers are the real ones of the cluster's controller
// manager. There is no node, so that a scheduler and kubelets are played, and so are the parts that a
// cluster gets from others: an autoscaler with figures, a cloud's load balancer, leaders that renew their
// leases, an operator with its own kind.
func keepBusy(t *testing.T, on *cluster, jobs time.Duration) []*doing {
	for _, o := range busyObjects {
		create(t, on, o.resource, o.manifest)
	}
	eventually(t, func() bool {
		_, err := on.objects.Resource(signs).Namespace(busyNamespace).Create(t.Context(), object(t, sign("first")), metav1.CreateOptions{FieldManager: "kubectl"})
		return err == nil
	}, func() string { return "the API server doesn't serve signs" })
	w := &world{cluster: on, machines: []string{"node-1", "node-2"}, began: time.Now()}
	for _, machine := range w.machines {
		_, err := on.typed.CoreV1().Nodes().Create(t.Context(), &core.Node{ObjectMeta: metav1.ObjectMeta{Name: machine}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	doings := []*doing{
		{name: "heartbeats of nodes", every: time.Second, act: w.beat},
		{name: "pods scheduled, started, finished and ended", every: 250 * time.Millisecond, act: w.runPods},
		{name: "pods that are unready for a moment", every: 2 * time.Second, act: w.flap},
		{name: "leases", every: time.Second, act: w.renew},
		{name: "locks in a ConfigMap", every: 2 * time.Second, act: w.renewLock},
		{name: "events", every: 500 * time.Millisecond, act: w.report},
		{name: "status of the autoscaler", every: time.Second, act: w.measure},
		{name: "replicas of what is autoscaled", every: 3 * time.Second, act: w.scale},
		{name: "status of the load balancer", every: 5 * time.Second, act: w.balance},
		{name: "operator", every: 500 * time.Millisecond, act: w.operate},
		{name: "jobs", every: jobs, act: w.runJob},
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, a := range doings {
		running.Go(func() { a.run(ctx) })
	}
	t.Cleanup(func() { stop(); running.Wait() })
	return doings
}

func (a *doing) run(ctx context.Context) {
	for tick := time.NewTicker(a.every); ; {
		n, err := a.act(ctx)
		a.changes.Add(int64(n))
		if err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			a.failed.Store(err.Error())
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// world is what plays the parts that a control plane alone doesn't have.
type world struct {
	*cluster
	machines []string
	began    time.Time
	number   atomic.Int64
}

func (w *world) next() int64 { return w.number.Add(1) }

// beat is what kubelets tell of their machines.
func (w *world) beat(ctx context.Context) (int, error) {
	for _, machine := range w.machines {
		status := map[string]any{"status": map[string]any{"conditions": []any{map[string]any{
			"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": metav1.Now(), "lastTransitionTime": metav1.NewTime(w.began),
		}}}}
		if err := w.patchStatus(ctx, schema.GroupVersionResource{Version: "v1", Resource: "nodes"}, "", machine, status); err != nil {
			return 0, err
		}
		if err := w.hold(ctx, core.NamespaceNodeLease, machine); err != nil {
			return 0, err
		}
	}
	return len(w.machines), nil
}

func (w *world) renew(ctx context.Context) (int, error) {
	for _, holder := range []string{"operator-a", "operator-b", "operator-c"} {
		if err := w.hold(ctx, busyNamespace, holder); err != nil {
			return 0, err
		}
	}
	return 3, nil
}

// hold renews a lease.
func (w *world) hold(ctx context.Context, namespace, holder string) error {
	leases := w.typed.CoordinationV1().Leases(namespace)
	lease, err := leases.Get(ctx, holder, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		lease = &coordination.Lease{ObjectMeta: metav1.ObjectMeta{Name: holder}, Spec: coordination.LeaseSpec{HolderIdentity: &holder}}
		_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	lease.Spec.RenewTime = &metav1.MicroTime{Time: time.Now()}
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}

func (w *world) renewLock(ctx context.Context) (int, error) {
	patch := fmt.Sprintf(`{"metadata": {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{\"renewTime\": \"%d\"}"}}}`, w.next())
	_, err := w.typed.CoreV1().ConfigMaps(busyNamespace).Patch(ctx, "old-lock", types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "operator-d"})
	return 1, err
}

func (w *world) report(ctx context.Context) (int, error) {
	event := &core.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: "web."},
		InvolvedObject: core.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: busyNamespace, Name: "web"},
		Reason:         "Busy", Message: fmt.Sprint(w.next()), Type: core.EventTypeNormal,
	}
	_, err := w.typed.CoreV1().Events(busyNamespace).Create(ctx, event, metav1.CreateOptions{})
	return 1, err
}

func (w *world) measure(ctx context.Context) (int, error) {
	status := map[string]any{"status": map[string]any{
		"currentReplicas": w.next()%5 + 1, "desiredReplicas": w.next()%5 + 1, "lastScaleTime": metav1.Now(),
	}}
	return 1, w.patchStatus(ctx, schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}, busyNamespace, "scaled", status)
}

func (w *world) scale(ctx context.Context) (int, error) {
	scales := w.typed.AppsV1().Deployments(busyNamespace)
	now, err := scales.GetScale(ctx, "scaled", metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	now.Spec.Replicas = now.Spec.Replicas%5 + 2
	_, err = scales.UpdateScale(ctx, "scaled", now, metav1.UpdateOptions{FieldManager: "autoscaler"})
	return 1, err
}

func (w *world) balance(ctx context.Context) (int, error) {
	status := map[string]any{"status": map[string]any{"loadBalancer": map[string]any{
		"ingress": []any{map[string]any{"ip": fmt.Sprintf("192.0.2.%d", w.next()%250+1)}},
	}}}
	return 1, w.patchStatus(ctx, schema.GroupVersionResource{Version: "v1", Resource: "services"}, busyNamespace, "web", status)
}

func sign(name string) string {
	return "apiVersion: busy.example.com/v1\nkind: Sign\nmetadata: {name: " + name + ", namespace: busy}\nspec: {text: one, status: on}\n"
}

// operate is a controller: it holds its objects with a finalizer, and counts in their status.
func (w *world) operate(ctx context.Context) (int, error) {
	api := w.objects.Resource(signs).Namespace(busyNamespace)
	list, err := api.List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	const finalizer = "example.com/take-down"
	changed := 0
	for _, s := range list.Items {
		held := strings.Contains(fmt.Sprint(s.GetFinalizers()), finalizer)
		deleted := s.GetDeletionTimestamp() != nil
		if deleted == held {
			s.SetFinalizers(nil)
			if !deleted {
				s.SetFinalizers([]string{finalizer})
			}
			_, err = api.Update(ctx, &s, metav1.UpdateOptions{FieldManager: "sign-operator"})
		} else {
			err = w.patchStatus(ctx, signs, busyNamespace, s.GetName(), map[string]any{"status": map[string]any{"lit": w.next()}})
		}
		if err != nil {
			return changed, err
		}
		changed++
	}
	return changed, nil
}

func (w *world) runJob(ctx context.Context) (int, error) {
	const job = `{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "once-", "namespace": "busy"}, "spec": {"ttlSecondsAfterFinished": 5,
		"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "job"}]}}}}`
	_, err := w.typed.BatchV1().RESTClient().Post().Namespace(busyNamespace).Resource("jobs").Body([]byte(job)).
		SetHeader("Content-Type", "application/json").DoRaw(ctx)
	return 1, err
}

// runPods is the scheduler and the kubelets: it binds pods, tells that they run, that those of Jobs are done,
// and ends those that are to end.
func (w *world) runPods(ctx context.Context) (int, error) {
	api := w.typed.CoreV1().Pods(busyNamespace)
	pods, err := api.List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	changed := 0
	for _, pod := range pods.Items {
		once := pod.Spec.RestartPolicy == core.RestartPolicyNever
		switch {
		case pod.DeletionTimestamp != nil:
			err = api.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0), Preconditions: &metav1.Preconditions{UID: &pod.UID}})
		case pod.Spec.NodeName == "":
			err = api.Bind(ctx, &core.Binding{
				ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace},
				Target:     core.ObjectReference{Kind: "Node", Name: w.machines[w.next()%2]},
			}, metav1.CreateOptions{})
		case once && pod.Status.Phase == core.PodRunning:
			err = w.tell(ctx, &pod, core.PodSucceeded, false)
		case pod.Status.Phase == core.PodPending, pod.Status.Phase == core.PodRunning && !ready(&pod):
			err = w.tell(ctx, &pod, core.PodRunning, true)
		default:
			continue
		}
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return changed, err
		}
		changed++
	}
	return changed, nil
}

// flap makes a pod unready, which changes Endpoints, EndpointSlices and the status of what owns it; runPods
// makes it ready again.
func (w *world) flap(ctx context.Context) (int, error) {
	pods, err := w.typed.CoreV1().Pods(busyNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil || len(pods.Items) == 0 {
		return 0, err
	}
	pod := pods.Items[rand.IntN(len(pods.Items))] //nolint:gosec // any
	if !ready(&pod) {
		return 0, nil
	}
	return 1, w.tell(ctx, &pod, core.PodRunning, false)
}

func ready(pod *core.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == core.PodReady {
			return c.Status == core.ConditionTrue
		}
	}
	return false
}

// tell writes a pod's status.
func (w *world) tell(ctx context.Context, pod *core.Pod, phase core.PodPhase, ready bool) error {
	status := core.ConditionFalse
	container := core.ContainerStatus{Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image, Ready: ready, Started: ptr.To(true)}
	if phase == core.PodSucceeded {
		container.State.Terminated = &core.ContainerStateTerminated{Reason: "Completed", FinishedAt: metav1.Now()}
	} else {
		container.State.Running = &core.ContainerStateRunning{StartedAt: metav1.Now()}
	}
	if ready {
		status = core.ConditionTrue
	}
	ip := pod.Status.PodIP
	if ip == "" {
		n := w.next()
		ip = fmt.Sprintf("10.1.%d.%d", n/250%250, n%250+1)
	}
	now := pod.DeepCopy()
	now.Status.Phase, now.Status.PodIP, now.Status.PodIPs = phase, ip, []core.PodIP{{IP: ip}}
	now.Status.ContainerStatuses = []core.ContainerStatus{container}
	now.Status.Conditions = []core.PodCondition{
		{Type: core.PodReady, Status: status, LastTransitionTime: metav1.Now()},
		{Type: core.ContainersReady, Status: status, LastTransitionTime: metav1.Now()},
	}
	_, err := w.typed.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, now, metav1.UpdateOptions{FieldManager: "kubelet"})
	return err
}

func (w *world) patchStatus(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, status map[string]any) error {
	patch, err := json.Marshal(status)
	if err != nil {
		return err
	}
	_, err = w.objects.Resource(resource).Namespace(namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "controller"}, "status")
	return err
}
