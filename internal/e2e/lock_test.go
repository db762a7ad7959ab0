package e2e

import (
	"context"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

var (
	policies    = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
	bindings    = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
	replicaSets = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}
	pods        = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// identity makes a service account that is permitted this, and a kubeconfig for it.
func identity(t *testing.T, on *cluster, name string, rules ...rbacv1.PolicyRule) (kubeconfig string) {
	t.Helper()
	const home = metav1.NamespaceSystem
	accounts, roles, roleBindings := on.typed.CoreV1().ServiceAccounts(home), on.typed.RbacV1().ClusterRoles(), on.typed.RbacV1().ClusterRoleBindings()
	meta := metav1.ObjectMeta{Name: name}
	_, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = roles.Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = roleBindings.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: home, Name: name}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = roleBindings.Delete(context.Background(), name, metav1.DeleteOptions{})
		_ = roles.Delete(context.Background(), name, metav1.DeleteOptions{})
		_ = accounts.Delete(context.Background(), name, metav1.DeleteOptions{})
	})
	token, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	config, err := clientcmd.LoadFromFile(stack.Kubeconfig(on.context))
	require.NoError(t, err)
	for user := range config.AuthInfos {
		config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*config, kubeconfig))
	return kubeconfig
}

func permit(verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: verbs, APIGroups: []string{"*"}, Resources: []string{"*"}}
}

// unlockAfter sees to it that the lock of one test is none for the next.
func unlockAfter(t *testing.T, on *cluster, name string) {
	t.Cleanup(func() {
		_ = on.objects.Resource(bindings).Delete(context.Background(), kube.LockName(name), metav1.DeleteOptions{})
		_ = on.objects.Resource(policies).Delete(context.Background(), kube.LockName(name), metav1.DeleteOptions{})
	})
}

// inAnEmergency is a cluster as a member of the break-glass group sees it.
func inAnEmergency(t *testing.T, on *cluster) *cluster {
	t.Helper()
	config, err := stack.Config(on.context)
	require.NoError(t, err)
	config.Impersonate = rest.ImpersonationConfig{UserName: "jane", Groups: []string{"system:masters", workflows.DefaultBreakGlassGroup}}
	return &cluster{context: on.context, objects: dynamic.NewForConfigOrDie(config)}
}

// lockedApp is what Git says in these tests.
func lockedApp(t *testing.T, repo, namespace string) {
	t.Helper()
	edit(t, repo, "app", func(dir string) {
		write(t, dir, "app.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+namespace+"}\n---\n"+configMap(namespace, "settings", "one"))
		write(t, dir, "cart.yaml", strings.ReplaceAll(deployment, "NS", namespace))
	})
}

// rename edits a ConfigMap as a person does.
func rename(t *testing.T, api dynamic.Interface, namespace, value string) error {
	t.Helper()
	_, err := api.Resource(configMaps).Namespace(namespace).Patch(t.Context(), "settings", types.MergePatchType,
		[]byte(`{"data": {"key": "`+value+`"}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	return err
}

func settings(t *testing.T, on *cluster, namespace string) string {
	t.Helper()
	value, _, _ := unstructured.NestedString(get(t, on, configMaps, namespace, "settings").Object, "data", "key")
	return value
}

// refused waits until the API server refuses a person's edit, as it does from a moment after the lock is there.
func refused(t *testing.T, on *cluster) {
	t.Helper()
	eventually(t, func() bool { return kube.RefusedByLock(rename(t, on.objects, "lock-a", "by-hand")) },
		func() string { return "an edit is let through" })
}

func unlocked(t *testing.T, on *cluster, name string) {
	t.Helper()
	eventually(t, func() bool {
		return get(t, on, policies, "", kube.LockName(name)) == nil && get(t, on, bindings, "", kube.LockName(name)) == nil
	}, func() string { return "the lock is still there" })
}

func lockedAs(state workflows.Locking) func(workflows.Status) bool {
	return func(s workflows.Status) bool { return s.Lock.State == state }
}

func TestTheLockKeepsPeopleFromEditingWhatGitSays(t *testing.T) {
	const name, ns = "locking", "lock-a"
	standby, repo := clusters["standby"], newRepo(t)
	dropAfter(t, standby, ns)
	lockedApp(t, repo, ns)
	w := startWorkerAs(t, name, identity(t, standby, "e2e-locking", permit("*")), standby, t.TempDir())
	enroll(t, name, standby, repo, workflows.Pull)
	s := reaches(t, name, func(s workflows.Status) bool { return inSync(s) && lockedAs(workflows.LockingOn)(s) })
	require.Empty(t, s.Lock.Message, "nothing weakens it")

	refused(t, standby)
	refusal := rename(t, standby.objects, ns, "by-hand")
	require.True(t, apierrors.IsForbidden(refusal))
	require.ErrorContains(t, refusal, stack.RepoURL(repo)+" (branch main, path .)")
	_, err := standby.objects.Resource(deployments).Namespace(ns).Patch(t.Context(), "cart", types.MergePatchType, []byte(`{"spec": {"replicas": 5}}`), metav1.PatchOptions{}, "scale")
	require.ErrorContains(t, err, stack.RepoURL(repo), "scale")
	err = standby.objects.Resource(deployments).Namespace(ns).Delete(t.Context(), "cart", metav1.DeleteOptions{})
	require.ErrorContains(t, err, stack.RepoURL(repo), "delete")
	create(t, standby, configMaps, configMap(ns, "theirs", "x"))
	change(t, standby, configMaps, ns, "theirs", func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{"their": "own"}) })
	remove(t, standby, configMaps, ns, "theirs")

	// The sync can, and the controller manager carries on from there.
	edit(t, repo, "scale", func(dir string) {
		write(t, dir, "cart.yaml", strings.NewReplacer("NS", ns, "replicas: 2", "replicas: 3").Replace(deployment))
	})
	eventually(t, func() bool { return desiredReplicas(t, standby, ns, "cart:1") == 3 }, func() string { return tail(w.log.String()) })
	edit(t, repo, "roll out", func(dir string) {
		write(t, dir, "cart.yaml", strings.NewReplacer("NS", ns, "replicas: 2", "replicas: 3", "cart:1", "cart:2").Replace(deployment))
	})
	eventually(t, func() bool {
		return desiredReplicas(t, standby, ns, "cart:2") > 0 && count(t, standby, pods, ns) > 3
	}, func() string { return "the controller manager doesn't carry on: " + tail(w.log.String()) })

	require.NoError(t, rename(t, inAnEmergency(t, standby).objects, ns, "in-an-emergency"))
	eventually(t, func() bool { return settings(t, standby, ns) == "one" }, func() string { return "the edit is not set back" })
	refused(t, standby)

	for what, tamper := range map[string]func() error{
		"removed": func() error {
			return standby.objects.Resource(bindings).Delete(t.Context(), kube.LockName(name), metav1.DeleteOptions{})
		},
		"altered": func() error {
			_, err := standby.objects.Resource(policies).Patch(t.Context(), kube.LockName(name), types.JSONPatchType,
				[]byte(`[{"op": "replace", "path": "/spec/validations/0/expression", "value": "true"}]`), metav1.PatchOptions{})
			return err
		},
	} {
		before := reaches(t, name, inSync).Ticks
		require.NoError(t, tamper(), what)
		eventually(t, func() bool {
			policy, binding := get(t, standby, policies, "", kube.LockName(name)), get(t, standby, bindings, "", kube.LockName(name))
			validations, _, _ := unstructured.NestedSlice(policy.Object, "spec", "validations")
			return binding != nil && validations[0].(map[string]any)["expression"] == "false"
		}, func() string { return what + " lock doesn't come back" })
		t.Logf("the %s lock was back after %d ticks at most", what, reaches(t, name, inSync).Ticks-before)
		refused(t, standby)
	}
	aHealthyLockCostsNothing(t, w, name, standby)

	update(t, name, workflows.SetIgnoredNamespacesMessage, workflows.SetIgnoredNamespaces{Namespaces: []string{ns}})
	eventually(t, func() bool { return rename(t, standby.objects, ns, "ignored") == nil }, func() string { return "an ignored namespace stays locked" })
	update(t, name, workflows.SetIgnoredNamespacesMessage, workflows.SetIgnoredNamespaces{Namespaces: []string{}})
	eventually(t, func() bool { return settings(t, standby, ns) == "one" }, func() string { return "it is not synced again" })
	refused(t, standby)

	for _, strategy := range []workflows.Strategy{workflows.Push, workflows.None} {
		update(t, name, workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: strategy})
		unlocked(t, standby, name)
		reaches(t, name, lockedAs(workflows.LockingOff))
		eventually(t, func() bool { return rename(t, standby.objects, ns, "free") == nil }, func() string { return "people are still kept out" })
		update(t, name, workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: workflows.Pull})
		eventually(t, func() bool { return settings(t, standby, ns) == "one" }, func() string { return "it is not pulled again" })
		refused(t, standby)
	}

	edit(t, repo, "no cart", func(dir string) { write(t, dir, "cart.yaml", "# nothing\n") })
	eventually(t, func() bool {
		return get(t, standby, deployments, ns, "cart") == nil && count(t, standby, replicaSets, ns) == 0 && count(t, standby, pods, ns) == 0
	}, func() string { return "the garbage collector doesn't carry on: " + tail(w.log.String()) })

	out, errs, exit := starter(t, "unenroll", "--yes", name)
	require.Zero(t, exit, errs)
	unlocked(t, standby, name)
	require.NotContains(t, out+errs, "kubectl", "nothing is left to do by hand")
	require.NotContains(t, out+errs, "terminated")
}

// desiredReplicas is how many the controller manager wants of the ReplicaSet with an image.
func desiredReplicas(t *testing.T, on *cluster, namespace, image string) int64 {
	t.Helper()
	list, err := on.objects.Resource(replicaSets).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, set := range list.Items {
		containers, _, _ := unstructured.NestedSlice(set.Object, "spec", "template", "spec", "containers")
		if found, _ := containers[0].(map[string]any)["image"].(string); strings.HasSuffix(found, image) {
			replicas, _, _ := unstructured.NestedInt64(set.Object, "spec", "replicas")
			return replicas
		}
	}
	return 0
}

func count(t *testing.T, on *cluster, resource schema.GroupVersionResource, namespace string) int {
	t.Helper()
	list, err := on.objects.Resource(resource).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	return len(list.Items)
}

var lockRequests = regexp.MustCompile(`(?m)^apiserver_request_total\{[^}]*resource="(?:validatingadmissionpolic[a-z]*|selfsubjectreviews)"[^}]*verb="(?:GET|POST|PUT)"[^}]*\} (\d+)`)

// aHealthyLockCostsNothing: no activity and no request in a number of ticks.
func aHealthyLockCostsNothing(t *testing.T, w *worker, name string, on *cluster) {
	t.Helper()
	requests := func() (sum int) {
		raw, err := on.typed.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
		require.NoError(t, err)
		for _, match := range lockRequests.FindAllSubmatch(raw, -1) {
			n, err := strconv.Atoi(string(match[1]))
			require.NoError(t, err)
			sum += n
		}
		return sum
	}
	activities := func() int { return strings.Count(w.log.String(), `"msg":"Lock"`) }
	require.Positive(t, activities())
	// The API server writes its type check into the policy a moment later, which is looked at once.
	var ran, asked int
	eventually(t, func() bool {
		syncNow(t, name)
		syncNow(t, name)
		before := ran
		ran = activities()
		return ran == before
	}, func() string { return "the lock is looked at over and over: " + tail(w.log.String()) })
	asked = requests()
	for range 10 {
		syncNow(t, name)
	}
	require.Equal(t, ran, activities(), "activities in 10 ticks")
	require.Equal(t, asked, requests(), "requests in 10 ticks")
}

func TestWithoutPermissionToLockDriftIsSetBackAllTheSame(t *testing.T) {
	const name, ns = "unlockable", "lock-b"
	standby, repo := clusters["standby"], newRepo(t)
	dropAfter(t, standby, ns)
	lockedApp(t, repo, ns)
	kubeconfig := identity(t, standby, "e2e-unlockable", permit("get", "list", "watch"),
		rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"", "apps"}, Resources: []string{"*"}})
	w := startWorkerAs(t, name, kubeconfig, standby, t.TempDir())
	enroll(t, name, standby, repo, workflows.Pull)
	s := reaches(t, name, func(s workflows.Status) bool { return inSync(s) && lockedAs(workflows.LockingUnavailable)(s) })
	require.Contains(t, s.Lock.Message, "validatingadmissionpolicies", "it says which permission is missing")
	out, errs, exit := starter(t, "status", name)
	require.Zero(t, exit, errs)
	require.Contains(t, out, "Unavailable: ")

	for _, value := range []string{"two", "three"} {
		require.NoError(t, rename(t, standby.objects, ns, value))
		eventually(t, func() bool { return settings(t, standby, ns) == "one" }, func() string { return tail(w.log.String()) })
	}
	require.LessOrEqual(t, strings.Count(w.log.String(), `"msg":"Lock"`), 2, "what is not permitted is not tried at every tick")

	_, errs, exit = starter(t, "unenroll", "--yes", name)
	require.Zero(t, exit, errs)
	require.NotContains(t, errs, "terminated")
}

func TestALockIsRemovedByUnenrollWhereNoWorkerDoes(t *testing.T) {
	const name, ns = "abandoned", "lock-c"
	standby, repo := clusters["standby"], newRepo(t)
	dropAfter(t, standby, ns)
	lockedApp(t, repo, ns)
	w := startWorker(t, name, standby, t.TempDir())
	enroll(t, name, standby, repo, workflows.Pull)
	s := reaches(t, name, func(s workflows.Status) bool { return inSync(s) && lockedAs(workflows.LockingOn)(s) })
	require.Contains(t, s.Lock.Message, `as user "admin"`)
	require.Contains(t, s.Lock.Message, "an identity of its own")
	require.NoError(t, rename(t, standby.objects, ns, "two"), "who is the sync's user is let through, as the status says")
	w.kill()

	out, errs, exit := starter(t, "unenroll", "--yes", name)
	require.Zero(t, exit, errs)
	require.Contains(t, out+errs, "kubectl delete validatingadmissionpolicybinding,validatingadmissionpolicy "+kube.LockName(name))
	require.NotNil(t, get(t, standby, policies, "", kube.LockName(name)))
	_, errs, exit = starter(t, "unenroll", "--yes", name, "--kubeconfig", stack.Env["KUBECONFIG"], "--context", standby.context)
	require.Zero(t, exit, errs)
	unlocked(t, standby, name)
}
