package repo

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// patch makes a tree from another one by changing single files. Only the directories on the way to them are
// looked into.
type patch struct {
	draft
	want map[string][]byte // content by path; nil for files that are taken away
}

// patch returns the root of a change's parent as it is and as it shall be with some files changed, and what of
// these files differs.
func (s *store) patch(c *change, files map[string][]byte, path []string) (is, shall plumbing.Hash, changes []tree.Change, err error) {
	p := &patch{draft: draft{read: s.entries}, want: files}
	is, shall, err = s.redraw(c.parent, path, &p.draft, func(dir plumbing.Hash) (plumbing.Hash, error) {
		return p.dir("", dir, wayTo(maps.Keys(files)))
	})
	if err != nil {
		return is, shall, nil, err
	}
	return is, shall, p.changes, c.collect(&p.draft, files, s)
}

// dir returns the hash of a directory as it shall be, which is tree.Empty when nothing is left in it.
func (p *patch) dir(prefix string, is plumbing.Hash, w *way) (plumbing.Hash, error) {
	entries, err := p.read(is)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	shall := make([]object.TreeEntry, 0, len(entries)+len(w.below))
	there := map[string]object.TreeEntry{}
	for _, e := range entries {
		if w.below[e.Name] == nil {
			shall = append(shall, e)
		} else {
			there[e.Name] = e
		}
	}
	for name, next := range w.sorted() {
		e, err := p.entry(prefix+name, there[name], next)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		if !e.Hash.IsZero() {
			e.Name = name
			shall = append(shall, e)
		}
	}
	sort.Sort(object.TreeEntrySorter(shall))
	if slices.Equal(entries, shall) {
		return is, nil
	}
	return p.write(shall)
}

// entry says what becomes of what is at a path. The zero entry is none.
func (p *patch) entry(path string, was object.TreeEntry, w *way) (object.TreeEntry, error) {
	data, named := p.want[path]
	is := was
	if named && data == nil && was.Mode != filemode.Dir {
		is = object.TreeEntry{}
	}
	is, err := p.below(path, is, w)
	if err != nil {
		return is, err
	}
	if data != nil {
		if is, err = p.put(path, is, plumbing.ComputeHash(plumbing.BlobObject, data)); err != nil {
			return is, err
		}
	}
	p.note(path, was, is)
	return is, nil
}

// below changes what is below a path. Below something else than a directory, there is nothing to take away and
// no place to put anything.
func (p *patch) below(path string, is object.TreeEntry, w *way) (object.TreeEntry, error) {
	if len(w.below) == 0 {
		return is, nil
	}
	if !is.Hash.IsZero() && is.Mode != filemode.Dir {
		if file := p.puts(path+"/", w); file != "" {
			return is, &FileError{file, path + " is in the way, which is " + nameOf(is.Mode) + ": remove it, or put the file elsewhere"}
		}
		return is, nil
	}
	dir, err := p.dir(path+"/", directoryOf(is), w)
	if err != nil || dir.IsZero() || dir == tree.Empty {
		return object.TreeEntry{}, err
	}
	return object.TreeEntry{Mode: filemode.Dir, Hash: dir}, nil
}

// put puts a file in the place of nothing or of another version of it.
func (p *patch) put(path string, is object.TreeEntry, content plumbing.Hash) (object.TreeEntry, error) {
	switch {
	case is.Hash.IsZero() && strings.ContainsRune(path, '\\'):
		return is, &FileError{path, "Windows can't have this name: give the file one without backslashes"}
	case is.Mode == filemode.Dir:
		return is, &FileError{path, "a directory of this name is in the way: remove it, or put the file elsewhere"}
	case is.Mode == filemode.Symlink || is.Mode == filemode.Submodule:
		return is, &FileError{path, nameOf(is.Mode) + " of this name is in the way: remove it, or put the file elsewhere"}
	case is.Mode != filemode.Executable && is.Hash != content:
		is.Mode = filemode.Regular
	}
	is.Hash = content
	return is, nil
}

// note records what has happened to a file.
func (p *patch) note(path string, was, is object.TreeEntry) {
	c := tree.Change{Path: path, From: leaf(was), To: leaf(is)}
	if c.From == c.To {
		return
	}
	p.changes = append(p.changes, c)
	if !c.To.IsZero() {
		p.files = append(p.files, c)
	}
}

// leaf is what an entry holds that isn't a directory.
func leaf(e object.TreeEntry) plumbing.Hash {
	if e.Mode == filemode.Dir {
		return plumbing.ZeroHash
	}
	return e.Hash
}

// puts is the first file below a directory that shall be there; empty when there is none.
func (p *patch) puts(prefix string, w *way) string {
	for name, next := range w.sorted() {
		path := prefix + name
		if p.want[path] != nil {
			return path
		}
		if path = p.puts(path+"/", next); path != "" {
			return path
		}
	}
	return ""
}
