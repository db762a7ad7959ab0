package tree

import "github.com/go-git/go-git/v5/plumbing"

// Diff lists the files that differ between two trees, the files of a directory before those of the
// directories below it. Directories with the same hash are not entered, so it costs what differs.
func Diff(from, to Tree) []Change {
	var changes []Change
	diff(from.root, to.root, "", &changes)
	return changes
}

// Change is one file that differs: From is zero when it was added, To is zero when it was removed.
type Change struct {
	Path     string
	From, To plumbing.Hash
}

func diff(from, to *node, prefix string, out *[]Change) {
	if from == to {
		return
	}
	a, b := Tree{from}, Tree{to}
	if a.Hash() == b.Hash() {
		return
	}
	for name, h := range a.Files() {
		if now, ok := b.file(name); !ok || now != h {
			*out = append(*out, Change{prefix + name, h, now})
		}
	}
	for name, h := range b.Files() {
		if _, ok := a.file(name); !ok {
			*out = append(*out, Change{prefix + name, plumbing.ZeroHash, h})
		}
	}
	for name, d := range a.Dirs() {
		diff(d.root, b.dir(name), prefix+name+"/", out)
	}
	for name, d := range b.Dirs() {
		if a.dir(name) == nil {
			diff(nil, d.root, prefix+name+"/", out)
		}
	}
}

func (t Tree) file(name string) (plumbing.Hash, bool) {
	if t.root == nil {
		return plumbing.ZeroHash, false
	}
	h, ok := t.root.files[name]
	return h, ok
}

func (t Tree) dir(name string) *node {
	if t.root == nil {
		return nil
	}
	return t.root.dirs[name]
}
