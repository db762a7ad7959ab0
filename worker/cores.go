package main

import (
	"context"
	"os"
	"runtime"
	gometrics "runtime/metrics"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

const (
	// startup is the time that a worker gets to read everything.
	startup = time.Minute
	// respite is between the end of some work and when the worker only looks again.
	respite = 5 * time.Second
	// wary is how long a worker keeps all cores after one was too few for looking.
	wary = 10 * time.Minute
)

// One core is too few when more than this share of the goroutines, of at least so many that Go has timed, waited
// that long for it.
const (
	longWait      = time.Millisecond
	mostLongWaits = 0.05
	leastTimed    = 50
)

// cores gives the worker one core while it only looks for changes, and all while there is work.
//
// A tick that finds nothing to do is a handful of goroutines, each of which wakes the next. Go would give each a
// core of its own, and waking that takes longer than what is to be done there: a quarter of the CPU time of such a
// tick. Commit and Apply begin with all cores. Whatever else is too much for one, such as hundreds of clusters or a
// flood of events, is noticed at the next activity.
type cores struct {
	interceptor.WorkerInterceptorBase
	mu      sync.Mutex
	working int // activities
	narrow  *time.Timer
	before  waits // when the waiting was last judged
}

// takeCores does nothing where the user has set the number of cores by GOMAXPROCS.
func takeCores() []interceptor.WorkerInterceptor {
	if os.Getenv("GOMAXPROCS") != "" {
		return nil
	}
	return []interceptor.WorkerInterceptor{newCores()}
}

func newCores() *cores {
	c := &cores{}
	c.narrow = time.AfterFunc(startup, c.takeOne)
	return c
}

func (c *cores) takeOne() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.working == 0 {
		runtime.GOMAXPROCS(1)
		c.before = readWaits()
	}
}

// begin and end are those of an activity that works.
func (c *cores) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.working++
	c.narrow.Stop()
	runtime.SetDefaultGOMAXPROCS()
}

func (c *cores) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.working--; c.working == 0 {
		c.narrow.Reset(respite)
	}
}

// look is when an activity begins that only looks.
func (c *cores) look() {
	if runtime.GOMAXPROCS(0) > 1 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := readWaits()
	switch since := now.since(c.before); {
	case since.all < leastTimed:
	case since.crowded():
		runtime.SetDefaultGOMAXPROCS()
		c.narrow.Reset(wary)
	default:
		c.before = now
	}
}

// InterceptActivity is how the SDK tells of activities.
func (c *cores) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &coresOfActivity{interceptor.ActivityInboundInterceptorBase{Next: next}, c}
}

type coresOfActivity struct {
	interceptor.ActivityInboundInterceptorBase
	*cores
}

func (a *coresOfActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	switch activity.GetInfo(ctx).ActivityType.Name {
	case workflows.CommitActivity, workflows.ApplyActivity:
		a.begin()
		defer a.end()
	default:
		a.look()
	}
	return a.Next.ExecuteActivity(ctx, in)
}

// waits are how often goroutines waited for a core, and how often for long, since the process began. Go times one
// in eight.
type waits struct{ all, long uint64 }

func readWaits() (w waits) {
	sample := []gometrics.Sample{{Name: "/sched/latencies:seconds"}}
	gometrics.Read(sample)
	return countWaits(sample[0].Value.Float64Histogram())
}

func countWaits(h *gometrics.Float64Histogram) (w waits) {
	for i, n := range h.Counts {
		w.all += n
		if h.Buckets[i] >= longWait.Seconds() {
			w.long += n
		}
	}
	return w
}

func (w waits) since(before waits) waits { return waits{w.all - before.all, w.long - before.long} }

func (w waits) crowded() bool { return float64(w.long) > mostLongWaits*float64(w.all) }
