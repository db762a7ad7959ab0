package bench

import (
	"context"
	"fmt"
	"time"
)

// rawConnections is how many requests are under way at once where the product's
// pull is compared: as many as it has itself.
const rawConnections = 16

// turns is how many pulls are measured between raw requests at each repetition.
const turns = 2

// roundTrip is the way to a cluster on the other side of a continent and back.
const roundTrip = 50 * time.Millisecond

// pull measures what it takes to make an empty cluster of what the numbered
// product run has pushed. Each way gets a cluster of its own, one after the
// other.
func (r *run) pull(ctx context.Context, number int) (result Pull, err error) {
	pushed := r.branchOf(fmt.Sprintf("product-%d", number))
	bodies, err := r.bodies(ctx, pushed)
	if err != nil {
		return result, err
	}
	if result, err = r.inTurns(ctx, number, pushed, bodies); err != nil {
		return result, err
	}
	if result.Kubectl, err = r.kubectlApply(ctx, fmt.Sprintf("kubectl-%d", number), bodies, 0); err != nil {
		return result, err
	}
	if result.Far, err = r.far(ctx, fmt.Sprintf("far-%d", number), pushed); err != nil {
		return result, err
	}
	result.FarKubectl, err = r.kubectlApply(ctx, fmt.Sprintf("far-kubectl-%d", number), bodies, roundTrip)
	return result, err
}

// inTurns measures the product and raw requests in turns.
func (r *run) inTurns(ctx context.Context, number int, pushed branch, bodies []body) (result Pull, err error) {
	raws := make([]Rate, turns+1)
	if raws[0], err = r.raw(ctx, fmt.Sprintf("raw-%d-0", number), bodies); err != nil {
		return result, err
	}
	var first, drift []Cost
	for i := range turns {
		standby, err := r.standby(ctx, fmt.Sprintf("standby-%d-%d", number, i+1), pushed, result.Idle)
		if err != nil {
			return result, err
		}
		if i == 0 {
			result.Idle, result.PeakRSS = standby.Idle, standby.PeakRSS
		}
		raw, err := r.raw(ctx, fmt.Sprintf("raw-%d-%d", number, i+1), bodies)
		if err != nil {
			return result, err
		}
		if raw.Objects != standby.First.Changed {
			return result, fmt.Errorf("the pull wrote %g objects, raw requests wrote %g: the figures can't be compared", standby.First.Changed, raw.Objects)
		}
		raws[i+1] = raw
		first, drift = append(first, standby.First), append(drift, standby.Drift)
		result.Turns = append(result.Turns, Turn{
			Before: raws[i].perSecond(), First: standby.First.written().perSecond(),
			Drift: standby.Drift.written().perSecond(), After: raw.perSecond(),
		})
	}
	result.First, result.Drift, result.Raw = medianCost(first), medianCost(drift), medianRate(raws)
	return result, nil
}

// standby measures the product's worker with strategy pull. Idle ticks take
// their time, and are measured where they aren't known yet.
func (r *run) standby(ctx context.Context, name string, pushed branch, idle Cost) (result Pull, err error) {
	result.Idle = idle
	err = r.pulling(ctx, name, pushed, 0, func(ctx context.Context, p *pullRun) error { return p.measure(ctx, &result) })
	return result, err
}

// far measures the first pull into a cluster that is far away from the worker.
func (r *run) far(ctx context.Context, name string, pushed branch) (result Cost, err error) {
	err = r.pulling(ctx, name, pushed, roundTrip, func(ctx context.Context, p *pullRun) error {
		_, err := p.take(ctx, []step{{"first pull, from a distance", &result, p.first}})
		return err
	})
	return result, err
}

// pulling runs a new worker for a new cluster while its pull is measured.
func (r *run) pulling(ctx context.Context, name string, pushed branch, roundTrip time.Duration, measure func(context.Context, *pullRun) error) error {
	on, err := r.fresh(ctx, name, roundTrip)
	if err != nil {
		return err
	}
	defer on.discard()
	p := &pullRun{productRun{branch: pushed}}
	return r.work(ctx, on, name, &p.productRun, func(ctx context.Context) error { return measure(ctx, p) })
}

// pullRun is the measuring of a worker that pulls.
type pullRun struct{ productRun }

func (p *pullRun) measure(ctx context.Context, result *Pull) (err error) {
	steps := []step{{"first pull", &result.First, p.first}}
	if result.Idle.GitRequests == 0 {
		steps = append(steps, step{"idle ticks", &result.Idle, p.idle})
	}
	steps = append(steps, step{"drift", &result.Drift, func(ctx context.Context) (Cost, error) { return p.restored(ctx, result.Idle) }})
	result.PeakRSS, err = p.take(ctx, steps)
	return err
}

// first counts the worker's whole life up to here. The lock is off: what is
// measured is applying.
func (p *pullRun) first(ctx context.Context) (Cost, error) {
	began := time.Now()
	repository := p.branch.repository
	if err := p.enroll(ctx, repository, "--strategy", "pull", "--lock", "off", "--age-key-file", p.identity(repository)); err != nil {
		return Cost{}, err
	}
	did, err := p.awaitApply(ctx, 0)
	if err != nil {
		return Cost{}, err
	}
	if err := p.waitInSync(ctx); err != nil {
		return Cost{}, err
	}
	cpu, err := cpuTime(p.PID())
	if err != nil {
		return Cost{}, err
	}
	cost, err := p.start.read(ctx)
	cost.Wall, cost.CPU = did.ended.Sub(began).Seconds(), cpu.Seconds()
	cost.Apply, cost.Changed = did.took.Seconds(), did.changed
	if err != nil {
		return cost, err
	}
	// Controllers follow up on what is new, which the ticks to come would see.
	return cost, quiet(ctx, p.site.api)
}

// restored has objects drift while the sync is paused, and is the cost of the
// tick that restores them, from its beginning on; idle ticks beside it are taken
// off.
func (p *pullRun) restored(ctx context.Context, idle Cost) (Cost, error) {
	if _, err := p.starter(ctx, "pause", p.cluster); err != nil {
		return Cost{}, err
	}
	chosen := p.objects[:min(p.Many, len(p.objects))]
	if err := drift(ctx, p.site.api, chosen); err != nil {
		return Cost{}, err
	}
	// Controllers follow up on deletions, which isn't what is measured.
	if err := quiet(ctx, p.site.api); err != nil {
		return Cost{}, err
	}
	window, err := p.open(ctx)
	if err != nil {
		return Cost{}, err
	}
	if _, err := p.starter(ctx, "resume", p.cluster); err != nil {
		return Cost{}, err
	}
	did, err := p.awaitApply(ctx, window.from)
	if err != nil {
		return Cost{}, err
	}
	if int(did.changed) != len(chosen) {
		return Cost{}, fmt.Errorf("%g objects were restored, %d had drifted", did.changed, len(chosen))
	}
	cost, err := window.tick(ctx, idle)
	if err != nil {
		return Cost{}, err
	}
	cost.Wall = did.ended.Sub(did.began).Seconds()
	cost.Apply, cost.Changed, cost.Edited = did.took.Seconds(), did.changed, float64(len(chosen))
	return cost, p.waitInSync(ctx)
}

// drift edits one half of the objects, deletes a quarter, and adds to the rest
// what Git doesn't say, all with a tool of people.
func drift(ctx context.Context, a *api, chosen []object) error {
	const (
		editor   = "?fieldManager=kubectl-edit"
		edit     = `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"somebody"}}}`
		addition = `{"metadata":{"annotations":{"bench.example.com/note":"by hand"}}}`
	)
	err := concurrently(ctx, connections, chosen, func(ctx context.Context, o object) error {
		switch o.number % 4 {
		case 0, 1:
			return a.mergePatch(ctx, o.path()+editor, edit)
		case 2:
			return a.delete(ctx, o.path())
		default:
			return a.mergePatch(ctx, o.path()+editor, addition)
		}
	})
	if err != nil {
		return fmt.Errorf("make %d objects drift: %w", len(chosen), err)
	}
	return nil
}
