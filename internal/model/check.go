package model

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// settle lets the sync go on until both sides are what the model says, and looks at everything that must hold
// then.
func (w *World) settle(ctx context.Context) error {
	before, err := w.Branch.now()
	if err != nil {
		return err
	}
	w.Sync.Conflicts() // those of before
	raced := w.prepareRace(ctx)
	if err := w.Sync.Tick(ctx); err != nil {
		return err
	}
	if err := w.finishRace(ctx); err != nil {
		return err
	}
	was := w.model.clone()
	told := w.model.settle(w.strategy)
	if w.strategy == workflows.None {
		return w.unchanged(ctx, 1)
	}
	if err := w.converge(ctx); err != nil {
		return err
	}
	now, err := w.Branch.now()
	if err != nil {
		return err
	}
	if now.tip != before.tip {
		if err := w.Branch.descends(ctx, before.tip); err != nil {
			return fmt.Errorf("the history of the branch was rewritten: %w", err)
		}
	}
	if err := w.kept(ctx, was, before); err != nil {
		return err
	}
	if err := w.reported(ctx, told, raced); err != nil {
		return err
	}
	if w.strategy == workflows.PushPull {
		if err := w.untouched(was, now, raced); err != nil {
			return err
		}
	}
	w.texts = map[object]string{}
	for o := range now.places {
		w.texts[o] = now.text(o)
	}
	return nil
}

// prepareRace has an edit made in the middle of the tick, and says of which object.
func (w *World) prepareRace(ctx context.Context) (raced object) {
	if w.race == nil {
		return raced
	}
	raced = w.object(w.race[2])
	s := w.model.objects[raced]
	_, decided := s.exchanged(w.Policy)
	if decided.conflict || s.git.same(s.live) && (s.seen || !s.git.same(s.base)) {
		// The sync would have decided, or found them the same, before: what comes out then depends on what it did,
		// or on whether it knew of the edit in time.
		w.raceErr, w.race = w.edit(ctx, w.race), nil
		return raced
	}
	before := workflows.CommitActivity
	if w.race[0] == "cluster" {
		before = workflows.ApplyActivity
	}
	w.Sync.Race(before, func() { w.raceErr, w.race = w.edit(ctx, w.race), nil })
	return raced
}

// finishRace makes that edit if there was no middle.
func (w *World) finishRace(ctx context.Context) error {
	w.Sync.Race("", nil)
	if w.race != nil {
		w.raceErr, w.race = w.edit(ctx, w.race), nil
	}
	err := w.raceErr
	w.raceErr = nil
	return err
}

// converge waits until both sides are what the model says.
func (w *World) converge(ctx context.Context) error {
	deadline := time.Now().Add(w.Patience)
	for n := 0; ; n++ {
		work := w.Sync.Work()
		if err := w.Sync.Tick(ctx); err != nil {
			return err
		}
		differs, tip, err := w.differs(ctx)
		if err != nil {
			return err
		}
		status, err := w.Sync.Status(ctx)
		if err != nil {
			return err
		}
		well := status.Revision == tip && (status.State == workflows.InSync || status.Reason == workflows.ConflictsHeld)
		idle := w.Sync.Work() == work
		if differs == "" && well && idle {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %d ticks the state is %s (%s: %s)\nfailed: %v\n%s", n+1, status.State, status.Reason, status.Message, status.Failed, differs)
		}
		if n > 2 {
			pause(ctx, 5*time.Millisecond)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// differs says how the two sides aren't what the model says, and at which tip.
func (w *World) differs(ctx context.Context) (differs, tip string, err error) {
	branch, err := w.Branch.now()
	if err != nil {
		return "", "", err
	}
	live, _, err := w.Cluster.contents(ctx)
	if err != nil {
		return "", "", err
	}
	var lines []string
	for o := range w.model.objects {
		want := w.model.objects[o]
		if !branch.fields[o].same(want.git) {
			lines = append(lines, fmt.Sprintf("%s in Git is %v, and shall be %v", o.name, show(branch.fields[o]), show(want.git)))
		}
		if !live[o].same(want.live) {
			lines = append(lines, fmt.Sprintf("%s in the cluster is %v, and shall be %v", o.name, show(live[o]), show(want.live)))
		}
	}
	for _, all := range []map[object]Fields{branch.fields, live} {
		for o := range all {
			if _, known := w.model.objects[o]; !known {
				lines = append(lines, o.name+" was made by nobody")
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), branch.tip, nil
}

func show(f Fields) string {
	if f == nil {
		return "not there"
	}
	return fmt.Sprint(map[string]string(f))
}

// unchanged looks that some more ticks write nothing on either side.
func (w *World) unchanged(ctx context.Context, ticks int) error {
	before, err := w.Branch.now()
	if err != nil {
		return err
	}
	_, versions, err := w.Cluster.contents(ctx)
	if err != nil {
		return err
	}
	for range ticks {
		if err := w.Sync.Tick(ctx); err != nil {
			return err
		}
	}
	now, err := w.Branch.now()
	if err != nil {
		return err
	}
	_, versionsNow, err := w.Cluster.contents(ctx)
	switch {
	case err != nil:
		return err
	case now.tip != before.tip:
		patches, err := w.Branch.patches(ctx, before.tip)
		return fmt.Errorf("an echo in Git: %s %w", patches, err)
	case !maps.Equal(versions, versionsNow):
		return fmt.Errorf("an echo in the cluster: %v was %v", versionsNow, versions)
	}
	return nil
}

// kept looks that what the sync has overwritten in the cluster is in the history of the branch.
func (w *World) kept(ctx context.Context, was reference, before revision) error {
	if w.strategy == workflows.Pull {
		return nil // which stores nothing
	}
	var lost []string
	for o, s := range was.objects {
		now := w.model.objects[o]
		for field, value := range s.live {
			if at(s.base, field) != value && at(now.git, field) != value && at(now.live, field) != value {
				lost = append(lost, value)
			}
		}
	}
	if len(lost) == 0 {
		return nil
	}
	patches, err := w.Branch.patches(ctx, before.tip)
	if err != nil {
		return err
	}
	for _, value := range lost {
		if !strings.Contains(patches, value) {
			return fmt.Errorf("%s was overwritten in the cluster, and is not in the history of the branch", value)
		}
	}
	return nil
}

// reported compares the conflicts that were told of with those that there were. A conflict may have been told of
// before an edit in the middle of the sync has ended it.
func (w *World) reported(ctx context.Context, want map[object]outcome, raced object) error {
	status, err := w.Sync.Status(ctx)
	if err != nil {
		return err
	}
	told := slices.DeleteFunc(w.Sync.Conflicts(), func(c workflows.Conflict) bool { return c.Winner == "" })
	for _, c := range status.Conflicts {
		if c.Winner == "" { // it still waits
			told = append(told, c)
		}
	}
	found := map[object]outcome{}
	for _, c := range told {
		_, name, _ := strings.Cut(c.Object, "/")
		for o := range w.model.objects {
			if _, wanted := want[o]; o.name == name && (wanted || o != raced) {
				found[o] = outcome{true, c.Winner}
			}
		}
	}
	if w.crashed { // with what it had to tell
		for o := range want {
			if _, ok := found[o]; !ok {
				delete(want, o)
			}
		}
	}
	if !maps.Equal(want, found) {
		return fmt.Errorf("the conflicts told of are %v, and shall be %v: %+v", found, want, told)
	}
	return nil
}

// untouched compares the documents of people with what they were before, line by line. One that was taken out and
// made again in the middle of the sync is another one.
func (w *World) untouched(was reference, now revision, raced object) error {
	for o, s := range w.model.objects {
		before := w.texts[o]
		if o == raced || !strings.Contains(before, "#") || s.git == nil || was.objects[o].git == nil {
			continue // nobody has formatted it
		}
		if err := explained(before, now.text(o), was.objects[o].git, s.git); err != nil {
			return fmt.Errorf("%s: %w\nbefore:\n%s\nafter:\n%s", o.name, err, before, now.text(o))
		}
	}
	return nil
}

// explained fails where a line of a document was changed, or taken out, that has nothing to do with the fields that
// changed.
func explained(before, after string, was, now Fields) error {
	var old, fresh, holders []string
	for field := range union(was, now) {
		if was[field] == now[field] {
			continue
		}
		if was[field] != "" {
			old = append(old, was[field])
		}
		if now[field] != "" {
			fresh = append(fresh, now[field])
		}
		if was[field] == "" || now[field] == "" { // what holds the field may come and go with it
			holders = append(holders, "data:", "annotations:", "env:", "- name: "+field, "-   name: "+field, "# what it is set to")
		}
	}
	gone, come := difference(before, after)
	for _, line := range gone {
		if !containsAny(line, old) && !containsAny(line, holders) {
			return fmt.Errorf("the line %q was taken out, and %v changed to %v", line, was, now)
		}
	}
	for _, line := range come {
		if !containsAny(line, fresh) && !containsAny(line, holders) {
			return fmt.Errorf("the line %q was put in, and %v changed to %v", line, was, now)
		}
	}
	return nil
}

// difference are the lines that only one of two texts has.
func difference(a, b string) (onlyA, onlyB []string) {
	count := map[string]int{}
	for line := range strings.Lines(b) {
		count[line]++
	}
	for line := range strings.Lines(a) {
		if count[line]--; count[line] < 0 {
			onlyA = append(onlyA, line)
		}
	}
	for line, n := range count {
		for range n {
			onlyB = append(onlyB, line)
		}
	}
	return onlyA, onlyB
}

func containsAny(line string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(line, part) })
}
