package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Lock has the API server refuse people's edits of synced objects, or allow them again. That it can't be done
// is a result and no error: what people edit is set back all the same.
func (a *Activities) Lock(ctx context.Context, in workflows.LockInput) (workflows.LockResult, error) {
	return run(ctx, a, workflows.LockActivity, func(ctx context.Context, p *progress) (workflows.LockResult, []any, error) {
		uid, err := a.Kube.UID(ctx)
		if err == nil {
			err = a.checkUID(in.Config, uid)
		}
		if err != nil {
			return workflows.LockResult{}, nil, err
		}
		var result workflows.LockResult
		if in.On {
			p.say("locking the synced objects")
			result, err = a.lock(ctx, in.Config)
		} else {
			p.say("unlocking the synced objects")
			result, err = a.unlock(ctx)
		}
		return result, []any{"on", in.On, "inPlace", result.InPlace, "message", result.Message}, err
	})
}

func (a *Activities) lock(ctx context.Context, c workflows.Config) (workflows.LockResult, error) {
	wanted := lockOf(c)
	put, err := a.Kube.EnsureLock(ctx, wanted)
	if err != nil {
		a.locked.forget()
		if errors.Is(err, kube.ErrNoLock) {
			return workflows.LockResult{Present: put.Policy != "", Message: err.Error()}, nil
		}
		return workflows.LockResult{}, err
	}
	a.locked.remember(wanted, put)
	result := workflows.LockResult{InPlace: true, Present: true}
	if put.Shared() {
		result.Message = fmt.Sprintf("the sync acts as user %q, whom the lock therefore lets through: give the worker an identity of its own, such as a service account", put.User)
	}
	return result, nil
}

func (a *Activities) unlock(ctx context.Context) (workflows.LockResult, error) {
	a.locked.forget()
	err := a.Kube.RemoveLock(ctx, a.Cluster)
	if errors.Is(err, kube.ErrNoLock) {
		return workflows.LockResult{Present: true, Message: fmt.Sprintf("%s; remove it with `%s`", err, kube.LockRemoval(a.Cluster))}, nil
	}
	return workflows.LockResult{}, err
}

func lockOf(c workflows.Config) kube.Lock {
	return kube.Lock{
		Cluster: c.Cluster, Repository: c.Repository, Branch: c.Branch, Path: c.Path,
		BreakGlassGroup: cmp.Or(c.BreakGlassGroup, workflows.DefaultBreakGlassGroup),
		Namespaces:      manifest.Scope{IgnoredNamespaces: c.IgnoredNamespaces}.Namespaces(),
		Excluded:        c.ExcludeResources,
	}
}

// locked is the lock as this worker last saw to it. It is a cache: without it the lock is read and compared
// once.
type locked struct {
	mu     sync.Mutex
	wanted string // what it was to be; "" when nothing is known
	put    kube.PutLock
	at     time.Time
}

// unwatchedLock is how long a lock is taken to be in place where no watch tells of it.
const unwatchedLock = 5 * time.Minute

func (l *locked) remember(wanted kube.Lock, put kube.PutLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted, l.put, l.at = fmt.Sprint(wanted), put, time.Now()
}

func (l *locked) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted = ""
}

// inPlace reports whether the lock of an enrolment is as it was left, by the watches, without a request.
func (l *locked) inPlace(c workflows.Config, v *view) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.Locks() || l.wanted != fmt.Sprint(lockOf(c)) {
		return false
	}
	policy, binding := kube.LockPaths(c.Cluster)
	if !v.snapshot.Watches(policy) || !v.snapshot.Watches(binding) {
		return time.Since(l.at) < unwatchedLock
	}
	return v.holds(policy, l.put.Policy) && v.holds(binding, l.put.Binding)
}

// holds reports whether the object of a path is in this version.
func (v *view) holds(path, resourceVersion string) bool {
	entry, ok := v.index.Lookup(path)
	return ok && entry.ResourceVersion == resourceVersion
}
