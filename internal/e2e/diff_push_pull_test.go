package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/preview"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// toldOf is what a preview says of an object in one direction.
func toldOf(t *testing.T, p preview.Preview, direction preview.Direction, object string) preview.Change {
	t.Helper()
	var there []preview.Change
	for _, c := range p.Changes {
		if c.Direction == direction {
			there = append(there, c)
		}
	}
	p.Changes = there
	return told(t, p, object)
}

func TestDiffOfAnAdoptionSaysWhatEachWouldDo(t *testing.T) {
	t.Parallel()
	on, repo, ns := clusters["standby"], newRepo(t), "adopting"
	dropAfter(t, on, ns)
	create(t, on, namespaces, "apiVersion: v1\nkind: Namespace\nmetadata: {name: adopting, labels: {acs: adopting}}")
	secret := func(value string) string {
		return strings.Replace(opaque(ns, "db", value), "metadata: {", "metadata: {labels: {acs: adopting}, ", 1)
	}
	create(t, on, configMaps, labelled(ns, "only-cluster", ""))
	create(t, on, configMaps, strings.Replace(labelled(ns, "both", ""), "key: one", "side: cluster", 1))
	create(t, on, secretsResource, secret(shown))
	tip := edit(t, repo, "Theirs", func(dir string) {
		write(t, dir, "app/db.yaml", secret(shownLater))
		write(t, dir, "app/both.yaml", "# ours\n"+strings.Replace(labelled(ns, "both", ""), "key: one", "side: git", 1))
		write(t, dir, "app/only.yaml", labelled(ns, "only-git", ""))
	})
	enroll(t, "adopting", on, repo, workflows.None, "--selector", "acs="+ns, "--interval", "1h")

	p := diff(t, "adopting", on, "--as", "push-pull")
	require.Contains(t, p.Refused, "`starter diff adopting --as push-pull --adopt git`")
	require.Empty(t, p.Changes)
	require.Equal(t, map[preview.Direction]preview.Counts{
		preview.ToCluster: {Create: 1, Update: 2, Conflicts: 2}, preview.ToGit: {Create: 2},
	}, p.Adoption[workflows.AdoptGit].Sides, "the cluster has the Namespace, too")
	require.Equal(t, map[preview.Direction]preview.Counts{
		preview.ToCluster: {Create: 1}, preview.ToGit: {Create: 2, Update: 2, Conflicts: 2},
	}, p.Adoption[workflows.AdoptCluster].Sides)
	text, errs, exit := starter(t, diffArgs("adopting", on, "--as", "push-pull")...)
	require.Zero(t, exit, errs)
	require.Contains(t, text, "nothing would be written: ")
	require.Contains(t, text, "  --adopt git: in the cluster 1 to create, 2 to update; in Git 2 to create; 2 changed on both sides\n")
	require.Contains(t, text, "  --adopt cluster: in the cluster 1 to create; in Git 2 to create, 2 to update; 2 changed on both sides\n")

	p = diff(t, "adopting", on, "--as", "push-pull", "--adopt", "cluster")
	require.Empty(t, p.Refused)
	both := toldOf(t, p, preview.ToGit, "configmaps "+ns+"/both")
	require.Equal(t, &preview.Conflict{Winner: workflows.ConflictCluster}, both.Conflict)
	require.Contains(t, both.Diff, "--- git/app/both.yaml\n+++ synced/app/both.yaml\n")
	require.Contains(t, both.Diff, "side: git")
	require.NotContains(t, both.Diff, "-# ours", "the file is edited in place")
	for _, want := range []struct {
		adopt     string
		direction preview.Direction
	}{{"cluster", preview.ToGit}, {"git", preview.ToCluster}} {
		db := toldOf(t, diff(t, "adopting", on, "--as", "push-pull", "--adopt", want.adopt), want.direction, "secrets "+ns+"/db")
		require.True(t, db.Masked)
		require.Contains(t, db.Diff, "password: '*** (changed)'\n")
	}

	p = diff(t, "adopting", on, "--as", "push-pull", "--adopt", "git")
	require.Equal(t, preview.AddedInGit, toldOf(t, p, preview.ToCluster, "configmaps "+ns+"/only-git").Reason)
	fresh := toldOf(t, p, preview.ToGit, "configmaps "+ns+"/only-cluster")
	require.Equal(t, preview.AddedInCluster, fresh.Reason)
	require.Equal(t, "namespaces/"+ns+"/configmaps/only-cluster.yaml", fresh.File)
	both = toldOf(t, p, preview.ToCluster, "configmaps "+ns+"/both")
	require.Equal(t, &preview.Conflict{Winner: workflows.ConflictGit}, both.Conflict)
	require.Contains(t, both.Diff, "-  side: cluster\n+  side: git\n")
	require.Equal(t, tip, git(t, repo, "rev-parse", "main"), "nothing was written")
	require.Nil(t, get(t, on, configMaps, ns, "only-git"))

	// What was said is what is done.
	startWorker(t, "adopting", on, t.TempDir())
	eventually(t, func() bool {
		_, errs, exit = starter(t, "set-strategy", "adopting", "push-pull", "--adopt", "git")
		return exit == 0
	}, func() string { return errs })
	reaches(t, "adopting", inSync)
	becomesEmpty(t, "adopting", on)
	require.NotNil(t, get(t, on, configMaps, ns, "only-git"))
	side, _, err := unstructured.NestedString(get(t, on, configMaps, ns, "both").Object, "data", "side")
	require.NoError(t, err)
	require.Equal(t, "git", side)
	require.Equal(t, []string{
		".cluster-sync.yaml", ".sops.yaml", "app/both.yaml", "app/db.yaml", "app/only.yaml", "cluster/namespaces/" + ns + ".yaml", fresh.File,
	}, files(t, repo))
}

func TestDiffOfPushPullShowsBothDirections(t *testing.T) {
	t.Parallel()
	s := share(t, clusters["standby"], "diff-both", "diff-both")
	on, ns := s.on, s.ns
	becomesEmpty(t, s.name, on)
	create(t, on, configMaps, labelled(ns, "gone-cluster", ""))
	create(t, on, configMaps, labelled(ns, "gone-git", ""))
	s.settled()
	update(t, s.name, workflows.PauseMessage)
	changeAs(t, "kubectl-edit", on, deployments, ns, "cart", field(int64(3), "spec", "replicas"))
	create(t, on, configMaps, labelled(ns, "from-cluster", ""))
	remove(t, on, configMaps, ns, "gone-cluster")
	s.editFile("colour: blue", "colour: green")
	changeAs(t, "kubectl-edit", on, configMaps, ns, "settings", field("60", "data", "timeout"))
	changeAs(t, "kubectl-edit", on, services, ns, "cart", field(map[string]any{"app": "cart", "tier": "web"}, "spec", "selector"))
	tip := edit(t, s.repo, "More", func(dir string) {
		write(t, dir, "shop/more.yaml", labelled(ns, "from-git", ""))
		require.NoError(t, os.Remove(filepath.Join(dir, "namespaces", ns, "configmaps/gone-git.yaml")))
	})

	p := diff(t, s.name, on)
	require.Equal(t, tip, p.Revision)
	for _, want := range []struct {
		object    string
		direction preview.Direction
		action    preview.Action
		reason    preview.Reason
		file      string
	}{
		{"deployments.apps " + ns + "/cart", preview.ToGit, preview.Update, preview.EditedInCluster, "shop/all.yaml:8"},
		{"services " + ns + "/cart", preview.ToGit, preview.Update, preview.EditedInCluster, "shop/all.yaml:30"},
		{"configmaps " + ns + "/settings", preview.ToGit, preview.Update, preview.ChangedOnBoth, "shop/all.yaml:39"},
		{"configmaps " + ns + "/settings", preview.ToCluster, preview.Update, preview.ChangedOnBoth, "shop/all.yaml:39"},
		{"configmaps " + ns + "/from-cluster", preview.ToGit, preview.Create, preview.AddedInCluster, "namespaces/" + ns + "/configmaps/from-cluster.yaml"},
		{"configmaps " + ns + "/from-git", preview.ToCluster, preview.Create, preview.AddedInGit, "shop/more.yaml:1"},
		{"configmaps " + ns + "/gone-cluster", preview.ToGit, preview.Delete, preview.GoneFromCluster, "namespaces/" + ns + "/configmaps/gone-cluster.yaml:1"},
		{"configmaps " + ns + "/gone-git", preview.ToCluster, preview.Delete, preview.GoneFromGit, "namespaces/" + ns + "/configmaps/gone-git.yaml:1"},
	} {
		c := toldOf(t, p, want.direction, want.object)
		require.Equal(t, want.action, c.Action, c)
		require.Equal(t, want.reason, c.Reason, c)
		require.Equal(t, want.file, c.File, c)
		require.Nil(t, c.Conflict, c)
		require.NotEmpty(t, c.Diff, c)
	}
	require.Len(t, p.Changes, 8)
	require.Contains(t, toldOf(t, p, preview.ToGit, "deployments.apps "+ns+"/cart").Diff,
		"\n-    replicas: 2   # two are enough at night\n+    replicas: 3   # two are enough at night\n")
	stored, applied := toldOf(t, p, preview.ToGit, "configmaps "+ns+"/settings").Diff, toldOf(t, p, preview.ToCluster, "configmaps "+ns+"/settings").Diff
	require.Contains(t, stored, "\n-    timeout: \"30\"\n+    timeout: \"60\"\n")
	require.NotContains(t, stored, "-    colour")
	require.Contains(t, applied, "\n-  colour: blue\n+  colour: green\n")
	require.NotContains(t, applied, "-  timeout")
	text, _, exit := starter(t, diffArgs(s.name, on, "--stat")...)
	require.Zero(t, exit)
	require.Contains(t, text, "update deployments.apps "+ns+"/cart (shop/all.yaml:8) +1 -1 in Git: changed in the cluster\n")
	require.Contains(t, text, "diff-both, push-pull, against revision "+tip[:12]+": in the cluster 1 to create, 1 to update, 1 to delete; in Git 1 to create, 3 to update, 1 to delete\n")
	require.Equal(t, tip, git(t, s.repo, "rev-parse", "main"), "nothing was written")

	// The next tick does that and nothing else.
	update(t, s.name, workflows.ResumeMessage)
	s.settled()
	becomesEmpty(t, s.name, on)
	require.Equal(t, "1", git(t, s.repo, "rev-list", "--count", tip+"..main"))
	commit := git(t, s.repo, "show", "--format=", "--unified=0", "--no-renames", "main")
	for _, c := range p.Changes {
		for line := range strings.Lines(c.Diff) {
			if c.Direction == preview.ToGit && (line[0] == '+' || line[0] == '-') && !strings.HasPrefix(line, "+++") && !strings.HasPrefix(line, "---") {
				require.Contains(t, commit+"\n", "\n"+line, c.Object)
			}
		}
	}
	require.Equal(t, "green", s.setting("colour"))
	require.Nil(t, get(t, on, configMaps, ns, "gone-git"))
	require.NotNil(t, get(t, on, configMaps, ns, "from-git"))

	// Many deletions at once would wait.
	update(t, s.name, workflows.PauseMessage)
	edit(t, s.repo, "The end", func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "shop/all.yaml"))) })
	p = diff(t, s.name, on)
	withheld := toldOf(t, p, preview.ToCluster, "namespaces "+ns)
	require.Equal(t, preview.Withhold, withheld.Action)
	require.Contains(t, withheld.Message, "starter approve")
	require.Equal(t, preview.Counts{Withheld: 4}, p.Sides[preview.ToCluster])
}

func TestDiffOfPushPullSaysWhoWins(t *testing.T) {
	t.Parallel()
	s := share(t, clusters["standby"], "diff-won", "diff-won")
	on, cart := s.on, "deployments.apps diff-won/cart"
	update(t, s.name, workflows.PauseMessage)
	changeAs(t, "kubectl-edit", on, deployments, s.ns, "cart", func(o *unstructured.Unstructured) {
		field(int64(5), "spec", "replicas")(o)
		firstContainer(o)["image"] = "example.com/cart:2.0"
	})
	s.editFile("replicas: 2", "replicas: 4")
	remove(t, on, configMaps, s.ns, "settings")
	tip := s.editFile("colour: blue", "colour: green")

	p := diff(t, s.name, on, "--on-conflict", "cluster")
	stored := toldOf(t, p, preview.ToGit, cart)
	require.Equal(t, &preview.Conflict{Winner: workflows.ConflictCluster, Fields: []string{"/spec/replicas"}}, stored.Conflict)
	require.Contains(t, stored.Diff, "-    replicas: 4   # two are enough at night\n+    replicas: 5   # two are enough at night\n")
	require.Contains(t, stored.Diff, "+                image: \"example.com/cart:2.0\"\n")
	require.Equal(t, preview.Delete, toldOf(t, p, preview.ToGit, "configmaps "+s.ns+"/settings").Action)
	require.Zero(t, p.Sides[preview.ToCluster].Total(), "it has all of it")

	p = diff(t, s.name, on, "--on-conflict", "hold")
	require.Equal(t, preview.Counts{Waiting: 2, Conflicts: 2}, p.Counts)
	held := told(t, p, cart)
	require.Equal(t, preview.Wait, held.Action)
	require.Equal(t, &preview.Conflict{Fields: []string{"/spec/replicas"}}, held.Conflict)
	require.Contains(t, held.Diff, "-  replicas: 5\n+  replicas: 4\n")

	p = diff(t, s.name, on)
	stored = toldOf(t, p, preview.ToGit, cart)
	require.Equal(t, &preview.Conflict{Winner: workflows.ConflictGit, Fields: []string{"/spec/replicas"}}, stored.Conflict)
	require.Contains(t, stored.Diff, "+                image: \"example.com/cart:2.0\"\n")
	require.NotContains(t, stored.Diff, "+    replicas")
	applied := toldOf(t, p, preview.ToCluster, cart)
	require.Contains(t, applied.Diff, "-  replicas: 5\n+  replicas: 4\n", "what loses is seen going")
	require.Contains(t, applied.Message, "the cluster's is kept in the history of the branch")
	require.NotContains(t, applied.Diff, "cart:1.0")
	require.Equal(t, preview.Create, toldOf(t, p, preview.ToCluster, "configmaps "+s.ns+"/settings").Action)
	require.Equal(t, tip, git(t, s.repo, "rev-parse", "main"), "nothing was written")

	update(t, s.name, workflows.ResumeMessage)
	s.settled()
	becomesEmpty(t, s.name, on)
	replicas, _, err := unstructured.NestedInt64(get(t, on, deployments, s.ns, "cart").Object, "spec", "replicas")
	require.NoError(t, err)
	require.EqualValues(t, 4, replicas)
	require.Equal(t, "green", s.setting("colour"))
}
