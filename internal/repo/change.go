package repo

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// change is what a push has to bring to the remote.
type change struct {
	root    plumbing.Hash
	changes []tree.Change
	trees   []*plumbing.MemoryObject
	blobs   map[plumbing.Hash][]byte // content of new files; nil where it isn't at hand
	order   []plumbing.Hash          // of the blobs, by path
	missing []tree.Change            // one file for each content that isn't at hand, in the same order
}

// plan compares what shall be with what is. It returns nil when they are the same.
func (s *store) plan(p Push, path []string) (*change, error) {
	root, err := s.directory(p.Parent, nil)
	if err != nil {
		return nil, err
	}
	dir, err := s.directory(p.Parent, path)
	if err != nil {
		return nil, err
	}
	m := &merge{read: s.entries, keep: p.Keep, inert: s.inert}
	if m.keep == nil {
		m.keep = func(string) bool { return false }
	}
	dir, err = m.run(level{is: dir, desired: p.Desired, extra: extraTree(p.Files)})
	if err != nil {
		return nil, err
	}
	to, err := m.place(root, path, dir)
	if err != nil || to == root || root.IsZero() && to == tree.Empty {
		return nil, err
	}
	c := &change{root: to, changes: m.changes, trees: m.trees, blobs: map[plumbing.Hash][]byte{}}
	return c, c.collect(m.files, p.Files, s)
}

func extraTree(files map[string][]byte) tree.Tree {
	return tree.Tree{}.Edit(func(e *tree.Editor) {
		for path, data := range files {
			e.Put(path, plumbing.ComputeHash(plumbing.BlobObject, data))
		}
	})
}

// collect finds the content of new files where it is at hand. What the store has is read now, because
// the store may be another one by the time that it is sent.
func (c *change) collect(files []tree.Change, given map[string][]byte, s *store) error {
	for _, f := range files {
		if _, known := c.blobs[f.To]; known {
			continue
		}
		c.order = append(c.order, f.To)
		data, isGiven := given[f.Path]
		switch {
		case isGiven && plumbing.ComputeHash(plumbing.BlobObject, data) == f.To:
			c.blobs[f.To] = atHand(data)
		case s.packs > 0 && s.has(f.To):
			data, err := s.blob(f.To)
			if err != nil {
				return err
			}
			c.blobs[f.To] = atHand(data)
		default:
			c.blobs[f.To] = nil
			c.missing = append(c.missing, f)
		}
	}
	return nil
}

// atHand is never nil, not even for an empty file.
func atHand(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// commit makes the commit object.
func (c *change) commit(p Push) (*plumbing.MemoryObject, error) {
	author := p.Author
	if author == (Author{}) {
		author = DefaultAuthor
	}
	when := p.When
	if when.IsZero() {
		when = time.Now()
	}
	by := object.Signature{Name: plain(author.Name), Email: plain(author.Email), When: when}
	commit := object.Commit{Author: by, Committer: by, TreeHash: c.root, Message: "sync\n"}
	if p.Message != nil {
		text := strings.ReplaceAll(p.Message(slices.Clone(c.changes)), "\x00", "")
		commit.Message = strings.TrimSpace(text) + "\n"
	}
	if !p.Parent.IsZero() {
		commit.ParentHashes = []plumbing.Hash{p.Parent}
	}
	o := &plumbing.MemoryObject{}
	return o, commit.Encode(o)
}

// plain takes out what would end a field of a commit's header.
func plain(name string) string {
	return strings.TrimSpace(strings.NewReplacer("<", "", ">", "", "\n", " ", "\x00", "").Replace(name))
}

// objects are all that goes into the pack: only what is new.
func (c *change) objects(commit *plumbing.MemoryObject) ([]packed, error) {
	objects := make([]packed, 0, 2+len(c.trees)+len(c.order))
	seen := make(map[plumbing.Hash]bool, cap(objects))
	add := func(h plumbing.Hash, kind plumbing.ObjectType, data []byte) {
		if !seen[h] {
			seen[h] = true
			objects = append(objects, packed{h, kind, data})
		}
	}
	for _, o := range append([]*plumbing.MemoryObject{commit}, c.trees...) {
		data, err := contentOf(o)
		if err != nil {
			return nil, err
		}
		add(o.Hash(), o.Type(), data)
	}
	if c.root == tree.Empty {
		add(tree.Empty, plumbing.TreeObject, []byte{})
	}
	for _, h := range c.order {
		add(h, plumbing.BlobObject, c.blobs[h])
	}
	return objects, nil
}

func contentOf(o *plumbing.MemoryObject) ([]byte, error) {
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return atHand(data), err
}
