package activities

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
)

// lease keeps the watch index of a cluster while somebody asks for it, so that a cluster whose strategy
// is none, or that is paused for long, costs nothing.
type lease struct {
	cluster *kube.Cluster
	logger  *slog.Logger

	mu    sync.Mutex
	index *kube.Index
	stop  func()
	idle  *time.Timer
}

// idleLimit is how long the watches go on without being asked for. Starting them again costs a list of
// the whole cluster.
const idleLimit = 10 * time.Minute

func newLease(cluster *kube.Cluster, logger *slog.Logger) *lease {
	return &lease{cluster: cluster, logger: logger}
}

// get returns the running index, starting it if need be, and extends the lease to last over the next
// tick of the given interval.
func (l *lease) get(interval time.Duration) *kube.Index {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := max(idleLimit, 3*interval)
	if l.index != nil {
		l.idle.Reset(limit)
		return l.index
	}
	ctx, cancel := context.WithCancel(context.Background())
	index := l.cluster.NewIndex(kube.IndexOptions{Logger: l.logger})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := index.Run(ctx); err != nil && ctx.Err() == nil {
			l.logger.Error("the watch of the cluster ended; it starts again at the next tick", "error", err)
			l.drop(index)
		}
	}()
	l.index = index
	l.stop = func() { cancel(); <-done }
	l.idle = time.AfterFunc(limit, l.close)
	return index
}

// drop forgets an index that has ended by itself.
func (l *lease) drop(ended *kube.Index) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index == ended {
		l.idle.Stop()
		l.index = nil
	}
}

func (l *lease) close() {
	l.mu.Lock()
	index, stop := l.index, l.stop
	if index != nil {
		l.idle.Stop()
	}
	l.index = nil
	l.mu.Unlock()
	if index != nil {
		stop()
	}
}
