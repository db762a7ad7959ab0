// Package repo uses one branch of a Git remote as a content-addressed store with compare-and-swap.
//
// A Repository knows nothing about Kubernetes. It tells where the branch stands, brings revisions into a
// local cache, reads and compares them, and moves the branch from one known revision to a new one. It
// never forces a push and never deletes a branch; whoever loses a race gets ErrMoved and plans again.
package repo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// Options say which branch of which remote is used, and how.
type Options struct {
	// URL is the remote's address by http or https, without user info (see CheckURL).
	URL string
	// Branch is the branch's short name; "main" when empty.
	Branch string
	// Path is the directory inside the repository that all paths are relative to; its root when empty
	// or ".".
	Path string
	// Dir is a directory for the cache, made when missing. Losing it costs a fetch and nothing else.
	// Several repositories, also of several processes, may be given the same Dir: each takes a part of
	// it that no other one holds. The cache is kept in memory when Dir is empty.
	Dir string
	// Credentials are asked for at each operation and not kept, so that a rotated token is used at
	// once. Nil means anonymous access.
	Credentials func(context.Context) (Credentials, error)
	// Observe is told of each request: refs (where the branches stand), fetch or push, the HTTP status or "error"
	// when there was no answer, and the time until the answer began. It may be nil.
	Observe func(kind, code string, took time.Duration)
	// Timeout is how long the server may take for its answer to Tip, and how long it may be silent in
	// the middle of a transfer; 60 seconds when zero. A transfer that makes progress has no limit.
	Timeout time.Duration
}

const (
	defaultBranch  = "main"
	defaultTimeout = 60 * time.Second
)

// Repository is one branch of a remote with a local cache of its objects. Its methods may be called from
// several goroutines: Tip never waits for another call; those that fetch or push (Fetch, Descends, LastChanges,
// Find, Push, Edit and Preview) are done one after the other; the reading methods wait for each other and while
// one of those adds to the cache, but not for its requests.
type Repository struct {
	remote *remote
	origin origin
	branch plumbing.ReferenceName
	path   []string

	// turn is held by what fetches or pushes for its whole time. It is a channel so that waiting for it ends
	// with the context.
	turn chan struct{}
	// mu guards store, which is not safe for concurrent use. Who replaces it has the turn as well.
	mu    sync.Mutex
	store *store
	claim *claim
}

// Open prepares a repository. It makes no request, so it says nothing about whether the remote exists.
// Close must be called.
func Open(o Options) (*Repository, error) {
	if o.Branch == "" {
		o.Branch = defaultBranch
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Observe == nil {
		o.Observe = func(string, string, time.Duration) {}
	}
	branch := plumbing.NewBranchReferenceName(o.Branch)
	if err := branch.Validate(); err != nil {
		return nil, fmt.Errorf("%q can't be the name of a Git branch", o.Branch)
	}
	path, err := splitPath(o.Path)
	if err != nil {
		return nil, err
	}
	remote, err := newRemote(o)
	if err != nil {
		return nil, err
	}
	claim, err := claimDir(o.Dir)
	if err != nil {
		return nil, err
	}
	from := origin{Format: storeFormat, URL: o.URL, Branch: o.Branch}
	store, err := openStore(claim.path, from)
	if err != nil {
		return nil, errors.Join(err, claim.release())
	}
	return &Repository{
		remote: remote,
		origin: from,
		branch: branch,
		path:   path,
		turn:   make(chan struct{}, 1),
		store:  store,
		claim:  claim,
	}, nil
}

// Close gives the cache directory and the connections free. The repository must not be in use any more.
func (r *Repository) Close() error {
	r.remote.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.store.close(), r.claim.release())
}

// Tip returns the revision that the branch points to, with exactly one request. It is the zero hash when
// the repository is there and the branch isn't, which includes a repository without any commit.
func (r *Repository) Tip(ctx context.Context) (plumbing.Hash, error) {
	x, err := r.remote.exchange(ctx)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer x.end()
	x.limit(r.remote.timeout)
	s, err := x.uploadSession()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	refs, err := x.advertised(s)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return plumbing.ZeroHash, nil
	}
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return refs.References[r.branch.String()], nil
}

// MayPush asks the server, with one request, whether the credentials may push. A rule for single branches
// shows only in a push.
func (r *Repository) MayPush(ctx context.Context) error {
	x, err := r.remote.exchange(ctx)
	if err != nil {
		return err
	}
	defer x.end()
	x.limit(r.remote.timeout)
	s, err := x.receiveSession()
	if err != nil {
		return err
	}
	if _, err := x.advertised(s); !errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return err
	}
	return nil
}

// begin waits for the turn of an operation that changes the store. The returned function ends it.
func (r *Repository) begin(ctx context.Context) (end func(), err error) {
	select {
	case r.turn <- struct{}{}:
		return func() { <-r.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// with runs a step that uses the store.
func (r *Repository) with(step func(*store) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return step(r.store)
}
