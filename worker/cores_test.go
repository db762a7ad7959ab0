package main

import (
	"math"
	"runtime"
	gometrics "runtime/metrics"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// all cores of the machine; the test is for machines that have several, and leaves all behind.
func all(t *testing.T) int {
	runtime.SetDefaultGOMAXPROCS()
	t.Cleanup(runtime.SetDefaultGOMAXPROCS)
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("there is only one core")
	}
	return runtime.GOMAXPROCS(0)
}

func TestAWorkerThatOnlyLooksTakesOneCore(t *testing.T) {
	all := all(t)
	has := func() int { synctest.Wait(); return runtime.GOMAXPROCS(0) }
	synctest.Test(t, func(t *testing.T) {
		c := newCores()
		time.Sleep(startup - time.Second)
		require.Equal(t, all, has(), "while it starts")
		time.Sleep(time.Second)
		require.Equal(t, 1, has())

		c.begin()
		require.Equal(t, all, has(), "while it works")
		c.begin()
		c.end()
		time.Sleep(time.Hour)
		require.Equal(t, all, has(), "one of two activities works still")
		c.end()
		time.Sleep(respite - time.Second)
		require.Equal(t, all, has(), "right after the work")
		time.Sleep(time.Second)
		require.Equal(t, 1, has())
	})
}

func TestOneCoreIsNotEnoughForLookingWhereGoroutinesWait(t *testing.T) {
	all := all(t)
	c := newCores()
	defer c.narrow.Stop()
	c.takeOne()
	c.look()
	var busy sync.WaitGroup
	for range 40 * leastTimed {
		busy.Go(func() {
			for end := time.Now().Add(longWait / 10); time.Now().Before(end); {
			}
		})
	}
	busy.Wait()
	c.look()
	require.Equal(t, all, runtime.GOMAXPROCS(0))
}

func TestWaitsAreLongFromAMillisecondOn(t *testing.T) {
	h := &gometrics.Float64Histogram{
		Counts:  []uint64{5, 90, 4, 1, 2},
		Buckets: []float64{math.Inf(-1), 0, 0.0009, 0.001, 0.1, math.Inf(1)},
	}
	all := countWaits(h)
	require.Equal(t, waits{all: 102, long: 3}, all)
	require.False(t, all.crowded())
	require.True(t, waits{all: 200, long: 60}.since(all).crowded())
}

func TestCommitAndApplyAreWork(t *testing.T) {
	all := all(t)
	for name, want := range map[string]int{
		workflows.CommitActivity: all, workflows.ApplyActivity: all, workflows.ExportActivity: 1, workflows.FetchActivity: 1,
	} {
		c := newCores()
		defer c.narrow.Stop()
		c.takeOne()
		var suite testsuite.WorkflowTestSuite
		env := suite.NewTestActivityEnvironment()
		env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{c}})
		had := 0
		env.RegisterActivityWithOptions(func() error { had = runtime.GOMAXPROCS(0); return nil }, activity.RegisterOptions{Name: name})
		_, err := env.ExecuteActivity(name)
		require.NoError(t, err)
		require.Equal(t, want, had, name)
	}
}
