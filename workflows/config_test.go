package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func TestValidateNamesWhatIsWrong(t *testing.T) {
	require.NoError(t, config(workflows.Pull).Validate())
	for says, change := range map[string]func(*workflows.Config){
		"DNS label":                  func(c *workflows.Config) { c.Cluster = "team/primary" },
		"unknown strategy":           func(c *workflows.Config) { c.Strategy = "both" },
		"push-pull is not available": func(c *workflows.Config) { c.Strategy = workflows.PushPull },
		"repository is missing":      func(c *workflows.Config) { c.Repository = "" },
		"valid Git branch":           func(c *workflows.Config) { c.Branch = "a..b" },
		`path "/etc"`:                func(c *workflows.Config) { c.Path = "/etc" },
		`path "a/../b"`:              func(c *workflows.Config) { c.Path = "a/../b" },
		`path ".github"`:             func(c *workflows.Config) { c.Path = ".github" },
		"too short":                  func(c *workflows.Config) { c.Interval.Duration = time.Millisecond },
		"for Secrets":                func(c *workflows.Config) { c.Secrets = "hide" },
		"is not a namespace":         func(c *workflows.Config) { c.IgnoredNamespaces = []string{"Shop"} },
	} {
		c := config(workflows.Pull)
		change(&c)
		require.ErrorContains(t, c.Validate(), says)
	}
}
