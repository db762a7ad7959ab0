package repo

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/storage/memory"
)

// excerpt is a part of the history that is fetched to look through it: the commits that a revision has and an
// ancestor hasn't, or all of them when that is zero.
type excerpt struct {
	revision, ancestor plumbing.Hash
	// directories: with what the commits' directories are and the ancestor's aren't.
	directories bool
	// depth is how many commits one after the other are wanted; 0 for all.
	depth int
	// limit is for the number of objects.
	limit uint32
}

const (
	// maxHistory bounds the objects that are fetched to find out about the commits of a history.
	maxHistory = 200_000
	// maxExcerpt bounds the memory that an excerpt with directories takes, in bytes.
	maxExcerpt = 64 << 20
)

// errUnfiltered: the server can't leave out files.
var errUnfiltered = errors.New("the Git server can't send directories without their files")

// commits are those of an excerpt. They don't go into the store, where a commit stands for all that belongs to
// it.
type commits struct {
	*memory.Storage
	room int64 // for more, in bytes
}

// SetEncodedObject is called for each object of a pack.
func (c *commits) SetEncodedObject(o plumbing.EncodedObject) (plumbing.Hash, error) {
	if c.room -= o.Size(); c.room < 0 {
		return plumbing.ZeroHash, fmt.Errorf("%w: it would be more than %d MiB", errTooFar, maxExcerpt>>20)
	}
	return c.Storage.SetEncodedObject(o)
}

// fetchHistory gets an excerpt, without files where the server can leave them out.
func (r *Repository) fetchHistory(ctx context.Context, e excerpt) (*commits, error) {
	x, err := r.remote.exchange(ctx)
	if err != nil {
		return nil, err
	}
	defer x.end()
	s, refs, err := x.upload()
	if err != nil {
		return nil, err
	}
	if e.directories && !refs.Capabilities.Supports(capability.Filter) {
		return nil, errUnfiltered
	}
	pack, err := x.openPack(s, e.request(refs.Capabilities), refs.Capabilities, e.limit)
	var refused *packRefusal
	if errors.As(err, &refused) {
		return nil, fmt.Errorf("%w: the remote doesn't have revision %s any more", ErrMoved, e.revision)
	}
	if err != nil {
		return nil, err
	}
	if pack.objects > e.limit {
		x.abandon()
		return nil, fmt.Errorf("%w: it would be %d objects", errTooFar, pack.objects)
	}
	found := &commits{memory.NewStorage(), math.MaxInt64}
	if e.directories {
		found.room = maxExcerpt
	}
	if pack.objects == 0 {
		return found, nil
	}
	err = packfile.UpdateObjectStorage(found, pack)
	switch {
	case errors.Is(err, errTooFar):
		x.abandon()
		return nil, err
	case err != nil:
		return nil, x.explain(err)
	}
	return found, nil
}

func (e excerpt) request(server *capability.List) *packp.UploadPackRequest {
	req := packp.NewUploadPackRequestFromCapabilities(server)
	req.Wants = []plumbing.Hash{e.revision}
	if !e.ancestor.IsZero() {
		req.Haves = []plumbing.Hash{e.ancestor}
	}
	if e.depth > 0 {
		req.Depth = packp.DepthCommits(e.depth)
	}
	req.Filter = packp.FilterTreeDepth(0)
	if e.directories {
		req.Filter = packp.FilterBlobNone()
	}
	return req
}
