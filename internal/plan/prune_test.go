package plan_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
)

// objects are candidates that Git held once.
func objects(n int) (candidates []plan.Candidate) {
	for i := range n {
		candidates = append(candidates, plan.Candidate{Path: fmt.Sprintf("namespaces/a/configmaps/%03d.yaml", i), UID: fmt.Sprint("uid-", i)})
	}
	return candidates
}

func one(path string) []plan.Candidate { return []plan.Candidate{{Path: path, UID: "uid"}} }

func TestPruneWithholdsWhatLooksLikeAnAccident(t *testing.T) {
	stray := plan.Candidate{Path: "namespaces/a/configmaps/stray.yaml", UID: "stray", Stray: true}
	recent := objects(2)
	recent[0].Recent, recent[1].Recent = true, true
	for name, c := range map[string]struct {
		prune plan.Prune
		says  string
	}{
		"nothing":                    {plan.Prune{}, ""},
		"everyday":                   {plan.Prune{Candidates: objects(1), Declared: 1, Tracked: 2}, ""},
		"ten of few":                 {plan.Prune{Candidates: objects(10), Declared: 1, Tracked: 11}, ""},
		"eleven of many":             {plan.Prune{Candidates: objects(11), Declared: 100, Tracked: 111}, ""},
		"eleven of few":              {plan.Prune{Candidates: objects(11), Declared: 98, Tracked: 109}, "11 of 109 objects"},
		"an empty Git":               {plan.Prune{Candidates: objects(1), Tracked: 1}, "no objects any more"},
		"an unrelated history":       {plan.Prune{Candidates: objects(1), Declared: 1, Tracked: 2, Unrelated: true}, "doesn't continue"},
		"a namespace":                {plan.Prune{Candidates: one("cluster/namespaces/a.yaml"), Declared: 1, Tracked: 100}, "namespaces a is among them"},
		"a volume claim":             {plan.Prune{Candidates: one("namespaces/a/persistentvolumeclaims/x.yaml"), Declared: 1, Tracked: 100}, "takes more"},
		"a volume":                   {plan.Prune{Candidates: one("cluster/persistentvolumes/x.yaml"), Declared: 1, Tracked: 100}, "takes more"},
		"a definition of a kind":     {plan.Prune{Candidates: one("cluster/customresourcedefinitions.apiextensions.k8s.io/x.yaml"), Declared: 1, Tracked: 100}, "takes more"},
		"the first stray":            {plan.Prune{Candidates: []plan.Candidate{stray}, Declared: 1, Tracked: 100}, "Git never held"},
		"a stray beside others":      {plan.Prune{Candidates: append(objects(1), stray), Declared: 1, Tracked: 100}, "Git never held"},
		"a later stray":              {plan.Prune{Candidates: []plan.Candidate{stray}, Declared: 1, Tracked: 100, Mirrored: true}, ""},
		"the rest of what waits":     {plan.Prune{Candidates: objects(5), Declared: 1, Tracked: 1000, Waiting: true}, "left of a larger set"},
		"others beside what waits":   {plan.Prune{Candidates: append(objects(3)[2:], recent...), Declared: 1, Tracked: 1000, Waiting: true}, "left of a larger set"},
		"others once that is mended": {plan.Prune{Candidates: recent, Declared: 1, Tracked: 1000, Waiting: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := c.prune.Decide()
			require.Len(t, d.Objects, len(c.prune.Candidates))
			if c.says == "" {
				require.Empty(t, d.Withheld)
				return
			}
			require.Contains(t, d.Withheld, c.says)
			require.Equal(t, c.says == "Git never held", d.Strays)

			c.prune.Approved = d.Digest()
			require.Empty(t, c.prune.Decide().Withheld, "approved")
			require.Equal(t, d.Objects, c.prune.Decide().Objects)
			c.prune.Candidates = append(c.prune.Candidates, plan.Candidate{Path: "namespaces/b/secrets/late.yaml", Recent: true})
			require.NotEmpty(t, c.prune.Decide().Withheld, "the approval of another set means nothing")
		})
	}
}

func TestDigestNamesObjectsAndNotTheirNames(t *testing.T) {
	digest := func(candidates ...plan.Candidate) string {
		return plan.Prune{Candidates: candidates, Declared: 1, Tracked: 1}.Decide().Digest()
	}
	a, b := plan.Candidate{Path: "a", UID: "1"}, plan.Candidate{Path: "b", UID: "2"}
	require.Equal(t, digest(a, b), digest(b, a))
	require.NotEqual(t, digest(a, b), digest(a))
	require.NotEqual(t, digest(a), digest(plan.Candidate{Path: "a", UID: "another"}), "made anew under the same name")
	require.Empty(t, digest())
}

func TestAnObjectThatGitDeclaresUnderAnotherNameStays(t *testing.T) {
	uids := map[string]string{"cluster/namespaces/shop.yaml": "1", "cluster/namespaces/gone.yaml": ""}
	candidates := []plan.Candidate{
		{Path: "cluster/projects.project.openshift.io/shop.yaml", UID: "1"},
		{Path: "cluster/projects.project.openshift.io/other.yaml", UID: "2"},
		{Path: "cluster/projects.project.openshift.io/unknown.yaml"},
	}
	left := plan.WithoutAliases(candidates, maps.Keys(uids), func(path string) string { return uids[path] })
	require.Equal(t, []string{"cluster/projects.project.openshift.io/other.yaml", "cluster/projects.project.openshift.io/unknown.yaml"}, plan.Deletions{Objects: left}.Paths())
}
