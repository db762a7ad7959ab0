package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/exchange"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/metrics"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Apply makes the cluster equal to a revision. One object that can't be applied never holds up another:
// it is reported and tried again later.
func (a *Activities) Apply(ctx context.Context, in workflows.ApplyInput) (workflows.ApplyResult, error) {
	return run(ctx, a, workflows.ApplyActivity, func(ctx context.Context, p *progress) (workflows.ApplyResult, []any, error) {
		a.applying.Lock()
		defer a.applying.Unlock()
		result, err := a.apply(ctx, in, p)
		facts := append([]any{"revision", in.Revision}, counts(result.Changes)...)
		return result, append(facts, "failed", result.FailedCount, "withheld", result.Withheld.Count, "kept", result.KeptCount), err
	})
}

// pulled is what a worker remembers of its last Apply. It is a cache: without it everything is compared
// once.
type pulled struct {
	repository *repo.Repository
	scope      string
	// Memory is what push-pull remembers, too, and goes by.
	exchange.Memory
	// git and live are the two sides as they were left.
	git, live tree.Tree
	failing   map[string]*failing
	contests  map[string]contest
}

// remember keeps what is remembered as long as it is about the same, and begins anew otherwise; known says which.
func (a *Activities) remember(repository *repo.Repository, v *view, config workflows.Config) (known bool) {
	memory := &a.pulled
	scope := config.Scope() + "\n" + v.Digest()
	if memory.Desired != nil && memory.repository == repository && memory.scope == scope {
		return true
	}
	*memory = pulled{
		repository: repository, scope: scope, Memory: exchange.NewMemory(repository, v.Rules),
		failing: map[string]*failing{}, contests: map[string]contest{},
	}
	return false
}

// application is one run of Apply.
type application struct {
	*Activities
	in       workflows.ApplyInput
	progress *progress
	*view
	revision plumbing.Hash
	// settled is the cluster as the plan saw it plus what this run wrote. What others changed in the
	// meantime is not in it and is seen as a difference at the next tick.
	settled *tree.Editor
	changes workflows.Changes
	told    *changeLog
	pruning pruning
	// exchange is the look at three sides under push-pull; nil under pull.
	exchange *exchange.Exchange
}

func (a *Activities) apply(ctx context.Context, in workflows.ApplyInput, p *progress) (workflows.ApplyResult, error) {
	repository, err := a.open(in.Config)
	if err != nil {
		return workflows.ApplyResult{}, err
	}
	revision := plumbing.NewHash(in.Revision)
	if err := repository.Fetch(ctx, revision); err != nil {
		return workflows.ApplyResult{}, err
	}
	v, err := a.look(ctx, in.Config, p)
	if err != nil {
		return workflows.ApplyResult{}, err
	}
	v.index.Release(v.snapshot.Tree)
	r := &application{Activities: a, in: in, progress: p, view: v, revision: revision, settled: tree.NewEditor(v.live)}
	r.told = &changeLog{Activities: a, direction: metrics.ToCluster, message: "object changed"}
	paths, err := r.choose(ctx, repository)
	if err != nil {
		return workflows.ApplyResult{}, err
	}
	err = r.writeAll(ctx, paths)
	a.pulled.Desired.Rest()
	if err != nil {
		return workflows.ApplyResult{}, err
	}
	if err := r.prune(ctx, repository); err != nil {
		return workflows.ApplyResult{}, err
	}
	a.pulled.git, a.pulled.live = r.git(), r.settled.Tree()
	result := r.result()
	if r.exchange != nil {
		r.exchanged(&result)
	} else {
		result.Open, result.OpenCount = r.unapplied()
	}
	return result, nil
}

// choose lists the objects that may have to be written.
func (r *application) choose(ctx context.Context, repository *repo.Repository) (paths []string, err error) {
	if r.in.Config.Strategy != workflows.PushPull {
		return r.recall(repository)
	}
	r.exchange, err = r.Activities.exchange(ctx, repository, r.revision, r.view, exchange.Record{
		Config: r.in.Config, Settled: r.in.Settled, Open: r.in.Open, OpenCount: r.in.OpenCount, Tracked: r.in.Tracked, Waiting: r.in.Waiting,
	}, r.progress)
	if err != nil {
		return nil, err
	}
	r.forgetContests()
	return r.exchange.ToApply(), nil
}

// git is what Git asks for, without ignored namespaces.
func (r *application) git() tree.Tree {
	return r.Within(r.pulled.Desired.Tree())
}

// recall brings what the worker remembers to the revision and lists the objects to look at: those that
// changed on either side since the last time and those that are due for another try, or all of them.
func (r *application) recall(repository *repo.Repository) ([]string, error) {
	memory := &r.pulled
	known := r.remember(repository, r.view, r.in.Config)
	if err := memory.Desired.Follow(r.revision, r.index); err != nil {
		memory.Desired = nil // half-read: start over at the next attempt
		return nil, err
	}
	memory.Desired.Resolve(r.index)
	r.forgetContests()
	git := r.git()
	if known {
		return append(plan.Touched(memory.git, git, memory.live, r.live), r.due()...), nil
	}
	if r.in.Settled.Revision == r.in.Revision && r.in.Settled.Tree == r.state(r.live) && r.in.Settled.Scope == r.in.Config.Scope() {
		for path, hash := range git.All() {
			if live, ok := r.live.Get(path); ok {
				memory.Agreed[path] = plan.Pair{Git: hash, Live: live}
			}
		}
	}
	return allPaths(git), nil
}

func allPaths(t tree.Tree) []string {
	paths := make([]string, 0, t.Len())
	for path := range t.All() {
		paths = append(paths, path)
	}
	return paths
}

// writeAll writes, stage by stage, the objects among paths that aren't as Git says.
func (r *application) writeAll(ctx context.Context, paths []string) error {
	writes := r.decide(paths)
	for stage := plan.Foundations; stage <= plan.Gates; stage++ {
		if stage == plan.Others { // no kind that appears is of an earlier stage, and by now most of them are served
			appeared, err := r.awaitKinds(ctx, writes)
			if err != nil {
				return err
			}
			writes = append(writes, r.decide(appeared)...)
		}
		batch := slices.DeleteFunc(slices.Clone(writes), func(w plan.Write) bool { return plan.StageOf(w.Path) != stage })
		if err := r.write(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// decide plans the writes for some paths. What failed before and hasn't changed waits for its time.
func (r *application) decide(paths []string) []plan.Write {
	memory := &r.pulled
	writes, same := plan.Pull{Git: r.git(), Live: r.live, Agreed: memory.Agreed, Paths: slices.Compact(slices.Sorted(slices.Values(paths)))}.Writes()
	maps.Copy(memory.Agreed, same)
	differs := map[string]bool{}
	for _, w := range writes {
		differs[w.Path] = true
	}
	for _, path := range paths {
		if f := memory.failing[path]; f != nil && !f.Git.IsZero() && !differs[path] {
			delete(memory.failing, path)
		}
	}
	return slices.DeleteFunc(writes, func(w plan.Write) bool {
		if r.yields(w) {
			return true
		}
		f := memory.failing[w.Path]
		return f != nil && f.Write == w && time.Now().Before(f.next)
	})
}

// write carries out one stage.
func (r *application) write(ctx context.Context, batch []plan.Write) error {
	if len(batch) == 0 {
		return nil
	}
	memory := &r.pulled
	slices.SortFunc(batch, func(a, b plan.Write) int { return memory.InFiles(a.Path, b.Path) }) // each file is decoded once
	planned := map[string]plannedWrite{}
	writes := func(yield func(kube.Write) bool) { // each is read when its turn comes
		for _, w := range batch {
			resource, object, err := memory.Desired.Object(w.Path, r.index)
			if err != nil {
				r.fail(w, err)
				continue
			}
			p := plannedWrite{Write: w}
			if manifest.IsSecretPath(w.Path) {
				p.secret = object
			}
			planned[w.Path] = p
			if !yield(kube.Write{
				Path: w.Path, Resource: resource, Object: object, Hash: w.Git, Live: w.Live,
				Recreate: r.in.Config.RecreateImmutable, Scaled: memory.Desired.IsScaled(manifest.IDOf(object)),
				Exactly: r.exchange != nil,
			}) {
				return
			}
		}
	}
	for _, written := range r.index.ApplyAll(ctx, writes, len(batch), r.reporting("applied")) {
		r.took(planned[written.Path], written)
	}
	return ctx.Err()
}

// plannedWrite is a write with the Secret that it wants, if it is one.
type plannedWrite struct {
	plan.Write
	secret map[string]any
}

// failure is why it failed. A webhook may quote what it refuses, and a Secret must not be quoted.
func (w plannedWrite) failure(err error) error {
	if manifest.IsSecretPath(w.Path) {
		return errors.New(secrets.Redact(err.Error(), w.secret))
	}
	return err
}

// took takes over what became of one write.
func (r *application) took(planned plannedWrite, written kube.Written) {
	memory, w := &r.pulled, planned.Write
	switch written.Action {
	case kube.Created, kube.Updated, kube.Recreated, kube.Unchanged:
		delete(memory.failing, w.Path)
		r.overwritten(w, written)
		memory.Agreed[w.Path] = plan.Pair{Git: w.Git, Live: written.Hash}
		r.settled.Put(w.Path, written.Hash)
	case kube.Moved:
		r.settled.Put(w.Path, exchange.Outdated) // for Commit to look at
		return
	case kube.Skipped:
		r.fail(w, fmt.Errorf("the object in the cluster is not synced (%s): remove it from Git, or lift the reason", written.Reason))
		return
	default:
		if kube.RefusedByLock(written.Err) {
			r.locked.forget() // the sync acts as another user than the lock knows: look at it anew
		}
		r.fail(w, planned.failure(written.Err))
		return
	}
	if written.Action != kube.Unchanged {
		r.note(w.Path, written.Action)
	}
}

// note counts and tells of a change in the cluster.
func (r *application) note(path string, action kube.Action) {
	switch action {
	case kube.Created:
		r.changes.Added++
		r.told.changed(path, metrics.Added, string(action))
	case kube.Updated, kube.Recreated:
		r.changes.Updated++
		r.told.changed(path, metrics.Updated, string(action))
	case kube.Deleted:
		r.changes.Deleted++
		r.told.changed(path, metrics.Deleted, string(action))
	}
	if len(r.changes.Objects) < workflows.MaxListed {
		r.changes.Objects = append(r.changes.Objects, manifest.ObjectName(path))
	}
}

// awaitKinds waits until the CustomResourceDefinitions that were just written are served and lists the
// objects whose kind the cluster knows by now.
func (r *application) awaitKinds(ctx context.Context, written []plan.Write) ([]string, error) {
	var names []string
	for _, w := range written {
		location, _ := manifest.ParsePath(w.Path)
		if location.ResourceName() == definitions && r.pulled.failing[w.Path] == nil {
			names = append(names, location.Name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	r.progress.say("waiting for %d CustomResourceDefinitions to be served", len(names))
	if err := r.index.AwaitEstablished(ctx, names); err != nil {
		r.Logger.Warn("some kinds are not served yet; their objects wait", "cluster", r.Cluster, "error", err.Error())
	}
	before := r.git()
	r.pulled.Desired.Resolve(r.index)
	return plan.Touched(before, r.git(), tree.Tree{}, tree.Tree{}), ctx.Err()
}

func (r *application) reporting(verb string) kube.ApplyOptions {
	return kube.ApplyOptions{Progress: func(done, total int) { r.progress.say("%s %d of %d objects", verb, done, total) }}
}

// result is what the workflow is told.
func (r *application) result() workflows.ApplyResult {
	failures := slices.Clone(r.pruning.lost)
	for _, m := range r.pulled.Desired.Mistakes() {
		failures = append(failures, workflows.Failure{Object: m.Object, File: manifest.FileLine(m.File, m.Line), Message: m.Message})
	}
	var retry time.Duration
	if unserved := r.unserved(); len(unserved) > 0 {
		failures, retry = append(failures, unserved...), servedRetry
	}
	for _, path := range slices.Sorted(maps.Keys(r.pulled.failing)) {
		f := r.pulled.failing[path]
		failures = append(failures, f.failure)
		if wait := max(time.Until(f.next), time.Second); retry == 0 || wait < retry {
			retry = wait
		}
	}
	if len(failures) > 0 && retry == 0 {
		retry = lastRetry
	}
	result := workflows.ApplyResult{
		Tree: r.state(r.settled.Tree()), Changes: r.changes,
		Failed: failures[:min(len(failures), workflows.MaxListed)], FailedCount: len(failures), RetryAfter: retry,
		Tracked: []string{r.in.Revision}, Undecided: r.pruning.undecided,
	}
	if !r.pruning.finished || r.pruning.undecided {
		result.Tracked = workflows.Track(r.in.Tracked, r.in.Revision)
	}
	result.Kept, result.KeptCount = r.keep()
	result.Withheld, result.Mirrored = r.pruning.withheld(), r.pruning.mirrored()
	return result
}
