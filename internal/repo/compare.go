package repo

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// Obstacles: why an entry isn't read, and what to do. What they stand for isn't known, so that nothing is
// concluded from what a revision with one of them doesn't hold.
const (
	obstacleLink   = "it is a symbolic link, which is not followed: put what it leads to in its place, or remove it"
	obstacleModule = "it is a submodule, whose content is in another repository and is not read: put the files in its place, or enroll a path without it"
	obstacleName   = "its name is one that Git forbids: commit it anew under another name"
)

// compare yields the sources below a path that differ between two revisions.
func (s *store) compare(from, to plumbing.Hash, path []string, yield func(Change) error) error {
	if from == to {
		return nil
	}
	a, err := s.directory(from, path)
	if err != nil {
		return err
	}
	b, err := s.directory(to, path)
	if err != nil {
		return err
	}
	c := comparison{store: s, from: from, to: to, path: path, yield: yield}
	return c.diff(a, b, "")
}

// comparison is that of the sources of two revisions.
type comparison struct {
	*store
	from, to plumbing.Hash
	path     []string // what they are below of
	yield    func(Change) error
}

// source is what an entry is to a reader; zero for what nobody would take for a file with objects.
type source struct {
	hash     plumbing.Hash
	obstacle string
}

func (c *comparison) diff(from, to plumbing.Hash, prefix string) error {
	if from == to {
		return nil
	}
	a, err := c.visible(from)
	if err != nil {
		return err
	}
	b, err := c.visible(to)
	if err != nil {
		return err
	}
	var dirs []string
	for _, name := range names(a, b) {
		was, is := a[name], b[name]
		before, err := c.source(c.from, prefix, was)
		if err != nil {
			return err
		}
		after, err := c.source(c.to, prefix, is)
		if err != nil {
			return err
		}
		if before != after {
			change := tree.Change{Path: prefix + label(name), From: before.hash, To: after.hash}
			if err := c.yield(Change{change, after.obstacle}); err != nil {
				return err
			}
		}
		if directoryOf(was) != directoryOf(is) && validName(name) {
			dirs = append(dirs, name)
		}
	}
	for _, name := range dirs {
		if err := c.diff(directoryOf(a[name]), directoryOf(b[name]), prefix+name+"/"); err != nil {
			return err
		}
	}
	return nil
}

// source tells what an entry of a directory of a revision is. A link whose name isn't that of a file with
// objects stands in the way of objects only where it may lead to a directory.
func (c *comparison) source(revision plumbing.Hash, prefix string, e object.TreeEntry) (source, error) {
	switch {
	case e.Hash.IsZero():
		return source{}, nil
	case !validName(e.Name):
		return source{e.Hash, obstacleName}, nil
	case e.Mode == filemode.Submodule:
		return source{e.Hash, obstacleModule}, nil
	case isRegular(e.Mode) && isSource(e.Name):
		return source{hash: e.Hash}, nil
	case e.Mode != filemode.Symlink:
		return source{}, nil
	case isSource(e.Name):
		return source{e.Hash, obstacleLink}, nil
	}
	harmless, err := c.leadsToFile(revision, prefix, e.Hash)
	if err != nil || harmless {
		return source{}, err
	}
	return source{e.Hash, obstacleLink}, nil
}

// leadsToFile tells a link to a file, like the README of another directory, from one to a directory or out of
// the repository.
func (c *comparison) leadsToFile(revision plumbing.Hash, prefix string, link plumbing.Hash) (bool, error) {
	target, err := c.read(link)
	if errors.Is(err, ErrTooLarge) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	to := path.Join(path.Join(c.path...), prefix, string(target))
	if path.IsAbs(string(target)) || to == "." || to == ".." || strings.HasPrefix(to, "../") {
		return false, nil
	}
	parts := strings.Split(to, "/")
	dir, err := c.directory(revision, parts[:len(parts)-1])
	if errors.Is(err, errNoDirectory) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	entries, err := c.entries(dir)
	return slices.ContainsFunc(entries, func(e object.TreeEntry) bool {
		return e.Name == parts[len(parts)-1] && isRegular(e.Mode)
	}), err
}

// isSource tells the names of files that objects are read from.
func isSource(name string) bool { return isYAML(name) || strings.HasSuffix(name, ".json") }

// label is a name as part of a path, in which it must not pass for several.
func label(name string) string { return strings.ReplaceAll(name, "/", "%2F") }

// nameOf is what people call an entry that isn't a directory.
func nameOf(mode filemode.FileMode) string {
	switch mode {
	case filemode.Symlink:
		return "a symbolic link"
	case filemode.Submodule:
		return "a submodule"
	}
	return "a file"
}

// visible are a directory's entries that aren't hidden, by name.
func (s *store) visible(dir plumbing.Hash) (map[string]object.TreeEntry, error) {
	entries, err := s.entries(dir)
	if err != nil {
		return nil, err
	}
	visible := make(map[string]object.TreeEntry, len(entries))
	for _, e := range entries {
		if !isHidden(e.Name) {
			visible[e.Name] = e
		}
	}
	return visible, nil
}

// names are the names in either of two directories, in order.
func names(a, b map[string]object.TreeEntry) []string {
	all := make([]string, 0, max(len(a), len(b)))
	for name := range a {
		all = append(all, name)
	}
	for name := range b {
		if _, both := a[name]; !both {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// file is the content of an entry that is a manifest, and zero for any other.
func file(e object.TreeEntry) plumbing.Hash {
	if isManifest(e) {
		return e.Hash
	}
	return plumbing.ZeroHash
}

func directoryOf(e object.TreeEntry) plumbing.Hash {
	if e.Mode == filemode.Dir {
		return e.Hash
	}
	return plumbing.ZeroHash
}
