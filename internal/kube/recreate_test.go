package kube_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

const immutableConfigMap = `
apiVersion: v1
kind: ConfigMap
metadata: {name: fixed, namespace: NS}
immutable: true
data: {key: FIELD}
`

// startAll runs an index of everything, Jobs and Secrets too.
func startAll(t testing.TB, c *kube.Cluster) *kube.Index {
	index := startWith(t, c, kube.IndexOptions{Selection: manifest.Selection{Include: []string{"jobs.batch"}, Secrets: manifest.SecretsTakePart}})
	snapshot(t, index)
	return index
}

func TestObjectsAreRecreatedWhereTheyLoseNothingAndOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	index := startAll(t, connectAdmin(t))
	for name, c := range map[string]struct {
		git      string // FIELD is what can't be changed
		from, to string
		field    string
		never    bool
	}{
		"ConfigMap": {git: immutableConfigMap, from: "one", to: "two", field: "data"},
		"Secret": {
			git:  "apiVersion: v1\nkind: Secret\nmetadata: {name: fixed, namespace: NS}\nimmutable: true\nstringData: {}\ndata: {key: FIELD}",
			from: "b25l", to: "dHdv", field: "data",
		},
		"RoleBinding": {
			git: `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: fixed, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: FIELD}
`, from: "view", to: "edit", field: "roleRef",
		},
		"Deployment": {
			git: strings.ReplaceAll(deployment("NS", "fixed", 0), "app: cart", "app: FIELD"), from: "cart", to: "basket", field: "spec.selector",
		},
		"Job": {
			git: `
apiVersion: batch/v1
kind: Job
metadata: {name: fixed, namespace: NS}
spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: a, image: FIELD}]}}}
`, from: "one", to: "two", field: "spec.template.spec",
		},
		"StorageClass": {
			git:  "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: fixed-NS}\nprovisioner: FIELD\n",
			from: "example.com/one", to: "example.com/two", field: "provisioner",
		},
		"PriorityClass": {
			git:  "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: fixed-NS}\nvalue: FIELD\n",
			from: "10", to: "20", field: "value",
		},
		"StatefulSet": {
			git: strings.NewReplacer("kind: Deployment", "kind: StatefulSet", "spec:\n  replicas", "spec:\n  serviceName: FIELD\n  replicas").
				Replace(deployment("NS", "fixed", 0)),
			from: "a", to: "b", field: "spec.serviceName", never: true,
		},
		"PersistentVolumeClaim": {
			git: `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: fixed, namespace: NS}
spec: {accessModes: [ReadWriteOnce], storageClassName: FIELD, resources: {requests: {storage: 1Gi}}}
`, from: "a", to: "b", field: "spec", never: true,
		},
		"Service": {
			git:  "apiVersion: v1\nkind: Service\nmetadata: {name: fixed, namespace: NS}\nspec: {FIELD ports: [{port: 80}]}\n",
			from: "", to: "clusterIP: None,", field: "spec.clusterIPs[0]", never: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := namespace(t)
			git := func(value string) kube.Write {
				return wanted(t, index, strings.NewReplacer("NS", ns, "FIELD", value).Replace(c.git))
			}
			require.Equal(t, kube.Created, written(t, index, git(c.from)).Action)
			u := object(t, strings.NewReplacer("NS", ns, "FIELD", c.from).Replace(c.git))
			before := read(t, u)

			refused := apply(t, index, git(c.to))[0]
			var immutable *kube.ImmutableError
			require.ErrorAs(t, refused.Err, &immutable)
			require.Contains(t, immutable.Fields, c.field)
			require.Equal(t, !c.never, strings.Contains(refused.Err.Error(), "--recreate-immutable"), refused.Err)
			require.Less(t, len(refused.Err.Error()), 600, "%s", refused.Err)
			require.Equal(t, before.GetUID(), read(t, u).GetUID())

			write := git(c.to)
			write.Recreate = true
			dry := index.DryRun(t.Context(), write)
			require.Equal(t, before.GetUID(), read(t, u).GetUID())
			result := apply(t, index, write)[0]
			if c.never {
				require.Equal(t, kube.Failed, result.Action)
				require.Equal(t, before.GetUID(), read(t, u).GetUID())
				return
			}
			require.Equal(t, kube.Recreated, dry.Action, dry.Err)
			require.NoError(t, result.Err)
			require.Equal(t, kube.Recreated, result.Action)
			require.NotEqual(t, before.GetUID(), read(t, u).GetUID())
			e, _ := index.Lookup(pathOf(u))
			require.Equal(t, result.Hash, e.Hash)
			require.Equal(t, kube.Unchanged, written(t, index, git(c.to)).Action)

			// The object can ask for it itself.
			write = git(c.from)
			require.Equal(t, kube.Failed, apply(t, index, write)[0].Action)
			metadata := write.Object["metadata"].(map[string]any)
			metadata["annotations"] = map[string]any{manifest.RecreateAnnotation: "true"}
			require.Equal(t, kube.Recreated, written(t, index, write).Action)
		})
	}
}

func TestNothingIsDeletedForAnObjectThatWouldBeRefused(t *testing.T) {
	t.Parallel()
	index := startAll(t, connectAdmin(t))
	ns := namespace(t)
	first := deployment(ns, "cart", 0)
	written(t, index, wanted(t, index, first))
	u := object(t, first)
	before := read(t, u)
	write := wanted(t, index, strings.ReplaceAll(strings.ReplaceAll(first, "app: cart", "app: basket"), "cart:1", "cart:1, imagePullPolicy: Sometimes"))
	write.Recreate = true
	result := apply(t, index, write)[0]
	require.ErrorContains(t, result.Err, "imagePullPolicy")
	require.Equal(t, before.GetUID(), read(t, u).GetUID())
	require.Nil(t, read(t, u).GetDeletionTimestamp())
}

// The sync doesn't take away its own permission to create the object again.
func TestTheSyncsOwnPermissionsAreNotRecreated(t *testing.T) {
	t.Parallel()
	index := startAll(t, connectAdmin(t))
	ns := namespace(t)
	binding := "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: own-" + ns + "}\n" +
		"subjects: [{kind: ServiceAccount, name: worker, namespace: active-cluster-sync}]\n" +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\n"
	before := create(t, binding)
	write := wanted(t, index, strings.Replace(binding, "name: view", "name: edit", 1))
	write.Recreate = true
	require.ErrorContains(t, apply(t, index, write)[0].Err, "roleRef is immutable")
	require.Equal(t, before.GetUID(), read(t, before).GetUID())
}

// writtenOnce writes an immutable ConfigMap, and answers how Git says that it has another value.
func writtenOnce(t *testing.T, index *kube.Index, ns string) (git func(value string) kube.Write, u *unstructured.Unstructured) {
	t.Helper()
	text := func(value string) string {
		return strings.NewReplacer("NS", ns, "FIELD", value).Replace(immutableConfigMap)
	}
	git = func(value string) kube.Write {
		w := wanted(t, index, text(value))
		w.Recreate = true
		return w
	}
	written(t, index, git("one"))
	return git, object(t, text("one"))
}

// Whatever happens between deleting and creating, the next tick puts it right.
func TestARecreationThatIsCutShortIsFinishedLater(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	index := startAll(t, g.cluster())
	ns := namespace(t)
	git, u := writtenOnce(t, index, ns)
	deleted := false
	g.refusing(func(request string) int {
		deleted = deleted || strings.HasPrefix(request, "DELETE ")
		if deleted && strings.HasPrefix(request, "POST ") {
			return http.StatusForbidden
		}
		return 0
	})
	result := apply(t, index, git("two"))[0]
	require.ErrorContains(t, result.Err, "is created at the next try")
	g.refusing(func(string) int { return 0 })
	until(t, "it is known to be gone", func() bool { _, ok := index.Lookup(pathOf(u)); return !ok })
	require.Equal(t, kube.Created, written(t, index, git("two")).Action)

	// A finalizer keeps the old one for a while.
	editAs(t, "some-controller", u, func(obj map[string]any) {
		obj["metadata"].(map[string]any)["finalizers"] = []any{"example.com/hold"}
	})
	result = apply(t, index, git("three"))[0]
	require.ErrorContains(t, result.Err, "the old one is still there")
	result = apply(t, index, git("three"))[0]
	require.ErrorContains(t, result.Err, "waits for its finalizers example.com/hold")
	editAs(t, "some-controller", u, func(obj map[string]any) { delete(obj["metadata"].(map[string]any), "finalizers") })
	require.Equal(t, kube.Created, written(t, index, git("three")).Action)
	require.Equal(t, map[string]any{"key": "three"}, read(t, u).Object["data"])
}

func TestRecreationNeverHitsAnObjectThatCameLater(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	index := startAll(t, g.cluster())
	ns := namespace(t)
	git, u := writtenOnce(t, index, ns)
	replaced := false
	g.refusing(func(request string) int {
		if request == fmt.Sprintf("DELETE /api/v1/namespaces/%s/configmaps/fixed", ns) && !replaced {
			replaced = true
			_ = of(u).Delete(t.Context(), "fixed", metav1.DeleteOptions{})
			theirs := object(t, configMap(ns, "fixed", "1"))
			theirs.SetAnnotations(map[string]string{"active-cluster-sync.io/ignore": "true"})
			_, _ = of(u).Create(t.Context(), theirs, metav1.CreateOptions{})
		}
		return 0
	})
	result := written(t, index, git("two"))
	require.True(t, replaced)
	require.Equal(t, kube.Skipped, result.Action)
}
