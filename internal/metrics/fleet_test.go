package metrics

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func TestWhatAnotherWorkerKnowsBetterEnds(t *testing.T) {
	running := workflows.Told{State: workflows.InSync, Next: 10 * time.Second}
	paused := workflows.Told{State: workflows.Paused}
	for name, c := range map[string]struct {
		told   workflows.Told
		worked bool // another worker's workflow had this one do something
		after  time.Duration
		shown  bool
	}{
		"a tick ago":                       {told: running, after: 10 * time.Second, shown: true},
		"long ago":                         {told: running, after: 2 * time.Minute},
		"standing still for long":          {told: paused, after: time.Hour, shown: true},
		"stood still, and works elsewhere": {told: paused, worked: true, after: 2 * time.Minute},
	} {
		m := New("")
		now := time.Now()
		m.fleet.now = func() time.Time { return now }
		m.fleet.tell("a", c.told)
		if c.worked {
			m.Cluster("a").Ended("Export", 0, nil)
		}
		now = now.Add(c.after)
		count, err := testutil.GatherAndCount(m.Registry, "cluster_sync_state")
		require.NoError(t, err)
		require.Equal(t, c.shown, count > 0, name)
	}
}
