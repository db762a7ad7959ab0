package repo

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// Fetch makes a revision readable. It costs no request when the revision is there, what has changed
// since the last one when it isn't, and one revision without its history at first or when the branch was
// rewound or replaced. It returns ErrMoved when the remote doesn't have the revision any more.
//
// A later Fetch may drop revisions other than its own and the one before; Fetch them again when needed.
func (r *Repository) Fetch(ctx context.Context, revision plumbing.Hash) error {
	end, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	return r.fetch(ctx, revision)
}

// fetch is Fetch for those who have the turn.
func (r *Repository) fetch(ctx context.Context, revision plumbing.Hash) error {
	if revision.IsZero() {
		return nil
	}
	last, there, err := r.known(revision)
	if err != nil || there {
		return err
	}
	if err := r.obtain(ctx, revision, last); err != nil {
		return err
	}
	r.compact(ctx, revision, last)
	return nil
}

// known tells whether a revision is here with all that it needs, and which one was the last. A store in
// which something can't be read is replaced by an empty one.
func (r *Repository) known(revision plumbing.Hash) (last plumbing.Hash, there bool, err error) {
	_ = r.with(func(s *store) error {
		if s.damaged {
			return nil
		}
		last = s.last()
		there = s.whole[revision] || s.has(revision) && s.check(revision, last) == nil
		if there && revision != last {
			// The next fetch starts from here. That this can't be written down only makes it larger.
			_ = s.settle(revision)
		}
		return nil
	})
	if !r.damaged() {
		return last, there, nil
	}
	return plumbing.ZeroHash, false, r.renew()
}

// obtain gets a revision that isn't here in the cheapest way that works.
func (r *Repository) obtain(ctx context.Context, revision, last plumbing.Hash) error {
	err := errUnrelated
	if !last.IsZero() {
		err = r.fetchSince(ctx, revision, last)
	}
	if errors.Is(err, errUnrelated) || errors.Is(err, errTooFar) || errors.Is(err, errIncomplete) {
		err = r.fetchAlone(ctx, revision)
	}
	if err != nil && (errors.Is(err, errIncomplete) || r.damaged()) {
		// What the store holds may be the reason: the server leaves out what it was told is there.
		if err := r.renew(); err != nil {
			return err
		}
		err = r.fetchAlone(ctx, revision)
	}
	return err
}

func (r *Repository) damaged() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.store.damaged
}

// renew replaces the store by an empty one.
func (r *Repository) renew() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.store.close()
	store, err := newStore(r.claim.path, r.origin)
	if err != nil {
		return err
	}
	r.store = store
	return nil
}

// errIncomplete: the server's answer isn't enough to read the revision.
var errIncomplete = errors.New("the Git server's answer is incomplete")

// fetchSince asks for what a revision has and the last one hasn't. The server must be told where the
// history ends here: otherwise it takes what lies before for known, and a rewound branch for complete.
func (r *Repository) fetchSince(ctx context.Context, revision, last plumbing.Hash) error {
	w := wish{revisions: []plumbing.Hash{revision}, since: last}
	err := r.with(func(s *store) (err error) {
		w.boundary, err = s.git.Shallow()
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errIncomplete, err)
	}
	return r.download(ctx, r.store, w)
}

// fetchAlone asks for a revision without its history.
func (r *Repository) fetchAlone(ctx context.Context, revision plumbing.Hash) error {
	return r.download(ctx, r.store, wish{revisions: []plumbing.Hash{revision}})
}

// download gets a pack, puts it into the store and makes sure that the revisions are complete by it.
func (r *Repository) download(ctx context.Context, into *store, w wish) error {
	x, err := r.remote.exchange(ctx)
	if err != nil {
		return err
	}
	defer x.end()
	pack, err := x.requestPack(w, r.branch)
	if err != nil {
		return err
	}
	spool, err := r.spool(into)
	if err != nil {
		return err
	}
	defer spool.drop()
	disk := &markingWriter{to: spool}
	if _, err := io.Copy(disk, pack); disk.err != nil {
		return spool.failed(disk.err)
	} else if err != nil {
		return x.explain(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if pack.objects > 0 {
		if err := into.install(spool); err != nil {
			return err
		}
	}
	for i := len(w.revisions) - 1; i >= 0; i-- {
		if err := into.check(w.revisions[i], into.last()); err != nil {
			return fmt.Errorf("%w: %w", errIncomplete, err)
		}
		if w.since.IsZero() {
			if err := into.shallow(w.revisions[i]); err != nil {
				return err
			}
		}
		if err := into.settle(w.revisions[i]); err != nil {
			return err
		}
	}
	return nil
}

// check tells whether a revision's directories all are here. Directories that a complete revision has
// too are not looked into, so it costs what differs.
func (s *store) check(revision, base plumbing.Hash) error {
	if s.whole[revision] {
		return nil
	}
	c, err := s.commit(revision)
	if err != nil {
		return err
	}
	known := plumbing.ZeroHash
	if s.whole[base] {
		b, err := s.commit(base)
		if err != nil {
			return err
		}
		known = b.TreeHash
	}
	if err := s.checkTree(c.TreeHash, known); err != nil {
		return err
	}
	s.whole[revision] = true
	return nil
}

func (s *store) checkTree(dir, known plumbing.Hash) error {
	if dir == known {
		return nil
	}
	entries, err := s.entries(dir)
	if err != nil {
		return err
	}
	before, err := s.entries(known)
	if err != nil {
		return err
	}
	same := map[string]plumbing.Hash{}
	for _, e := range before {
		if e.Mode == filemode.Dir {
			same[e.Name] = e.Hash
		}
	}
	for _, e := range entries {
		if e.Mode == filemode.Dir {
			if err := s.checkTree(e.Hash, same[e.Name]); err != nil {
				return err
			}
		}
	}
	return nil
}
