package preview

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// Pull tells what would become of the cluster if the branch were at the revision. What the API server makes of
// an object that differs, it is asked by a dry run.
func Pull(ctx context.Context, s Sides) (Preview, error) {
	p := &pulling{Sides: s, live: s.Rules.Within(s.Snapshot.Tree), kinds: newKinds(s.Index), staying: map[string]string{}}
	for _, step := range []func(context.Context) error{p.readGit, p.readSettled, p.writes, p.deletions} {
		if err := step(ctx); err != nil {
			return Preview{}, err
		}
	}
	p.mistakes()
	p.changes = append(p.changes, unread(s.Snapshot)...)
	return of(s, p.changes), nil
}

// pulling is one run of Pull.
type pulling struct {
	Sides
	live  tree.Tree
	kinds *kinds
	// wanted is Git at the revision, before is Git when both sides agreed last; nil where that isn't known.
	wanted, before *desired.State
	git            tree.Tree
	changes        []Change
	// mayDelete says which objects are to be deleted by what was decided about them; nil where Git wins.
	mayDelete func(context.Context, []plan.Candidate) ([]plan.Candidate, error)
	// staying are the reasons of objects that stay though Git doesn't declare them any more, by path.
	staying map[string]string
}

func (p *pulling) readGit(ctx context.Context) (err error) {
	p.Say("reading revision %s", short(p.Revision))
	if p.wanted, err = p.read(ctx, p.Revision); err != nil {
		return err
	}
	// Objects of kinds that Git itself brings are no mistakes: a sync writes their definitions first.
	for path := range p.wanted.Tree().All() {
		if location, _ := manifest.ParsePath(path); location.ResourceName() == definitions {
			if _, definition, err := p.wanted.Object(path, p.kinds); err == nil {
				p.kinds.define(definition)
			}
		}
	}
	p.wanted.Resolve(p.kinds)
	p.git = p.Rules.Within(p.wanted.Tree())
	return nil
}

// read is what a revision asks for.
func (p *pulling) read(ctx context.Context, revision plumbing.Hash) (*desired.State, error) {
	if err := p.Repository.Fetch(ctx, revision); err != nil {
		return nil, err
	}
	state := desired.New(p.Repository, p.Rules)
	return state, state.Follow(revision, p.kinds)
}

func (p *pulling) readSettled(ctx context.Context) (err error) {
	switch p.Settled {
	case plumbing.ZeroHash:
		return nil
	case p.Revision:
		p.before = p.wanted
		return nil
	}
	p.Say("reading revision %s, which both sides agreed on last", short(p.Settled))
	if p.before, err = p.read(ctx, p.Settled); errors.Is(err, repo.ErrMoved) {
		p.before, err = nil, nil // the Git host doesn't hand it out any more
	}
	return err
}

// writes finds the objects that would be written.
func (p *pulling) writes(ctx context.Context) error {
	var paths []string
	for path := range p.git.All() {
		paths = append(paths, path)
	}
	planned, _ := plan.Pull{Git: p.git, Live: p.live, Paths: paths}.Writes()
	tried, err := p.tryAll(ctx, planned)
	if err != nil {
		return err
	}
	unedited, err := p.unedited(ctx, planned, tried)
	if err != nil {
		return err
	}
	for _, w := range planned {
		result := tried[w.Path]
		if c, differs := p.write(p.described(w, !unedited[w.Path]), w, result); differs {
			p.changes = append(p.changes, c)
		}
	}
	return nil
}

// tryAll finds out what would become of the objects that the revision asks for.
func (p *pulling) tryAll(ctx context.Context, planned []plan.Write) (map[string]outcome, error) {
	slices.SortFunc(planned, func(a, b plan.Write) int { // the objects of one file together
		x, _ := p.wanted.Origin(a.Path)
		y, _ := p.wanted.Origin(b.Path)
		return cmp.Or(cmp.Compare(x.File, y.File), cmp.Compare(x.Index, y.Index))
	})
	tried, err := p.try(ctx, p.wanted, planned)
	if err != nil {
		return nil, err
	}
	unconfirmed, err := p.unconfirmed(ctx, planned, tried)
	if err != nil {
		return nil, err
	}
	outcomes := map[string]outcome{}
	for _, w := range planned {
		outcomes[w.Path] = outcome{Written: tried[w.Path], live: unconfirmed[w.Path]}
	}
	return outcomes, nil
}

// outcome is what was found out about one object that isn't as Git says.
type outcome struct {
	kube.Written
	// live is the object in the cluster, where the API server may not be asked for more.
	live []byte
}

// try has the API server say what would become of the objects that a state asks for. An object that can't be
// tried yet, because its namespace or its kind comes with the same sync, is left out of the answer.
func (p *pulling) try(ctx context.Context, state *desired.State, planned []plan.Write) (map[string]kube.Written, error) {
	tried := map[string]kube.Written{}
	var writes []kube.Write
	for _, w := range planned {
		resource, object, err := state.Object(w.Path, p.kinds)
		if err != nil {
			tried[w.Path] = kube.Written{Path: w.Path, Action: kube.Failed, Err: err}
			continue
		}
		if p.comesFirst(w.Path, resource) {
			continue
		}
		writes = append(writes, kube.Write{
			Path: w.Path, Resource: resource, Object: object, Live: w.Live, Scaled: state.IsScaled(manifest.IDOf(object)),
			Recreate: p.Config.RecreateImmutable,
		})
	}
	for _, written := range p.Index.Apply(ctx, writes, kube.ApplyOptions{DryRun: true, Progress: func(done, total int) {
		p.Say("asking the API server what would become of %d objects, %d done", total, done)
	}}) {
		tried[written.Path] = written
	}
	return tried, ctx.Err()
}

// comesFirst reports whether the namespace or the kind of an object is yet to be made by the same sync.
func (p *pulling) comesFirst(path string, resource manifest.Resource) bool {
	if p.kinds.brought[resource] {
		return true
	}
	location, _ := manifest.ParsePath(path)
	if location.Namespace == "" {
		return false
	}
	namespace := manifest.Path(manifest.Resource{Name: "namespaces"}, "", location.Namespace)
	_, inGit := p.git.Get(namespace)
	_, there := p.Index.Lookup(namespace)
	return inGit && !there
}

// unedited are the objects that Git has changed and that are in the cluster as Git was before.
func (p *pulling) unedited(ctx context.Context, planned []plan.Write, tried map[string]outcome) (map[string]bool, error) {
	unedited := map[string]bool{}
	if p.before == nil || p.before == p.wanted {
		return unedited, nil
	}
	var ask []plan.Write
	for _, w := range planned {
		then, held := p.before.Tree().Get(w.Path)
		switch {
		case !held || then == w.Git || w.Live.IsZero() || tried[w.Path].Action != kube.Updated:
		case then == w.Live:
			unedited[w.Path] = true
		default:
			ask = append(ask, plan.Write{Path: w.Path, Git: then, Live: w.Live})
		}
	}
	answers, err := p.try(ctx, p.before, ask)
	for path, answer := range answers {
		// Where it can't be told, the change in Git is what is certain.
		unedited[path] = answer.Action != kube.Updated
	}
	return unedited, err
}

// unconfirmed reads the objects of which the user may not ask what they would become. The worker may well write
// them.
func (p *pulling) unconfirmed(ctx context.Context, planned []plan.Write, tried map[string]kube.Written) (map[string][]byte, error) {
	var ask []tree.Change
	for _, w := range planned {
		if whyNotAsked(tried[w.Path]) != "" && !w.Live.IsZero() {
			ask = append(ask, tree.Change{Path: w.Path, To: w.Live})
		}
	}
	return p.Index.Content(ctx, ask)
}

// whyNotAsked is why the refusal of a dry run says nothing about what a sync would do; empty where it does.
func whyNotAsked(tried kube.Written) string {
	if tried.Action == kube.Failed && errors.Is(tried.Err, kube.ErrForbidden) {
		return "the kubeconfig's user lacks the permission to ask the API server what it would become"
	}
	return ""
}

// described says of one object what would be done and why. Edited: the cluster hasn't got it as Git was when both
// sides agreed.
func (p *pulling) described(w plan.Write, edited bool) Change {
	c := p.head(w)
	m := moves{known: p.before != nil, git: w.Git, live: w.Live, edited: edited}
	if p.before != nil {
		m.then, _ = p.before.Tree().Get(w.Path)
	}
	c.Reason, c.Message = m.cause()
	return c
}

// head is what a change of an object in the cluster begins with.
func (p *pulling) head(w plan.Write) Change {
	origin, _ := p.wanted.Origin(w.Path)
	c := Change{Object: manifest.ObjectName(w.Path), Action: Update, Direction: ToCluster, File: manifest.FileLine(origin.File, origin.Line)}
	if w.Live.IsZero() {
		c.Action = Create
	}
	return c
}

// write is what would become of one object; false when nothing would, after all.
func (p *pulling) write(c Change, w plan.Write, tried outcome) (Change, bool) {
	origin, _ := p.wanted.Origin(w.Path)
	_, object, err := p.wanted.Object(w.Path, p.kinds)
	if err != nil {
		return failed(c, Mistake, err.Error()), true
	}
	before, after := tried.Before, tried.After
	switch {
	case tried.Action == kube.Unchanged:
		return c, false
	case tried.Action == kube.Skipped:
		return failed(c, Refused, fmt.Sprintf("the object in the cluster is not synced (%s): remove it from Git, or lift the reason", tried.Reason)), true
	case whyNotAsked(tried.Written) != "":
		before, after, c.Unconfirmed = tried.live, nil, true
		c.Message += "; " + whyNotAsked(tried.Written) + ", so what that fills in shows as a difference"
	case tried.Action == kube.Failed:
		return failed(c, Refused, message(object, origin, tried.Err)), true
	case tried.Action == kube.Recreated:
		c.Message += "; it would be deleted and created again, since a field differs that can't be changed"
	}
	if after == nil || before == nil {
		// What is created is shown as Git has it: what the API server fills in would only be noise.
		if after, err = manifest.Encode(object); err != nil {
			return failed(c, Mistake, err.Error()), true
		}
	}
	c.Diff, c.Masked = compared("live/"+w.Path, "synced/"+w.Path, before, after, origin.Encrypted)
	return c, true
}

func failed(c Change, reason Reason, message string) Change {
	c.Action, c.Reason, c.Message = Fail, reason, message
	return c
}

// message is why an object can't be written. A webhook may quote what it refuses, and a Secret must not be
// quoted.
func message(object map[string]any, origin desired.Origin, err error) string {
	if isSecret(object) || origin.Encrypted {
		return secrets.Redact(err.Error(), object)
	}
	return err.Error()
}

// mistakes are what lies in Git itself.
func (p *pulling) mistakes() {
	for _, m := range p.wanted.Mistakes() {
		c := Change{Object: m.Object, Direction: ToCluster, File: manifest.FileLine(m.File, m.Line)}
		if c.Object == "" {
			c.Object = m.File
		}
		p.changes = append(p.changes, failed(c, Mistake, m.Message))
	}
}
