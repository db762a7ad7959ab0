// Package bench measures what it costs to keep clusters of several sizes in
// Git: by the product's own worker as users run it, and by the script that
// they would write instead, on the same cluster and Git server. And what it
// costs to make empty clusters of what is in Git: by the worker, by kubectl and
// by requests that cost the client nothing.
package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/controlplane"
	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/gitserver"
)

// Settings say how a run is made.
type Settings struct {
	// Repeat is how often everything is measured on a cluster; the report has
	// the medians.
	Repeat int `json:"repeat"`
	// Interval is the time between two ticks.
	Interval        time.Duration `json:"-"`
	IntervalSeconds float64       `json:"intervalSeconds"`
	// IdleTicks is how many ticks without a change are looked at, Edits how
	// often one object is edited.
	IdleTicks int `json:"idleTicks"`
	Edits     int `json:"edits"`
	// Many is how many objects are edited at once, or all there are.
	Many int `json:"many"`
}

// Stack is where one size is measured: a fresh cluster, a Git server and
// Temporal.
type Stack struct {
	Cluster *controlplane.ControlPlane
	// Fresh starts another cluster, of a name that no other one has. Who asked
	// for it stops it.
	Fresh   func(ctx context.Context, name string) (*controlplane.ControlPlane, error)
	Git     *gitserver.Server
	GitRoot string // directory of the repositories
	GitLog  string
	// Env leads the worker and the starter to Temporal.
	Env []string
	// Polled returns nil when a worker serves the task queue.
	Polled func(ctx context.Context, taskQueue string) error
	// Kubectl, Worker and Starter are programs.
	Kubectl, Worker, Starter string
	// Dir is for data and logs; MetricsPort is free, for the worker.
	Dir         string
	MetricsPort int
}

// Progress is told what is being done, and what a person should know before
// all of it is done.
type Progress interface {
	Step(format string, args ...any)
	Note(format string, args ...any)
}

// Measure fills the stack's cluster with n objects and measures the product
// and the baseline on it.
func Measure(ctx context.Context, stack Stack, settings Settings, n int, progress Progress) (Size, error) {
	r, err := newRun(ctx, stack, settings, n, progress)
	if err != nil {
		return Size{}, err
	}
	defer r.close()

	size := Size{Objects: n}
	began := time.Now()
	if err := populate(ctx, r.primary.api, r.objects, r.Step); err != nil {
		return Size{}, err
	}
	size.PopulateSeconds = time.Since(began).Seconds()

	var product, baseline []Costs
	var loops []Cost
	var pulls []Pull
	var exchanges []Exchange
	for i := range settings.Repeat {
		costs, both, exported, err := r.product(ctx, i+1)
		if err != nil {
			return Size{}, fmt.Errorf("measure the product: %w", err)
		}
		product, exchanges = append(product, costs), append(exchanges, both)
		size.Exported, size.Secrets = sum(exported), exported[secrets]
		// The same work for both: with Secrets when the product exports them.
		if costs, err = r.baseline(ctx, i+1, exported[secrets] > 0); err != nil {
			return Size{}, fmt.Errorf("measure the baseline: %w", err)
		}
		loop, err := r.loop(ctx, i+1, exported[secrets] > 0)
		if err != nil {
			return Size{}, fmt.Errorf("measure the baseline: %w", err)
		}
		pull, err := r.pull(ctx, i+1)
		if err != nil {
			return Size{}, fmt.Errorf("measure pull: %w", err)
		}
		baseline, loops, pulls = append(baseline, costs), append(loops, loop), append(pulls, pull)
	}
	size.Product, size.Baseline, size.Loop = medianCosts(product), medianCosts(baseline), medianCost(loops)
	size.Pull, size.Exchange = medianPull(pulls), medianExchange(exchanges)
	return size, nil
}

// run is the measuring of one size.
type run struct {
	Stack
	Settings
	Progress
	objects []object
	primary *site // the cluster that is filled
	gitWire *wire
	edits   int // so far, so that no edit is like an earlier one
}

func newRun(ctx context.Context, stack Stack, settings Settings, n int, progress Progress) (*run, error) {
	r := &run{Stack: stack, Settings: settings, Progress: progress, objects: objects(n)}
	var err error
	if r.primary, err = newSite(ctx, stack.Cluster, stack.Dir, 0); err != nil {
		return nil, err
	}
	if r.gitWire, err = newWire(ctx, strings.TrimPrefix(stack.Git.URL(), "http://"), 0); err != nil {
		r.primary.wire.close()
		return nil, err
	}
	return r, nil
}

func (r *run) close() {
	r.primary.wire.close()
	r.gitWire.close()
}

func (r *run) repositoryURL(name string) string {
	return "http://" + r.gitWire.address() + "/" + name + ".git"
}

// repository makes an empty one.
func (r *run) repository(ctx context.Context, name string) (branch, error) {
	return r.branchOf(name), r.Git.CreateRepository(ctx, name)
}

func (r *run) branchOf(repository string) branch {
	return branch{directory: filepath.Join(r.GitRoot, repository+".git"), repository: repository}
}

// toEdit returns n of the objects: of those that are exported, the plainest
// kinds first.
func (r *run) toEdit(n int, withSecrets bool) []object {
	var chosen []object
	for _, k := range kinds {
		if k.resource == secrets && !withSecrets {
			continue
		}
		for _, o := range r.objects {
			if len(chosen) < n && o.resource == k.resource {
				chosen = append(chosen, o)
			}
		}
	}
	return chosen
}

func (r *run) edit(ctx context.Context, chosen []object) error {
	r.edits++
	return edit(ctx, r.primary.api, chosen, fmt.Sprint(r.edits))
}

// tell is for whom doesn't want to wait for the tables.
func (r *run) tell(who, step string, cost Cost) {
	r.Note("%s, %s: %s, CPU %s", who, step, seconds(cost.Wall), seconds(cost.CPU))
}

// expected is what a branch that holds everything has, by folder.
func (r *run) expected() map[string]int {
	counts := map[string]int{}
	for _, o := range r.objects {
		counts[o.folder]++
	}
	return counts
}

// lacks says what a branch is missing. None of the Secrets is as good as all
// of them: they are left out by choice.
func lacks(expected, found map[string]int) error {
	var missing []string
	for _, k := range kinds {
		if k.folder == secrets && found[secrets] == 0 {
			continue
		}
		if found[k.folder] != expected[k.folder] {
			missing = append(missing, fmt.Sprintf("%d of %d %s", found[k.folder], expected[k.folder], k.resource))
		}
	}
	if len(missing) > 0 {
		return errors.New("the branch holds only " + strings.Join(missing, ", "))
	}
	return nil
}

func sum(counts map[string]int) int {
	total := 0
	for _, n := range counts {
		total += n
	}
	return total
}
