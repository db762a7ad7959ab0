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
	parent  plumbing.Hash
	root    plumbing.Hash // of the tree that it leads to
	changes []tree.Change
	commits []*plumbing.MemoryObject // each is the parent of the next one, and the first has parent
	trees   []*plumbing.MemoryObject
	blobs   map[plumbing.Hash][]byte // content of new files; nil where it isn't at hand
	order   []plumbing.Hash          // of the blobs, by path
	missing []tree.Change            // one file for each content that isn't at hand, in the same order
}

// plan compares what shall be with what is. It returns nil when they are the same.
func (s *store) plan(p Push, path []string) (*change, error) {
	m := &merge{draft: draft{read: s.entries}, keep: p.Keep, inert: s.inert}
	if m.keep == nil {
		m.keep = func(string) bool { return false }
	}
	is, shall, err := s.redraw(p.Parent, path, &m.draft, func(dir plumbing.Hash) (plumbing.Hash, error) {
		return m.run(level{is: dir, desired: p.Desired, extra: extraTree(p.Files)})
	})
	if err != nil || shall == is {
		return nil, err
	}
	c := newChange(p.Parent)
	c.root, c.changes = shall, m.changes
	return c, c.collect(&m.draft, p.Files, s)
}

func newChange(parent plumbing.Hash) *change {
	return &change{parent: parent, blobs: map[plumbing.Hash][]byte{}}
}

func extraTree(files map[string][]byte) tree.Tree {
	return tree.Tree{}.Edit(func(e *tree.Editor) {
		for path, data := range files {
			e.Put(path, plumbing.ComputeHash(plumbing.BlobObject, data))
		}
	})
}

// collect takes over what is new in a draft, with the content of files where it is at hand. What the store
// has is read now, because the store may be another one by the time that it is sent.
func (c *change) collect(d *draft, given map[string][]byte, s *store) error {
	c.trees = append(c.trees, d.trees...)
	for _, f := range d.files {
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

// commit makes a commit on top of the parent, or of the commit that was made before.
func (c *change) commit(root plumbing.Hash, message string, by Author, when time.Time) error {
	if by == (Author{}) {
		by = DefaultAuthor
	}
	if when.IsZero() {
		when = time.Now()
	}
	if message = strings.TrimSpace(strings.ReplaceAll(message, "\x00", "")); message == "" {
		message = "sync"
	}
	who := object.Signature{Name: plain(by.Name), Email: plain(by.Email), When: when}
	commit := object.Commit{Author: who, Committer: who, TreeHash: root, Message: message + "\n"}
	if parent := c.tip(); !parent.IsZero() {
		commit.ParentHashes = []plumbing.Hash{parent}
	}
	if root == tree.Empty { // no draft makes it
		empty := &plumbing.MemoryObject{}
		empty.SetType(plumbing.TreeObject)
		c.trees = append(c.trees, empty)
	}
	o := &plumbing.MemoryObject{}
	c.commits = append(c.commits, o)
	return commit.Encode(o)
}

// tip is where the branch is to be in the end.
func (c *change) tip() plumbing.Hash {
	if len(c.commits) == 0 {
		return c.parent
	}
	return c.commits[len(c.commits)-1].Hash()
}

// plain takes out what would end a field of a commit's header.
func plain(name string) string {
	return strings.TrimSpace(strings.NewReplacer("<", "", ">", "", "\n", " ", "\x00", "").Replace(name))
}

// objects are all that goes into the pack: only what is new.
func (c *change) objects() ([]packed, error) {
	objects := make([]packed, 0, len(c.commits)+len(c.trees)+len(c.order))
	seen := make(map[plumbing.Hash]bool, cap(objects))
	add := func(h plumbing.Hash, kind plumbing.ObjectType, data []byte) {
		if !seen[h] {
			seen[h] = true
			objects = append(objects, packed{h, kind, data})
		}
	}
	for _, o := range slices.Concat(c.commits, c.trees) {
		data, err := contentOf(o)
		if err != nil {
			return nil, err
		}
		add(o.Hash(), o.Type(), data)
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
