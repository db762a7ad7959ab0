package kube

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// attempts bounds how often a write starts over because the object moved meanwhile.
const attempts = 6

// ensure creates or updates an object.
func (w *writer) ensure(ctx context.Context, t target) (Written, error) {
	exists := t.Live != plumbing.ZeroHash
	var err error
	for range attempts {
		var result Written
		if exists {
			result, err = w.update(ctx, t)
		} else {
			result, err = w.create(ctx, t)
		}
		t.seen = "" // what it was seen as is out of date
		switch {
		case t.Exactly && (exists && apierrors.IsNotFound(err) || !exists && apierrors.IsAlreadyExists(err)):
			return Written{Action: Moved}, nil
		case exists && apierrors.IsNotFound(err):
			exists = false
		case !exists && apierrors.IsAlreadyExists(err):
			exists = true
		case !apierrors.IsConflict(err):
			return result, err
		}
	}
	return Written{}, fmt.Errorf("it keeps changing while it is written; find out by what (its managed fields tell): %w", err)
}

func (w *writer) create(ctx context.Context, t target) (Written, error) {
	wanted := &unstructured.Unstructured{Object: maps.Clone(t.Object)}
	wanted.SetGroupVersionKind(t.kind.GVK())
	var now *unstructured.Unstructured
	err := persist(ctx, func() (err error) {
		now, err = t.api.Create(ctx, wanted, metav1.CreateOptions{
			FieldManager: manifest.FieldManager, FieldValidation: metav1.FieldValidationStrict, DryRun: w.dryRun})
		return err
	})
	if err != nil {
		return Written{}, err
	}
	if w.dryRun != nil {
		after, err := w.file(t, now)
		return Written{Action: Created, Hash: w.index.hash(t.kind, after), After: after}, err
	}
	hash, err := w.settle(ctx, t, now)
	return Written{Action: Created, Hash: hash}, err
}

// update overwrites an object as a whole, at the version that was read: what a person added to it would
// survive a server-side apply.
func (w *writer) update(ctx context.Context, t target) (Written, error) {
	live, err := w.live(ctx, t)
	if err != nil {
		return Written{}, err
	}
	if moved, err := w.moved(ctx, t, live); err != nil || moved {
		return Written{Action: Moved}, err
	}
	plain := w.over(t, live)
	wanted := &unstructured.Unstructured{Object: w.adopting(t, plain.Object, live.Object)}
	if reason, skipped := w.index.skip(t.kind, live.Object); skipped && !w.takesOver(t, reason, wanted) {
		return Written{Action: Skipped, Reason: reason}, nil
	}
	if live.GetDeletionTimestamp() != nil {
		return Written{}, fmt.Errorf("it is being deleted and waits for %s; it is created again once it is gone", waitsFor(live))
	}
	if equality.Semantic.DeepEqual(wanted.Object, live.Object) {
		hash, err := w.settle(ctx, t, live)
		return Written{Action: Unchanged, Hash: hash}, err
	}
	now, err := w.put(ctx, t, wanted)
	if (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)) && !reflect.DeepEqual(plain.Object, wanted.Object) {
		now, err = w.put(ctx, t, plain) // what a controller added may not go with what Git says now
	}
	if err != nil {
		if len(immutableFields(err)) > 0 && t.mayBeRecreated(live) {
			return w.recreate(ctx, t, live)
		}
		return Written{}, err
	}
	if w.dryRun != nil {
		return w.compare(ctx, t, live, now)
	}
	written := Written{Action: Unchanged} // perhaps all that differed is what the API server fills in
	if now.GetResourceVersion() != live.GetResourceVersion() {
		written.Action, written.Overwrote = Updated, manifest.Overwritten(live.Object, now.Object)
	}
	written.Hash, err = w.settle(ctx, t, now)
	return written, err
}

// moved reports whether the object isn't what an exact write was planned for.
func (w *writer) moved(ctx context.Context, t target, live *unstructured.Unstructured) (bool, error) {
	if !t.Exactly || live.GetResourceVersion() == t.planned {
		return false, nil
	}
	now := live.DeepCopy()
	if t.kind != t.indexed { // the hash is of the version that the index is in
		t.api, t.kind, t.seen = w.index.cluster.of(t.indexed, t.id.Namespace), t.indexed, live.GetResourceVersion()
		var err error
		if now, err = t.read(ctx); err != nil {
			return false, err
		}
		if now.GetResourceVersion() != live.GetResourceVersion() {
			return true, nil
		}
	}
	content, err := w.file(t, now)
	return err == nil && w.index.hash(t.kind, content) != t.Live, err
}

func (w *writer) put(ctx context.Context, t target, wanted *unstructured.Unstructured) (now *unstructured.Unstructured, err error) {
	err = persist(ctx, func() (err error) {
		now, err = t.api.Update(ctx, wanted, metav1.UpdateOptions{
			FieldManager: manifest.FieldManager, FieldValidation: metav1.FieldValidationStrict, DryRun: w.dryRun})
		return err
	})
	return now, err
}

// over is the wanted content laid over the live object.
func (w *writer) over(t target, live *unstructured.Unstructured) *unstructured.Unstructured {
	wanted := &unstructured.Unstructured{Object: maps.Clone(t.Object)}
	if selection := w.index.options.Selection; selection.IgnoresFields(t.kind) {
		wanted = wanted.DeepCopy()
		selection.DropIgnored(t.kind, wanted.Object)
	}
	wanted.SetGroupVersionKind(t.kind.GVK())
	full := manifest.Denormalise(t.kind, wanted.Object, live.Object, manifest.Surroundings{Scaled: t.scaled})
	// The version and the UID make sure that what is overwritten is what was read.
	metadata, _ := full["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	metadata["resourceVersion"], metadata["uid"] = live.GetResourceVersion(), string(live.GetUID())
	full["metadata"] = metadata
	w.index.options.Selection.KeepIgnored(t.kind, full, live.Object)
	return &unstructured.Unstructured{Object: full}
}

// adopting is that with what controllers have added to the live object.
func (w *writer) adopting(t target, wanted, live map[string]any) map[string]any {
	full := manifest.Adopt(wanted, live)
	if selection := w.index.options.Selection; selection.IgnoresFields(t.kind) {
		full = runtime.DeepCopyJSON(full)
		selection.KeepIgnored(t.kind, full, live)
	}
	return full
}

// takesOver: each cluster has the object by itself, and Git holds what a person made of it, like the account
// "default" with pull Secrets. A new cluster's own one is to become that. Or somebody took the labels off an
// object by which it takes part, and Git has them.
func (w *writer) takesOver(t target, reason string, wanted *unstructured.Unstructured) bool {
	if reason != manifest.ReasonKubernetes && reason != manifest.ReasonLabels {
		return false
	}
	_, skipped := w.index.skip(t.kind, wanted.Object)
	return !skipped
}

// live is the object that is to be overwritten.
func (w *writer) live(ctx context.Context, t target) (*unstructured.Unstructured, error) {
	if live := w.index.recall(t); live != nil {
		return live, nil
	}
	return t.read(ctx)
}

// read gets the object, at the version that the index saw or a later one. That much the API server may answer
// from its memory; a write over something that has changed since is refused, and then it is read anew.
func (t target) read(ctx context.Context) (*unstructured.Unstructured, error) {
	options := metav1.GetOptions{ResourceVersion: t.seen}
	var live *unstructured.Unstructured
	err := persist(ctx, func() (err error) {
		live, err = t.api.Get(ctx, t.id.Name, options)
		if apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge) {
			live, err = t.api.Get(ctx, t.id.Name, metav1.GetOptions{}) // it lags behind, or was restored from a backup
		}
		return err
	})
	return live, err
}

// settle tells the index how an object is now, and returns its hash in the index's version. It consumes
// the object.
func (w *writer) settle(ctx context.Context, t target, now *unstructured.Unstructured) (plumbing.Hash, error) {
	if t.kind != t.indexed {
		var err error
		t.api, t.seen = w.index.cluster.of(t.indexed, t.id.Namespace), ""
		if now, err = t.read(ctx); err != nil {
			return plumbing.ZeroHash, fmt.Errorf("read back as %s: %w", t.indexed.GVK().GroupVersion(), err)
		}
	}
	rec := w.index.recordNew(t.indexed, now, &t.Write)
	w.index.see(t.indexed, rec)
	return rec.hash, rec.err
}

// compare tells whether a dry run would change anything.
func (w *writer) compare(ctx context.Context, t target, live, now *unstructured.Unstructured) (Written, error) {
	overwrites := manifest.Overwritten(live.Object, now.Object)
	before, err := w.file(t, live)
	if err != nil {
		return Written{}, err
	}
	after, err := w.file(t, now)
	if err != nil {
		return Written{}, err
	}
	hash := w.index.hash(t.kind, after)
	if !bytes.Equal(before, after) {
		return Written{Action: Updated, Hash: hash, Before: before, After: after, Overwrote: overwrites}, nil
	}
	if t.kind == t.indexed {
		return Written{Action: Unchanged, Hash: hash}, nil
	}
	hash, err = w.settle(ctx, t, live)
	return Written{Action: Unchanged, Hash: hash}, err
}

// file is the content of an object's file. It consumes the object.
func (w *writer) file(t target, u *unstructured.Unstructured) ([]byte, error) {
	return w.index.encode(t.kind, u.Object, manifest.Surroundings{Scaled: t.scaled})
}

func waitsFor(live *unstructured.Unstructured) string {
	finalizers := live.GetFinalizers()
	if more, found, _ := unstructured.NestedStringSlice(live.Object, "spec", "finalizers"); found {
		finalizers = append(finalizers, more...) // a namespace's
	}
	if len(finalizers) == 0 {
		return "its grace period"
	}
	slices.Sort(finalizers)
	return "its finalizers " + strings.Join(finalizers, ", ")
}

// persist repeats a request that the API server could not serve at the moment, after the time that it
// asks for. client-go has waited before, where the answer had a Retry-After.
func persist(ctx context.Context, request func() error) error {
	const tries, longest = 4, 30 * time.Second
	pause := 200 * time.Millisecond
	for try := 1; ; try++ {
		err := request()
		if try == tries || !passing(err) {
			return err
		}
		asked, _ := apierrors.SuggestsClientDelay(err)
		if !sleep(ctx, min(longest, max(wait.Jitter(pause, 1), time.Duration(asked)*time.Second))) {
			return err
		}
		pause *= 2
	}
}

// passing: the same request may succeed in a moment.
func passing(err error) bool {
	return unanswered(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err)
}
