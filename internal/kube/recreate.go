package kube

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// mayBeRecreated reports whether the object may be deleted and created again.
func (t target) mayBeRecreated(live *unstructured.Unstructured) bool {
	return manifest.Recreatable(t.kind) && !manifest.EmpowersSync(live.Object) && (t.Recreate || manifest.AsksForRecreation(t.Object))
}

// recreate deletes an object and creates it as Git says, since an update can't make it that. Whatever stops
// it half-way leaves an object that is missing, which the next tick creates.
func (w *writer) recreate(ctx context.Context, t target, live *unstructured.Unstructured) (Written, error) {
	if err := w.wouldBeAccepted(ctx, t); err != nil {
		return Written{}, err
	}
	if w.dryRun != nil {
		before, err := w.file(t, live)
		return Written{Action: Recreated, Before: before}, err
	}
	uid, version, background := live.GetUID(), live.GetResourceVersion(), metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
		PropagationPolicy: &background,
	}
	err := persist(ctx, func() error { return t.api.Delete(ctx, t.id.Name, options) })
	if err != nil && !apierrors.IsNotFound(err) {
		return Written{}, err
	}
	written, err := w.createOnceGone(ctx, t)
	if err != nil {
		return Written{}, fmt.Errorf("it was deleted to be created anew, and is created at the next try: %w", err)
	}
	written.Action = Recreated
	return written, nil
}

// wouldBeAccepted makes sure that the API server takes the new object, before the old one goes. It looks for
// another object of the name last of all, after validation and admission: a dry run that fails for that
// reason alone is one that succeeds without the old object.
func (w *writer) wouldBeAccepted(ctx context.Context, t target) error {
	trial := &writer{index: w.index, dryRun: dryRun}
	_, err := trial.create(ctx, t)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// Bounds of waiting for a deleted object to be gone, which finalizers may put off for long.
const (
	goneWithin = 5 * time.Second
	gonePoll   = 100 * time.Millisecond
)

func (w *writer) createOnceGone(ctx context.Context, t target) (Written, error) {
	for end := time.Now().Add(goneWithin); ; {
		written, err := w.create(ctx, t)
		if !apierrors.IsAlreadyExists(err) {
			return written, err
		}
		if time.Now().After(end) || !sleep(ctx, gonePoll) {
			return Written{}, fmt.Errorf("the old one is still there: %w", err)
		}
	}
}
