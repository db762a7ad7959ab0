package repo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Authorship is who made a commit, when, and what they say about it. The texts come from outside: they are
// one line each, of a bounded length, without control characters.
type Authorship struct {
	Revision plumbing.Hash
	Author   Author
	// When is in UTC; zero where the commit's time is none that a calendar has.
	When    time.Time
	Subject string
}

const (
	// maxLookedThrough bounds the commits that LastChanges looks at.
	maxLookedThrough = 200
	maxName          = 100 // of an author or an address, in bytes
	maxSubject       = 200 // in bytes
)

// LastChanges finds for each path below Options.Path the newest commit in the history of one revision, and not
// in that of another one, that changed the file there: of a merge that takes over one of its sides, the one on
// that side. It looks at 200 commits at most, and fetches those that aren't here without their files. Paths are
// missing in the answer that no such commit has changed, and those of which it can't be told: the history is
// too long, is gone, or can be had from this server with all files only.
func (r *Repository) LastChanges(ctx context.Context, from, to plumbing.Hash, paths []string) (map[string]Authorship, error) {
	end, err := r.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	found := map[string]Authorship{}
	if from == to || to.IsZero() || len(paths) == 0 {
		return found, nil
	}
	if err := r.fetch(ctx, to); err != nil {
		return nil, err
	}
	s := search{since: from, path: r.path, found: found}
	open, err := r.search(&s, to, paths)
	if err != nil || len(open) == 0 {
		return found, err
	}
	// The directories that the commits share with from are not sent, so it must be here.
	err = r.fetch(ctx, from)
	if err == nil {
		err = r.fetch(ctx, to)
	}
	if err == nil {
		s.more, err = r.fetchHistory(ctx, excerpt{
			revision: to, ancestor: from, directories: true, limit: maxIncrement,
			depth: maxLookedThrough + 1, // with the parents of the last one
		})
	}
	if errors.Is(err, ErrMoved) || errors.Is(err, errUnrelated) || errors.Is(err, errTooFar) || errors.Is(err, errUnfiltered) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = r.search(&s, to, open)
	return found, err
}

func (r *Repository) search(s *search, to plumbing.Hash, paths []string) (open []string, err error) {
	err = r.with(func(st *store) error {
		s.store, s.tip = st, to
		if s.more == nil {
			s.later = descendants(st.git, to, s.since)
		} else {
			s.later = descendants(s.more, to, s.since)
		}
		open, err = s.run(to, paths)
		return err
	})
	return open, err
}

// search looks for the commits that changed files last.
type search struct {
	store *store
	tip   plumbing.Hash
	since plumbing.Hash // nothing is looked for in its history
	path  []string
	// more are commits that were fetched, which are all that since hasn't in its history. Nil: only those are
	// looked at that the store has.
	more *commits
	// later are the commits of those that have since in their history. Others may be in the history of since,
	// of which the store may have a part, or beside it, on a branch that was rewound.
	later map[plumbing.Hash]bool
	found map[string]Authorship
}

// stop is a commit at which some files are as they are in the end.
type stop struct {
	revision plumbing.Hash
	paths    []string
}

// run notes who changed the files, and returns those of which the commits that are here don't tell.
func (s *search) run(to plumbing.Hash, paths []string) (open []string, err error) {
	queue := []stop{{to, paths}}
	for n := 0; len(queue) > 0 && n < maxLookedThrough; n++ {
		at := queue[0]
		queue = queue[1:]
		next, err := s.visit(at)
		switch {
		case errors.Is(err, errMissing):
			open = append(open, at.paths...)
		case err != nil:
			return nil, err
		default:
			queue = append(queue, next...)
		}
	}
	return open, nil
}

// visit compares a commit with its parents. Files that are the same in one of them have been changed there or
// before; the others by this commit.
func (s *search) visit(at stop) (next []stop, err error) {
	if s.more == nil && !s.later[at.revision] {
		return nil, errMissing
	}
	c, err := s.commit(at.revision)
	if err != nil {
		return nil, err
	}
	rest := at.paths
	for _, parent := range c.ParentHashes {
		before, ends, err := s.parent(parent)
		if err != nil {
			return nil, err
		}
		differing, err := s.differing(before.TreeHash, c.TreeHash, rest)
		if err != nil {
			return nil, err
		}
		same := slices.DeleteFunc(slices.Clone(rest), func(path string) bool { return differing[path] })
		if len(same) > 0 && !ends {
			next = append(next, stop{parent, same})
		}
		rest = slices.DeleteFunc(slices.Clone(rest), func(path string) bool { return !differing[path] })
		if len(rest) == 0 {
			return next, nil
		}
	}
	if len(c.ParentHashes) == 0 {
		created, err := s.differing(plumbing.ZeroHash, c.TreeHash, rest)
		if err != nil {
			return nil, err
		}
		rest = slices.DeleteFunc(slices.Clone(rest), func(path string) bool { return !created[path] })
	}
	for _, path := range rest {
		s.found[path] = authorship(c)
	}
	return next, nil
}

// commit is one that isn't in the history of since.
func (s *search) commit(revision plumbing.Hash) (*object.Commit, error) {
	if s.more == nil {
		return s.store.commit(revision)
	}
	c, err := object.GetCommit(s.more, revision)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, errMissing
	}
	return c, err
}

// parent is the parent of a commit to compare that with, and tells whether the search ends there. For one in the
// history of since, it is since itself: how a file came to be what it is there isn't looked for.
func (s *search) parent(parent plumbing.Hash) (c *object.Commit, ends bool, err error) {
	if parent != s.since {
		c, err = s.commit(parent)
		// All were fetched that since doesn't have.
		before := s.more != nil && s.later[s.tip] && !s.since.IsZero()
		if !before || !errors.Is(err, errMissing) {
			return c, false, err
		}
	}
	c, err = s.store.commit(s.since)
	return c, true, err
}

// differing tells which files differ between two roots. Only the directories on the way to them are looked into.
func (s *search) differing(a, b plumbing.Hash, paths []string) (map[string]bool, error) {
	w := wayTo(slices.Values(paths))
	for _, name := range slices.Backward(s.path) {
		w = &way{below: map[string]*way{name: w}}
	}
	differing := map[string]bool{}
	prefix := strings.Join(append(slices.Clone(s.path), ""), "/")
	return differing, s.compare(a, b, "", w, func(path string) {
		differing[strings.TrimPrefix(path, prefix)] = true
	})
}

func (s *search) compare(a, b plumbing.Hash, prefix string, w *way, differs func(path string)) error {
	if a == b {
		return nil
	}
	before, err := s.entries(a, w)
	if err != nil {
		return err
	}
	after, err := s.entries(b, w)
	if err != nil {
		return err
	}
	for name, next := range w.sorted() {
		was, is := before[name], after[name]
		if was.Mode != is.Mode || leaf(was) != leaf(is) {
			differs(prefix + name)
		}
		if err := s.compare(directoryOf(was), directoryOf(is), prefix+name+"/", next, differs); err != nil {
			return err
		}
	}
	return nil
}

// entries are those of a directory that the way goes on by.
func (s *search) entries(dir plumbing.Hash, w *way) (map[string]object.TreeEntry, error) {
	if len(w.below) == 0 {
		return nil, nil
	}
	all, err := s.directory(dir)
	if err != nil {
		return nil, err
	}
	some := map[string]object.TreeEntry{}
	for _, e := range all {
		if w.below[e.Name] != nil {
			some[e.Name] = e
		}
	}
	return some, nil
}

func (s *search) directory(dir plumbing.Hash) ([]object.TreeEntry, error) {
	if s.more != nil {
		if t, err := object.GetTree(s.more, dir); err == nil {
			return t.Entries, nil
		}
	}
	return s.store.entries(dir)
}

// authorship reads a commit, which anybody may have made.
func authorship(c *object.Commit) Authorship {
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	a := Authorship{
		Revision: c.Hash,
		Author:   Author{Name: line(c.Author.Name, maxName), Email: line(c.Author.Email, maxName)},
		Subject:  line(subject, maxSubject),
	}
	// Of others, there is no JSON.
	if when := c.Author.When.UTC(); when.Year() >= 0 && when.Year() <= 9999 {
		a.When = when
	}
	return a
}
