package kube

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Write is one object to be made what Git says, or to be deleted.
type Write struct {
	Path     string            // canonical
	Resource manifest.Resource // as Resolve said
	// Object is the normalised content that is wanted, in any served version; nil deletes.
	Object map[string]any
	// Hash is that of the object's normalised YAML, if it is known. It spares the work of finding it again
	// where the API server answers with the same content.
	Hash plumbing.Hash
	// Live is the hash that the object had in the index when this was planned; zero when there was none.
	// It only chooses what to try first.
	Live plumbing.Hash
	// Recreate lets the object be deleted and created again where Git changed a field that can't be changed,
	// if its kind loses nothing by it. The object in Git can say so too.
	Recreate bool
	// Scaled: an autoscaler that the cluster doesn't have yet is going to target the object.
	Scaled bool
	// UID is that of the object that a deletion was planned for; "" for whatever object has the name.
	UID types.UID
	// Stray: Git never declared the object that is to be deleted.
	Stray bool
	// Exactly: the write is only for an object that is as Live says, and else for nobody: what somebody changed
	// since it was planned isn't overwritten.
	Exactly bool
}

// Action is what became of a Write.
type Action string

const (
	Created   Action = "created"
	Updated   Action = "updated"
	Recreated Action = "recreated"
	Unchanged Action = "unchanged"
	Deleted   Action = "deleted"
	Kept      Action = "kept"     // not deleted: something keeps it in the cluster (manifest.Bond)
	Replaced  Action = "replaced" // not deleted: it isn't the object any more that this was planned for
	Moved     Action = "moved"    // not written: it isn't as Live says any more
	Failed    Action = "failed"
	Skipped   Action = "skipped"
)

// Written is the result of a Write.
type Written struct {
	Path   string
	Action Action
	// Reason says why it was skipped or kept, or what an unchanged object is waiting for.
	Reason string
	// Hash is that of the object's normalised YAML after the write, in the index's version; zero when the
	// object is gone, or is in no tree.
	Hash plumbing.Hash
	// Overwrote is what an update changed in the live object.
	Overwrote manifest.Overwrite
	Err       error // when it failed
	// Before and After are the object's normalised YAML as it is and as it would become, in the version that is
	// written. Only a dry run that creates or updates has them; one that recreates has Before alone.
	Before, After []byte
}

// ApplyOptions says how Apply works.
type ApplyOptions struct {
	Progress func(done, total int) // called after each write, one call at a time; may be nil
	DryRun   bool                  // as DryRun does
}

// Apply makes objects what the writes say. Each is done whatever becomes of the others, in no order, and
// the results are in the order of the writes. The answers of the API server are in the index when Apply
// returns, so that the watch has no news of them. It is up to the caller to write namespaces before what
// is in them.
func (x *Index) Apply(ctx context.Context, writes []Write, o ApplyOptions) []Written {
	return x.ApplyAll(ctx, slices.Values(writes), len(writes), o)
}

// ApplyAll is Apply for writes that are made as they are needed, up to total of them: decoded objects take a
// lot of memory.
func (x *Index) ApplyAll(ctx context.Context, writes iter.Seq[Write], total int, o ApplyOptions) []Written {
	w := &writer{index: x}
	if o.DryRun {
		w.dryRun = dryRun
	} else {
		x.keepRecent()
	}
	results := make([]Written, 0, total) // of that capacity: each write has a place in it that doesn't move
	var mu sync.Mutex
	done := 0
	x.lanes.begin()
	var writing sync.WaitGroup
	for write := range writes {
		results = append(results, Written{})
		result := &results[len(results)-1]
		x.lanes.enter()
		writing.Go(func() {
			began := time.Now()
			*result = w.do(ctx, write)
			x.lanes.leave(time.Since(began), result.Err == nil && result.Action != Unchanged && result.Action != Skipped)
			mu.Lock()
			defer mu.Unlock()
			if done++; o.Progress != nil {
				o.Progress(done, total)
			}
		})
	}
	writing.Wait()
	return results
}

// DryRun tells what Apply would do with one write, by having the API server do all but store it. The hash
// and the content are those of the object as it would become, but none for one that would be recreated; Unchanged
// says that live and wanted are equivalent.
func (x *Index) DryRun(ctx context.Context, write Write) Written {
	return x.Apply(ctx, []Write{write}, ApplyOptions{DryRun: true})[0]
}

var dryRun = []string{metav1.DryRunAll}

// writer is one run of writes.
type writer struct {
	index  *Index
	dryRun []string
	// unreachable is set once the API server has not answered to repeated attempts of one write, which
	// makes the rest of the run pointless.
	unreachable atomic.Pointer[error]
}

func (w *writer) do(ctx context.Context, write Write) Written {
	t, err := w.target(write)
	if gone := w.unreachable.Load(); err == nil && gone != nil {
		err = *gone
	}
	var result Written
	if err == nil {
		if write.Object == nil {
			result, err = w.delete(ctx, t)
		} else {
			result, err = w.ensure(ctx, t)
		}
	}
	if err != nil {
		if unanswered(err) && ctx.Err() == nil {
			err = explain(err)
			w.unreachable.Store(&err)
		}
		result = Written{Action: Failed, Err: t.describe(err)}
	}
	result.Path = write.Path
	return result
}

// target is the object of a write.
type target struct {
	Write
	id      manifest.ID
	kind    manifest.Resource // in the version that is written: the file's, where that is served
	indexed manifest.Resource // in the version that the index is in
	api     dynamic.ResourceInterface
	scaled  bool
	seen    string // the resource version that the index has; "" to read the latest one
	planned string // the resource version at which the index has the object as Live says; "" for none
}

func (w *writer) target(write Write) (target, error) {
	location, ok := manifest.ParsePath(write.Path)
	t := target{Write: write, kind: write.Resource, indexed: write.Resource}
	t.id = manifest.ID{Group: write.Resource.Group, Kind: write.Resource.Kind, Namespace: location.Namespace, Name: location.Name}
	if !ok {
		return t, fmt.Errorf("%s is not the path of an object", write.Path)
	}
	versions, indexed := w.index.served(t.kind.GroupResource())
	if len(versions) == 0 {
		return t, fmt.Errorf("%w: %s", ErrNotServed, t.kind)
	}
	t.kind.Version, t.indexed.Version = indexed, indexed
	apiVersion, _ := write.Object["apiVersion"].(string)
	if gv, err := schema.ParseGroupVersion(apiVersion); err == nil && slices.Contains(versions, gv.Version) {
		t.kind.Version = gv.Version
	}
	t.api = w.index.cluster.of(t.kind, t.id.Namespace)
	t.scaled = write.Scaled || w.index.isScaled(t.id)
	known, _ := w.index.Lookup(write.Path)
	if write.Object != nil {
		t.seen = known.ResourceVersion
	}
	if known.Hash == write.Live {
		t.planned = known.ResourceVersion
	}
	return t, nil
}
