package plan_test

import (
	"fmt"
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

func TestPruneDeletesOnlyWhatIsGoneFromGitAndThere(t *testing.T) {
	live := treeOf(map[string]string{"namespaces/a/configmaps/x.yaml": "1", "namespaces/a/configmaps/y.yaml": "1"})
	git := treeOf(map[string]string{"namespaces/a/configmaps/y.yaml": "1"})
	d := plan.Prune{
		Gone: []string{"namespaces/a/configmaps/x.yaml", "namespaces/a/configmaps/x.yaml", "namespaces/a/configmaps/y.yaml", "namespaces/a/configmaps/z.yaml"},
		Git:  git, Live: live, Tracked: 100,
	}.Decide()
	require.Equal(t, plan.Deletions{Paths: []string{"namespaces/a/configmaps/x.yaml"}}, d)
}

func TestPruneWithholdsWhatLooksLikeAnAccident(t *testing.T) {
	objects := func(n int) (paths []string) {
		for i := range n {
			paths = append(paths, fmt.Sprintf("namespaces/a/configmaps/%03d.yaml", i))
		}
		return paths
	}
	one := []string{"namespaces/a/configmaps/x.yaml"}
	other := treeOf(map[string]string{"namespaces/b/configmaps/x.yaml": "1"})
	for name, c := range map[string]struct {
		prune plan.Prune
		says  string
	}{
		"everyday":               {plan.Prune{Gone: one, Git: other, Tracked: 2}, ""},
		"ten of few":             {plan.Prune{Gone: objects(10), Git: other, Tracked: 11}, ""},
		"eleven of many":         {plan.Prune{Gone: objects(11), Git: other, Tracked: 111}, ""},
		"eleven of few":          {plan.Prune{Gone: objects(11), Git: other, Tracked: 109}, "11 of 109 objects"},
		"an empty Git":           {plan.Prune{Gone: one, Tracked: 1}, "no objects any more"},
		"an unrelated history":   {plan.Prune{Gone: one, Git: other, Tracked: 2, Unrelated: true}, "doesn't continue"},
		"a namespace":            {plan.Prune{Gone: []string{"cluster/namespaces/a.yaml"}, Git: other, Tracked: 100}, "takes more than itself along"},
		"a volume claim":         {plan.Prune{Gone: []string{"namespaces/a/persistentvolumeclaims/x.yaml"}, Git: other, Tracked: 100}, "takes more"},
		"a definition of a kind": {plan.Prune{Gone: []string{"cluster/customresourcedefinitions.apiextensions.k8s.io/x.yaml"}, Git: other, Tracked: 100}, "takes more"},
	} {
		t.Run(name, func(t *testing.T) {
			c.prune.Live = tree.Tree{}.Edit(func(e *tree.Editor) {
				for _, path := range c.prune.Gone {
					e.Put(path, hash("live"))
				}
			})
			d := c.prune.Decide()
			require.Len(t, d.Paths, len(c.prune.Gone))
			if c.says == "" {
				require.Empty(t, d.Withheld)
				return
			}
			require.Contains(t, d.Withheld, c.says)

			c.prune.Approved = d.Digest()
			require.Empty(t, c.prune.Decide().Withheld, "approved")
			c.prune.Approved = plan.Deletions{Paths: []string{"another"}}.Digest()
			require.NotEmpty(t, c.prune.Decide().Withheld, "the approval of another set means nothing")
		})
	}
}
