package repo

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// Descends tells whether a revision has another one in its history, or is that one. Where the local
// history doesn't reach far enough, one fetch gets the commits that the revision has beyond the ancestor,
// without files where the server can leave them out. It returns ErrMoved when the remote doesn't have the
// revision any more.
//
// Each revision descends from the zero hash, and the zero hash from nothing else.
func (r *Repository) Descends(ctx context.Context, revision, ancestor plumbing.Hash) (bool, error) {
	if revision == ancestor || ancestor.IsZero() {
		return true, nil
	}
	if revision.IsZero() {
		return false, nil
	}
	end, err := r.begin(ctx)
	if err != nil {
		return false, err
	}
	defer end()
	var found, whole bool
	_ = r.with(func(s *store) error {
		found, whole = history(s.git, revision, ancestor)
		return nil
	})
	if found || whole {
		return found, nil
	}
	commits, err := r.fetchHistory(ctx, excerpt{revision: revision, ancestor: ancestor, limit: maxHistory})
	if errors.Is(err, errUnrelated) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	found, _ = history(commits, revision, ancestor)
	return found, nil
}

// history looks for an ancestor in what there is of a revision's history, and tells whether that was all
// of it.
func history(commits storer.EncodedObjectStorer, revision, ancestor plumbing.Hash) (found, whole bool) {
	whole = true
	seen := map[plumbing.Hash]bool{revision: true}
	for queue := []plumbing.Hash{revision}; len(queue) > 0; queue = queue[1:] {
		c, err := object.GetCommit(commits, queue[0])
		if err != nil {
			whole = false
			continue
		}
		for _, parent := range c.ParentHashes {
			if parent == ancestor {
				return true, true
			}
			if !seen[parent] {
				seen[parent] = true
				queue = append(queue, parent)
			}
		}
	}
	return false, whole
}

// maxRelated bounds the commits among which descendants are looked for.
const maxRelated = 10 * maxLookedThrough

// descendants are the commits from an ancestor on, without itself, to a revision, in what there is of its
// history. Everything descends from the zero hash.
func descendants(commits storer.EncodedObjectStorer, revision, ancestor plumbing.Hash) map[plumbing.Hash]bool {
	children := map[plumbing.Hash][]plumbing.Hash{}
	seen := map[plumbing.Hash]bool{revision: true}
	for queue := []plumbing.Hash{revision}; len(queue) > 0 && len(seen) < maxRelated; queue = queue[1:] {
		c, err := object.GetCommit(commits, queue[0])
		if err != nil {
			continue
		}
		for _, parent := range c.ParentHashes {
			children[parent] = append(children[parent], queue[0])
			if !seen[parent] {
				seen[parent] = true
				queue = append(queue, parent)
			}
		}
	}
	if ancestor.IsZero() {
		return seen
	}
	found := map[plumbing.Hash]bool{}
	for queue := children[ancestor]; len(queue) > 0; queue = queue[1:] {
		if !found[queue[0]] {
			found[queue[0]] = true
			queue = append(queue, children[queue[0]]...)
		}
	}
	return found
}
