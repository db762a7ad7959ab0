package repo

import (
	"slices"
	"sort"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// draft is a tree in the making: what it is made from, and what of it is new.
type draft struct {
	// read returns the entries of a directory that is there; nothing for the zero hash.
	read func(dir plumbing.Hash) ([]object.TreeEntry, error)

	changes []tree.Change            // what happens to files that count
	files   []tree.Change            // files with new content, whether they count or not
	trees   []*plumbing.MemoryObject // new directories
}

// redraw returns the root of a revision as it is, and as it shall be with another directory at a path. A root
// without anything in it is tree.Empty, be it there or not.
func (s *store) redraw(
	revision plumbing.Hash, path []string, d *draft, redraw func(dir plumbing.Hash) (plumbing.Hash, error),
) (is, shall plumbing.Hash, err error) {
	if is, err = s.directory(revision, nil); err != nil {
		return is, shall, err
	}
	dir, err := s.directory(revision, path)
	if err != nil {
		return is, shall, err
	}
	if dir, err = redraw(dir); err != nil {
		return is, shall, err
	}
	if shall, err = d.place(is, path, dir); err != nil {
		return is, shall, err
	}
	return orEmpty(is), orEmpty(shall), nil
}

func orEmpty(root plumbing.Hash) plumbing.Hash {
	if root.IsZero() {
		return tree.Empty
	}
	return root
}

// place puts a directory at its path below the root, and returns the root as it shall be.
func (d *draft) place(root plumbing.Hash, path []string, dir plumbing.Hash) (plumbing.Hash, error) {
	if len(path) == 0 {
		return dir, nil
	}
	is, err := d.read(root)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	shall := slices.Clone(is)
	at := slices.IndexFunc(is, func(e object.TreeEntry) bool { return e.Name == path[0] })
	below := plumbing.ZeroHash
	if at >= 0 {
		below = is[at].Hash
	}
	below, err = d.place(below, path[1:], dir)
	switch {
	case err != nil:
		return plumbing.ZeroHash, err
	case below == tree.Empty || below.IsZero():
		if at < 0 {
			return root, nil
		}
		shall = slices.Delete(shall, at, at+1)
	case at >= 0 && is[at].Hash == below:
		return root, nil
	case at >= 0:
		shall[at].Hash = below
	default:
		shall = append(shall, object.TreeEntry{Name: path[0], Mode: filemode.Dir, Hash: below})
		sort.Sort(object.TreeEntrySorter(shall))
	}
	return d.write(shall)
}

// write makes a directory.
func (d *draft) write(entries []object.TreeEntry) (plumbing.Hash, error) {
	if len(entries) == 0 {
		return tree.Empty, nil
	}
	o := &plumbing.MemoryObject{}
	if err := (&object.Tree{Entries: entries}).Encode(o); err != nil {
		return plumbing.ZeroHash, err
	}
	d.trees = append(d.trees, o)
	return o.Hash(), nil
}
