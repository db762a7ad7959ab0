package repo

import (
	"fmt"
	"slices"
	"sort"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// merge makes the tree that a push leads to: the desired manifests in the place of those that are there,
// and all else as it is. Only directories that differ are looked into and only those that change are made
// anew.
type merge struct {
	draft
	// keep tells the manifests that stay although they aren't desired.
	keep func(path string) bool
	// inert remembers directories that hold nothing to take away, from one merge to the next.
	inert map[plumbing.Hash]bool
}

// level is a directory as it is and as it shall be.
type level struct {
	prefix  string // its path with a slash at the end, or empty
	is      plumbing.Hash
	desired tree.Tree
	extra   tree.Tree // files that aren't manifests; they win over desired ones
	hidden  bool      // in a hidden directory nothing is taken away
}

// run returns the hash of the directory as it shall be, which is tree.Empty when nothing is left in it.
func (m *merge) run(l level) (plumbing.Hash, error) {
	if l.is == l.desired.Hash() && l.extra.Len() == 0 {
		return l.is, nil
	}
	nothingWanted := l.desired.Len() == 0 && l.extra.Len() == 0
	if nothingWanted && m.inert[l.is] {
		return l.is, nil
	}
	is, err := m.read(l.is)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	shall, err := m.entries(l, is)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if slices.Equal(is, shall) && !l.is.IsZero() {
		if nothingWanted && !m.holdsManifests(is) {
			m.inert[l.is] = true
		}
		return l.is, nil
	}
	return m.write(shall)
}

// entries are those of the directory as it shall be, in Git's order.
func (m *merge) entries(l level, is []object.TreeEntry) ([]object.TreeEntry, error) {
	shall := make([]object.TreeEntry, 0, len(is))
	there := make(map[string]bool, len(is))
	for _, e := range is {
		there[e.Name] = true
		e, stays, err := m.entry(l, e)
		if err != nil {
			return nil, err
		}
		if stays {
			shall = append(shall, e)
		}
	}
	added, err := m.added(l, there)
	if err != nil {
		return nil, err
	}
	shall = append(shall, added...)
	sort.Sort(object.TreeEntrySorter(shall))
	return shall, nil
}

// entry says what becomes of an entry that is there.
func (m *merge) entry(l level, e object.TreeEntry) (_ object.TreeEntry, stays bool, err error) {
	path := l.prefix + e.Name
	want, isExtra, isWanted := l.file(e.Name)
	below := l.below(e)
	switch {
	case isWanted:
		if err := m.replaceByFile(path, e, want, isExtra); err != nil {
			return e, false, err
		}
		return object.TreeEntry{Name: e.Name, Mode: filemode.Regular, Hash: want}, true, nil
	case below.desired.Len() > 0 || below.extra.Len() > 0:
		if isManifest(e) {
			m.changes = append(m.changes, tree.Change{Path: path, From: e.Hash})
		}
		dir, err := m.run(below)
		return object.TreeEntry{Name: e.Name, Mode: filemode.Dir, Hash: dir}, true, err
	case l.hidden || isHidden(e.Name):
		return e, true, nil
	case e.Mode == filemode.Dir:
		e.Hash, err = m.run(below)
		return e, e.Hash != tree.Empty, err
	case isManifest(e) && !m.keep(path):
		m.changes = append(m.changes, tree.Change{Path: path, From: e.Hash})
		return e, false, nil
	}
	return e, true, nil
}

// replaceByFile notes what it means that a file takes the place of an entry.
func (m *merge) replaceByFile(path string, e object.TreeEntry, want plumbing.Hash, isExtra bool) error {
	c := tree.Change{Path: path, From: file(e), To: want}
	switch {
	case e.Mode == filemode.Regular && e.Hash == want:
		return nil
	case e.Mode == filemode.Dir:
		if err := m.gone(e.Hash, path+"/"); err != nil {
			return err
		}
	}
	if !isExtra {
		m.changes = append(m.changes, c)
	}
	if e.Hash != want {
		m.files = append(m.files, c)
	}
	return nil
}

// gone notes the manifests of a directory that makes room for a file.
func (m *merge) gone(dir plumbing.Hash, prefix string) error {
	entries, err := m.read(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case e.Mode == filemode.Dir && !isHidden(e.Name):
			if err := m.gone(e.Hash, prefix+e.Name+"/"); err != nil {
				return err
			}
		case isManifest(e):
			m.changes = append(m.changes, tree.Change{Path: prefix + e.Name, From: e.Hash})
		}
	}
	return nil
}

// added are the entries for what is wanted and has no entry yet.
func (m *merge) added(l level, there map[string]bool) ([]object.TreeEntry, error) {
	var added []object.TreeEntry
	add := func(e object.TreeEntry) {
		there[e.Name] = true
		added = append(added, e)
	}
	for _, wanted := range []tree.Tree{l.extra, l.desired} {
		for name, h := range wanted.Files() {
			if there[name] {
				continue
			}
			if !validName(name) {
				return nil, l.forbidden(name)
			}
			c := tree.Change{Path: l.prefix + name, To: h}
			m.files = append(m.files, c)
			if _, isExtra, _ := l.file(name); !isExtra {
				m.changes = append(m.changes, c)
			}
			add(object.TreeEntry{Name: name, Mode: filemode.Regular, Hash: h})
		}
		for name := range wanted.Dirs() {
			if there[name] {
				continue
			}
			if !validName(name) {
				return nil, l.forbidden(name)
			}
			dir, err := m.run(l.below(object.TreeEntry{Name: name}))
			if err != nil {
				return nil, err
			}
			add(object.TreeEntry{Name: name, Mode: filemode.Dir, Hash: dir})
		}
	}
	return added, nil
}

// holdsManifests tells whether there is a manifest in a directory or below it, where below is known.
func (m *merge) holdsManifests(entries []object.TreeEntry) bool {
	return slices.ContainsFunc(entries, func(e object.TreeEntry) bool {
		return isManifest(e) || e.Mode == filemode.Dir && !isHidden(e.Name) && !m.inert[e.Hash]
	})
}

// file is the content that is wanted under a name.
func (l level) file(name string) (h plumbing.Hash, isExtra, ok bool) {
	if h, ok = l.extra.Get(name); ok {
		return h, true, true
	}
	h, ok = l.desired.Get(name)
	return h, false, ok
}

func (l level) forbidden(name string) error {
	return fmt.Errorf("%q can't be the name of a file in Git", l.prefix+name)
}

// below is the level of a directory's entry, which may not be there or not be a directory.
func (l level) below(e object.TreeEntry) level {
	return level{
		prefix:  l.prefix + e.Name + "/",
		is:      directoryOf(e),
		desired: l.desired.Sub(e.Name),
		extra:   l.extra.Sub(e.Name),
		hidden:  l.hidden || isHidden(e.Name),
	}
}
