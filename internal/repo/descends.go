package repo

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/memory"
)

// maxHistory bounds the objects that are fetched to find out about a history.
const maxHistory = 200_000

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
	commits, err := r.fetchHistory(ctx, revision, ancestor)
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

// fetchHistory gets the commits that a revision has and an ancestor doesn't; all where that is zero. They
// don't go into the store, where a commit stands for all that belongs to it.
func (r *Repository) fetchHistory(ctx context.Context, revision, ancestor plumbing.Hash) (*memory.Storage, error) {
	x, err := r.remote.exchange(ctx)
	if err != nil {
		return nil, err
	}
	defer x.end()
	s, refs, err := x.upload()
	if err != nil {
		return nil, err
	}
	req := packp.NewUploadPackRequestFromCapabilities(refs.Capabilities)
	req.Wants = []plumbing.Hash{revision}
	if !ancestor.IsZero() {
		req.Haves = []plumbing.Hash{ancestor}
	}
	req.Filter = packp.FilterTreeDepth(0)
	pack, err := x.openPack(s, req, refs.Capabilities, maxHistory)
	var refused *packRefusal
	if errors.As(err, &refused) {
		return nil, fmt.Errorf("%w: the remote doesn't have revision %s any more", ErrMoved, revision)
	}
	if err != nil {
		return nil, err
	}
	if pack.objects > maxHistory {
		x.abandon()
		return nil, fmt.Errorf("%w: it would be %d objects", errTooFar, pack.objects)
	}
	commits := memory.NewStorage()
	if pack.objects == 0 {
		return commits, nil
	}
	if err := packfile.UpdateObjectStorage(commits, pack); err != nil {
		return nil, x.explain(err)
	}
	return commits, nil
}
