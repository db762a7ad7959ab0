package workflows_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func TestValidateNamesWhatIsWrong(t *testing.T) {
	for _, strategy := range []workflows.Strategy{workflows.None, workflows.Push, workflows.Pull, workflows.PushPull} {
		require.NoError(t, config(strategy).Validate())
	}
	for says, change := range map[string]func(*workflows.Config){
		"DNS label":           func(c *workflows.Config) { c.Cluster = "team/primary" },
		"unknown strategy":    func(c *workflows.Config) { c.Strategy = "both" },
		"for conflicts":       func(c *workflows.Config) { c.OnConflict = "newest" },
		`adopted, not "both"`: func(c *workflows.Config) { c.Strategy, c.Adopt = workflows.PushPull, "both" },
		"goes with strategy push-pull, not with pull": func(c *workflows.Config) { c.Adopt = workflows.AdoptGit },
		"repository is missing":                       func(c *workflows.Config) { c.Repository = "" },
		"valid Git branch":                            func(c *workflows.Config) { c.Branch = "a..b" },
		`path "/etc"`:                                 func(c *workflows.Config) { c.Path = "/etc" },
		`path "a/../b"`:                               func(c *workflows.Config) { c.Path = "a/../b" },
		`path ".github"`:                              func(c *workflows.Config) { c.Path = ".github" },
		"too short":                                   func(c *workflows.Config) { c.Interval.Duration = time.Millisecond },
		"for Secrets":                                 func(c *workflows.Config) { c.Secrets = "hide" },
		"is not a namespace":                          func(c *workflows.Config) { c.IgnoredNamespaces = []string{"Shop"} },
	} {
		c := config(workflows.Pull)
		change(&c)
		require.ErrorContains(t, c.Validate(), says)
	}
}

// Running enrolments hold these strings.
func TestScopeOfEarlierVersionsStaysTheSame(t *testing.T) {
	plain := config(workflows.Push)
	require.Equal(t, "push kube-node-lease,kube-public,kube-system", plain.Scope())
	require.Equal(t, "kube-node-lease,kube-public,kube-system", plain.Selected())

	chosen := config(workflows.Pull)
	chosen.Secrets, chosen.Prune = workflows.SecretsEncrypt, workflows.PruneMirror
	chosen.IgnoredNamespaces = []string{"b", "a", "b"}
	chosen.IncludeResources, chosen.ExcludeResources = []string{"jobs.batch"}, []string{"*.b.io", "*.a.io"}
	chosen.IgnoreNames, chosen.Selector, chosen.IgnoreFields = []string{"tmp-*"}, "team=shop", []string{"services:/spec"}
	selected := "a,b secrets=encrypt include=jobs.batch exclude=*.a.io,*.b.io names=tmp-* selector=team=shop fields=services:/spec"
	require.Equal(t, "pull "+selected+" prune=mirror", chosen.Scope())
	require.Equal(t, selected, chosen.Selected())
	chosen.Prune = workflows.PruneTracked
	require.Equal(t, "pull "+selected, chosen.Scope())

	none := workflows.Config{Strategy: workflows.None, Secrets: workflows.SecretsExclude}
	require.Equal(t, "none ", none.Scope())
}

func TestWhatTakesPartDoesNotDependOnTheDirection(t *testing.T) {
	base := config(workflows.Push)
	for name, change := range map[string]func(*workflows.Config){
		"strategy": func(c *workflows.Config) { c.Strategy = workflows.PushPull },
		"prune":    func(c *workflows.Config) { c.Prune = workflows.PruneMirror },
		"conflict": func(c *workflows.Config) { c.OnConflict = workflows.ConflictHold },
		"adopt":    func(c *workflows.Config) { c.Adopt = workflows.AdoptCluster },
	} {
		c := base
		change(&c)
		require.Equal(t, base.Selected(), c.Selected(), name)
	}
	for name, change := range map[string]func(*workflows.Config){
		"namespaces": func(c *workflows.Config) { c.IgnoredNamespaces = nil },
		"secrets":    func(c *workflows.Config) { c.Secrets = workflows.SecretsEncrypt },
		"include":    func(c *workflows.Config) { c.IncludeResources = []string{"jobs.batch"} },
		"exclude":    func(c *workflows.Config) { c.ExcludeResources = []string{"jobs.batch"} },
		"names":      func(c *workflows.Config) { c.IgnoreNames = []string{"tmp-*"} },
		"selector":   func(c *workflows.Config) { c.Selector = "a=b" },
		"fields":     func(c *workflows.Config) { c.IgnoreFields = []string{"services:/spec"} },
	} {
		c := base
		change(&c)
		require.NotEqual(t, base.Selected(), c.Selected(), name)
	}
}

func TestGitWinsConflictsUnlessTheEnrolmentSaysOtherwise(t *testing.T) {
	c := config(workflows.PushPull)
	require.Equal(t, workflows.ConflictGit, c.Conflicts())
	for _, policy := range []workflows.ConflictPolicy{workflows.ConflictGit, workflows.ConflictCluster, workflows.ConflictHold} {
		c.OnConflict = policy
		require.NoError(t, c.Validate())
		require.Equal(t, policy, c.Conflicts())
	}
}

func TestPushPullLocksNothing(t *testing.T) {
	c := config(workflows.Pull)
	c.Lock = workflows.LockOn
	require.True(t, c.Locks())
	c.Strategy = workflows.PushPull
	require.False(t, c.Locks())
}

// Enrolments of earlier versions are carried on unchanged.
func TestConfigWithoutPoliciesOfPushPullIsWrittenAsBefore(t *testing.T) {
	written, err := json.Marshal(config(workflows.Push))
	require.NoError(t, err)
	require.NotContains(t, string(written), "onConflict")
	require.NotContains(t, string(written), "adopt")
}
