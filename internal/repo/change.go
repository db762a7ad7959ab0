package repo

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

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

// objects are all that goes into the pack: only what is new, no deltas. What isn't at hand is asked for while
// the pack is written.
func (c *change) objects(commit *plumbing.MemoryObject, rest *contents) objects {
	o := objects{byHash: map[plumbing.Hash]plumbing.EncodedObject{}, rest: rest}
	add := func(h plumbing.Hash, e plumbing.EncodedObject) {
		if _, twice := o.byHash[h]; !twice {
			o.byHash[h] = e
			o.order = append(o.order, h)
		}
	}
	add(commit.Hash(), commit)
	if c.root == tree.Empty {
		add(tree.Empty, &rawObject{hash: tree.Empty, kind: plumbing.TreeObject})
	}
	for _, t := range c.trees {
		add(t.Hash(), t)
	}
	for _, h := range c.order {
		if data := c.blobs[h]; data != nil {
			add(h, &rawObject{hash: h, kind: plumbing.BlobObject, data: data})
		} else {
			add(h, &awaitedObject{hash: h, contents: rest})
		}
	}
	return o
}

// objects are a store as far as go-git's pack encoder needs one.
type objects struct {
	storer.EncodedObjectStorer // not there: the encoder only calls EncodedObject
	byHash                     map[plumbing.Hash]plumbing.EncodedObject
	order                      []plumbing.Hash
	rest                       *contents
}

func (o objects) EncodedObject(_ plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	if e, ok := o.byHash[h]; ok {
		return e, nil
	}
	return nil, plumbing.ErrObjectNotFound
}

// rawObject is an object around content that is in memory already; go-git's own would copy it.
type rawObject struct {
	hash plumbing.Hash
	kind plumbing.ObjectType
	data []byte
}

var errReadOnly = errors.New("the object can't be changed")

func (o *rawObject) Hash() plumbing.Hash         { return o.hash }
func (o *rawObject) Type() plumbing.ObjectType   { return o.kind }
func (o *rawObject) SetType(plumbing.ObjectType) {}
func (o *rawObject) Size() int64                 { return int64(len(o.data)) }
func (o *rawObject) SetSize(int64)               {}
func (o *rawObject) Reader() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(o.data)), nil
}
func (o *rawObject) Writer() (io.WriteCloser, error) { return nil, errReadOnly }
