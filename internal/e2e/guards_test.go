package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// uids are the objects in some namespaces that nobody but people and the sync make, by what they are, and the
// namespaces themselves.
func uids(t *testing.T, on *cluster, names ...string) map[string]string {
	t.Helper()
	lists, err := on.typed.Discovery().ServerPreferredResources()
	if !discovery.IsGroupDiscoveryFailedError(err) {
		require.NoError(t, err)
	}
	found := map[string]string{}
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "delete"}}, lists) {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(t, err)
		for _, r := range list.APIResources {
			if !r.Namespaced || r.Name == "events" || r.Name == "leases" || r.Name == "endpointslices" {
				continue
			}
			for _, name := range names {
				objects, err := on.objects.Resource(gv.WithResource(r.Name)).Namespace(name).List(t.Context(), metav1.ListOptions{})
				require.NoError(t, err)
				for _, o := range objects.Items {
					if len(o.GetOwnerReferences()) == 0 {
						found[r.Name+" "+name+"/"+o.GetName()] = string(o.GetUID())
					}
				}
			}
		}
	}
	for _, name := range names {
		if ns := get(t, on, namespaces, "", name); ns != nil {
			found["namespaces "+name] = string(ns.GetUID())
		}
	}
	return found
}

// guarded is a standby whose Git and whose API server can be broken.
type guarded struct {
	t, whole *testing.T // one fault, and all of them
	repo     string
	on       *cluster
	worker   *worker
	data     string
	git      *stacktest.Gate
	api      *stacktest.Gate
	// before is the cluster, head the branch, as both were when all was well.
	before map[string]string
	head   string
}

const guardedName = "guarded-pull"

func namespaceYAML(name string) string {
	return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + "}\n"
}

func newGuarded(t *testing.T) *guarded {
	g := &guarded{t: t, whole: t, repo: newRepo(t), data: t.TempDir()}
	standby := clusters["standby"]
	dropAfter(t, standby, "guard-a")
	dropAfter(t, standby, "guard-b")
	edit(t, g.repo, "two namespaces", func(dir string) {
		for _, ns := range []string{"guard-a", "guard-b"} {
			write(t, dir, ns+"/namespace.yaml", namespaceYAML(ns))
			for i := range 14 {
				name := fmt.Sprintf("settings-%02d", i)
				write(t, dir, ns+"/"+name+".yaml", configMap(ns, name, "one"))
			}
			write(t, dir, ns+"/cart.yaml", strings.ReplaceAll(deployment, "NS", ns))
		}
	})
	g.on, g.api = gated(t, standby)
	g.git = stacktest.NewGate(t, stack.Env["GIT_URL"], http.DefaultTransport, nil)
	g.worker = startWorker(t, guardedName, g.on, g.data)
	enroll(t, guardedName, standby, g.repo, workflows.Pull, "--repo", g.git.URL()+"/"+g.repo+".git")
	g.well()
	return g
}

// well waits until the standby is what Git says.
func (g *guarded) well() {
	g.t.Helper()
	g.head = git(g.t, g.repo, "rev-parse", "main")
	reaches(g.t, guardedName, func(s workflows.Status) bool { return inSync(s) && s.Revision == g.head })
	g.before = uids(g.t, g.on, "guard-a", "guard-b")
}

// nothingDeleted compares the objects with those before.
func (g *guarded) nothingDeleted() {
	g.t.Helper()
	now := uids(g.t, g.on, "guard-a", "guard-b")
	for object, uid := range g.before {
		require.Equal(g.t, uid, now[object], object)
	}
}

// blocked waits for a reason that needs a person, and looks again after two more looks of the sync.
func (g *guarded) blocked(reason, says string) workflows.Status {
	g.t.Helper()
	s := reaches(g.t, guardedName, func(s workflows.Status) bool { return s.State == workflows.Blocked && s.Reason == reason })
	require.Contains(g.t, s.Message, says)
	g.nothingDeleted()
	syncNow(g.t, guardedName)
	s = syncNow(g.t, guardedName)
	require.Equal(g.t, workflows.Blocked, s.State)
	g.nothingDeleted()
	return s
}

// commit changes the files.
func (g *guarded) commit(message string, change func(dir string)) { edit(g.t, g.repo, message, change) }

// rewind sets the branch back to where all was well.
func (g *guarded) rewind() { git(g.t, g.repo, "update-ref", "refs/heads/main", g.head) }

// TestNoFaultAndNoMistakeEmptiesACluster goes through what can go wrong, one after the other on one standby. Each
// time no object goes, the status says why, and a corrected Git goes on.
func TestNoFaultAndNoMistakeEmptiesACluster(t *testing.T) {
	g := newGuarded(t)
	for _, fault := range []struct {
		name string
		run  func(t *testing.T, g *guarded)
	}{
		{"git rm -r . committed", testEverythingRemoved},
		{"branch replaced by an unrelated history", testUnrelatedHistory},
		{"branch deleted", testBranchDeleted},
		{"repository unreachable for 3 ticks", testRepositoryUnreachable},
		{"half the files unparsable", testHalfUnparsable},
		{"API server answers lists with 500", testListsFail},
		{"namespace directory removed", testNamespaceDirectoryRemoved},
	} {
		require.True(t, t.Run(fault.name, func(t *testing.T) {
			g.t = t
			fault.run(t, g)
		}), "the next one needs a standby that is well")
	}
}

func testEverythingRemoved(t *testing.T, g *guarded) {
	g.commit("git rm -r .", func(dir string) {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "guard-a")))
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "guard-b")))
	})
	s := g.blocked(workflows.MassDeletion, "namespaces guard-a is among them")
	require.Equal(t, 32, s.PendingDeletions)
	require.Len(t, s.Pending.Objects, 32)
	require.Contains(t, s.Pending.Objects, "deployments.apps guard-b/cart")
	out, _, _ := starter(t, "status", guardedName)
	require.Contains(t, out, "Deletions waiting for approval: 32")

	g.commit("Revert", func(dir string) { checkout(t, dir, g.head) })
	g.well()
	g.nothingDeleted()
}

// checkout brings the files of a revision back.
func checkout(t *testing.T, dir, revision string, paths ...string) {
	t.Helper()
	if len(paths) == 0 {
		paths = []string{"."}
	}
	out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "checkout", "--quiet", revision, "--"}, paths...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func testUnrelatedHistory(t *testing.T, g *guarded) {
	before := g.before
	tree := git(t, g.repo, "rev-parse", g.head+":guard-a")
	orphan := git(t, g.repo, "-c", "user.name=P", "-c", "user.email=p@example.com", "commit-tree", "-m", "another history", tree)
	git(t, g.repo, "update-ref", "refs/heads/main", orphan)
	s := g.blocked(workflows.MassDeletion, "is among them")
	require.Equal(t, 16, s.PendingDeletions)
	require.Equal(t, workflows.BranchReplaced, s.BranchEvent.Change)

	g.rewind()
	g.well()
	require.Equal(t, before, g.before)

	// A single object, which would be everyday work in the same history.
	git(t, g.repo, "read-tree", "--empty")
	git(t, g.repo, "read-tree", g.head)
	git(t, g.repo, "--work-tree="+t.TempDir(), "update-index", "--force-remove", "guard-a/settings-00.yaml")
	orphan = git(t, g.repo, "-c", "user.name=P", "-c", "user.email=p@example.com", "commit-tree", "-m", "another history", git(t, g.repo, "write-tree"))
	git(t, g.repo, "update-ref", "refs/heads/main", orphan)
	s = g.blocked(workflows.MassDeletion, "a history that doesn't continue")
	require.Equal(t, []string{"configmaps guard-a/settings-00"}, s.Pending.Objects)
	g.rewind()
	g.well()
	require.Equal(t, before, g.before)
}

func testBranchDeleted(_ *testing.T, g *guarded) {
	git(g.t, g.repo, "update-ref", "-d", "refs/heads/main")
	g.blocked(workflows.BranchNotFound, `branch "main" is not in`)
	g.rewind()
	g.well()
	g.nothingDeleted()
}

func testRepositoryUnreachable(t *testing.T, g *guarded) {
	g.git.Shut()
	s := reaches(t, guardedName, func(s workflows.Status) bool { return s.Reason == workflows.RemoteUnreachable })
	require.Equal(t, workflows.Degraded, s.State)
	reaches(t, guardedName, func(now workflows.Status) bool { return now.Ticks >= s.Ticks+3 })
	g.nothingDeleted()
	before := g.before
	g.git.Open()
	syncNow(t, guardedName)
	g.well()
	require.Equal(t, before, g.before)
}

func testHalfUnparsable(t *testing.T, g *guarded) {
	g.commit("a bad merge, and two files fewer", func(dir string) {
		for i := range 12 {
			file := fmt.Sprintf("guard-a/settings-%02d.yaml", i)
			if i < 2 {
				require.NoError(t, os.Remove(filepath.Join(dir, file)))
				continue
			}
			write(t, dir, file, "<<<<<<< HEAD\na: [\n")
		}
		write(t, dir, "guard-b/settings-00.yaml", configMap("guard-b", "settings-00", "two"))
	})
	head := git(t, g.repo, "rev-parse", "main")
	s := reaches(t, guardedName, func(s workflows.Status) bool { return s.Revision == head })
	require.Equal(t, workflows.Degraded, s.State)
	require.Equal(t, workflows.ObjectsFailed, s.Reason)
	require.Equal(t, 10, s.FailedCount)
	require.Contains(t, s.Failed[0].File, "guard-a/settings-02.yaml:")
	g.nothingDeleted()
	syncNow(t, guardedName)
	g.nothingDeleted()
	value, _, _ := unstructured.NestedString(get(t, g.on, configMaps, "guard-b", "settings-00").Object, "data", "key")
	require.Equal(t, "two", value, "what can be read goes on")

	before := g.before
	g.commit("mended", func(dir string) {
		checkout(t, dir, g.head, "guard-a")
		for i := range 2 {
			require.NoError(t, os.Remove(filepath.Join(dir, fmt.Sprintf("guard-a/settings-%02d.yaml", i))))
		}
	})
	g.well()
	require.Equal(t, without(before, "configmaps guard-a/settings-00", "configmaps guard-a/settings-01"), g.before)
}

func without(objects map[string]string, gone ...string) map[string]string {
	rest := maps.Clone(objects)
	for _, object := range gone {
		delete(rest, object)
	}
	return rest
}

func testListsFail(t *testing.T, g *guarded) {
	g.worker.kill()
	g.api.Refuse(func(r *http.Request) int {
		query := r.URL.Query()
		if r.Method == http.MethodGet && (query.Has("watch") || query.Has("limit") || query.Has("resourceVersion")) {
			return http.StatusInternalServerError
		}
		return 0
	})
	g.commit("one file fewer", func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "guard-a/settings-02.yaml"))) })
	g.worker = startWorker(g.whole, guardedName, g.on, g.data)
	head := git(t, g.repo, "rev-parse", "main")
	s := reaches(t, guardedName, func(s workflows.Status) bool { return s.Revision == head && s.State == workflows.Degraded })
	require.Equal(t, workflows.ResourcesUnreadable, s.Reason, describe(s, nil))
	g.nothingDeleted()
	syncNow(t, guardedName)
	g.nothingDeleted()

	before := g.before
	g.api.Refuse(nil)
	eventually(t, func() bool { return get(t, g.on, configMaps, "guard-a", "settings-02") == nil }, func() string { return tail(g.worker.log.String()) })
	g.well()
	require.Equal(t, without(before, "configmaps guard-a/settings-02"), g.before)
}

func testNamespaceDirectoryRemoved(t *testing.T, g *guarded) {
	g.commit("a namespace fewer", func(dir string) {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "guard-b")))
		write(t, dir, "guard-a/new.yaml", configMap("guard-a", "new", "one"))
		write(t, dir, "guard-a/settings-05.yaml", configMap("guard-a", "settings-05", "two"))
	})
	s := g.blocked(workflows.MassDeletion, "namespaces guard-b is among them")
	require.Equal(t, 16, s.PendingDeletions)
	require.NotNil(t, get(t, g.on, configMaps, "guard-a", "new"), "creates go on meanwhile")
	value, _, _ := unstructured.NestedString(get(t, g.on, configMaps, "guard-a", "settings-05").Object, "data", "key")
	require.Equal(t, "two", value, "and updates")

	// A small deletion that comes later joins those that wait, so that nobody approves it unseen.
	g.commit("and a file", func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "guard-a/settings-05.yaml"))) })
	joined := reaches(t, guardedName, func(s workflows.Status) bool { return s.PendingDeletions == 17 })
	require.Contains(t, joined.Pending.Objects, "configmaps guard-a/settings-05")
	require.NotEqual(t, s.Pending.Digest, joined.Pending.Digest)
	_, err := tryUpdate(t, guardedName, workflows.ApproveMessage, workflows.Approve{Digest: s.Pending.Digest})
	require.ErrorContains(t, err, "look at the status again")
	g.nothingDeleted()

	// Who protects an object in the cluster takes it out of them.
	change(t, g.on, configMaps, "guard-b", "settings-07", annotate("active-cluster-sync.io/prune", "disabled"))
	spared := reaches(t, guardedName, func(s workflows.Status) bool { return s.PendingDeletions == 16 })
	require.NotContains(t, spared.Pending.Objects, "configmaps guard-b/settings-07")
	require.Equal(t, 1, spared.KeptCount)
	require.Equal(t, "configmaps guard-b/settings-07", spared.Kept[0].Object)

	// Restored but for some: the rest waits still, and goes when it is approved, and nothing else.
	g.commit("the namespace is back, but for a file", func(dir string) {
		checkout(t, dir, g.head, "guard-b")
		require.NoError(t, os.Remove(filepath.Join(dir, "guard-b/settings-09.yaml")))
	})
	rest := []string{"configmaps guard-a/settings-05", "configmaps guard-b/settings-09"}
	s = reaches(t, guardedName, func(s workflows.Status) bool { return s.PendingDeletions == len(rest) })
	require.Equal(t, rest, s.Pending.Objects)
	require.Equal(t, workflows.MassDeletion, s.Reason)
	g.nothingDeleted()
	before := uids(t, g.on, "guard-a", "guard-b")
	approve(t, guardedName)
	g.well()
	require.Equal(t, without(before, rest...), g.before)

	// All of it, approved.
	g.commit("a namespace fewer, meant so", func(dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, "guard-b"))) })
	g.blocked(workflows.MassDeletion, "namespaces guard-b is among them")
	kept := uids(t, g.on, "guard-a")
	approve(t, guardedName)
	eventually(t, func() bool { return get(t, g.on, namespaces, "", "guard-b") == nil }, func() string { return tail(g.worker.log.String()) })
	reaches(t, guardedName, inSync)
	require.Equal(t, kept, uids(t, g.on, "guard-a"))
	require.NotEmpty(t, slices.Collect(maps.Keys(kept)))
}

func annotate(key, value string) func(*unstructured.Unstructured) {
	return func(o *unstructured.Unstructured) {
		annotations := o.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[key] = value
		o.SetAnnotations(annotations)
	}
}

func approve(t *testing.T, name string) {
	t.Helper()
	out, errs, exit := starter(t, "approve", name)
	require.Zero(t, exit, "%s%s", out, errs)
}
