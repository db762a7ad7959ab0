package plan_test

import (
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
)

// Contents of an object. The cluster completes what Git says: "b" there is "bb" here.
var (
	none plumbing.Hash
	a    = plumbing.NewHash("aa")
	b    = plumbing.NewHash("bb")
	c    = plumbing.NewHash("cc")
)

func TestThreeSidesOfAnObject(t *testing.T) {
	do := func(action plan.Action) [3]plan.Step { s := plan.Step{Action: action}; return [3]plan.Step{s, s, s} }
	conflict := [3]plan.Step{
		plan.GitWins: {Action: plan.ToCluster, Conflict: true}, plan.ClusterWins: {Action: plan.ToGit, Conflict: true},
		plan.Hold: {Action: plan.Wait, Conflict: true},
	}
	for name, test := range map[string]struct {
		sides plan.Sides
		want  [3]plan.Step // by policy
	}{
		"nowhere":                              {plan.Sides{}, do(plan.Rest)},
		"never changed":                        {plan.Sides{Base: a, Git: a, Live: a}, do(plan.Rest)},
		"never changed, completed":             {plan.Sides{Base: a, Git: a, Live: b, LiveIsBase: plan.Yes}, do(plan.Rest)},
		"never changed, found out":             {plan.Sides{Base: a, Git: a, Live: b, LiveIsGit: plan.Yes}, do(plan.Rest)},
		"differs, not known whether changed":   {plan.Sides{Base: a, Git: a, Live: b}, do(plan.AskGit)},
		"changed in the cluster":               {plan.Sides{Base: a, Git: a, Live: b, LiveIsGit: plan.No}, do(plan.ToGit)},
		"changed in Git":                       {plan.Sides{Base: a, Git: b, Live: a}, do(plan.ToCluster)},
		"changed in Git, completed":            {plan.Sides{Base: a, Git: b, Live: c, LiveIsBase: plan.Yes}, do(plan.ToCluster)},
		"changed in Git, the cluster unknown":  {plan.Sides{Base: a, Git: b, Live: c}, do(plan.AskBase)},
		"made in Git":                          {plan.Sides{Git: a}, do(plan.ToCluster)},
		"made in the cluster":                  {plan.Sides{Live: a}, do(plan.ToGit)},
		"deleted in Git":                       {plan.Sides{Base: a, Live: a}, do(plan.ToCluster)},
		"deleted in Git, completed":            {plan.Sides{Base: a, Live: b, LiveIsBase: plan.Yes}, do(plan.ToCluster)},
		"deleted in Git, the cluster unknown":  {plan.Sides{Base: a, Live: b}, do(plan.AskBase)},
		"deleted in the cluster":               {plan.Sides{Base: a, Git: a}, do(plan.ToGit)},
		"deleted on both sides":                {plan.Sides{Base: a}, do(plan.Rest)},
		"the same change on both sides":        {plan.Sides{Base: a, Git: b, Live: b}, do(plan.Rest)},
		"the same change, completed":           {plan.Sides{Base: a, Git: b, Live: c, LiveIsBase: plan.No, LiveIsGit: plan.Yes}, do(plan.Rest)},
		"both changed, not known whether same": {plan.Sides{Base: a, Git: b, Live: c, LiveIsBase: plan.No}, do(plan.AskGit)},
		"both changed":                         {plan.Sides{Base: a, Git: b, Live: c, LiveIsBase: plan.No, LiveIsGit: plan.No}, do(plan.Merge)},
		"made on both sides, the same":         {plan.Sides{Git: b, Live: b}, do(plan.Rest)},
		"made on both sides, not known":        {plan.Sides{Git: b, Live: c}, do(plan.AskGit)},
		"made on both sides, completed":        {plan.Sides{Git: b, Live: c, LiveIsGit: plan.Yes}, do(plan.Rest)},
		"made on both sides, each its own":     {plan.Sides{Git: b, Live: c, LiveIsGit: plan.No}, conflict},
		"changed in Git, deleted in cluster":   {plan.Sides{Base: a, Git: b}, conflict},
		"changed in cluster, deleted in Git":   {plan.Sides{Base: a, Live: b, LiveIsBase: plan.No}, conflict},
	} {
		t.Run(name, func(t *testing.T) {
			for policy, want := range test.want {
				require.Equal(t, want, test.sides.Decide(plan.Policy(policy)), "policy %d", policy)
			}
		})
	}
}

// Whatever the three sides are, what is done makes both sides agree, asks what isn't known, or waits for somebody
// when it is told to; and only an edit that both sides made can lose.
func TestEveryDecisionLeadsToAgreement(t *testing.T) {
	content := rapid.SampledFrom([]plumbing.Hash{none, a, b, c})
	answer := rapid.SampledFrom([]plan.Answer{plan.Unknown, plan.Yes, plan.No})
	rapid.Check(t, func(t *rapid.T) {
		s := plan.Sides{
			Base: content.Draw(t, "base"), Git: content.Draw(t, "git"), Live: content.Draw(t, "live"),
			LiveIsBase: answer.Draw(t, "live is base"), LiveIsGit: answer.Draw(t, "live is git"),
		}
		policy := plan.Policy(rapid.IntRange(0, 2).Draw(t, "policy"))
		step := s.Decide(policy)
		switch step.Action {
		case plan.AskBase:
			require.Equal(t, plan.Unknown, s.LiveIsBase)
			require.True(t, !s.Base.IsZero() && !s.Live.IsZero())
		case plan.AskGit:
			require.Equal(t, plan.Unknown, s.LiveIsGit)
			require.True(t, !s.Git.IsZero() && !s.Live.IsZero())
		case plan.ToCluster:
			require.NotEqual(t, s.Base, s.Git, "what Git didn't change isn't its to write")
		case plan.ToGit:
			require.NotEqual(t, s.Base, s.Live, "what the cluster didn't change isn't its to store")
		case plan.Wait:
			require.Equal(t, plan.Hold, policy)
		case plan.Merge:
			require.True(t, !s.Base.IsZero() && !s.Git.IsZero() && !s.Live.IsZero())
		case plan.Rest:
			require.True(t, s.Git == s.Live || s.LiveIsGit == plan.Yes || s.Git == s.Base && s.LiveIsBase == plan.Yes)
		}
		if step.Conflict {
			require.True(t, s.Git != s.Base && s.Live != s.Base)
		}
	})
}
