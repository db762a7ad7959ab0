package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/retry"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// ErrNoLock: the cluster can't have a lock, or not by these credentials. Trying again soon is no use.
var ErrNoLock = errors.New("the synced objects can't be locked")

var (
	lockPolicies = manifest.Resource{Group: "admissionregistration.k8s.io", Version: "v1", Name: "validatingadmissionpolicies", Kind: "ValidatingAdmissionPolicy"}
	lockBindings = manifest.Resource{Group: "admissionregistration.k8s.io", Version: "v1", Name: "validatingadmissionpolicybindings", Kind: "ValidatingAdmissionPolicyBinding"}
)

// PutLock is a lock as it was left in the cluster.
type PutLock struct {
	// Policy and Binding are the resource versions of the two objects; "" where one could not be written.
	Policy, Binding string
	// User is whom the sync acts as.
	User string
}

// Shared reports whether the sync acts as a user whom the lock would otherwise take for a person, so that
// all who act as this user are let through.
func (p PutLock) Shared() bool { return isPerson(p.User) }

// EnsureLock puts the lock up, or back to what it should be, and writes only where something differs. It fails
// with ErrNoLock where that can't be.
func (c *Cluster) EnsureLock(ctx context.Context, l Lock) (put PutLock, err error) {
	if put.User, err = c.User(ctx); err != nil {
		return put, noLock(err)
	}
	// The policy does nothing without the binding.
	if put.Policy, err = c.ensureLocking(ctx, lockPolicies, l.policy(put.User)); err != nil {
		return put, noLock(err)
	}
	if put.Binding, err = c.ensureLocking(ctx, lockBindings, l.binding()); err != nil {
		return put, noLock(err)
	}
	return put, nil
}

// RemoveLock takes the lock of an enrolment away. It is no error where there is none. It fails with ErrNoLock
// where these credentials don't allow it.
func (c *Cluster) RemoveLock(ctx context.Context, cluster string) error {
	for _, resource := range []manifest.Resource{lockBindings, lockPolicies} {
		err := c.of(resource, "").Delete(ctx, LockName(cluster), metav1.DeleteOptions{})
		if apierrors.IsForbidden(err) {
			// Who was never allowed to put it up has nothing to take away.
			if _, reading := c.of(resource, "").Get(ctx, LockName(cluster), metav1.GetOptions{}); apierrors.IsNotFound(reading) {
				continue
			}
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return noLock(fmt.Errorf("delete %s %s: %w", resource.Kind, LockName(cluster), err))
		}
	}
	return nil
}

// LockParts counts the objects of an enrolment's lock that are in the cluster: 2 of them lock, and the API servers
// that have no such objects have 0.
func (c *Cluster) LockParts(ctx context.Context, cluster string) (parts int, err error) {
	for _, resource := range []manifest.Resource{lockPolicies, lockBindings} {
		_, err := c.of(resource, "").Get(ctx, LockName(cluster), metav1.GetOptions{})
		switch {
		case err == nil:
			parts++
		case !apierrors.IsNotFound(err):
			return 0, fmt.Errorf("read %s %s: %w", resource.Kind, LockName(cluster), explain(err))
		}
	}
	return parts, nil
}

// LockRemoval is how a person takes the lock of an enrolment away.
func LockRemoval(cluster string) string {
	return fmt.Sprintf("kubectl delete validatingadmissionpolicybinding,validatingadmissionpolicy %s", LockName(cluster))
}

// LockPaths are where an index has the two objects of a lock: the policy, then the binding.
func LockPaths(cluster string) (policy, binding string) {
	return manifest.Path(lockPolicies, "", LockName(cluster)), manifest.Path(lockBindings, "", LockName(cluster))
}

// RefusedByLock reports whether it was a lock that refused a write.
func RefusedByLock(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), LockName(""))
}

// LockPermissions lists what these credentials lack for the lock: "create validatingadmissionpolicies".
func (c *Cluster) LockPermissions(ctx context.Context) (missing []string, err error) {
	for _, resource := range []manifest.Resource{lockPolicies, lockBindings} {
		for _, verb := range []string{"get", "create", "update", "delete"} {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: resource.Group, Resource: resource.Name},
			}}
			review, err := c.access.SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
			if err != nil {
				return nil, fmt.Errorf("ask %s for permissions: %w", c.host, explain(err))
			}
			if !review.Status.Allowed {
				missing = append(missing, verb+" "+resource.Name)
			}
		}
	}
	return missing, nil
}

// User is whom the API server takes these credentials for.
func (c *Cluster) User(ctx context.Context) (string, error) {
	review, err := c.identity.SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("ask the API server whom the sync acts as: %w", err)
	}
	return review.Status.UserInfo.Username, nil
}

// ensureLocking makes one of the two objects what it should be, and returns its resource version.
func (c *Cluster) ensureLocking(ctx context.Context, resource manifest.Resource, typed any) (version string, err error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return "", err
	}
	wanted, api := &unstructured.Unstructured{Object: content}, c.of(resource, "")
	raced := func(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }
	err = retry.OnError(retry.DefaultRetry, raced, func() error {
		now, err := api.Get(ctx, wanted.GetName(), metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			now, err = api.Create(ctx, wanted, metav1.CreateOptions{FieldManager: manifest.FieldManager})
		case err == nil && !locks(now, wanted):
			now.Object["spec"] = wanted.Object["spec"]
			now.SetLabels(wanted.GetLabels())
			now.SetAnnotations(wanted.GetAnnotations())
			now, err = api.Update(ctx, now, metav1.UpdateOptions{FieldManager: manifest.FieldManager})
		}
		if err == nil {
			version = now.GetResourceVersion()
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("put up %s %s: %w", resource.Kind, wanted.GetName(), err)
	}
	return version, nil
}

// locks reports whether an object of a lock is as wanted.
func locks(now, wanted *unstructured.Unstructured) bool {
	return equality.Semantic.DeepEqual(now.Object["spec"], wanted.Object["spec"]) &&
		equality.Semantic.DeepEqual(now.GetLabels(), wanted.GetLabels()) &&
		equality.Semantic.DeepEqual(now.GetAnnotations(), wanted.GetAnnotations())
}

// noLock sorts out what time alone doesn't mend.
func noLock(err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w: the API server has no ValidatingAdmissionPolicies, which came with Kubernetes 1.30", ErrNoLock)
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return fmt.Errorf("%w: %w", ErrNoLock, explain(err))
	}
	return explain(err)
}
