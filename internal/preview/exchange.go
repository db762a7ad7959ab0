package preview

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/active-cluster-sync/active-cluster-sync/internal/exchange"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Exchange tells what push-pull would do on both sides if the branch were at the revision, by the same decisions. Of
// an adoption that is yet to be made it tells how much each answer would lead to.
func Exchange(ctx context.Context, s Sides) (Preview, error) {
	if s.Revision.IsZero() && !s.Settled.IsZero() {
		return refused(s, fmt.Sprintf("branch %s of %s is gone, which held what both sides agreed on: restore it at revision %s, or unenroll and enroll to begin anew",
			s.Config.Branch, s.Config.Repository, short(s.Settled))), nil
	}
	if !s.Revision.IsZero() {
		s.Say("reading revision %s", short(s.Revision))
		if err := s.Repository.Fetch(ctx, s.Revision); err != nil {
			return Preview{}, err
		}
	}
	place, err := terms.MayMerge(ctx, s.Repository, s.Config, s.Revision, s.Settled)
	var refusal *terms.Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Reason == workflows.AdoptionRequired:
		return adoptions(ctx, s, refusal)
	case errors.As(err, &refusal):
		return refused(s, refusal.Message), nil
	case err != nil:
		return Preview{}, err
	case place.Beginning == terms.Fills:
		p := &pushing{Sides: s, live: s.Rules.Within(s.Snapshot.Tree)}
		return p.preview(ctx)
	}
	return exchanged(ctx, s, place)
}

// adoptions tells how much there would be to do with either side adopted.
func adoptions(ctx context.Context, s Sides, refusal *terms.Refusal) (Preview, error) {
	p := refused(s, refusal.Message)
	p.Adoption = map[workflows.AdoptPolicy]Adoption{}
	for _, side := range []workflows.AdoptPolicy{workflows.AdoptGit, workflows.AdoptCluster} {
		s.Config.Adopt = side
		adopted, err := Exchange(ctx, s)
		if err != nil {
			return Preview{}, err
		}
		p.Adoption[side] = Adoption{Counts: adopted.Counts, Sides: adopted.Sides}
	}
	return p, nil
}

// exchanging is one run of Exchange.
type exchanging struct {
	pulling
	x     *exchange.Exchange
	place terms.Place
	// decided are the objects that the cluster gets though both sides have changed them, conflicts are about those
	// and others, by path.
	decided   map[string]bool
	conflicts map[string]exchange.Conflict
	// written are the files that Git would get anew.
	written map[string]bool
}

func exchanged(ctx context.Context, s Sides, place terms.Place) (Preview, error) {
	e := &exchanging{
		pulling: pulling{Sides: s, live: s.Rules.Within(s.Snapshot.Tree), kinds: newKinds(s.Index), staying: map[string]string{}},
		place:   place, decided: map[string]bool{}, conflicts: map[string]exchange.Conflict{}, written: map[string]bool{},
	}
	e.mayDelete = e.chosen
	for _, step := range []func(context.Context) error{e.readGit, e.compare, e.toGit, e.reseal, e.toCluster, e.deletions, e.returning} {
		if err := step(ctx); err != nil {
			return Preview{}, err
		}
	}
	e.mistakes()
	e.changes = append(e.changes, unread(s.Snapshot)...)
	return of(s, e.changes), nil
}

// compare comes to the decisions that a worker without a memory would come to.
func (e *exchanging) compare(ctx context.Context) error {
	e.Say("comparing both sides with what they agreed on last")
	s, memory := e.Sides, exchange.NewMemory(e.Repository, e.Rules)
	e.x = exchange.New(exchange.View{
		Rules: s.Rules, Index: s.Index, Snapshot: s.Snapshot, Kinds: e.kinds, Live: e.live, Left: s.Rules.Within(s.Snapshot.Left),
		Repository: s.Repository, Tip: s.Revision, Logger: slog.New(slog.DiscardHandler), Say: s.Say,
	}, exchange.Record{
		Config: s.Config, Settled: s.Agreement.Settled, Open: s.Agreement.Open, OpenCount: s.Agreement.OpenCount,
		Tracked: s.Agreement.Tracked, Waiting: s.Agreement.Waiting,
	}, &memory)
	return e.x.Compare(ctx)
}

// toGit finds the files that would be written or taken away, and the objects that would wait. Each object is drafted
// by itself, so that its change of a file is seen apart from those of others.
func (e *exchanging) toGit(ctx context.Context) error {
	for _, o := range e.x.InOrder() {
		if o.Elusive {
			continue
		}
		share := e.x.Share()
		err := share.DraftOne(ctx, o)
		if ctx.Err() != nil || errors.Is(err, kube.ErrUnreachable) {
			return err
		}
		for _, decided := range share.Decided {
			e.decided[decided.Path] = true
		}
		for _, conflict := range share.Conflicts {
			e.conflicts[conflict.Path] = conflict
		}
		switch {
		case err != nil:
			e.changes = append(e.changes, e.unstored(o, err))
		case o.Action == plan.Wait:
			e.changes = append(e.changes, e.waiting(o))
		default:
			if err := e.drafted(o, share.Ours); err != nil {
				e.changes = append(e.changes, e.unstored(o, err))
			}
		}
	}
	return nil
}

// drafted is what a draft would make of the files.
func (e *exchanging) drafted(o *exchange.Subject, drafts *exchange.Drafts) error {
	texts, err := drafts.Texts()
	if err != nil {
		return err
	}
	for name, text := range texts {
		c := e.about(o, ToGit)
		switch {
		case o.Live.IsZero():
			c.Action = Delete
		case o.Git.IsZero():
			c.Action, c.File = Create, name
		}
		e.written[name] = true
		c.Diff, c.Masked = compared("git/"+name, "synced/"+name, text.Before, text.After, text.Sealed)
		if c.Diff == "" && o.Merged != nil {
			continue // nothing of the cluster's is in the merge
		}
		if whyNotAsked(o.ByGit) != "" {
			c.Unconfirmed = true
			c.Message += "; " + whyNotAsked(o.ByGit) + ", so the object is shown as it is there, with all that is filled in"
		}
		e.changes = append(e.changes, c)
	}
	return nil
}

// unstored is an object that Git can't get.
func (e *exchanging) unstored(o *exchange.Subject, err error) Change {
	c := e.about(o, ToGit)
	if errors.Is(err, repo.ErrStale) {
		c.Message += "; it is changing right now"
		return c
	}
	return failed(c, Refused, err.Error())
}

// waiting is an object that stays as it is on both sides.
func (e *exchanging) waiting(o *exchange.Subject) Change {
	c := e.about(o, "")
	c.Action = Wait
	origin, _ := e.wanted.Origin(o.Path)
	if o.ByGit.Before != nil && o.ByGit.After != nil {
		c.Diff, c.Masked = compared("live/"+o.Path, "git/"+o.Path, o.ByGit.Before, o.ByGit.After, origin.Encrypted)
	}
	return c
}

// about is what a change of an object begins with: what would be done with it and why.
func (e *exchanging) about(o *exchange.Subject, to Direction) Change {
	origin, declared := e.wanted.Origin(o.Path)
	c := Change{Object: manifest.ObjectName(o.Path), Action: Update, Direction: to}
	if declared {
		c.File = manifest.FileLine(origin.File, origin.Line)
	}
	c.Reason, c.Message = exchangeCause(o.Sides)
	if conflict, ok := e.conflicts[o.Path]; ok {
		c.Reason, c.Message = ChangedOnBoth, conflict.String()
		if o.Base.IsZero() {
			c.Reason = Differs
		}
		c.Conflict = &Conflict{Winner: conflict.Winner, Fields: conflict.Fields}
	}
	return c
}

// reseal finds the Secrets that would be encrypted anew, for other recipients.
func (e *exchanging) reseal(context.Context) error {
	share := e.x.Share()
	files, err := share.Beside(e.place.Marker.Encode(), len(e.place.Marker.Members) > 1)
	if err != nil || len(files) == 0 {
		return err
	}
	texts, err := share.Ours.Texts()
	for name := range texts {
		if e.written[name] {
			continue
		}
		e.changes = append(e.changes, Change{
			Object: manifest.ObjectName(name), Action: Update, Direction: ToGit, Reason: Recipients, File: name, Message: resealed,
		})
	}
	return err
}

// toCluster finds the objects that would be written to the cluster.
func (e *exchanging) toCluster(ctx context.Context) error {
	var planned []plan.Write
	for _, o := range e.x.InOrder() {
		switch {
		case o.Git.IsZero() || !e.decided[o.Path] && !o.MayGoToCluster(e.x):
		case o.Merged != nil:
			if err := e.merged(o); err != nil {
				return err
			}
		default:
			planned = append(planned, plan.Write{Path: o.Path, Git: o.Git, Live: o.Live})
		}
	}
	tried, err := e.tryAll(ctx, planned)
	if err != nil {
		return err
	}
	for _, w := range planned {
		o := e.x.Subjects[w.Path]
		c := e.about(o, ToCluster)
		if w.Live.IsZero() {
			c.Action = Create
		}
		if e.x.AlreadyDecided(o) {
			c.Message += "; it was decided before that Git's version is used"
		}
		if c, differs := e.write(c, w, tried[w.Path]); differs {
			e.changes = append(e.changes, c)
		}
	}
	return nil
}

// merged is what the cluster would get of an object of which both sides keep something.
func (e *exchanging) merged(o *exchange.Subject) error {
	after, err := manifest.Encode(o.Merged)
	if err != nil {
		return err
	}
	c := e.about(o, ToCluster)
	origin, _ := e.wanted.Origin(o.Path)
	c.Diff, c.Masked = compared("live/"+o.Path, "synced/"+o.Path, o.ByGit.Before, after, origin.Encrypted)
	if c.Diff != "" {
		e.changes = append(e.changes, c)
	}
	return nil
}

// chosen keeps the deletions that Git alone has brought about, or that were decided.
func (e *exchanging) chosen(ctx context.Context, candidates []plan.Candidate) ([]plan.Candidate, error) {
	var chosen, open []plan.Candidate
	for _, c := range candidates {
		if e.decided[c.Path] {
			chosen = append(chosen, c)
		} else {
			open = append(open, c)
		}
	}
	open, err := e.x.ToDelete(ctx, open)
	return append(chosen, open...), err
}

// returning finds the objects that were deleted in Git and must stay in the cluster: there they are new from then on.
func (e *exchanging) returning(ctx context.Context) error {
	var ask []tree.Change
	for path := range e.staying {
		if o := e.x.Subjects[path]; o != nil && o.MayGoToCluster(e.x) {
			ask = append(ask, tree.Change{Path: path, To: o.Live})
		}
	}
	contents, err := e.Index.Content(ctx, ask)
	for path, content := range contents {
		c := Change{
			Object: manifest.ObjectName(path), Action: Create, Direction: ToGit, Reason: GoneFromGit, File: path,
			Message: fmt.Sprintf("deleted in Git, and stays in the cluster (%s): the sync after the next one stores it again", e.staying[path]),
		}
		c.Diff, c.Masked = compared(nothing, "synced/"+path, nil, content, false)
		e.changes = append(e.changes, c)
	}
	return err
}
