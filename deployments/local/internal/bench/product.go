package bench

import (
	"context"
	"fmt"
	"time"
)

// limit is how long one step may take at most. A first push of a large cluster
// takes a while on a busy machine.
const limit = 15 * time.Minute

// product measures a new worker with a new enrolment and repository. Exported
// counts what is in Git, by folder.
func (r *run) product(ctx context.Context, number int) (costs Costs, both Exchange, exported map[string]int, err error) {
	cluster := fmt.Sprintf("product-%d", number)
	b, err := r.repository(ctx, cluster)
	if err != nil {
		return costs, both, nil, err
	}
	p := &productRun{branch: b}
	err = r.work(ctx, r.primary, cluster, p, func(ctx context.Context) error {
		if costs, err = p.measure(ctx); err == nil {
			both, err = p.exchange(ctx)
		}
		return err
	})
	return costs, both, p.exported, err
}

// work runs a new worker for the cluster of a site while the enrolment of that
// name is measured, and ends the enrolment.
func (r *run) work(ctx context.Context, on *site, cluster string, p *productRun, measure func(context.Context) error) (err error) {
	p.run = r
	if p.start, err = r.meter(on, workerUser, p.branch); err != nil {
		return err
	}
	if p.worker, err = r.startWorker(ctx, on, cluster); err != nil {
		return err
	}
	defer p.Stop(10 * time.Second)
	// A worker that dies ends the waiting for what it should do.
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		<-p.Done()
		end(p.Crash())
	}()
	if err = measure(ctx); err == nil {
		err = p.unenroll(ctx)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return err
}

// productRun is the measuring of one worker with one enrolment.
type productRun struct {
	*run
	*worker
	branch   branch
	start    meter // from before the worker's
	exported map[string]int
}

func (p *productRun) measure(ctx context.Context) (costs Costs, err error) {
	costs.PeakRSS, err = p.take(ctx, []step{
		{"first push", &costs.First, p.first},
		{"idle ticks", &costs.Idle, p.idle},
		{"ticks with one object", &costs.One, func(ctx context.Context) (Cost, error) { return p.ones(ctx, costs.Idle) }},
		{"tick with many objects", &costs.Many, func(ctx context.Context) (Cost, error) {
			return p.edited(ctx, p.toEdit(p.Many, p.exported[secrets] > 0), costs.Idle)
		}},
	})
	return costs, err
}

// step is one thing to measure.
type step struct {
	name string
	cost *Cost
	do   func(context.Context) (Cost, error)
}

// take measures one after the other. It answers with the most memory that the
// worker had at a time.
func (p *productRun) take(ctx context.Context, steps []step) (peak float64, err error) {
	for _, step := range steps {
		p.Step("%s, %s", p.cluster, step.name)
		if *step.cost, err = step.do(ctx); err != nil {
			return 0, fmt.Errorf("%s: %w", step.name, err)
		}
		p.tell(p.cluster, step.name, *step.cost)
	}
	bytes, err := peakMemory(p.PID())
	return float64(bytes), err
}

// first counts the worker's whole life up to here.
func (p *productRun) first(ctx context.Context) (Cost, error) {
	began := time.Now()
	if err := p.enroll(ctx, p.branch.repository, "--strategy", "push", "--age-key-out", p.identity(p.branch.repository)); err != nil {
		return Cost{}, err
	}
	expected := p.expected()
	done, err := p.branch.waitFor(ctx, limit, func(ctx context.Context, tip string) (err error) {
		if p.exported, err = p.branch.filled(ctx, tip); err != nil {
			return err
		}
		return lacks(expected, p.exported)
	})
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
	cost.Wall, cost.CPU = done.Sub(began).Seconds(), cpu.Seconds()
	return cost, err
}

// idle is the cost of one of many ticks in which nothing changes.
func (p *productRun) idle(ctx context.Context) (Cost, error) {
	// What the push left to be done belongs to it.
	if err := pause(ctx, p.Interval); err != nil {
		return Cost{}, err
	}
	window, err := p.open(ctx)
	if err != nil {
		return Cost{}, err
	}
	if err := pause(ctx, time.Duration(p.IdleTicks)*p.Interval); err != nil {
		return Cost{}, err
	}
	cost, ticks, err := window.close(ctx)
	if err != nil {
		return Cost{}, err
	}
	if ticks == 0 {
		return Cost{}, fmt.Errorf("not one tick in %d intervals of %s", p.IdleTicks, p.Interval)
	}
	return cost.per(ticks), nil
}

// ones is the cost of a tick in which one object changed.
func (p *productRun) ones(ctx context.Context, idle Cost) (Cost, error) {
	configMap := p.toEdit(1, false)
	var costs []Cost
	for i := range p.Edits {
		// At another moment between two ticks each time, so that the latency
		// is that of any moment.
		if err := pause(ctx, p.Interval*time.Duration(i)/time.Duration(p.Edits)); err != nil {
			return Cost{}, err
		}
		cost, err := p.edited(ctx, configMap, idle)
		if err != nil {
			return Cost{}, err
		}
		costs = append(costs, cost)
	}
	return medianCost(costs), nil
}

// edited edits the objects and waits until Git has them. The cost is that of
// the tick that carries them; idle ticks beside it are taken off.
func (p *productRun) edited(ctx context.Context, chosen []object, idle Cost) (Cost, error) {
	window, err := p.open(ctx)
	if err != nil {
		return Cost{}, err
	}
	if err := p.edit(ctx, chosen); err != nil {
		return Cost{}, err
	}
	edited := time.Now()
	done, err := p.branch.waitFor(ctx, limit, func(ctx context.Context, tip string) error {
		changed, err := p.branch.changed(ctx, window.meter.tip, tip)
		if err == nil && changed < len(chosen) {
			err = fmt.Errorf("%d of %d edits are in Git", changed, len(chosen))
		}
		return err
	})
	if err != nil {
		return Cost{}, err
	}
	cost, err := window.tick(ctx, idle)
	cost.Latency, cost.Edited = done.Sub(edited).Seconds(), float64(len(chosen))
	return cost, err
}

// window is a stretch of the worker's life.
type window struct {
	*productRun
	meter  meter
	before activity
	cpu    time.Duration
	from   int64 // where the worker's log was
}

func (p *productRun) open(ctx context.Context) (w window, err error) {
	w.productRun = p
	if w.before, err = p.activity(ctx); err != nil {
		return w, err
	}
	if w.meter, err = p.meter(p.site, workerUser, p.branch); err != nil {
		return w, err
	}
	if w.cpu, err = cpuTime(p.PID()); err != nil {
		return w, err
	}
	w.from, err = position(p.log)
	return w, err
}

// tick closes a window in which one tick had something to do, and is that tick's
// cost: idle ticks beside it are taken off.
func (w window) tick(ctx context.Context, idle Cost) (Cost, error) {
	// The tick goes on after its push or its writes: it writes down what it did.
	if err := pause(ctx, min(time.Second, w.Interval/4)); err != nil {
		return Cost{}, err
	}
	cost, ticks, err := w.close(ctx)
	if err != nil {
		return Cost{}, err
	}
	beside := max(0, ticks-1)
	cost.CPU = max(0, cost.CPU-beside*idle.CPU)
	cost.Wall = max(0, cost.Wall-beside*idle.Wall)
	return cost, nil
}

func (w window) close(ctx context.Context) (cost Cost, ticks float64, err error) {
	cpu, err := cpuTime(w.PID())
	if err != nil {
		return cost, 0, err
	}
	if cost, err = w.meter.read(ctx); err != nil {
		return cost, 0, err
	}
	after, err := w.activity(ctx)
	if err != nil {
		return cost, 0, err
	}
	did := after.since(w.before)
	cost.CPU, cost.Wall = (cpu - w.cpu).Seconds(), did.seconds
	return cost, did.ticks, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
