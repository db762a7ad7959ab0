package tree

import (
	"maps"

	"github.com/go-git/go-git/v5/plumbing"
)

// Editor changes a tree. Each directory is copied the first time that it is touched after the last call
// of Tree, so a run of changes costs one copy of each touched directory. An Editor is not safe for
// concurrent use; the trees that it hands out are.
type Editor struct {
	root *node
	// self marks the nodes that this editor may change in place. It is replaced when a tree is handed
	// out, which makes all of them immutable at once.
	self *owner
}

// owner is an identity and nothing else; it has a size because pointers to empty structs may be equal.
type owner struct{ _ byte }

// NewEditor starts from the given tree.
func NewEditor(from Tree) *Editor {
	return &Editor{root: from.root, self: new(owner)}
}

// Tree hands out the current state. Later changes don't affect it.
func (e *Editor) Tree() Tree {
	e.self = new(owner)
	return Tree{e.root}
}

// Get returns the hash of the file at path.
func (e *Editor) Get(path string) (plumbing.Hash, bool) {
	return Tree{e.root}.Get(path)
}

// Put sets the hash of the file at path, making the directories on the way. It replaces a directory of
// the same name, and files that stand where it needs a directory.
func (e *Editor) Put(path string, h plumbing.Hash) {
	if old, ok := e.Get(path); ok && old == h {
		return
	}
	dir, name := split(path)
	n := e.mkdir(dir)
	n.files[name] = h
	delete(n.dirs, name)
}

// Remove takes away the file or the directory at path, with the directories that are left empty by it.
// It does nothing where there is none.
func (e *Editor) Remove(path string) {
	dir, name := split(path)
	if n := e.root.descend(dir); n == nil || !n.has(name) {
		return
	}
	e.root = e.remove(e.root, dir, name)
}

// PutTree places a tree at a directory's path, replacing what is there; an empty tree removes it.
func (e *Editor) PutTree(path string, t Tree) {
	if path == "" {
		e.root = t.root
		return
	}
	if t.Len() == 0 {
		e.Remove(path)
		return
	}
	dir, name := split(path)
	n := e.mkdir(dir)
	n.dirs[name] = t.root
	delete(n.files, name)
}

func (e *Editor) remove(n *node, dir []string, name string) *node {
	n = e.own(&n)
	if len(dir) == 0 {
		delete(n.files, name)
		delete(n.dirs, name)
	} else if child := e.remove(n.dirs[dir[0]], dir[1:], name); child == nil {
		delete(n.dirs, dir[0])
	} else {
		n.dirs[dir[0]] = child
	}
	if len(n.files)+len(n.dirs) == 0 {
		return nil
	}
	return n
}

// mkdir returns the directory at path for changing, made where it is missing.
func (e *Editor) mkdir(path []string) *node {
	n := e.own(&e.root)
	for _, name := range path {
		child := n.dirs[name]
		n.dirs[name] = e.own(&child)
		delete(n.files, name)
		n = child
	}
	return n
}

// own makes the node at p changeable by this editor, copying it unless it is already.
func (e *Editor) own(p **node) *node {
	switch n := *p; {
	case n == nil:
		*p = &node{owner: e.self, files: map[string]plumbing.Hash{}, dirs: map[string]*node{}}
	case n.owner != e.self:
		*p = &node{owner: e.self, files: cloneFiles(n.files), dirs: cloneDirs(n.dirs)}
	}
	return *p
}

func (n *node) has(name string) bool {
	_, file := n.files[name]
	_, dir := n.dirs[name]
	return file || dir
}

func cloneFiles(m map[string]plumbing.Hash) map[string]plumbing.Hash {
	if m == nil {
		return map[string]plumbing.Hash{}
	}
	return maps.Clone(m)
}

func cloneDirs(m map[string]*node) map[string]*node {
	if m == nil {
		return map[string]*node{}
	}
	return maps.Clone(m)
}
