package plan_test

import (
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

func hash(content string) plumbing.Hash {
	return plumbing.ComputeHash(plumbing.BlobObject, []byte(content))
}

func treeOf(files map[string]string) tree.Tree {
	return tree.Tree{}.Edit(func(e *tree.Editor) {
		for path, content := range files {
			e.Put(path, hash(content))
		}
	})
}

const cart = "namespaces/shop/deployments.apps/cart.yaml"

func TestPullWrites(t *testing.T) {
	type files = map[string]string
	for name, c := range map[string]struct {
		git, live files
		agreed    map[string]plan.Pair
		writes    []plan.Write
		same      int
	}{
		"missing in the cluster": {
			git:    files{cart: "a"},
			writes: []plan.Write{{Path: cart, Git: hash("a")}},
		},
		"equal": {git: files{cart: "a"}, live: files{cart: "a"}, same: 1},
		"differs and never agreed": {
			git: files{cart: "a"}, live: files{cart: "a with defaults"},
			writes: []plan.Write{{Path: cart, Git: hash("a"), Live: hash("a with defaults")}},
		},
		"known to be equivalent": {
			git: files{cart: "a"}, live: files{cart: "a with defaults"},
			agreed: map[string]plan.Pair{cart: {Git: hash("a"), Live: hash("a with defaults")}},
		},
		"edited in the cluster since": {
			git: files{cart: "a"}, live: files{cart: "edited"},
			agreed: map[string]plan.Pair{cart: {Git: hash("a"), Live: hash("a with defaults")}},
			writes: []plan.Write{{Path: cart, Git: hash("a"), Live: hash("edited")}},
		},
		"edited in Git since": {
			git: files{cart: "b"}, live: files{cart: "a with defaults"},
			agreed: map[string]plan.Pair{cart: {Git: hash("a"), Live: hash("a with defaults")}},
			writes: []plan.Write{{Path: cart, Git: hash("b"), Live: hash("a with defaults")}},
		},
		"only in the cluster": {live: files{cart: "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			writes, same := plan.Pull{Git: treeOf(c.git), Live: treeOf(c.live), Agreed: c.agreed, Paths: []string{cart}}.Writes()
			require.Equal(t, c.writes, writes)
			require.Len(t, same, c.same)
		})
	}
}

func TestTouchedIsWhatMovedOnEitherSide(t *testing.T) {
	before := treeOf(map[string]string{"a": "1", "b": "1", "c": "1"})
	git := treeOf(map[string]string{"a": "2", "b": "1", "c": "1", "d": "1"})
	live := treeOf(map[string]string{"a": "2", "c": "1"})
	require.Equal(t, []string{"a", "b", "d"}, plan.Touched(before, git, before, live))
}

func TestStagesOrderWritesAndReverseDeletions(t *testing.T) {
	paths := []string{
		"cluster/validatingwebhookconfigurations.admissionregistration.k8s.io/guard.yaml",
		"namespaces/shop/widgets.example.com/w.yaml",
		cart,
		"namespaces/shop/configmaps/c.yaml",
		"cluster/namespaces/shop.yaml",
		"cluster/customresourcedefinitions.apiextensions.k8s.io/widgets.example.com.yaml",
	}
	for i, stage := range []plan.Stage{plan.Gates, plan.Others, plan.Workloads, plan.Prerequisites, plan.Foundations, plan.Foundations} {
		require.Equal(t, stage, plan.StageOf(paths[i]), paths[i])
	}
	deletions := plan.DeletionStages(paths)
	require.Equal(t, paths[0], deletions[0][0])
	require.Len(t, deletions[4], 2)
}
