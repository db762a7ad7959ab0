package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func TestWhatOthersDoToTheBranchIsToldApart(t *testing.T) {
	primary, repo := clusters["primary"], newRepo(t)
	newNamespace(t, primary, "branch")
	create(t, primary, configMaps, configMap("branch", "settings", "one"))
	startWorker(t, "branching", primary, t.TempDir())
	enroll(t, "branching", primary, repo, workflows.Push)
	first := reaches(t, "branching", inSync)
	require.Nil(t, first.BranchEvent, "the first push makes the branch")
	for _, value := range []string{"two", "three"} {
		change(t, primary, configMaps, "branch", "settings", setKey(value))
		syncNow(t, "branching")
	}
	require.Nil(t, syncNow(t, "branching").BranchEvent, "its own commits are no event")

	const file = "namespaces/branch/configmaps/settings.yaml"
	happens := func(what workflows.BranchChange, do func()) {
		t.Helper()
		before := git(t, repo, "rev-parse", "main")
		do()
		s := reaches(t, "branching", func(s workflows.Status) bool {
			return inSync(s) && s.BranchEvent != nil && s.BranchEvent.Change == what && s.BranchEvent.From == before
		})
		require.Contains(t, git(t, repo, "show", "main:"+file), "key: three", "the cluster wins")
		require.Equal(t, s.Revision, git(t, repo, "rev-parse", "main"))
	}
	var theirs string
	happens(workflows.BranchMoved, func() {
		theirs = edit(t, repo, "by hand", func(dir string) { write(t, dir, file, configMap("branch", "settings", "by-hand")) })
	})
	git(t, repo, "merge-base", "--is-ancestor", theirs, "main")
	happens(workflows.BranchRewound, func() { git(t, repo, "update-ref", "refs/heads/main", first.Revision) })
	git(t, repo, "merge-base", "--is-ancestor", first.Revision, "main")
	happens(workflows.BranchDeleted, func() { git(t, repo, "update-ref", "-d", "refs/heads/main") })
	happens(workflows.BranchReplaced, func() {
		tree := git(t, repo, "mktree") // of nothing
		other := git(t, repo, "-c", "user.name=P", "-c", "user.email=p@example.com", "commit-tree", "-m", "another history", tree)
		git(t, repo, "update-ref", "refs/heads/main", other)
	})

	// Another repository in its place, with somebody's content: nobody may overwrite that.
	stranger := edit(t, repo, "not yours", func(dir string) {
		write(t, dir, "app.yaml", configMap("branch", "other", "x"))
		for _, ours := range []string{".cluster-sync.yaml", ".sops.yaml", "namespaces", "cluster"} {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, ours)))
		}
	})
	orphan := git(t, repo, "-c", "user.name=P", "-c", "user.email=p@example.com", "commit-tree", "-m", "a new beginning", stranger+"^{tree}")
	git(t, repo, "update-ref", "refs/heads/main", orphan)
	s := reaches(t, "branching", func(s workflows.Status) bool { return s.Reason == workflows.InitialSyncCanceled })
	require.Equal(t, workflows.Blocked, s.State)
	require.Equal(t, workflows.BranchReplaced, s.BranchEvent.Change)
	require.Equal(t, orphan, git(t, repo, "rev-parse", "main"))
}

func TestPullReportsARewoundBranch(t *testing.T) {
	standby, repo := clusters["standby"], newRepo(t)
	dropAfter(t, standby, "rewound")
	one := edit(t, repo, "one", func(dir string) {
		write(t, dir, "all.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: rewound}\n---\n"+configMap("rewound", "settings", "one"))
	})
	startWorker(t, "rewinding", standby, t.TempDir())
	enroll(t, "rewinding", standby, repo, workflows.Pull)
	reaches(t, "rewinding", inSync)
	edit(t, repo, "two", func(dir string) {
		write(t, dir, "all.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: rewound}\n---\n"+configMap("rewound", "settings", "two"))
	})
	require.Nil(t, syncNow(t, "rewinding").BranchEvent, "new commits are what pull waits for")
	git(t, repo, "update-ref", "refs/heads/main", one)
	s := syncNow(t, "rewinding")
	require.Equal(t, workflows.BranchRewound, s.BranchEvent.Change)
	value, _, _ := unstructured.NestedString(get(t, standby, configMaps, "rewound", "settings").Object, "data", "key")
	require.Equal(t, "one", value)
}
