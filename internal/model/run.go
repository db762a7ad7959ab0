package model

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Sync is the sync that is tested.
type Sync interface {
	// Tick lets it look at both sides once, and returns when that has ended.
	Tick(ctx context.Context) error
	// Follow changes the strategy.
	Follow(ctx context.Context, strategy workflows.Strategy) error
	Restart(ctx context.Context, empty bool) error
	// Fault prepares one of the faults of Steps.
	Fault(name, argument string) error
	// Race has something done before an activity runs the next time, if it does; nil for nothing.
	Race(before string, do func())
	// Status is that of the workflow. Conflicts are those that were decided since the last call, Work is how often
	// Commit and Apply have run; always the same where nobody knows.
	Status(ctx context.Context) (workflows.Status, error)
	Conflicts() []workflows.Conflict
	Work() int
}

// World is a cluster and a branch that a sync keeps in step, and what the model knows of them.
type World struct {
	Cluster Cluster
	Branch  Branch
	Sync    Sync
	Policy  workflows.ConflictPolicy
	// Patience is how long a sync may take until both sides are as they shall be.
	Patience time.Duration

	strategy workflows.Strategy
	model    reference
	values   int
	run      int
	newFile  string
	race     []string // an edit to make in the middle of the next sync
	raceErr  error
	crashed  bool              // a worker has died, or will, in this run
	texts    map[object]string // the documents as people, or the last sync, have left them
}

// Run carries out the steps, and takes away what is left of them. A world that it fails in is lost.
func (w *World) Run(ctx context.Context, steps Steps) error {
	if w.model.objects == nil {
		w.strategy, w.texts = workflows.PushPull, map[object]string{}
		w.model = reference{w.Policy, map[object]sides{{"ConfigMap", "keeper"}: {git: Fields{"k0": "for-ever"}}}}
		if err := w.settle(ctx); err != nil {
			return fmt.Errorf("first sync: %w", err)
		}
	}
	w.run, w.crashed = w.run+1, false
	for _, part := range []Steps{append(slices.Clone(steps), "strategy push-pull", "settle", "quiet"), tidy()} {
		for i, step := range part {
			if err := w.do(ctx, strings.Fields(step)); err != nil {
				return fmt.Errorf("step %d, %s: %w", i+1, step, err)
			}
		}
	}
	for o := range w.model.objects {
		if o.name != "keeper" {
			delete(w.model.objects, o)
		}
	}
	return nil
}

// tidy are the steps after a run, for the next one to begin without its objects.
func tidy() Steps {
	var steps Steps
	for _, slot := range slices.Sorted(maps.Keys(slots)) {
		steps = append(steps, "both delete "+slot)
	}
	return append(steps, "settle")
}

func (w *World) do(ctx context.Context, step []string) error {
	switch step[0] {
	case "git", "cluster", "both":
		return w.edit(ctx, step)
	case "race":
		w.race = step[1:]
		return nil
	case "move":
		return w.Branch.move(ctx, w.object(step[1]), w.file(w.object(step[1]), step[2]))
	case "file":
		w.newFile = step[1]
		return nil
	case "settle":
		return w.settle(ctx)
	case "quiet":
		return w.unchanged(ctx, 3)
	case "strategy":
		w.strategy = workflows.Strategy(step[1])
		return w.Sync.Follow(ctx, w.strategy)
	case "restart":
		return w.Sync.Restart(ctx, step[1] == "empty")
	case "refuse", "mute", "crash":
		w.crashed = w.crashed || step[0] == "crash"
		return w.Sync.Fault(step[0], strings.Join(step[1:], " "))
	}
	return errors.New("there is no such step")
}

func (w *World) object(slot string) object {
	return object{slots[slot], fmt.Sprintf("r%d-%s", w.run, slot)}
}

// file is the path of a file that steps name; own is the canonical one.
func (w *World) file(o object, name string) string {
	if name != "own" && name != "" {
		return name + ".yaml"
	}
	r := kinds[o.kind].resource
	return fmt.Sprintf("namespaces/%s/%s/%s.yaml", w.Cluster.Namespace, r.GroupResource(), o.name)
}

// edit makes a change on a side, or the same on both.
func (w *World) edit(ctx context.Context, step []string) error {
	o, fresh := w.object(step[2]), map[string]string{}
	for _, side := range []string{"git", "cluster"} {
		if step[0] != side && step[0] != "both" {
			continue
		}
		now, other := w.model.objects[o].git, w.model.objects[o].live
		if side == "cluster" {
			now, other = other, now
		}
		want, err := w.wanted(o, now, other, step, fresh)
		if err != nil {
			return err
		}
		if want.same(now) {
			continue
		}
		s := w.model.objects[o]
		if side == "git" {
			s.git = want
			err = w.inGit(ctx, o, want)
		} else {
			s.live = want
			err = w.Cluster.put(ctx, o, want)
		}
		if err != nil {
			return err
		}
		w.model.objects[o] = s
	}
	return nil
}

// inGit makes an edit in Git, and remembers what the person has left there.
func (w *World) inGit(ctx context.Context, o object, want Fields) error {
	if err := w.Branch.put(ctx, o, want, w.file(o, w.newFile), w.Cluster.Namespace, w.Cluster.Label); err != nil {
		return err
	}
	now, err := w.Branch.now()
	if w.texts[o] = now.text(o); w.texts[o] == "" {
		delete(w.texts, o)
	}
	return err
}

// wanted are the fields after an edit. Values are new each time, so that each can be told from all others.
func (w *World) wanted(o object, now, other Fields, step []string, fresh map[string]string) (Fields, error) {
	k := kinds[o.kind]
	value := func(field string) string {
		if fresh[field] == "" {
			w.values++
			fresh[field] = fmt.Sprintf("v%06d", w.values)
		}
		return fresh[field]
	}
	switch step[1] {
	case "delete":
		return nil, nil
	case "copy":
		return other, nil
	case "drop", "put":
	default:
		return nil, errors.New("there is no such edit")
	}
	want := maps.Clone(now)
	for _, number := range step[3:] {
		n, err := strconv.Atoi(number)
		if err != nil {
			return nil, err
		}
		field := k.fields[n%len(k.fields)]
		switch {
		case step[1] == "put" && want == nil:
			want = Fields{}
			for _, required := range k.fields[:k.required] {
				want[required] = value(required)
			}
			fallthrough
		case step[1] == "put":
			want[field] = value(field)
		case n%len(k.fields) >= k.required:
			delete(want, field)
		}
	}
	return want, nil
}
