package activities

import (
	"context"
	"sync"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
)

// lease keeps the watch index of a cluster while somebody asks for it, so that a cluster whose strategy
// is none, or that is paused for long, costs nothing.
type lease struct {
	cluster *kube.Cluster
	options kube.IndexOptions

	mu    sync.Mutex
	index *kube.Index
	rules string // digest of the rules that the index works by
	stop  func()
	until time.Time
	idle  *time.Timer
}

// idleLimit is how long the watches go on without being asked for. Starting them again costs a list of
// the whole cluster.
const idleLimit = 10 * time.Minute

func newLease(cluster *kube.Cluster, options kube.IndexOptions) *lease {
	return &lease{cluster: cluster, options: options}
}

// get returns the running index, starting it if need be, and extends the lease to last over the next
// tick of the given interval. An index that works by other rules is replaced.
func (l *lease) get(interval time.Duration, r desired.Rules) *kube.Index {
	digest := r.Digest()
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.index != nil && l.rules != digest {
		l.mu.Unlock()
		l.end(func() bool { return l.rules != digest })
		l.mu.Lock()
	}
	limit := max(idleLimit, 3*interval)
	l.until = time.Now().Add(limit)
	if l.index != nil {
		l.idle.Reset(limit)
		return l.index
	}
	ctx, cancel := context.WithCancel(context.Background())
	options := l.options
	options.Selection, options.SecretHash = r.Selection, r.SecretHash
	index := l.cluster.NewIndex(options)
	l.rules = digest
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = index.Run(ctx) // it ends with the context and not before
	}()
	l.index = index
	l.stop = func() { cancel(); <-done }
	l.idle = time.AfterFunc(limit, l.expire)
	return index
}

// expire ends the watches, unless somebody has asked for the index just now.
func (l *lease) expire() {
	l.end(func() bool { return !time.Now().Before(l.until) })
}

func (l *lease) close() {
	l.end(func() bool { return true })
}

// end stops the watches if the condition, asked under the lock, holds.
func (l *lease) end(condition func() bool) {
	l.mu.Lock()
	if l.index == nil || !condition() {
		l.mu.Unlock()
		return
	}
	l.idle.Stop()
	l.index = nil
	stop := l.stop
	l.mu.Unlock()
	stop()
}
