package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Sharing drafts what Git gets.
type Sharing struct {
	*Exchange
	// Ours are the files that the branch gets, Lost are those that it only gets to remember: edits of the cluster
	// that lose against Git's.
	Ours, Lost *Drafts
	// Stored are the objects that Git gets from the cluster, Decided those that the cluster gets though it changed
	// them, Failed why some can't be stored.
	Stored, Decided []*Subject
	Failed          map[string]error
	Conflicts       []Conflict
	merged          map[string]desired.Former
}

// Share begins to draft.
func (x *Exchange) Share() *Sharing {
	return &Sharing{Exchange: x, Ours: x.drafts(), Lost: x.drafts(), Failed: map[string]error{}, merged: map[string]desired.Former{}}
}

// Conflict is one that is to be reported, with the objects' path.
type Conflict struct {
	Path string
	workflows.Conflict
	// Repeated: it was told of before, and still waits.
	Repeated bool
}

// Draft makes the new contents of files, object by object. One that fails holds up no other.
func (s *Sharing) Draft(ctx context.Context) error {
	s.Memory.forgetReturns()
	for _, o := range s.InOrder() {
		if o.Elusive {
			continue
		}
		err := s.givesWay(o)
		if err == nil || o.MayGoToCluster(s.Exchange) {
			err = s.DraftOne(ctx, o)
		}
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, kube.ErrUnreachable) || errors.Is(err, repo.ErrStale) {
				return err
			}
			s.Failed[o.Path] = err
		}
	}
	return nil
}

// DraftOne drafts what Git gets of one object, and reports a conflict.
func (s *Sharing) DraftOne(ctx context.Context, o *Subject) error {
	switch o.Action {
	case plan.ToGit:
		if o.Conflict {
			s.report(o, workflows.ConflictCluster, nil)
		}
		return s.store(ctx, o)
	case plan.ToCluster:
		if o.Conflict && !s.AlreadyDecided(o) {
			return s.yield(ctx, o, nil)
		}
	case plan.Merge:
		if !s.AlreadyDecided(o) {
			return s.merge(ctx, o)
		}
	case plan.Wait:
		if h, known := s.Memory.accord.held[o.Path]; known && h.Sides == o.Sides {
			s.Conflicts = append(s.Conflicts, Conflict{o.Path, h.conflict, true})
		} else {
			s.report(o, "", nil)
		}
	default:
	}
	return nil
}

// AlreadyDecided reports whether it was decided before that the cluster gets what Git holds.
func (x *Exchange) AlreadyDecided(o *Subject) bool {
	open, ok := x.Memory.accord.open[o.Path]
	return ok && open.Live != "" && open.Live == o.Live.String() && (open.Git == "" && o.Git.IsZero() || open.Git == o.Git.String())
}

// store puts what the cluster holds into Git.
func (s *Sharing) store(ctx context.Context, o *Subject) error {
	if o.Live.IsZero() {
		s.Stored = append(s.Stored, o)
		return s.Ours.remove(o.Path)
	}
	want, err := s.asInCluster(ctx, o, s.Ours)
	if err != nil {
		return err
	}
	s.Stored = append(s.Stored, o)
	return s.Ours.put(o.Path, want)
}

// asInCluster is an object's document with what the cluster made of it.
func (s *Sharing) asInCluster(ctx context.Context, o *Subject, in *Drafts) (map[string]any, error) {
	if o.ByGit.Before != nil {
		live, err := objectOf(o.ByGit.Before)
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

// yield leaves the object to Git, and keeps the cluster's edit where it can be found.
func (s *Sharing) yield(ctx context.Context, o *Subject, fields []string) error {
	if !o.Live.IsZero() {
		content, err := s.asInCluster(ctx, o, s.Lost)
		if err != nil {
			return err
		}
		if err := s.Lost.put(o.Path, content); err != nil {
			return err
		}
	}
	s.Decided = append(s.Decided, o)
	s.report(o, workflows.ConflictGit, fields)
	return nil
}

// maxFields bounds the fields that a conflict names.
const maxFields = 5

// report notes a conflict for people.
func (s *Sharing) report(o *Subject, winner workflows.ConflictPolicy, fields []string) {
	c := Conflict{Path: o.Path, Conflict: workflows.Conflict{
		Time: time.Now().UTC().Truncate(time.Second), Object: manifest.ObjectName(o.Path), Winner: winner,
		Fields: fields[:min(len(fields), maxFields)], Cluster: o.ByGit.Overwrote.Manager,
	}}
	if origin, ok := s.Memory.Desired.Origin(o.Path); ok {
		c.File = manifest.FileLine(origin.File, origin.Line)
	}
	c.Message = happened(o.Sides, winner)
	if winner == "" {
		s.Memory.accord.held[o.Path] = held{o.Sides, c.Conflict}
	}
	s.Conflicts = append(s.Conflicts, c)
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

// Disown takes back the objects of files that could not be made, if there are some.
func (s *Sharing) Disown(failed map[string]error) (some bool) {
	for name := range failed {
		delete(s.Ours.files, name)
		delete(s.Lost.files, name)
	}
	for _, list := range []*[]*Subject{&s.Stored, &s.Decided} {
		*list = slices.DeleteFunc(*list, func(o *Subject) bool {
			file := o.Path
			if origin, ok := s.Memory.Desired.Origin(o.Path); ok {
				file = origin.File
			}
			err, lost := failed[file]
			if some = some || lost; lost {
				s.Failed[o.Path] = fmt.Errorf("%s can't be written: %w", file, err)
			}
			return lost
		})
	}
	return some
}

// Beside are the files that lie beside the manifests, where they aren't as they shall be. Other recipients than
// there were are reason to encrypt all Secrets for them. The marker says whose place it is, shared that it is that of several
// clusters.
func (s *Sharing) Beside(marker []byte, shared bool) (files map[string][]byte, err error) {
	files = map[string][]byte{manifest.MarkerFile: marker}
	if _, err := s.Repository.ReadFile(s.Tip, secrets.ConfigFile); !s.Keys.Empty() && (err != nil || !shared) {
		files[secrets.ConfigFile] = secrets.Config(s.Keys) // where several clusters share it, the first one's holds
	}
	for name, content := range files {
		if now, err := s.Repository.ReadFile(s.Tip, name); err == nil && bytes.Equal(now, content) {
			delete(files, name)
		}
	}
	if files[secrets.ConfigFile] != nil {
		err = s.Ours.SealAnew()
	}
	return files, err
}

// Changes are those of objects that the commit makes.
func (s *Sharing) Changes() []tree.Change {
	var changes []tree.Change
	for _, o := range slices.Concat(s.Stored, s.Decided) {
		if _, failed := s.Failed[o.Path]; failed || o.Action == plan.ToCluster {
			continue
		}
		changes = append(changes, tree.Change{Path: o.Path, From: o.Git, To: o.Live})
	}
	slices.SortFunc(changes, func(a, b tree.Change) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	return changes
}
