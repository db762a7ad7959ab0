package activities

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/merge"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// share is Commit for push-pull: it stores what was changed in the cluster, together with what was changed in Git.
// Who loses the race for the branch plans again.
func (a *Activities) share(ctx context.Context, repository *repo.Repository, tip plumbing.Hash, in workflows.CommitInput, p *progress) (workflows.CommitResult, error) {
	a.applying.Lock()
	defer a.applying.Unlock()
	for attempt := 1; ; attempt++ {
		result, err := a.shareOnce(ctx, repository, tip, in, p)
		if attempt == maxAttempts || !errors.Is(err, repo.ErrMoved) && !errors.Is(err, repo.ErrStale) {
			return result, err
		}
		if tip, err = repository.Tip(ctx); err != nil {
			return result, err
		}
		if err := repository.Fetch(ctx, tip); err != nil {
			return result, err
		}
	}
}

func (a *Activities) shareOnce(ctx context.Context, repository *repo.Repository, tip plumbing.Hash, in workflows.CommitInput, p *progress) (workflows.CommitResult, error) {
	place, err := mayMerge(ctx, repository, tip, in)
	if err != nil {
		return workflows.CommitResult{}, err
	}
	marker := place.Marker.Encode()
	v, err := a.look(ctx, in.Config, p)
	if err != nil {
		return workflows.CommitResult{}, err
	}
	if place.Beginning == terms.Fills {
		return a.pushAll(ctx, v, repository, tip, marker, p)
	}
	x, err := a.exchange(ctx, repository, tip, v, record{
		config: in.Config, settled: in.Settled, unsettled: in.Open, openCount: in.OpenCount, tracked: in.Tracked, waiting: in.Waiting,
	}, p)
	if err != nil {
		return workflows.CommitResult{}, err
	}
	s := &sharing{
		exchange: x, ours: x.drafts(), lost: x.drafts(), failed: map[string]error{},
		marker: marker, shared: len(place.Marker.Members) > 1,
	}
	if err := s.draft(ctx); err != nil {
		return workflows.CommitResult{}, err
	}
	return s.commit(ctx)
}

// sharing is one run of Commit for push-pull.
type sharing struct {
	*exchange
	// ours are the files that the branch gets, lost are those that it only gets to remember: edits of the cluster
	// that lose against Git's.
	ours, lost *drafts
	// marker says whose place it is, shared that it is that of several clusters.
	marker []byte
	shared bool
	// stored are the objects that Git gets from the cluster, decided those that the cluster gets though it changed
	// them, failed why some can't be stored.
	stored, decided []*subject
	failed          map[string]error
	conflicts       []conflict
}

// conflict is one that is to be reported, with the objects' path.
type conflict struct {
	path string
	workflows.Conflict
	// repeated: it was told of before, and still waits.
	repeated bool
}

// draft makes the new contents of files, object by object. One that fails holds up no other.
func (s *sharing) draft(ctx context.Context) error {
	for _, o := range s.inOrder() {
		if o.elusive {
			continue
		}
		if err := s.draftOne(ctx, o); err != nil {
			if ctx.Err() != nil || errors.Is(err, kube.ErrUnreachable) || errors.Is(err, repo.ErrStale) {
				return err
			}
			s.failed[o.path] = err
		}
	}
	return nil
}

func (s *sharing) draftOne(ctx context.Context, o *subject) error {
	switch o.Action {
	case plan.ToGit:
		if o.Conflict {
			s.report(o, workflows.ConflictCluster, nil)
		}
		return s.store(ctx, o)
	case plan.ToCluster:
		if o.Conflict && !s.alreadyDecided(o) {
			return s.yield(ctx, o, nil)
		}
	case plan.Merge:
		if !s.alreadyDecided(o) {
			return s.merge(ctx, o)
		}
	case plan.Wait:
		if h, known := s.pulled.accord.held[o.path]; known && h.Sides == o.Sides {
			s.conflicts = append(s.conflicts, conflict{o.path, h.conflict, true})
		} else {
			s.report(o, "", nil)
		}
	default:
	}
	return nil
}

// alreadyDecided reports whether it was decided before that the cluster gets what Git holds.
func (x *exchange) alreadyDecided(o *subject) bool {
	open, ok := x.pulled.accord.open[o.path]
	return ok && open.Live != "" && open.Live == o.Live.String() && (open.Git == "" && o.Git.IsZero() || open.Git == o.Git.String())
}

// store puts what the cluster holds into Git.
func (s *sharing) store(ctx context.Context, o *subject) error {
	if o.Live.IsZero() {
		s.stored = append(s.stored, o)
		return s.ours.remove(o.path)
	}
	want, err := s.asInCluster(ctx, o, s.ours)
	if err != nil {
		return err
	}
	s.stored = append(s.stored, o)
	return s.ours.put(o.path, want)
}

// asInCluster is an object's document with what the cluster made of it.
func (s *sharing) asInCluster(ctx context.Context, o *subject, in *drafts) (map[string]any, error) {
	if o.byGit.Before != nil {
		live, err := objectOf(o.byGit.Before)
		if err != nil {
			return nil, err
		}
		return s.revise(ctx, o, in, live)
	}
	live, err := s.liveContent(ctx, o)
	if err == nil && live == nil {
		err = repo.ErrStale
	}
	return live, err
}

// revise is an object's document as it has to be for the cluster to be as wanted: only what differs from what the
// document leads to now gets into it.
func (s *sharing) revise(ctx context.Context, o *subject, in *drafts, wanted map[string]any) (map[string]any, error) {
	now, err := in.document(o.path)
	if err != nil || now == nil || o.byGit.After == nil {
		return wanted, err
	}
	leadsTo, err := objectOf(o.byGit.After)
	if err != nil {
		return nil, err
	}
	resource, _, err := s.pulled.desired.Object(o.path, s.index)
	if err != nil {
		return nil, err
	}
	lists, err := s.index.MergeType(ctx, resource)
	if err != nil {
		return nil, err
	}
	revised, err := merge.Carry(lists, now, leadsTo, wanted)
	if err == nil {
		var right bool
		if right, err = s.leadsTo(ctx, o, resource, revised, wanted); right {
			return revised, nil
		}
	}
	if err != nil && (ctx.Err() != nil || errors.Is(err, kube.ErrUnreachable)) {
		return nil, err
	}
	whole := runtime.DeepCopyJSON(wanted)
	s.Selection.KeepIgnored(resource, whole, now)
	return whole, nil
}

// leadsTo reports whether applying a document makes the object what is wanted.
func (s *sharing) leadsTo(ctx context.Context, o *subject, resource manifest.Resource, document, wanted map[string]any) (bool, error) {
	want, err := manifest.Encode(wanted)
	if err != nil {
		return false, err
	}
	content := runtime.DeepCopyJSON(document)
	if s.pulled.desired.Normalise(resource, content) != "" {
		return false, nil
	}
	if same, err := manifest.Encode(content); err != nil || bytes.Equal(same, want) {
		return err == nil, err
	}
	written := s.index.DryRun(ctx, kube.Write{
		Path: o.path, Resource: resource, Object: content, Live: o.Live, Scaled: s.pulled.desired.IsScaled(manifest.IDOf(content)),
	})
	switch written.Action {
	case kube.Unchanged:
		return bytes.Equal(o.byGit.Before, want), nil
	case kube.Updated:
		return bytes.Equal(written.After, want), nil
	}
	return false, written.Err
}

// yield leaves the object to Git, and keeps the cluster's edit where it can be found.
func (s *sharing) yield(ctx context.Context, o *subject, fields []string) error {
	if !o.Live.IsZero() {
		content, err := s.asInCluster(ctx, o, s.lost)
		if err != nil {
			return err
		}
		if err := s.lost.put(o.path, content); err != nil {
			return err
		}
	}
	s.decided = append(s.decided, o)
	s.report(o, workflows.ConflictGit, fields)
	return nil
}

// merge puts together what both sides changed, field by field.
func (s *sharing) merge(ctx context.Context, o *subject) error {
	policy := s.policy(o)
	merged, fields, err := s.fields(ctx, o, policy)
	apart := errors.Is(err, errIncomparable)
	if err != nil && !apart {
		return err
	}
	switch {
	case apart && policy == plan.ClusterWins:
		s.report(o, workflows.ConflictCluster, nil)
		return s.store(ctx, o)
	case apart && policy == plan.GitWins:
		return s.yield(ctx, o, nil)
	case apart, len(fields) > 0 && policy == plan.Hold:
		o.Step = plan.Step{Action: plan.Wait, Conflict: true}
		s.report(o, "", fields)
		return nil
	}
	want, err := s.revise(ctx, o, s.ours, merged)
	if err != nil {
		return err
	}
	if err := s.ours.put(o.path, want); err != nil {
		return err
	}
	switch {
	case len(fields) > 0 && policy == plan.GitWins:
		return s.yield(ctx, o, fields)
	case len(fields) > 0:
		s.report(o, workflows.ConflictCluster, fields)
	}
	s.decided = append(s.decided, o)
	return nil
}

// errIncomparable: there is no common ground for a merge by fields.
var errIncomparable = errors.New("the two sides can't be merged field by field")

func (s *sharing) fields(ctx context.Context, o *subject, policy plan.Policy) (merged map[string]any, conflicts []string, err error) {
	if o.byGit.Before == nil || o.byBase.After == nil || o.byGit.After == nil {
		return nil, nil, errIncomparable
	}
	var sides [3]map[string]any
	for i, content := range [][]byte{o.byBase.After, o.byGit.After, o.byGit.Before} {
		if sides[i], err = objectOf(content); err != nil {
			return nil, nil, err
		}
	}
	if sides[0]["apiVersion"] != sides[1]["apiVersion"] {
		return nil, nil, errIncomparable
	}
	resource, _, err := s.pulled.desired.Object(o.path, s.index)
	if err != nil {
		return nil, nil, err
	}
	lists, err := s.index.MergeType(ctx, resource)
	if err != nil {
		return nil, nil, err
	}
	prefer := merge.Git
	if policy == plan.ClusterWins {
		prefer = merge.Cluster
	}
	if merged, conflicts, err = merge.ThreeWay(lists, sides[0], sides[1], sides[2], prefer); err != nil {
		return nil, nil, err
	}
	written := s.index.DryRun(ctx, kube.Write{
		Path: o.path, Resource: resource, Object: merged, Live: o.Live, Scaled: s.pulled.desired.IsScaled(manifest.IDOf(merged)),
	})
	switch {
	case errors.Is(written.Err, kube.ErrUnreachable):
		return nil, nil, written.Err
	case written.Err != nil:
		return nil, nil, fmt.Errorf("%w: %w", errIncomparable, written.Err) // fields may exclude each other
	}
	return merged, conflicts, nil
}

// report notes a conflict for people.
func (s *sharing) report(o *subject, winner workflows.ConflictPolicy, fields []string) {
	c := conflict{path: o.path, Conflict: workflows.Conflict{
		Time: time.Now().UTC().Truncate(time.Second), Object: manifest.ObjectName(o.path), Winner: winner,
		Fields: fields[:min(len(fields), maxNamed)], Cluster: o.byGit.Overwrote.Manager,
	}}
	if origin, ok := s.pulled.desired.Origin(o.path); ok {
		c.File = manifest.FileLine(origin.File, origin.Line)
	}
	c.Message = happened(o.Sides, winner)
	if winner == "" {
		s.pulled.accord.held[o.path] = held{o.Sides, c.Conflict}
	}
	s.conflicts = append(s.conflicts, c)
}

// happened says in words what a conflict is about, and what to do.
func happened(sides plan.Sides, winner workflows.ConflictPolicy) string {
	what := "it was changed on both sides"
	switch {
	case sides.Base.IsZero():
		what = "it is on both sides, and they never agreed on it"
	case sides.Git.IsZero():
		what = "it was deleted in Git and changed in the cluster"
	case sides.Live.IsZero():
		what = "it was changed in Git and deleted in the cluster"
	}
	switch winner {
	case workflows.ConflictGit:
		if sides.Live.IsZero() {
			return what + "; Git's version is used"
		}
		return what + "; Git's version is used, the cluster's is kept in the history of the branch"
	case workflows.ConflictCluster:
		return what + "; the cluster's version is used, Git's is in the history of the branch"
	default:
		return what + "; both stay as they are until somebody makes one like the other"
	}
}

// commit brings the files to the branch.
func (s *sharing) commit(ctx context.Context) (workflows.CommitResult, error) {
	for {
		result, err := s.commitOnce(ctx)
		var obstacle *repo.FileError
		if !errors.As(err, &obstacle) || !s.disown(map[string]error{obstacle.Path: err}) {
			return result, err
		}
	}
}

// commitOnce is that for all files that nothing is in the way of.
func (s *sharing) commitOnce(ctx context.Context) (workflows.CommitResult, error) {
	beside, err := s.beside()
	if err != nil {
		return workflows.CommitResult{}, err
	}
	files, failed := s.ours.contents()
	s.disown(failed)
	lost, failed := s.lost.contents()
	s.disown(failed)
	changes := s.changes()
	maps.Copy(files, beside)
	edit := repo.Edit{
		Parent: s.tip, Files: files, When: time.Now(),
		Message: commitMessage(ctx, s.Cluster, changes),
	}
	if len(lost) > 0 {
		edit.Aside = &repo.Aside{Files: lost, Message: s.lostMessage(ctx)}
	}
	pushed := repo.Pushed{Revision: s.tip}
	if len(files) > 0 || len(lost) > 0 {
		s.progress.say("storing %d objects", len(changes))
		if pushed, err = s.repository.Edit(ctx, edit); err != nil {
			return workflows.CommitResult{}, err
		}
	}
	s.attribute(ctx)
	s.tip = pushed.Revision
	if err := s.followTip(); err != nil {
		return workflows.CommitResult{}, err
	}
	s.index.Release(s.snapshot.Tree)
	return s.settle(pushed, changes), nil
}

// disown takes back the objects of files that could not be made, if there are some.
func (s *sharing) disown(failed map[string]error) (some bool) {
	for name := range failed {
		delete(s.ours.files, name)
		delete(s.lost.files, name)
	}
	for _, list := range []*[]*subject{&s.stored, &s.decided} {
		*list = slices.DeleteFunc(*list, func(o *subject) bool {
			file := o.path
			if origin, ok := s.pulled.desired.Origin(o.path); ok {
				file = origin.File
			}
			err, lost := failed[file]
			if some = some || lost; lost {
				s.failed[o.path] = fmt.Errorf("%s can't be written: %w", file, err)
			}
			return lost
		})
	}
	return some
}

// lostMessage is that of the commit which keeps the edits that lost.
func (s *sharing) lostMessage(ctx context.Context) string {
	var objects []string
	for _, c := range s.conflicts {
		if c.Winner == workflows.ConflictGit {
			objects = append(objects, c.Object)
		}
	}
	subject := fmt.Sprintf("conflict(%s): keep %d edits of the cluster that lose against Git's", s.Cluster, len(objects))
	if len(objects) == 1 {
		subject = fmt.Sprintf("conflict(%s): keep an edit of the cluster that loses against Git's", s.Cluster)
	}
	return message(ctx, s.Cluster, subject, objects[:min(len(objects), workflows.MaxListed)], len(objects))
}

// beside are the files that lie beside the manifests, where they aren't as they shall be. Other recipients than
// there were are reason to encrypt all Secrets for them.
func (s *sharing) beside() (files map[string][]byte, err error) {
	files = map[string][]byte{manifest.MarkerFile: s.marker}
	if _, err := s.repository.ReadFile(s.tip, secrets.ConfigFile); !s.Keys.Empty() && (err != nil || !s.shared) {
		files[secrets.ConfigFile] = secrets.Config(s.Keys) // where several clusters share it, the first one's holds
	}
	for name, content := range files {
		if now, err := s.repository.ReadFile(s.tip, name); err == nil && bytes.Equal(now, content) {
			delete(files, name)
		}
	}
	if files[secrets.ConfigFile] != nil {
		err = s.ours.sealAnew()
	}
	return files, err
}

// changes are those of objects that the commit makes.
func (s *sharing) changes() []tree.Change {
	var changes []tree.Change
	for _, o := range slices.Concat(s.stored, s.decided) {
		if _, failed := s.failed[o.path]; failed || o.Action == plan.ToCluster {
			continue
		}
		changes = append(changes, tree.Change{Path: o.path, From: o.Git, To: o.Live})
	}
	slices.SortFunc(changes, func(a, b tree.Change) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	return changes
}

// settle takes over what was pushed.
func (s *sharing) settle(pushed repo.Pushed, changes []tree.Change) workflows.CommitResult {
	memory := &s.pulled
	for _, o := range s.stored {
		if git, ok := s.git.Get(o.path); ok && !o.Live.IsZero() {
			memory.agreed[o.path] = plan.Pair{Git: git, Live: o.Live}
		}
	}
	outstanding := len(s.decided) > 0 || s.settled.Revision == ""
	for _, o := range s.subjects {
		outstanding = outstanding || !o.elusive && (o.Action == plan.ToCluster || o.Action == plan.Merge && s.alreadyDecided(o))
	}
	for _, o := range s.decided {
		decision := workflows.Open{Path: o.path, Base: s.baseOf(o.path), Live: o.Live.String()}
		if git, ok := s.git.Get(o.path); ok {
			decision.Git = git.String()
		}
		memory.accord.open[o.path] = decision
	}
	memory.accord.unstored = maps.Clone(s.failed)
	result := workflows.CommitResult{
		Revision: pushed.Revision.String(), Tree: s.state(s.live), Changes: summarise(changes), Outstanding: outstanding,
	}
	next := s.record
	if !outstanding {
		s.settleAll(s.live)
		next.settled = workflows.Settled{Revision: result.Revision, Tree: result.Tree}
	}
	result.Open, result.OpenCount = s.listOpen()
	next.unsettled, next.openCount = result.Open, result.OpenCount
	memory.accord.keys = []string{next.key()}
	if next.settled = s.settled; !outstanding {
		memory.accord.keys = append(memory.accord.keys, next.key()) // an Apply may follow all the same
	}
	for _, path := range slices.Sorted(maps.Keys(s.failed)) {
		result.Failed = append(result.Failed, s.failure(path, s.failed[path]))
	}
	result.FailedCount = len(result.Failed)
	result.Failed = result.Failed[:min(len(result.Failed), workflows.MaxListed)]
	s.reportConflicts(&result, pushed)
	return result
}
