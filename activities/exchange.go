package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// exchange is one look at the three sides of push-pull: what Git held when both sides agreed last, what it holds
// now, and what the cluster holds. Commit and Apply both begin with it, and each does its half.
type exchange struct {
	*Activities
	*view
	record
	repository *repo.Repository
	progress   *progress
	// tip is the revision that git is the tree of.
	tip plumbing.Hash
	git tree.Tree
	// subjects are the objects that are not known to be in order, by path.
	subjects map[string]*subject
}

// record is what the workflow knows of the last agreement.
type record struct {
	config    workflows.Config
	settled   workflows.Settled
	unsettled []workflows.Open
	openCount int
	tracked   []string
	// waiting: deletions wait for approval.
	waiting bool
}

// key names a record.
func (r record) key() string {
	open, _ := json.Marshal(r.unsettled) // of strings
	return fmt.Sprintln(r.settled.Revision, r.settled.Tree, r.openCount, string(open))
}

// accord is what a worker remembers of push-pull beyond what it remembers of Apply. It is a cache: without it
// the last agreement is read from Git again, and what differs is compared anew.
type accord struct {
	// keys are the records that it goes with.
	keys []string
	// base is what both sides agreed on, object by object.
	base tree.Tree
	open map[string]workflows.Open
	// known are the answers about open objects, held are those that wait for somebody, and unstored are those that
	// Git can't get.
	known    map[string]plan.Sides
	held     map[string]held
	unstored map[string]error
	// git and live are the two sides as they were left.
	git, live tree.Tree
}

// subject is one object, with what was found out about it.
type subject struct {
	path string
	plan.Sides
	plan.Step
	// byBase and byGit are what writing base, or what Git holds, would make of the live object.
	byBase, byGit kube.Written
	// former is the content of base; nil where it can't be had.
	former map[string]any
	// elusive: it can't be looked at now, or changed while that was done.
	elusive bool
}

// exchange compares the three sides.
func (a *Activities) exchange(ctx context.Context, repository *repo.Repository, tip plumbing.Hash, v *view, rec record, p *progress) (*exchange, error) {
	x := &exchange{Activities: a, view: v, record: rec, repository: repository, progress: p, tip: tip, subjects: map[string]*subject{}}
	known := a.remember(repository, v, rec.config)
	memory := &a.pulled
	fits := known && slices.Contains(memory.accord.keys, rec.key())
	if !fits {
		if err := x.recallBase(ctx); err != nil {
			memory.desired = nil
			return nil, err
		}
	}
	if err := x.followTip(); err != nil {
		return nil, err
	}
	accord := &memory.accord
	paths := plan.Touched(accord.git, x.git, accord.live, v.live)
	for path := range accord.open {
		paths = append(paths, path)
	}
	for _, path := range paths {
		x.consider(path)
	}
	accord.keys = []string{rec.key()}
	return x, x.findOut(ctx)
}

// followTip brings what is known of Git to the tip.
func (x *exchange) followTip() error {
	memory := &x.pulled
	if err := memory.desired.Follow(x.tip, x.index); err != nil {
		memory.desired = nil // half-read: start over at the next attempt
		return err
	}
	memory.desired.Resolve(x.index)
	x.git = x.Within(memory.desired.Tree())
	return nil
}

// forgotten stands for the content of an object that Git held once and whose deletion waits for approval, after
// the worker has lost its memory.
var forgotten = manifest.Hash([]byte("forgotten"))

// recallBase finds out what both sides agreed on last, from the revisions that the workflow remembers.
func (x *exchange) recallBase(ctx context.Context) error {
	memory := &x.pulled
	memory.accord = accord{open: map[string]workflows.Open{}, known: map[string]plan.Sides{}, held: map[string]held{}}
	for _, o := range x.unsettled {
		memory.accord.open[o.Path] = o
	}
	if x.settled.Revision == "" || x.openCount > len(x.unsettled) {
		return nil // not known for each object, so for none: then nothing is deleted, and no edit taken for the only one
	}
	settled := plumbing.NewHash(x.settled.Revision)
	switch there, err := x.obtain(ctx, settled); {
	case err != nil:
		return err
	case !there:
		return nil
	}
	if err := memory.desired.Follow(settled, x.index); err != nil {
		return err
	}
	base := tree.NewEditor(x.Within(memory.desired.Tree()))
	for _, o := range x.unsettled {
		base.Remove(o.Path)
	}
	memory.accord.base = base.Tree()
	if err := x.followTip(); err != nil {
		return err
	}
	for path, former := range x.formers(ctx, slices.Collect(maps.Keys(memory.accord.open))) {
		base.Put(path, former.Hash)
	}
	if err := x.recallDeletions(ctx, base); err != nil {
		return err
	}
	memory.accord.base = base.Tree()
	memory.accord.git, memory.accord.live = memory.accord.base, memory.accord.base
	return nil
}

// recallDeletions puts into base what Git held and holds no longer, as long as that waits for approval.
func (x *exchange) recallDeletions(ctx context.Context, base *tree.Editor) error {
	if !x.waiting {
		return nil
	}
	for _, revision := range x.tracked {
		before := plumbing.NewHash(revision)
		if there, err := x.obtain(ctx, before); err != nil || !there {
			if err != nil {
				return err
			}
			continue
		}
		gone, _, err := x.pulled.desired.Gone(before, x.index)
		if err != nil {
			return err
		}
		for _, g := range gone {
			if _, known := base.Get(g.Path); !known {
				base.Put(g.Path, forgotten)
			}
		}
	}
	return nil
}

// obtain brings an earlier revision here, beside the tip; false where the Git host doesn't hand it out any more.
func (x *exchange) obtain(ctx context.Context, revision plumbing.Hash) (there bool, err error) {
	if revision == x.tip {
		return true, nil
	}
	switch err := x.repository.Fetch(ctx, revision); {
	case errors.Is(err, repo.ErrMoved):
		x.Logger.Warn("an earlier revision can't be had any more; what differs on the two sides is compared without it",
			"cluster", x.Cluster, "revision", revision.String())
		return false, nil
	case err != nil:
		return false, err
	}
	// Having fetched an older revision, the store may have made room for it.
	return true, x.repository.Fetch(ctx, x.tip)
}

// formers reads what both sides agreed on for some objects. What can't be had is left out.
func (x *exchange) formers(ctx context.Context, paths []string) map[string]desired.Former {
	wanted := map[string]map[string]bool{} // by revision
	for _, path := range paths {
		revision := x.baseOf(path)
		if revision == "" {
			continue
		}
		if wanted[revision] == nil {
			wanted[revision] = map[string]bool{}
		}
		wanted[revision][path] = true
	}
	found := map[string]desired.Former{}
	for revision, paths := range wanted {
		hash := plumbing.NewHash(revision)
		there, err := x.obtain(ctx, hash)
		if err != nil || !there {
			continue
		}
		some, err := x.pulled.desired.Former(hash, paths, x.index)
		if err != nil {
			continue
		}
		maps.Copy(found, some)
		for path := range paths {
			if _, differs := some[path]; !differs {
				if same, ok := x.present(path); ok {
					found[path] = same
				}
			}
		}
	}
	return found
}

// present is an object as Git has it now.
func (x *exchange) present(path string) (desired.Former, bool) {
	hash, ok := x.git.Get(path)
	if !ok {
		return desired.Former{}, false
	}
	resource, object, err := x.pulled.desired.Object(path, x.index)
	return desired.Former{Resource: resource, Object: object, Hash: hash}, err == nil
}

// baseOf is the revision at which both sides agreed on an object; empty where there is none.
func (x *exchange) baseOf(path string) string {
	if o, open := x.pulled.accord.open[path]; open {
		return o.Base
	}
	if _, ok := x.pulled.accord.base.Get(path); ok {
		return x.settled.Revision
	}
	return ""
}

// consider takes in one object, with what is known of it already.
func (x *exchange) consider(path string) {
	accord := &x.pulled.accord
	s := &subject{path: path}
	s.Base, _ = accord.base.Get(path)
	s.Git, _ = x.git.Get(path)
	s.Live, _ = x.live.Get(path)
	if known := accord.known[path]; known.Base == s.Base && known.Git == s.Git && known.Live == s.Live {
		s.Sides = known
	}
	switch x.pulled.agreed[path] {
	case plan.Pair{Git: s.Git, Live: s.Live}:
		s.LiveIsGit = plan.Yes
	case plan.Pair{Git: s.Base, Live: s.Live}:
		s.LiveIsBase = plan.Yes
	}
	if s.Base == forgotten {
		s.LiveIsBase = plan.Yes
	}
	s.elusive = x.eludes(s)
	x.subjects[path] = s
}

// eludes reports whether nothing can be concluded about an object now.
func (x *exchange) eludes(s *subject) bool {
	_, left := x.left.Get(s.path)
	if left || !x.snapshot.Knows(s.path) {
		return true
	}
	d := x.pulled.desired
	// What no file declares may stand in one that can't be read.
	return s.Git.IsZero() && (d.Declares(s.path) || !s.Base.IsZero() && d.Unread() != "")
}

// policy is how edits are decided that can't both be kept.
func (x *exchange) policy(s *subject) plan.Policy {
	choice := x.config.Conflicts()
	if x.settled.Revision == "" && s.Base.IsZero() && x.config.Adopt != "" {
		choice = workflows.ConflictPolicy(x.config.Adopt)
	}
	switch choice {
	case workflows.ConflictCluster:
		return plan.ClusterWins
	case workflows.ConflictHold:
		return plan.Hold
	case workflows.ConflictGit:
	}
	return plan.GitWins
}

// findOut decides about the subjects, and asks the API server where it has to be asked.
func (x *exchange) findOut(ctx context.Context) error {
	const rounds = 3 // each answers one of two questions
	for range rounds {
		var base, git []*subject
		for _, s := range x.inOrder() {
			if s.elusive {
				continue
			}
			switch s.Step = x.decide(s); s.Action {
			case plan.AskBase:
				base = append(base, s)
			case plan.AskGit:
				git = append(git, s)
			default:
			}
		}
		if len(base)+len(git) == 0 {
			return nil
		}
		if err := errors.Join(x.askBase(ctx, base), x.askGit(ctx, git)); err != nil {
			return err
		}
	}
	return nil
}

// decide remembers that the fields of an object can't be merged, so that it isn't tried again and again.
func (x *exchange) decide(s *subject) plan.Step {
	step := s.Decide(x.policy(s))
	if h, known := x.pulled.accord.held[s.path]; step.Action == plan.Merge && known && h.Sides == s.Sides && x.policy(s) == plan.Hold {
		return plan.Step{Action: plan.Wait, Conflict: true}
	}
	return step
}

// inOrder are the subjects, those of one file together.
func (x *exchange) inOrder() []*subject {
	return slices.SortedFunc(maps.Values(x.subjects), func(a, b *subject) int {
		return x.pulled.inFiles(a.path, b.path)
	})
}

// askBase finds out whether the cluster has objects as base says.
func (x *exchange) askBase(ctx context.Context, subjects []*subject) error {
	if len(subjects) == 0 {
		return nil
	}
	paths := make([]string, 0, len(subjects))
	for _, s := range subjects {
		paths = append(paths, s.path)
	}
	formers := x.formers(ctx, paths)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var asked []*subject
	for _, s := range subjects {
		former, ok := formers[s.path]
		if !ok {
			s.LiveIsBase = plan.No // as far as anybody can tell
			continue
		}
		s.former = former.Object
		asked = append(asked, s)
	}
	return x.ask(ctx, asked, func(s *subject) (manifest.Resource, map[string]any, error) {
		return formers[s.path].Resource, s.former, nil
	}, func(s *subject, written kube.Written, answer plan.Answer) { s.byBase, s.LiveIsBase = written, answer })
}

// askGit finds out whether the cluster has objects as Git says.
func (x *exchange) askGit(ctx context.Context, subjects []*subject) error {
	return x.ask(ctx, subjects, func(s *subject) (manifest.Resource, map[string]any, error) {
		return x.pulled.desired.Object(s.path, x.index)
	}, func(s *subject, written kube.Written, answer plan.Answer) { s.byGit, s.LiveIsGit = written, answer })
}

// ask has the API server say what writing some content would change.
func (x *exchange) ask(ctx context.Context, subjects []*subject, content func(*subject) (manifest.Resource, map[string]any, error),
	take func(*subject, kube.Written, plan.Answer)) error {
	var writes []kube.Write
	contents := map[string]map[string]any{}
	for _, s := range subjects {
		resource, object, err := content(s)
		if err != nil {
			s.elusive = true
			continue
		}
		contents[s.path] = object
		writes = append(writes, kube.Write{
			Path: s.path, Resource: resource, Object: object, Live: s.Live, Recreate: true, Scaled: x.pulled.desired.IsScaled(manifest.IDOf(object)),
		})
	}
	x.progress.say("comparing %d objects", len(writes))
	for _, written := range x.index.Apply(ctx, writes, kube.ApplyOptions{DryRun: true}) {
		s := x.subjects[written.Path]
		answer, err := x.answer(ctx, s, written, contents[s.path])
		if err != nil {
			return err
		}
		take(s, written, answer)
	}
	return ctx.Err()
}

// answer makes out what a dry run says.
func (x *exchange) answer(ctx context.Context, s *subject, written kube.Written, content map[string]any) (plan.Answer, error) {
	if entry, _ := x.index.Lookup(s.path); entry.Hash != s.Live {
		s.elusive = true // it is another one by now
	}
	switch written.Action {
	case kube.Unchanged:
		return plan.Yes, nil
	case kube.Updated, kube.Recreated:
		return plan.No, nil
	case kube.Failed:
		if errors.Is(written.Err, kube.ErrUnreachable) || ctx.Err() != nil {
			return plan.Unknown, written.Err
		}
		return x.answerAlone(ctx, s, content)
	default:
		s.elusive = true
	}
	return plan.Unknown, nil
}

// answerAlone compares the declared fields where the API server refuses to tell, because of a webhook for
// instance.
func (x *exchange) answerAlone(ctx context.Context, s *subject, content map[string]any) (plan.Answer, error) {
	live, err := x.liveContent(ctx, s)
	switch {
	case err != nil:
		return plan.Unknown, err
	case live == nil:
		s.elusive = true
		return plan.Unknown, nil
	case manifest.Declares(content, live):
		return plan.Yes, nil
	}
	return plan.No, nil
}

// liveContent is the object as the cluster has it, in the version of the index; nil where it is another one by
// now.
func (x *exchange) liveContent(ctx context.Context, s *subject) (map[string]any, error) {
	contents, err := x.index.Content(ctx, []tree.Change{{Path: s.path, To: s.Live}})
	if err != nil || contents[s.path] == nil {
		return nil, err
	}
	return objectOf(contents[s.path])
}

// objectOf reads a canonical file.
func objectOf(content []byte) (map[string]any, error) {
	documents, problems := manifest.Decode("", content)
	if len(documents) != 1 || len(problems) > 0 {
		return nil, errors.New("the content of an object can't be read back")
	}
	return documents[0].Object, nil
}
