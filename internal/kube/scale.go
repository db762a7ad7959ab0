package kube

import (
	"context"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// An autoscaler takes spec.replicas away from what it targets. Whether an object is targeted is known
// when it is normalised; when that changes later, the object itself doesn't, so it is read again.

// isScaled reports whether an autoscaler targets the object.
func (x *Index) isScaled(id manifest.ID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.scaled[id] > 0
}

// retarget sets what the autoscaler at path targets; nothing for other objects, and for one that is
// gone. It needs x.mu.
func (x *Index) retarget(path string, targets []manifest.ID) {
	before := x.targets[path]
	if len(before) == 0 && len(targets) == 0 || slices.Equal(before, targets) {
		return
	}
	for _, id := range targets {
		if x.scaled[id]++; x.scaled[id] == 1 {
			x.reread(id)
		}
	}
	for _, id := range before {
		if x.scaled[id]--; x.scaled[id] == 0 {
			delete(x.scaled, id)
			x.reread(id)
		}
	}
	if x.targets[path] = targets; len(targets) == 0 {
		delete(x.targets, path)
	}
}

// reread needs x.mu.
func (x *Index) reread(id manifest.ID) {
	kind, ok := x.discovery.catalog.kinds[schema.GroupKind{Group: id.Group, Kind: id.Kind}]
	if !ok {
		return
	}
	k := key{id.Namespace, id.Name}
	if r := x.resources[kind.GroupResource()]; r != nil && r.entries[k] != nil {
		x.rereads.add(kind.GroupResource(), k)
	}
}

// rereads are the objects to be read again. The Index's mutex guards it.
type rereads struct {
	due    map[reread]bool
	busy   int  // being read now
	failed bool // the last attempt failed for some
	wake   chan struct{}
}

type reread struct {
	resource schema.GroupResource
	key
}

func newRereads() rereads {
	return rereads{due: map[reread]bool{}, wake: make(chan struct{}, 1)}
}

func (q *rereads) add(gr schema.GroupResource, k key) {
	q.due[reread{gr, k}] = true
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// idle: there is nothing to wait for.
func (q *rereads) idle() bool { return q.failed || len(q.due)+q.busy == 0 }

const rereadRetry = 5 * time.Second

func (x *Index) rereadLoop(ctx context.Context) {
	for {
		select {
		case <-x.rereads.wake:
		case <-ctx.Done():
			return
		}
		if !x.readDue(ctx) && !sleep(ctx, rereadRetry) {
			return
		}
	}
}

// readDue reads what is due at this moment. What fails is due again.
func (x *Index) readDue(ctx context.Context) bool {
	x.mu.Lock()
	due := slices.Collect(maps.Keys(x.rereads.due))
	clear(x.rereads.due)
	x.rereads.busy = len(due)
	x.mu.Unlock()

	reads := new(errgroup.Group)
	reads.SetLimit(parallelReads)
	failed := make([]error, len(due))
	for i, object := range due {
		reads.Go(func() error {
			failed[i] = x.readAgain(ctx, object)
			return failed[i]
		})
	}
	err := reads.Wait()

	x.mu.Lock()
	defer x.mu.Unlock()
	for i, object := range due {
		if failed[i] != nil {
			x.rereads.add(object.resource, object.key)
		}
	}
	x.rereads.busy, x.rereads.failed = 0, err != nil
	x.signal()
	return err == nil
}

func (x *Index) readAgain(ctx context.Context, object reread) error {
	x.mu.Lock()
	r := x.resources[object.resource]
	if r == nil {
		x.mu.Unlock()
		return nil
	}
	kind := r.Resource
	x.mu.Unlock()

	live, err := x.cluster.of(kind, object.namespace).Get(ctx, object.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return nil // the watch tells of the one, and a resource that may not be read has no entries to correct
	case err != nil:
		return err
	}
	x.see(kind, x.record(kind, live, nil))
	return nil
}
