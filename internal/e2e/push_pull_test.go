package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// handWritten is a file as people write it: comments, several documents, no defaults, a style of its own. NS is the
// namespace, which is also the value of the label that makes the objects take part.
const handWritten = `# The shop. Ask the shop team before you change it.
apiVersion: v1
kind: Namespace
metadata:
    name: NS
    labels: {acs: NS}
---
apiVersion: apps/v1
kind: Deployment
metadata:
    name: cart
    namespace: NS
    labels: {acs: NS, app: cart}
spec:
    replicas: 2   # two are enough at night

    selector: {matchLabels: {app: cart}}
    template:
        metadata: {labels: {app: cart}}
        spec:
            containers:
            # pinned, see the runbook
            -   name: cart
                image: "example.com/cart:1.0"
                env:
                -   name: MODE
                    value: fast
                ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: NS, labels: {acs: NS}}
spec:
    selector: {app: cart}
    ports:
    -   port: 80
        targetPort: 8080
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NS, labels: {acs: NS}}
data:
    # in seconds
    timeout: "30"
    colour: blue
`

// shared is a cluster and a repository in push-pull, with the hand-written file in it.
type shared struct {
	t        *testing.T
	on       *cluster
	name, ns string
	repo     string
	data     string
	worker   *worker
}

// share enrolls a cluster. The selector bounds it to the objects of one namespace, because other tests use the
// cluster too.
func share(t *testing.T, on *cluster, name, ns string, more ...string) *shared {
	t.Helper()
	repo := newRepo(t)
	edit(t, repo, "The shop", func(dir string) {
		write(t, dir, "shop/all.yaml", strings.ReplaceAll(handWritten, "NS", ns))
		write(t, dir, "README.md", "Our clusters.\n")
	})
	s := join(t, on, name, ns, repo, more...)
	s.settled()
	return s
}

// join enrolls a cluster with a repository that is there already.
func join(t *testing.T, on *cluster, name, ns, repo string, more ...string) *shared {
	t.Helper()
	s := &shared{t: t, on: on, name: name, ns: ns, repo: repo, data: t.TempDir()}
	dropAfter(t, on, ns)
	s.worker = startWorker(t, name, on, s.data)
	enroll(t, name, on, repo, workflows.PushPull,
		append([]string{"--selector", "acs=" + ns, "--secrets", "exclude", "--adopt", "git"}, more...)...)
	return s
}

// settled waits until both sides agree and nothing more happens: the branch's tip is what was applied.
func (s *shared) settled() workflows.Status {
	s.t.Helper()
	syncNow(s.t, s.name)
	return reaches(s.t, s.name, func(now workflows.Status) bool {
		return inSync(now) && now.Revision == git(s.t, s.repo, "rev-parse", "main")
	})
}

func (s *shared) file(path string) string { return git(s.t, s.repo, "show", "main:"+path) }

// editFile replaces some text in the hand-written file, as a person does.
func (s *shared) editFile(old, now string) string {
	s.t.Helper()
	const path = "shop/all.yaml"
	return edit(s.t, s.repo, "Edit "+path, func(dir string) {
		content, err := os.ReadFile(filepath.Join(dir, path))
		require.NoError(s.t, err)
		require.Contains(s.t, string(content), old)
		write(s.t, dir, path, strings.ReplaceAll(string(content), old, now))
	})
}

func (s *shared) setting(key string) string {
	s.t.Helper()
	value, _, err := unstructured.NestedString(get(s.t, s.on, configMaps, s.ns, "settings").Object, "data", key)
	require.NoError(s.t, err)
	return value
}

func field(value any, fields ...string) func(*unstructured.Unstructured) {
	return func(o *unstructured.Unstructured) {
		if err := unstructured.SetNestedField(o.Object, value, fields...); err != nil {
			panic(err)
		}
	}
}

func TestChangesTravelBothWays(t *testing.T) {
	t.Parallel()
	s := share(t, clusters["standby"], "both-ways", "both-ways")
	standby, ns := s.on, s.ns
	require.Equal(t, strings.ReplaceAll(handWritten, "NS", ns), s.file("shop/all.yaml")+"\n", "nothing of what the API server fills in gets into Git")
	require.Contains(t, s.file(".cluster-sync.yaml"), "members:")

	// One replica count changed in the cluster is one line in Git.
	changeAs(t, "kubectl-edit", standby, deployments, ns, "cart", field(int64(3), "spec", "replicas"))
	s.settled()
	diff := git(t, s.repo, "show", "--format=%an: %s", "--unified=0", "main")
	require.Contains(t, diff, "active-cluster-sync: sync(both-ways): 1 updated")
	require.Contains(t, diff, "\n-    replicas: 2   # two are enough at night\n+    replicas: 3   # two are enough at night")
	require.Equal(t, "1\t1\tshop/all.yaml", git(t, s.repo, "show", "--format=", "--numstat", "main"))

	// An edit in Git gets to the cluster, and nowhere else.
	tip := s.editFile("colour: blue", "colour: green")
	s.settled()
	require.Equal(t, tip, git(t, s.repo, "rev-parse", "main"), "it isn't stored again")
	require.Equal(t, "green", s.setting("colour"))

	// New objects, and deletions, each way.
	create(t, standby, configMaps, labelled(ns, "from-cluster", ""))
	edit(t, s.repo, "More", func(dir string) { write(t, dir, "shop/more.yaml", labelled(ns, "from-git", "")) })
	s.settled()
	require.Contains(t, files(t, s.repo), "namespaces/"+ns+"/configmaps/from-cluster.yaml")
	require.NotNil(t, get(t, standby, configMaps, ns, "from-git"))
	require.NoError(t, standby.objects.Resource(configMaps).Namespace(ns).Delete(t.Context(), "from-git", metav1.DeleteOptions{}))
	require.NoError(t, standby.objects.Resource(services).Namespace(ns).Delete(t.Context(), "cart", metav1.DeleteOptions{}))
	edit(t, s.repo, "Less", func(dir string) {
		require.NoError(t, os.Remove(filepath.Join(dir, "namespaces", ns, "configmaps/from-cluster.yaml")))
	})
	s.settled()
	require.Nil(t, get(t, standby, configMaps, ns, "from-cluster"))
	require.Equal(t, []string{".cluster-sync.yaml", "README.md", "shop/all.yaml"}, files(t, s.repo))
	require.NotContains(t, s.file("shop/all.yaml"), "kind: Service")
	require.Contains(t, s.file("shop/all.yaml"), "# in seconds")

	// A worker without a memory finds that all is in order.
	before := versions(t, exporter(t, standby), ns)
	s.worker.kill()
	s.worker = startWorker(t, s.name, standby, t.TempDir())
	create(t, standby, configMaps, labelled(ns, "after-restart", ""))
	s.settled()
	require.Equal(t, "A\tnamespaces/"+ns+"/configmaps/after-restart.yaml", git(t, s.repo, "show", "--format=", "--name-status", "main"))
	now := versions(t, exporter(t, standby), ns)
	delete(now, "configmaps/after-restart.yaml")
	require.Equal(t, before, now, "nothing else was written")
}

func TestEditsOfBothSidesAreMergedOrDecided(t *testing.T) {
	t.Parallel()
	for policy, winner := range map[string]string{"git": "Git", "cluster": "the cluster"} {
		t.Run(policy, func(t *testing.T) {
			s := share(t, clusters["standby"], "decided-"+policy, "decided-"+policy, "--on-conflict", policy)
			update(t, s.name, workflows.PauseMessage)
			// Different objects, different fields of one object, and the same field.
			changeAs(t, "kubectl-edit", s.on, configMaps, s.ns, "settings", field("60", "data", "timeout"))
			s.editFile("colour: blue", "colour: green")
			changeAs(t, "kubectl-edit", s.on, deployments, s.ns, "cart", func(o *unstructured.Unstructured) {
				field(int64(5), "spec", "replicas")(o)
				firstContainer(o)["image"] = "example.com/cart:2.0"
			})
			s.editFile("replicas: 2", "replicas: 4")
			update(t, s.name, workflows.ResumeMessage)
			now := s.settled()

			require.Equal(t, "60", s.setting("timeout"))
			require.Equal(t, "green", s.setting("colour"))
			require.Contains(t, s.file("shop/all.yaml"), `timeout: "60"`)
			replicas := map[string]int64{"git": 4, "cluster": 5}[policy]
			cart := get(t, s.on, deployments, s.ns, "cart")
			found, _, err := unstructured.NestedInt64(cart.Object, "spec", "replicas")
			require.NoError(t, err)
			require.Equal(t, replicas, found, "%s wins", winner)
			require.Equal(t, "example.com/cart:2.0", firstContainer(cart)["image"], "what doesn't collide is kept")
			require.Contains(t, s.file("shop/all.yaml"), `image: "example.com/cart:2.0"`)
			require.Contains(t, s.file("shop/all.yaml"), "# two are enough at night")

			// Both edits are in the history, and the status tells of it.
			history := git(t, s.repo, "log", "-p", "main")
			require.Contains(t, history, "replicas: 4")
			require.Contains(t, history, "replicas: 5")
			require.Len(t, now.Conflicts, 1, describe(now, nil))
			conflict := now.Conflicts[0]
			require.Equal(t, "deployments.apps "+s.ns+"/cart", conflict.Object)
			require.Equal(t, workflows.ConflictPolicy(policy), conflict.Winner)
			require.Equal(t, []string{"/spec/replicas"}, conflict.Fields)
			require.Contains(t, conflict.Git, "P <p@example.com>")
			require.Equal(t, "kubectl-edit", conflict.Cluster)
			if policy == "git" {
				require.Contains(t, git(t, s.repo, "show", conflict.Revision), "replicas: 5")
			}
		})
	}
}

func TestAHeldConflictWaitsAndHoldsUpNothing(t *testing.T) {
	t.Parallel()
	s := share(t, clusters["standby"], "holding", "holding", "--on-conflict", "hold")
	update(t, s.name, workflows.PauseMessage)
	changeAs(t, "kubectl-edit", s.on, deployments, s.ns, "cart", field(int64(5), "spec", "replicas"))
	s.editFile("replicas: 2", "replicas: 4")
	update(t, s.name, workflows.ResumeMessage)
	now := reaches(t, s.name, func(now workflows.Status) bool { return now.State == workflows.Blocked })
	require.Equal(t, workflows.ConflictsHeld, now.Reason)
	require.Len(t, now.Conflicts, 1)
	require.Empty(t, now.Conflicts[0].Winner)

	// Everything else goes on.
	changeAs(t, "kubectl-edit", s.on, configMaps, s.ns, "settings", field("60", "data", "timeout"))
	s.editFile("colour: blue", "colour: green")
	eventually(t, func() bool {
		return s.setting("colour") == "green" && strings.Contains(s.file("shop/all.yaml"), `timeout: "60"`)
	}, func() string { return tail(s.worker.log.String()) })
	ticksPass(t, s.name, 3)
	require.Contains(t, s.file("shop/all.yaml"), "replicas: 4")
	replicas, _, err := unstructured.NestedInt64(get(t, s.on, deployments, s.ns, "cart").Object, "spec", "replicas")
	require.NoError(t, err)
	require.EqualValues(t, 5, replicas)

	// It ends when somebody makes the two agree, or says who wins.
	s.editFile("replicas: 4", "replicas: 5")
	now = s.settled()
	require.Empty(t, now.Conflicts, describe(now, nil))
	update(t, s.name, workflows.PauseMessage)
	changeAs(t, "kubectl-edit", s.on, deployments, s.ns, "cart", field(int64(6), "spec", "replicas"))
	s.editFile("replicas: 5", "replicas: 7")
	update(t, s.name, workflows.ResumeMessage)
	reaches(t, s.name, func(now workflows.Status) bool { return now.Reason == workflows.ConflictsHeld })
	_, errs, code := starter(t, "set-strategy", s.name, "push-pull", "--on-conflict", "cluster")
	require.Zero(t, code, errs)
	s.settled()
	require.Contains(t, s.file("shop/all.yaml"), "replicas: 6")
	require.Contains(t, git(t, s.repo, "log", "-p", "main"), "replicas: 7")
	replays(t, "push-pull.json.gz", fetchHistory(t, s.name, ""))
}
