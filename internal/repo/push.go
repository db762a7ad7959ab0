package repo

import (
	"bufio"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// Push says what the branch shall hold below Options.Path.
type Push struct {
	// Parent is where the branch must be for anything to happen; zero when it must not exist.
	Parent plumbing.Hash
	// Desired are the manifests (*.yaml and *.yml files) that shall be there. Each other one is taken
	// away, unless Keep holds for it or it is hidden. Files that aren't manifests stay as they are,
	// except where a desired one needs the place.
	Desired tree.Tree
	// Content returns the content of manifests by path. It is asked for some thousands at a time, and only
	// for those that neither Parent has at the same path nor the cache holds. It must not call what
	// fetches or pushes.
	Content func(ctx context.Context, missing []tree.Change) (map[string][]byte, error)
	// Keep tells the manifests of Parent that stay although Desired lacks them. Nil: none.
	Keep func(path string) bool
	// Files are further files, by path.
	Files map[string][]byte
	// Message makes the commit's message. It is given what Pushed.Changes will be.
	Message func(changes []tree.Change) string
	// Author is author and committer; DefaultAuthor when zero.
	Author Author
	// When is the commit's time; now when zero.
	When time.Time
}

// Author is a name and an address.
type Author struct{ Name, Email string }

// DefaultAuthor is who makes the commits of which nothing else is said.
var DefaultAuthor = Author{Name: "active-cluster-sync", Email: "noreply@active-cluster-sync.io"}

// Pushed is what a push has led to.
type Pushed struct {
	// Revision is the new tip; Parent when there was nothing to change, and then nothing was sent.
	Revision plumbing.Hash
	// Changes are what has happened to manifests: From is zero for those that were added and To for
	// those that were taken away. They are the same when only the file's mode was changed.
	Changes []tree.Change
	// Aside is the commit that keeps what an Edit put aside; zero where there was nothing.
	Aside plumbing.Hash
}

// Push moves the branch from Parent to a commit that holds what is desired. Whoever else moved the branch
// in the meantime has won: the error is ErrMoved then, and nothing is changed. The remote's reference is
// never forced and never deleted.
//
// Other errors: ErrStale when Content returned something else than Desired says; ErrRejected when the
// server doesn't take the commit; ErrUnreachable also when it isn't known whether it did, which Tip tells.
func (r *Repository) Push(ctx context.Context, p Push) (Pushed, error) {
	end, err := r.begin(ctx)
	if err != nil {
		return Pushed{}, err
	}
	defer end()
	c, err := r.plan(ctx, p.Parent, func(s *store) (*change, error) { return s.plan(p, r.path) })
	if err != nil || c == nil {
		return Pushed{Revision: p.Parent}, err
	}
	message := ""
	if p.Message != nil {
		message = p.Message(slices.Clone(c.changes))
	}
	if err := c.commit(c.root, message, p.Author, p.When); err != nil {
		return Pushed{}, err
	}
	return r.deliver(ctx, c, c.contents(ctx, p.Content))
}

// plan works out what has to change from a parent on; nil when nothing has to.
func (r *Repository) plan(ctx context.Context, parent plumbing.Hash, plan func(*store) (*change, error)) (*change, error) {
	if err := r.fetch(ctx, parent); err != nil {
		return nil, err
	}
	var c *change
	step := func(s *store) (err error) { c, err = plan(s); return err }
	err := r.with(step)
	if err != nil && r.damaged() {
		if err := r.fetch(ctx, parent); err != nil {
			return nil, err
		}
		err = r.with(step)
	}
	return c, err
}

// deliver sends what is new and moves the branch to the last of the commits.
func (r *Repository) deliver(ctx context.Context, c *change, rest *contents) (Pushed, error) {
	x, err := r.remote.exchange(ctx)
	if err != nil {
		return Pushed{}, err
	}
	defer x.end()
	// Before anything expensive: may we, and is the branch still there?
	session, err := x.receive(r.branch, c.parent)
	if err != nil {
		return Pushed{}, err
	}
	objects, err := c.objects()
	if err != nil {
		return Pushed{}, err
	}
	pack, err := r.spoolPack(objects, rest)
	if err != nil {
		return Pushed{}, err
	}
	defer pack.drop()
	tip := c.tip()
	if err := session.send(pack, tip); err != nil {
		if err := r.outcome(ctx, c.parent, tip, err); err != nil {
			return Pushed{}, err
		}
	}
	r.adopt(ctx, pack, tip, c.parent)
	pushed := Pushed{Revision: tip, Changes: c.changes}
	if len(c.commits) > 1 {
		pushed.Aside = c.commits[0].Hash()
	}
	return pushed, nil
}

// spoolPack writes the objects of a push to a file. They are sent from it and then put into the store.
func (r *Repository) spoolPack(objects []packed, rest *contents) (*spool, error) {
	f, err := r.spool(r.store)
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	f.index, err = writePack(w, objects, rest)
	if content := (*contentError)(nil); errors.As(err, &content) {
		f.drop()
		return nil, content.error
	}
	if err = errors.Join(err, w.Flush()); err != nil {
		f.drop()
		return nil, f.failed(err)
	}
	return f, nil
}

// adopt puts what was pushed into the store, so that fetching it costs nothing. When that fails the push
// still has succeeded, and the next Fetch gets it from the remote.
func (r *Repository) adopt(ctx context.Context, pack *spool, revision, parent plumbing.Hash) {
	err := r.with(func(s *store) error {
		if err := s.install(pack); err != nil {
			return err
		}
		// The parent is here in full, and the pack holds all that differs from it.
		return s.settle(revision)
	})
	if err == nil {
		r.compact(ctx, revision, parent)
	}
}
