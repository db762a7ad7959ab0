package repo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Edit changes single files of the branch and leaves all else as it is. What it reads, writes and sends
// follows the number of these files and of the directories above them, not the size of the repository.
type Edit struct {
	// Parent is where the branch must be for anything to happen; zero when it must not exist.
	Parent plumbing.Hash
	// Files are the new contents by path; nil takes a file away, which it is nothing to do for where there is
	// none. An empty file is one of no bytes that isn't nil. A directory that loses its last file goes too.
	Files map[string][]byte
	// Aside, unless nil, is what the history shall hold although the tip doesn't.
	Aside *Aside
	// Message is the commit's message.
	Message string
	// Author is author and committer; DefaultAuthor when zero.
	Author Author
	// When is the time of the commits; now when zero.
	When time.Time
}

// Aside is a commit of its own between Parent and the one that an Edit makes, and is undone by that: what it
// holds can be found in the history of the branch from then on, and is in force at no time, because the branch
// moves over both at once.
type Aside struct {
	// Files are as in Edit, and are changes of Parent as well. Nothing is put aside when Parent is like this
	// already.
	Files   map[string][]byte
	Message string
	// Author is author and committer; DefaultAuthor when zero.
	Author Author
}

// FileError says which file of an Edit can't be as it shall, and why. Nothing was sent; without this file the
// Edit may succeed.
type FileError struct{ Path, Why string }

func (e *FileError) Error() string { return fmt.Sprintf("edit %s: %s", e.Path, e.Why) }

// Edit moves the branch from Parent to a commit with some files changed. Pushed.Changes are those that were,
// whatever they are called. What holds for the branch and for errors is as with Push, but for ErrStale. It is a
// *FileError when something is in the way of a file, unless the Edit takes that away: a directory, a file where
// a directory is needed, a symbolic link or a submodule. So it is when Git can't have the path, or when it leads
// through a hidden directory, where nobody would look for the file. A file keeps its mode.
//
// With something put aside there always is a new tip. Otherwise Revision is Parent when there was nothing to
// change, and then nothing was sent.
func (r *Repository) Edit(ctx context.Context, e Edit) (Pushed, error) {
	if err := e.check(); err != nil {
		return Pushed{}, err
	}
	end, err := r.begin(ctx)
	if err != nil {
		return Pushed{}, err
	}
	defer end()
	if e.When.IsZero() {
		e.When = time.Now() // the same for both commits
	}
	c, err := r.plan(ctx, e.Parent, func(s *store) (*change, error) { return s.planEdit(e, r.path) })
	if err != nil || c == nil {
		return Pushed{Revision: e.Parent}, err
	}
	return r.deliver(ctx, c, c.contents(ctx, nil))
}

// check looks for paths that can be in no tree.
func (e Edit) check() error {
	files := slices.Collect(maps.Keys(e.Files))
	if e.Aside != nil {
		files = slices.AppendSeq(files, maps.Keys(e.Aside.Files))
	}
	slices.Sort(files)
	for _, path := range files {
		names := strings.Split(path, "/")
		switch {
		case slices.ContainsFunc(names, func(name string) bool { return !validName(name) }):
			return &FileError{path, "this can't be the name of a file in Git"}
		case slices.ContainsFunc(names[:len(names)-1], isHidden):
			return &FileError{path, "it is in a hidden directory, where no files are looked for: put it elsewhere"}
		}
	}
	return nil
}

// planEdit makes the commits of an edit; nil when there is nothing to do.
func (s *store) planEdit(e Edit, path []string) (*change, error) {
	c := newChange(e.Parent)
	if e.Aside != nil {
		is, aside, _, err := s.patch(c, e.Aside.Files, path)
		if err != nil {
			return nil, fmt.Errorf("put aside: %w", err)
		}
		if aside != is {
			if err := c.commit(aside, e.Aside.Message, e.Aside.Author, e.When); err != nil {
				return nil, err
			}
		}
	}
	is, shall, changes, err := s.patch(c, e.Files, path)
	if err != nil || shall == is && len(c.commits) == 0 {
		return nil, err
	}
	c.changes = changes
	return c, c.commit(shall, e.Message, e.Author, e.When)
}
