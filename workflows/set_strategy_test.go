package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Senders of earlier versions, and people in the Web UI, leave the adoption out.
func TestAnAdoptionHoldsForTheStrategyThatItIsGivenWith(t *testing.T) {
	type said = map[string]string
	for name, send := range map[string]func(h *harness, m said){
		"update": func(h *harness, m said) {
			h.update(workflows.SetStrategyMessage, func(_ workflows.Status, err error) { require.NoError(h.t, err) }, m)
		},
		"signal": func(h *harness, m said) { h.SignalWorkflow(workflows.SetStrategyMessage, m) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, &sides{})
			looks := 0
			for i, step := range []struct {
				message  said
				strategy workflows.Strategy
				adopt    workflows.AdoptPolicy
			}{
				{said{"strategy": "push"}, workflows.Push, ""},
				{said{"strategy": "push-pull"}, workflows.PushPull, ""},
				{said{"strategy": "push-pull", "adopt": "git"}, workflows.PushPull, workflows.AdoptGit},
				{said{"strategy": "push-pull"}, workflows.PushPull, workflows.AdoptGit},
				{said{"strategy": "push-pull", "adopt": "cluster"}, workflows.PushPull, workflows.AdoptCluster},
				{said{"strategy": "none"}, workflows.None, ""},
				{said{"strategy": "push-pull"}, workflows.PushPull, ""},
			} {
				at := time.Duration(i+1) * time.Minute
				h.at(at, func() { send(h, step.message) })
				h.at(at+time.Second, func() {
					looks++
					require.Equal(t, step.strategy, h.status().Strategy, i)
					require.Equal(t, step.adopt, h.status().Adopt, i)
				})
			}
			// Paused, because only the messages count here.
			h.run(workflows.State{Config: config(workflows.None), Paused: true}, time.Hour)
			require.Equal(t, 7, looks)
		})
	}
}

func TestASyncThatWaitsForAnAdoptionGoesOnAtOnce(t *testing.T) {
	s := &sides{onExport: func() error {
		return temporal.NewNonRetryableApplicationError("whose objects win?", workflows.AdoptionRequired, nil)
	}}
	h := newHarness(t, s)
	tried := 0
	h.at(280*time.Second, func() { // the next tick is due at 310 s
		tried = s.exports
		h.SignalWorkflow(workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: workflows.PushPull, Adopt: workflows.AdoptCluster})
	})
	h.at(285*time.Second, func() { require.Equal(t, tried+1, s.exports) })
	h.run(workflows.State{Config: config(workflows.PushPull)}, 290*time.Second)
	require.NotZero(t, tried)
}

func TestStatusSaysHowConflictsAreDecidedUnderPushPullOnly(t *testing.T) {
	c := config(workflows.PushPull)
	for strategy, want := range map[workflows.Strategy]workflows.ConflictPolicy{workflows.PushPull: workflows.ConflictGit, workflows.Pull: ""} {
		c.Strategy = strategy
		h := newHarness(t, &sides{})
		h.at(time.Second, func() { require.Equal(t, want, h.status().OnConflict) })
		h.run(workflows.State{Config: c, Paused: true}, 2*time.Second)
	}
}

// With other namespaces the base is lost, and the word was not about what takes part now. Before a first agreement it
// still is what the sync waits for.
func TestOtherNamespacesEndAnAdoptionOnceBothSidesHaveAgreed(t *testing.T) {
	for revision, want := range map[string]workflows.AdoptPolicy{"": workflows.AdoptGit, "r1": ""} {
		c := config(workflows.PushPull)
		c.Adopt = workflows.AdoptGit
		h := newHarness(t, &sides{})
		h.at(time.Second, func() {
			h.SignalWorkflow(workflows.SetIgnoredNamespacesMessage, workflows.SetIgnoredNamespaces{Namespaces: []string{"scratch"}})
		})
		h.at(2*time.Second, func() { require.Equal(t, want, h.status().Adopt) })
		h.run(workflows.State{Config: c, Paused: true, Settled: workflows.Settled{Revision: revision}}, 3*time.Second)
	}
}
