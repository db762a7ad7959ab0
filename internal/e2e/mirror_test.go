package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/internal/preview"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// labelled is a ConfigMap that takes part in a sync with the selector acs=NAMESPACE. More goes into its metadata.
func labelled(namespace, name, more string) string {
	return strings.Replace(configMap(namespace, name, "one"), "metadata: {", "metadata: {labels: {acs: "+namespace+"}, "+more, 1)
}

// TestMirrorShowsStraysFirstAndRemovesThemThen bounds the mirror by a selector, because other tests use the
// cluster too.
func TestMirrorShowsStraysFirstAndRemovesThemThen(t *testing.T) {
	standby, repo := clusters["standby"], newRepo(t)
	const ns = "mirror"
	dropAfter(t, standby, ns)
	create(t, standby, namespaces, "apiVersion: v1\nkind: Namespace\nmetadata: {name: mirror, labels: {acs: mirror}}")
	for _, name := range []string{"stray", "declared-twice", "declared-elsewhere"} {
		create(t, standby, configMaps, labelled(ns, name, ""))
	}
	owner := get(t, standby, configMaps, ns, "declared-twice")
	create(t, standby, configMaps, labelled(ns, "protected", "annotations: {active-cluster-sync.io/prune: disabled}, "))
	create(t, standby, configMaps, labelled(ns, "owned", "ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: declared-twice, uid: "+string(owner.GetUID())+"}], "))
	create(t, standby, configMaps, configMap(ns, "not-selected", "one"))
	edit(t, repo, "mirror", func(dir string) {
		// Without the namespace where it is the default one, and without the label where Git leaves the object out.
		write(t, dir, "ns.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: mirror, labels: {acs: mirror}}\n")
		write(t, dir, "a.yaml", labelled(ns, "declared", "")+"---\n"+labelled(ns, "declared-twice", ""))
		write(t, dir, "b.yaml", labelled(ns, "declared-twice", ""))
		write(t, dir, "c.yaml", configMap(ns, "declared-elsewhere", "one"))
	})
	w := startWorker(t, "mirroring", standby, t.TempDir())
	enroll(t, "mirroring", standby, repo, workflows.Pull, "--prune", "mirror", "--selector", "acs=mirror", "--secrets", "exclude")

	// The first one is shown.
	s := reaches(t, "mirroring", func(s workflows.Status) bool { return s.State == workflows.Blocked })
	require.Equal(t, workflows.MirrorDeletion, s.Reason)
	require.Contains(t, s.Message, "Git never held some of them")
	require.Equal(t, []string{"configmaps mirror/stray"}, s.Pending.Objects, describe(s, nil))
	require.NotNil(t, get(t, standby, configMaps, ns, "declared"), "creates go on meanwhile")
	require.Equal(t, 1, s.KeptCount)
	require.Equal(t, "configmaps mirror/protected", s.Kept[0].Object)
	require.Contains(t, s.Kept[0].Message, "active-cluster-sync.io/prune")
	require.Equal(t, s.Pending.Digest, syncNow(t, "mirroring").Pending.Digest)

	stray := told(t, diff(t, "mirroring", standby), "configmaps mirror/stray")
	require.Equal(t, preview.Withhold, stray.Action)
	require.Equal(t, preview.AddedInCluster, stray.Reason)
	require.Contains(t, stray.Message, "in no file of Git, and prune is mirror; the deletion waits for `starter approve`")

	// While a file can't be read it may declare the object: an approval has to wait.
	edit(t, repo, "a bad merge", func(dir string) { write(t, dir, "d.yaml", "<<<<<<< HEAD\n") })
	reaches(t, "mirroring", func(now workflows.Status) bool { return now.Revision == git(t, repo, "rev-parse", "main") })
	approve(t, "mirroring")
	s = syncNow(t, "mirroring")
	require.Equal(t, 1, s.PendingDeletions)
	require.NotNil(t, get(t, standby, configMaps, ns, "stray"))
	for _, c := range diff(t, "mirroring", standby).Changes {
		require.Equal(t, preview.Fail, c.Action, "%+v", c)
	}
	edit(t, repo, "an unknown kind", func(dir string) {
		write(t, dir, "d.yaml", "apiVersion: nowhere.example.com/v1\nkind: Thing\nmetadata: {name: x, namespace: mirror}\n")
	})
	reaches(t, "mirroring", func(now workflows.Status) bool { return now.Revision == git(t, repo, "rev-parse", "main") })
	require.NotNil(t, get(t, standby, configMaps, ns, "stray"))
	before := uids(t, standby, ns)
	edit(t, repo, "mended", func(dir string) {
		require.NoError(t, os.Remove(filepath.Join(dir, "b.yaml")))
		require.NoError(t, os.Remove(filepath.Join(dir, "d.yaml")))
	})
	gone := func(name string) {
		t.Helper()
		eventually(t, func() bool { return get(t, standby, configMaps, ns, name) == nil }, func() string { return tail(w.log.String()) })
	}
	gone("stray")
	reaches(t, "mirroring", func(s workflows.Status) bool { return s.PendingDeletions == 0 })
	require.Equal(t, without(before, "configmaps mirror/stray"), uids(t, standby, ns), "exactly what was shown")

	// A later one goes by itself, within the usual guards.
	create(t, standby, configMaps, labelled(ns, "later", ""))
	gone("later")
	require.Equal(t, without(before, "configmaps mirror/stray"), uids(t, standby, ns))
	create(t, standby, claims, "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: mirror, labels: {acs: mirror}}\n"+
		"spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}")
	s = reaches(t, "mirroring", func(s workflows.Status) bool { return s.PendingDeletions == 1 })
	require.Equal(t, workflows.MassDeletion, s.Reason)
	require.Contains(t, s.Message, "persistentvolumeclaims mirror/data is among them")
	change(t, standby, claims, ns, "data", annotate("active-cluster-sync.io/prune", "disabled"))
	reaches(t, "mirroring", func(s workflows.Status) bool { return s.PendingDeletions == 0 && s.KeptCount == 2 })

	// Under other rules other objects are strays, so that they are shown first again.
	update(t, "mirroring", workflows.SetIgnoredNamespacesMessage, workflows.SetIgnoredNamespaces{Namespaces: []string{"somewhere-else"}})
	create(t, standby, configMaps, labelled(ns, "another", ""))
	s = reaches(t, "mirroring", func(s workflows.Status) bool { return s.PendingDeletions == 1 })
	require.Equal(t, workflows.MirrorDeletion, s.Reason)
	require.NotNil(t, get(t, standby, configMaps, ns, "another"))
	approve(t, "mirroring")
	gone("another")
	require.NotNil(t, get(t, standby, configMaps, ns, "owned"))
	require.NotNil(t, get(t, standby, configMaps, ns, "not-selected"))
}

var claims = namespaces.GroupVersion().WithResource("persistentvolumeclaims")

func TestWhatIsNotToBeDeletedStaysAndIsTold(t *testing.T) {
	standby, repo := clusters["standby"], newRepo(t)
	const ns = "leaving"
	dropAfter(t, standby, ns)
	edit(t, repo, "all", func(dir string) {
		write(t, dir, "ns.yaml", namespaceYAML(ns))
		for _, name := range []string{"plain", "other"} {
			write(t, dir, name+".yaml", configMap(ns, name, "one"))
		}
		write(t, dir, "marked.yaml", labelled(ns, "marked", "annotations: {active-cluster-sync.io/prune: disabled}, "))
	})
	whole := git(t, repo, "rev-parse", "main")
	w := startWorker(t, "leaving", standby, t.TempDir())
	enroll(t, "leaving", standby, repo, workflows.Pull)
	reaches(t, "leaving", inSync)

	edit(t, repo, "two fewer", func(dir string) {
		require.NoError(t, os.Remove(filepath.Join(dir, "plain.yaml")))
		require.NoError(t, os.Remove(filepath.Join(dir, "marked.yaml")))
	})
	s := reaches(t, "leaving", func(s workflows.Status) bool { return inSync(s) && s.KeptCount == 1 })
	require.Nil(t, get(t, standby, configMaps, ns, "plain"))
	require.NotNil(t, get(t, standby, configMaps, ns, "marked"))
	require.Equal(t, "configmaps leaving/marked", s.Kept[0].Object)
	require.Contains(t, s.Message, "no longer declares them: 1")
	require.Contains(t, w.log.String(), `"msg":"object left in the cluster"`)
	out, _, _ := starter(t, "status", "leaving")
	require.Contains(t, out, "Left in the cluster though not in Git: 1\n  configmaps leaving/marked: its annotation active-cluster-sync.io/prune says disabled")

	// Under prune off nothing goes, and that is no failure. What is there again in Git isn't left over any more.
	_, errs, exit := starter(t, "unenroll", "leaving", "--yes", "--kubeconfig", stack.Env["KUBECONFIG"], "--context", standby.context)
	require.Zero(t, exit, errs)
	edit(t, repo, "all again", func(dir string) { checkout(t, dir, whole) })
	enroll(t, "leaving", standby, repo, workflows.Pull, "--prune", "off")
	reaches(t, "leaving", inSync)
	before := uids(t, standby, ns)
	edit(t, repo, "git rm -r .", func(dir string) {
		for _, file := range []string{"ns.yaml", "plain.yaml", "other.yaml", "marked.yaml"} {
			require.NoError(t, os.Remove(filepath.Join(dir, file)))
		}
	})
	s = reaches(t, "leaving", func(s workflows.Status) bool { return inSync(s) && s.KeptCount == 4 })
	require.Contains(t, s.Kept[0].Message, "prune: off")
	require.Equal(t, before, uids(t, standby, ns))
	edit(t, repo, "one is back", func(dir string) { checkout(t, dir, whole, "plain.yaml") })
	reaches(t, "leaving", func(s workflows.Status) bool { return inSync(s) && s.KeptCount == 3 })
	require.NoError(t, standby.objects.Resource(configMaps).Namespace(ns).Delete(t.Context(), "other", metav1.DeleteOptions{}))
	reaches(t, "leaving", func(s workflows.Status) bool { return inSync(s) && s.KeptCount == 2 })
}
