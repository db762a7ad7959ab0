// Package tree holds Git trees in memory as immutable values.
//
// The state of a cluster and the content of a branch are both trees of blob hashes. A Tree shares
// whatever did not change with the tree it was made from, so keeping one per tick costs what changed
// in that tick, and comparing two of them skips every directory that has the same hash.
package tree

import (
	"crypto/sha1"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
)

// Tree is an immutable Git tree whose files are all regular (mode 100644). The zero value is the empty
// tree. Trees are safe for concurrent use and cheap to copy.
type Tree struct{ root *node }

// Empty is the hash that Git gives to a tree without entries.
var Empty = plumbing.NewHash("4b825dc642cb6eb9a060e54bf8d69288fbee4904")

// node is one directory. Its maps may be changed only by the Editor that owns it; once hashed or shared,
// it never changes again.
type node struct {
	owner *owner
	files map[string]plumbing.Hash
	dirs  map[string]*node

	once  sync.Once
	hash  plumbing.Hash
	count int
}

// Edit returns the tree that results from the changes made by edit. The receiver stays as it is.
func (t Tree) Edit(edit func(*Editor)) Tree {
	e := NewEditor(t)
	edit(e)
	return e.Tree()
}

// Hash is the hash that Git gives to this tree: Empty for the zero value.
func (t Tree) Hash() plumbing.Hash {
	if t.root == nil {
		return Empty
	}
	t.root.seal()
	return t.root.hash
}

// Len is the number of files in the tree, in all of its directories.
func (t Tree) Len() int {
	if t.root == nil {
		return 0
	}
	t.root.seal()
	return t.root.count
}

// Get returns the hash of the file at a slash-separated path.
func (t Tree) Get(path string) (plumbing.Hash, bool) {
	dir, name := split(path)
	n := t.root.descend(dir)
	if n == nil {
		return plumbing.ZeroHash, false
	}
	h, ok := n.files[name]
	return h, ok
}

// Sub returns the directory at path as a tree; the empty tree where there is no such directory.
func (t Tree) Sub(path string) Tree {
	if path == "" {
		return t
	}
	return Tree{t.root.descend(strings.Split(path, "/"))}
}

// Dirs yields the directories directly below the root in the order of their names.
func (t Tree) Dirs() iter.Seq2[string, Tree] {
	return func(yield func(string, Tree) bool) {
		if t.root == nil {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(t.root.dirs)) {
			if !yield(name, Tree{t.root.dirs[name]}) {
				return
			}
		}
	}
}

// Files yields the files directly below the root in the order of their names.
func (t Tree) Files() iter.Seq2[string, plumbing.Hash] {
	return func(yield func(string, plumbing.Hash) bool) {
		if t.root == nil {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(t.root.files)) {
			if !yield(name, t.root.files[name]) {
				return
			}
		}
	}
}

// All yields every file of the tree with its full path, in the order of the paths of each directory.
func (t Tree) All() iter.Seq2[string, plumbing.Hash] {
	return func(yield func(string, plumbing.Hash) bool) {
		t.root.walk("", yield)
	}
}

// Encode returns the content of the Git tree object: the entries directly below the root.
func (t Tree) Encode() []byte {
	if t.root == nil {
		return nil
	}
	t.root.seal()
	return t.root.encode()
}

func (n *node) descend(dir []string) *node {
	for _, name := range dir {
		if n == nil {
			return nil
		}
		n = n.dirs[name]
	}
	return n
}

func (n *node) walk(prefix string, yield func(string, plumbing.Hash) bool) bool {
	if n == nil {
		return true
	}
	for _, name := range slices.Sorted(maps.Keys(n.files)) {
		if !yield(prefix+name, n.files[name]) {
			return false
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.dirs)) {
		if !n.dirs[name].walk(prefix+name+"/", yield) {
			return false
		}
	}
	return true
}

// seal computes the hash and the count of the directory, once.
func (n *node) seal() {
	n.once.Do(func() {
		n.count = len(n.files)
		for _, d := range n.dirs {
			d.seal()
			n.count += d.count
		}
		n.hash = plumbing.ComputeHash(plumbing.TreeObject, n.encode())
	})
}

// encode lays the entries out as Git does: sorted by name as bytes, where a directory's name counts as
// if it ended in a slash.
func (n *node) encode() []byte {
	names := make([]string, 0, len(n.files)+len(n.dirs))
	size := 0
	for name := range n.files {
		names = append(names, name)
		size += len(name)
	}
	for name := range n.dirs {
		names = append(names, name+"/")
		size += len(name)
	}
	slices.Sort(names)
	out := make([]byte, 0, size+len(names)*(len("100644  ")+sha1.Size))
	for _, name := range names {
		mode, h := "100644 ", n.files[name]
		if dir, isDir := strings.CutSuffix(name, "/"); isDir {
			mode, h, name = "40000 ", n.dirs[dir].hash, dir
		}
		out = append(out, mode...)
		out = append(out, name...)
		out = append(out, 0)
		out = append(out, h[:]...)
	}
	return out
}

func split(path string) (dir []string, name string) {
	parts := strings.Split(path, "/")
	return parts[:len(parts)-1], parts[len(parts)-1]
}
