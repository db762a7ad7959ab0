package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// TestAStandbyTakesOverAndGivesBack goes by docs/guides/standby.md.
func TestAStandbyTakesOverAndGivesBack(t *testing.T) {
	t.Parallel()
	const ns, old, standby = "failover", "failover-old", "failover-standby"
	a, b, repo := clusters["primary"], clusters["standby"], newRepo(t)
	create(t, a, namespaces, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+", labels: {acs: "+ns+"}}")
	dropAfter(t, a, ns)
	dropAfter(t, b, ns)
	create(t, a, configMaps, labelled(ns, "settings", ""))
	flags := []string{"--selector", "acs=" + ns, "--secrets", "exclude", "--lock", "off"}
	lost := startWorker(t, old, a, t.TempDir())
	enroll(t, old, a, repo, workflows.Push, flags...)
	reaches(t, old, inSync)
	startWorker(t, standby, b, t.TempDir())
	enroll(t, standby, b, repo, workflows.Pull, flags...)
	reaches(t, standby, inSync)
	follow := func(name string) {
		reaches(t, name, func(s workflows.Status) bool { return inSync(s) && s.Revision == git(t, repo, "rev-parse", "main") })
	}

	// The primary is lost, with a change that nobody has stored.
	lost.kill()
	set(t, a, ns, "settings", "unstored")
	update(t, standby, workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: workflows.PushPull})
	refused := reaches(t, standby, func(s workflows.Status) bool { return s.State == workflows.Blocked })
	require.Equal(t, workflows.PathOwned, refused.Reason)
	require.Contains(t, refused.Message, "delete .cluster-sync.yaml")
	edit(t, repo, "The standby takes over", func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, ".cluster-sync.yaml"))) })
	set(t, b, ns, "settings", "in-charge")
	follow(standby)
	require.Contains(t, git(t, repo, "show", "main:namespaces/"+ns+"/configmaps/settings.yaml"), "in-charge")

	// Coming back, the old primary has no say: neither by what it was set to do, nor by what it holds.
	startWorker(t, old, a, t.TempDir())
	require.Equal(t, workflows.PathOwned, reaches(t, old, func(s workflows.Status) bool { return s.State == workflows.Blocked }).Reason)
	require.Contains(t, git(t, repo, "show", "main:namespaces/"+ns+"/configmaps/settings.yaml"), "in-charge")
	update(t, old, workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: workflows.Pull})
	follow(old)
	require.Equal(t, "in-charge", keyIn(t, a, ns, "settings"))

	// And back to how it was.
	update(t, standby, workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: workflows.None})
	update(t, old, workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: workflows.PushPull})
	update(t, standby, workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: workflows.Pull})
	follow(old)
	set(t, a, ns, "settings", "home-again")
	follow(standby)
	eventually(t, func() bool { return keyIn(t, b, ns, "settings") == "home-again" }, func() string { return describe(status(t, standby)) })
}
