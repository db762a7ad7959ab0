package kube

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// delete removes exactly the object that it looked at: never one of the same name that came after it, and
// never one that is not synced. It doesn't wait for finalizers, so the object may be there for a while;
// the index has it until the watch tells that it is gone.
func (w *writer) delete(ctx context.Context, t target) (Written, error) {
	var err error
	for range attempts {
		var result Written
		if result, err = w.deleteOnce(ctx, t); !apierrors.IsConflict(err) {
			return result, err
		}
	}
	return Written{}, fmt.Errorf("it keeps being made anew: %w", err)
}

func (w *writer) deleteOnce(ctx context.Context, t target) (Written, error) {
	live, err := t.read(ctx)
	if apierrors.IsNotFound(err) {
		return Written{Action: Unchanged}, nil
	}
	if err != nil {
		return Written{}, err
	}
	if reason, skipped := w.index.skip(t.kind, live.Object); skipped {
		return Written{Action: Skipped, Reason: reason}, nil
	}
	if live.GetDeletionTimestamp() != nil {
		return Written{Action: Unchanged, Reason: "it is being deleted and waits for " + waitsFor(live)}, nil
	}
	uid, background := live.GetUID(), metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &uid},
		PropagationPolicy: &background,
		DryRun:            w.dryRun,
	}
	err = persist(ctx, func() error { return t.api.Delete(ctx, t.id.Name, options) })
	if err != nil && !apierrors.IsNotFound(err) {
		return Written{}, err
	}
	return Written{Action: Deleted}, nil
}
