package kube

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// delete removes exactly the object that it looked at, as it looked: never one of the same name that came
// after it, never one that is not synced, and never one that something keeps in the cluster. Where the object
// changes meanwhile it is looked at again. It doesn't wait for finalizers, so the object may be there for a
// while; the index has it until the watch tells that it is gone.
func (w *writer) delete(ctx context.Context, t target) (Written, error) {
	var err error
	for range attempts {
		var result Written
		if result, err = w.deleteOnce(ctx, t); !apierrors.IsConflict(err) {
			return result, err
		}
	}
	return Written{}, fmt.Errorf("it keeps changing while it is deleted: %w", err)
}

func (w *writer) deleteOnce(ctx context.Context, t target) (Written, error) {
	live, err := t.read(ctx)
	if apierrors.IsNotFound(err) {
		return Written{Action: Unchanged}, nil
	}
	if err != nil {
		return Written{}, err
	}
	if spared, why := w.spares(t, live); spared != "" {
		return Written{Action: spared, Reason: why}, nil
	}
	if moved, err := w.moved(ctx, t, live); err != nil || moved {
		return Written{Action: Moved}, err
	}
	background := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{
		Preconditions:     exactly(live),
		PropagationPolicy: &background,
		DryRun:            w.dryRun,
	}
	err = persist(ctx, func() error { return t.api.Delete(ctx, t.id.Name, options) })
	if err != nil && !apierrors.IsNotFound(err) {
		return Written{}, err
	}
	return Written{Action: Deleted}, nil
}

// spares says why an object isn't deleted; "" when it is.
func (w *writer) spares(t target, live *unstructured.Unstructured) (action Action, why string) {
	if reason, skipped := w.index.skip(t.kind, live.Object); skipped {
		return Skipped, reason
	}
	if t.UID != "" && t.UID != live.GetUID() {
		return Replaced, "another object has its name by now"
	}
	switch bond := manifest.BondOf(t.kind, live.Object); {
	case bond == manifest.Leaving:
		return Unchanged, "it is being deleted and waits for " + waitsFor(live)
	case bond.Holds(t.Stray):
		return Kept, bond.String()
	}
	return "", ""
}

// exactly makes a request fail unless the object is the one that was read, unchanged. Some aggregated APIs have
// no UIDs.
func exactly(live *unstructured.Unstructured) *metav1.Preconditions {
	uid, version := live.GetUID(), live.GetResourceVersion()
	p := &metav1.Preconditions{ResourceVersion: &version}
	if uid != "" {
		p.UID = &uid
	}
	return p
}
