package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// shared is a cluster and a branch that agree at first, with what Commit is asked for.
type shared struct {
	*sides
	inputs []workflows.CommitInput
	result workflows.CommitResult
	err    error
}

func newShared() *shared {
	s := &shared{sides: &sides{cluster: "a", branch: "r1"}}
	s.onShare = func(in workflows.CommitInput) (workflows.CommitResult, error) {
		s.inputs = append(s.inputs, in)
		result := s.result
		result.Tree = s.cluster
		if result.Revision == "" {
			result.Revision = in.Revision
		}
		s.branch = result.Revision
		return result, s.err
	}
	s.onApply = func(context.Context) (workflows.ApplyResult, error) {
		in := s.applies[len(s.applies)-1]
		return workflows.ApplyResult{Tree: s.cluster, Tracked: []string{in.Revision}}, nil
	}
	return s
}

// agreed is a state in which both sides have agreed under push-pull.
func agreed(s *shared) workflows.State {
	c := config(workflows.PushPull)
	return workflows.State{Config: c, Settled: workflows.Settled{Revision: s.branch, Tree: s.cluster, Scope: c.Scope()}}
}

func TestPushPullRunsOnlyTheHalfThatHasSomethingToDo(t *testing.T) {
	s := newShared()
	h := newHarness(t, s.sides)
	h.at(15*time.Second, func() {
		require.Zero(t, s.commits+len(s.applies), "both agree")
		s.cluster, s.result.Revision = "edited in the cluster", "r2"
	})
	h.at(25*time.Second, func() {
		require.Equal(t, 1, s.commits)
		require.Empty(t, s.applies, "what was stored needn't be applied")
		require.Equal(t, "r2", h.status().Revision)
		s.branch, s.result.Revision = "r3", ""
	})
	h.at(35*time.Second, func() {
		require.Equal(t, 1, s.commits, "what was applied needn't be stored")
		require.Len(t, s.applies, 1)
		require.Equal(t, []string{"r2"}, s.applies[0].Tracked)
		s.cluster, s.branch = "edited in the cluster again", "r4"
		s.result.Revision = "r5"
	})
	h.run(agreed(s), 45*time.Second)
	require.Equal(t, 2, s.commits)
	require.Len(t, s.applies, 2)
	require.Equal(t, "r5", s.applies[1].Revision, "with what was stored")
	require.Equal(t, "r3", s.applies[1].Settled.Revision, "from what was agreed on before")
	require.Equal(t, workflows.InSync, h.status().State)
	require.Equal(t, "r5", h.status().Revision)
}

func TestATokenThatMayOnlyReadLetsChangesOfGitThrough(t *testing.T) {
	s := newShared()
	h := newHarness(t, s.sides)
	s.err = temporal.NewNonRetryableApplicationError("the branch is protected", workflows.PushRejected, nil)
	h.at(15*time.Second, func() { s.cluster, s.branch, s.result.Revision = "edited in the cluster", "r2", "r2" })
	h.run(agreed(s), 25*time.Second)
	require.Len(t, s.applies, 1)
	require.Equal(t, "r2", s.applies[0].Revision)
	status := h.status()
	require.Equal(t, workflows.Blocked, status.State)
	require.Equal(t, workflows.PushRejected, status.Reason)
}

func TestTheBaseOfPushPullIsTheLastAgreementAboutTheSameObjects(t *testing.T) {
	for _, before := range []workflows.Strategy{workflows.Push, workflows.Pull} {
		s := newShared()
		state := agreed(s)
		earlier := config(before)
		earlier.Prune = workflows.PruneMirror
		state.Settled.Scope = earlier.Scope()
		state.Open = []workflows.Open{{Path: "namespaces/a/configmaps/never-applied.yaml"}}
		state.OpenCount = 1
		h := newHarness(t, s.sides)
		h.at(15*time.Second, func() { // which makes the objects of another selection take part
			h.update(workflows.SetIgnoredNamespacesMessage, func(_ workflows.Status, err error) { require.NoError(t, err) },
				workflows.SetIgnoredNamespaces{Namespaces: []string{"somewhere-else"}})
		})
		h.run(state, 25*time.Second)
		require.Equal(t, "r1", s.inputs[0].Settled.Revision, before)
		require.Equal(t, state.Open, s.inputs[0].Open)
		last := s.inputs[len(s.inputs)-1]
		require.Zero(t, last.Settled, "nothing is known of what takes part now")
		require.Empty(t, last.Open)
	}
}

func TestABranchThatIsGoneIsNotMadeAgainByPushPull(t *testing.T) {
	s := newShared()
	h := newHarness(t, s.sides)
	h.at(15*time.Second, func() { s.branch = "" })
	h.run(agreed(s), 25*time.Second)
	require.Zero(t, s.commits)
	require.Equal(t, workflows.BranchNotFound, h.status().Reason)
	require.Contains(t, h.status().Message, "restore it at revision r1")
}

func TestConflictsThatWaitAreTold(t *testing.T) {
	s := newShared()
	h := newHarness(t, s.sides)
	waiting := workflows.Conflict{Object: "configmaps a/waits", File: "a.yaml:1", Fields: []string{"/data/key"}, Message: "both stay"}
	decided := workflows.Conflict{Object: "configmaps a/decided", Winner: workflows.ConflictGit, Message: "Git's version is used"}
	h.at(15*time.Second, func() {
		s.cluster = "edited"
		s.result = workflows.CommitResult{Revision: "r2", Conflicts: []workflows.Conflict{waiting, decided}, Waiting: 1}
	})
	h.at(25*time.Second, func() {
		status := h.status()
		require.Equal(t, workflows.Blocked, status.State)
		require.Equal(t, workflows.ConflictsHeld, status.Reason)
		require.Equal(t, []workflows.Conflict{waiting, decided}, status.Conflicts)
		require.Contains(t, currentDetails(t, h), "`configmaps a/waits` in `a.yaml:1`: both stay; fields: `/data/key`")
		s.cluster = "edited again"
		s.result = workflows.CommitResult{Revision: "r3"}
	})
	h.run(agreed(s), 35*time.Second)
	status := h.status()
	require.Equal(t, workflows.InSync, status.State)
	require.Equal(t, []workflows.Conflict{decided}, status.Conflicts, "what was decided stays to be seen")
}

func TestAnotherPolicyDecidesConflictsThatWait(t *testing.T) {
	s := newShared()
	h := newHarness(t, s.sides)
	state := agreed(s)
	state.Config.OnConflict = workflows.ConflictHold
	state.Open, state.OpenCount, state.Waiting = []workflows.Open{{Path: "namespaces/a/configmaps/waits.yaml", Base: "r0"}}, 1, 1
	state.Conflicts = []workflows.Conflict{{Object: "configmaps a/waits"}}
	set := func(m workflows.SetStrategy, want string) {
		h.update(workflows.SetStrategyMessage, func(_ workflows.Status, err error) {
			if want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, want)
			}
		}, m)
	}
	h.at(12*time.Second, func() {
		require.Zero(t, s.commits, "it waits")
		set(workflows.SetStrategy{Strategy: workflows.PushPull, OnConflict: "newest"}, "unknown policy")
		set(workflows.SetStrategy{Strategy: workflows.Pull, OnConflict: workflows.ConflictGit}, "goes with strategy push-pull")
		set(workflows.SetStrategy{Strategy: workflows.PushPull, OnConflict: workflows.ConflictCluster}, "")
	})
	h.run(state, 13*time.Second)
	require.Len(t, s.inputs, 1, "at once")
	require.Equal(t, workflows.ConflictCluster, s.inputs[0].Config.OnConflict)
	require.Equal(t, workflows.InSync, h.status().State)
}
