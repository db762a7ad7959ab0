package repo

import (
	"context"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// contents gets the content of files when it is their turn to be written into a pack, some at a time: at the
// first push of a large cluster, all of them together would be hundreds of megabytes.
type contents struct {
	ctx  context.Context
	read func(context.Context, []tree.Change) (map[string][]byte, error)
	// files are those that were not asked for yet, in the order of the pack.
	files []tree.Change
	// ready are those that were asked for and not written yet.
	ready map[plumbing.Hash][]byte
}

// contentsAtOnce is how many files are asked for at a time.
const contentsAtOnce = 2000

func (c *change) contents(ctx context.Context, read func(context.Context, []tree.Change) (map[string][]byte, error)) *contents {
	return &contents{ctx: ctx, read: read, files: c.missing, ready: map[plumbing.Hash][]byte{}}
}

// take returns the content with a hash, once.
func (c *contents) take(h plumbing.Hash) ([]byte, error) {
	for {
		if data, ok := c.ready[h]; ok {
			delete(c.ready, h)
			return data, nil
		}
		if err := c.next(); err != nil {
			return nil, &contentError{err}
		}
	}
}

// contentError is an error of reading content, and not of writing the pack.
type contentError struct{ error }

func (e *contentError) Unwrap() error { return e.error }

// next asks for the next files. Content that doesn't have the hash it should have belongs to a later state
// than the one that was compared.
func (c *contents) next() error {
	chunk := c.files[:min(len(c.files), contentsAtOnce)]
	if len(chunk) == 0 {
		return fmt.Errorf("push: %w", plumbing.ErrObjectNotFound)
	}
	if c.read == nil {
		return fmt.Errorf("push: no content for %s", chunk[0].Path)
	}
	c.files = c.files[len(chunk):]
	data, err := c.read(c.ctx, chunk)
	if err != nil {
		return fmt.Errorf("read what is to be pushed: %w", err)
	}
	stale := 0
	var first string
	for _, f := range chunk {
		blob, ok := data[f.Path]
		if !ok || plumbing.ComputeHash(plumbing.BlobObject, blob) != f.To {
			if stale++; stale == 1 {
				first = f.Path
			}
			continue
		}
		c.ready[f.To] = blob
	}
	if stale > 0 {
		return fmt.Errorf("%w: %d of %d files, the first is %s", ErrStale, stale, len(chunk), first)
	}
	return nil
}
