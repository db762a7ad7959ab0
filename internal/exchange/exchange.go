// Package exchange is what push-pull does with objects: it compares three sides of each, what Git held when both
// sides agreed last, what it holds now and what the cluster holds, decides, and drafts the files that Git gets. It
// writes nothing: the API server is asked by dry runs, and Git is read. Its caller carries out what was decided,
// and keeps what is remembered from one look to the next.
package exchange

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Exchange is one look at the three sides. Commit and Apply both begin with it, and each does its half.
type Exchange struct {
	View
	Record
	Memory *Memory
	// Git is what the tip asks for, without ignored namespaces.
	Git tree.Tree
	// Subjects are the objects that are not known to be in order, by path.
	Subjects map[string]*Subject
}

// View is the cluster and the repository as they are looked at.
type View struct {
	desired.Rules
	Index    *kube.Index
	Snapshot kube.Snapshot
	// Kinds knows what files declare: it is the index, but where kinds count that Git would bring.
	Kinds desired.Kinds
	// Live is the snapshot without the namespaces that are ignored, Left are the objects that don't take part by
	// somebody's choice, by path.
	Live, Left tree.Tree
	Repository *repo.Repository
	// Tip is the revision that Git is the tree of.
	Tip    plumbing.Hash
	Logger *slog.Logger
	// Say is told in words what is being done.
	Say func(format string, args ...any)
}

// Record is what the workflow knows of the last agreement.
type Record struct {
	Config    workflows.Config
	Settled   workflows.Settled
	Open      []workflows.Open
	OpenCount int
	Tracked   []string
	// Waiting: deletions wait for approval.
	Waiting bool
}

// key names a record.
func (r Record) key() string {
	open, _ := json.Marshal(r.Open) // of strings
	return fmt.Sprintln(r.Settled.Revision, r.Settled.Tree, r.OpenCount, string(open))
}

// Memory is what is remembered from one look to the next. It is a cache: without it the last agreement is read
// from Git again, and what differs is compared anew.
type Memory struct {
	Desired *desired.State
	// Agreed are contents that are known to be equivalent, by path.
	Agreed map[string]plan.Pair
	accord accord
	// returns are the objects that the cluster makes the same again and again, by path.
	returns map[string]returning
}

// NewMemory remembers nothing.
func NewMemory(store desired.Store, rules desired.Rules) Memory {
	return Memory{Desired: desired.New(store, rules), Agreed: map[string]plan.Pair{}, returns: map[string]returning{}}
}

// InFiles orders objects by where Git declares them.
func (m *Memory) InFiles(a, b string) int {
	x, _ := m.Desired.Origin(a)
	y, _ := m.Desired.Origin(b)
	return cmp.Or(cmp.Compare(x.File, y.File), cmp.Compare(x.Index, y.Index), cmp.Compare(a, b))
}

// accord is what was found out about the agreement of both sides.
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
	// merged is what the cluster held of objects that were merged, as long as it hasn't got the result.
	merged map[string]desired.Former
	// git and live are the two sides as they were left.
	git, live tree.Tree
}

// Subject is one object, with what was found out about it.
type Subject struct {
	Path string
	plan.Sides
	plan.Step
	// ByBase and ByGit are what writing base, or what Git holds, would make of the live object.
	ByBase, ByGit kube.Written
	// Merged is what both sides shall have; nil for an object whose sides aren't merged.
	Merged map[string]any
	// former is the content of base; nil where it can't be had.
	former map[string]any
	// Elusive: it can't be looked at now, or changed while that was done.
	Elusive bool
}

// New is a look that has seen nothing yet.
func New(v View, r Record, m *Memory) *Exchange {
	return &Exchange{View: v, Record: r, Memory: m, Subjects: map[string]*Subject{}}
}

// Compare finds the objects that are not known to be in order, and decides about them.
func (x *Exchange) Compare(ctx context.Context) error {
	accord := &x.Memory.accord
	if !slices.Contains(accord.keys, x.key()) {
		if err := x.recallBase(ctx); err != nil {
			x.Memory.Desired = nil
			return err
		}
	}
	if err := x.FollowTip(); err != nil {
		return err
	}
	paths := plan.Touched(accord.git, x.Git, accord.live, x.Live)
	for path := range accord.open {
		paths = append(paths, path)
	}
	for _, path := range paths {
		x.consider(path)
	}
	accord.keys = []string{x.key()}
	return x.findOut(ctx)
}

// FollowTip brings what is known of Git to the tip.
func (x *Exchange) FollowTip() error {
	memory := x.Memory
	if err := memory.Desired.Follow(x.Tip, x.Kinds); err != nil {
		memory.Desired = nil // half-read: start over at the next attempt
		return err
	}
	memory.Desired.Resolve(x.Kinds)
	x.Git = x.Within(memory.Desired.Tree())
	return nil
}

// consider takes in one object, with what is known of it already.
func (x *Exchange) consider(path string) {
	accord := &x.Memory.accord
	s := &Subject{Path: path}
	s.Base, _ = accord.base.Get(path)
	s.Git, _ = x.Git.Get(path)
	s.Live, _ = x.Live.Get(path)
	if m, ok := accord.merged[path]; ok && accord.open[path].Git == s.Git.String() {
		s.Base = m.Hash // Git has all of it: what the cluster holds beyond that is new
	}
	// Who stores or merges what differs has to know how it does, and so asks again. What waits isn't touched.
	known := accord.known[path]
	if h, waits := accord.held[path]; waits && x.policy(s) == plan.Hold && h.Sides == known && known.Base == s.Base && known.Git == s.Git && known.Live == s.Live {
		s.Sides = known
	}
	switch x.Memory.Agreed[path] {
	case plan.Pair{Git: s.Git, Live: s.Live}:
		s.LiveIsGit = plan.Yes
	case plan.Pair{Git: s.Base, Live: s.Live}:
		s.LiveIsBase = plan.Yes
	}
	if s.Base == forgotten {
		s.LiveIsBase = plan.Yes
	}
	s.Elusive = x.eludes(s)
	x.Subjects[path] = s
}

// eludes reports whether nothing can be concluded about an object now.
func (x *Exchange) eludes(s *Subject) bool {
	_, left := x.Left.Get(s.Path)
	if left || !x.Snapshot.Knows(s.Path) {
		return true
	}
	d := x.Memory.Desired
	// What no file declares may stand in one that can't be read.
	return s.Git.IsZero() && (d.Declares(s.Path) || !s.Base.IsZero() && d.Unread() != "")
}

// policy is how edits are decided that can't both be kept.
func (x *Exchange) policy(s *Subject) plan.Policy {
	choice := x.Config.Conflicts()
	if x.Settled.Revision == "" && s.Base.IsZero() && x.Config.Adopt != "" {
		choice = workflows.ConflictPolicy(x.Config.Adopt)
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

// InOrder are the subjects, those of one file together.
func (x *Exchange) InOrder() []*Subject {
	return slices.SortedFunc(maps.Values(x.Subjects), func(a, b *Subject) int {
		return x.Memory.InFiles(a.Path, b.Path)
	})
}
