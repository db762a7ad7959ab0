package repo

import (
	"context"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
)

// Each fetch and each push leaves a pack, and what only older revisions need stays in it. When that has
// become much, the last two revisions are fetched into a new store. It costs what the first fetch did, in
// one of some hundred ticks that changed something, and has no case in which an object that is needed
// could be thrown away.
const (
	// minGarbage, in bytes, keeps small stores from being rebuilt for little.
	minGarbage = 16 << 20
	// An object is looked for in each pack. Rebuilding a larger store costs more, so it may have more of
	// them: one for each 32 KiB of what a revision needs.
	minPacks, maxPacks = 100, 1000
	bytesPerPack       = 32 << 10
)

// overgrown tells whether a store should be rebuilt.
func (s *store) overgrown() bool {
	packs := min(maxPacks, minPacks+s.base/bytesPerPack)
	return s.patience*(s.base+minGarbage) < s.bytes-s.base || s.patience*packs < int64(s.packs)
}

// compact rebuilds the store when it has grown too much. Not being able to is no failure of the fetch or
// the push that it comes after.
func (r *Repository) compact(ctx context.Context, revision, previous plumbing.Hash) {
	overgrown := false
	_ = r.with(func(s *store) error { overgrown = s.overgrown(); return nil })
	if overgrown && r.rebuild(ctx, revision, previous) != nil {
		// Try again when it has doubled, not in each of the ticks to come.
		_ = r.with(func(s *store) error { s.patience *= 2; return nil })
	}
}

// rebuild fetches the last revision, and the one before for those who compare the two, into a new store
// and puts that in the place of the old one.
func (r *Repository) rebuild(ctx context.Context, revision, previous plumbing.Hash) error {
	dir := r.claim.path
	if dir != "" {
		dir = nextStore(dir)
		defer os.RemoveAll(dir)
	}
	next, err := newStore(dir, r.origin)
	if err != nil {
		return err
	}
	w := wish{revisions: []plumbing.Hash{revision}}
	if !previous.IsZero() {
		w.revisions = append(w.revisions, previous)
	}
	if err := r.download(ctx, next, w); err != nil {
		_ = next.close()
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if dir == "" {
		r.store = next
		return nil
	}
	_ = next.close()
	_ = r.store.close()
	// Losing the power in between costs a fetch: there is no store then, or a complete one.
	if err := os.RemoveAll(r.claim.path); err == nil {
		_ = os.Rename(dir, r.claim.path)
	}
	store, err := openStore(r.claim.path, r.origin)
	if err != nil {
		return err
	}
	r.store = store
	return nil
}

// nextStore is where the new store of a rebuild grows.
func nextStore(dir string) string { return dir + ".next" }
