package kube

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

const managedBy = "app.kubernetes.io/managed-by"

// ReadSecret returns a Secret's content, or ErrNoCredentials where there is no such Secret.
func (c *Cluster) ReadSecret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	secret, err := c.core.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, noCredentials(namespace, name)
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w", namespace, name, explain(err))
	}
	return secret.Data, nil
}

// WriteSecret sets keys of a Secret, creating it and its namespace where they are missing. Other keys and
// labels of an existing one stay.
func (c *Cluster) WriteSecret(ctx context.Context, namespace, name string, data map[string][]byte, labels map[string]string) error {
	if err := c.ensureNamespace(ctx, namespace); err != nil {
		return err
	}
	secrets := c.core.Secrets(namespace)
	write := func() error {
		secret, err := secrets.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
			amend(secret, data, labels)
			_, err = secrets.Create(ctx, secret, metav1.CreateOptions{FieldManager: manifest.FieldManager})
			return err
		}
		if err != nil {
			return err
		}
		amend(secret, data, labels)
		_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{FieldManager: manifest.FieldManager})
		return err
	}
	raced := func(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }
	if err := retry.OnError(retry.DefaultRetry, raced, write); err != nil {
		return fmt.Errorf("write Secret %s/%s: %w", namespace, name, explain(err))
	}
	return nil
}

// DeleteSecret deletes a Secret. It is no error where there is none.
func (c *Cluster) DeleteSecret(ctx context.Context, namespace, name string) error {
	err := c.core.Secrets(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete Secret %s/%s: %w", namespace, name, explain(err))
	}
	return nil
}

// DropSecretKeys takes keys out of a Secret and reports whether others are left. A Secret that is left empty
// is deleted. It is no error where there is none.
func (c *Cluster) DropSecretKeys(ctx context.Context, namespace, name string, keys ...string) (left bool, err error) {
	secrets := c.core.Secrets(namespace)
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		secret, err := secrets.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			left = false
			return nil
		}
		if err != nil {
			return err
		}
		for _, key := range keys {
			delete(secret.Data, key)
		}
		if left = len(secret.Data) > 0; !left {
			return secrets.Delete(ctx, name, metav1.DeleteOptions{Preconditions: metav1.NewRVDeletionPrecondition(secret.ResourceVersion).Preconditions})
		}
		_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{FieldManager: manifest.FieldManager})
		return err
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return left, fmt.Errorf("change Secret %s/%s: %w", namespace, name, explain(err))
	}
	return left, nil
}

func (c *Cluster) ensureNamespace(ctx context.Context, name string) error {
	// Reading first lets those write who may not create namespaces.
	_, err := c.core.Namespaces().Get(ctx, name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return wrapNamespace(name, err)
	}
	if apierrors.IsForbidden(err) {
		return nil // a missing namespace will show at the write
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{managedBy: manifest.FieldManager},
	}}
	_, err = c.core.Namespaces().Create(ctx, namespace, metav1.CreateOptions{FieldManager: manifest.FieldManager})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return wrapNamespace(name, err)
}

func wrapNamespace(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("create Namespace %s: %w", name, explain(err))
}

func amend(secret *corev1.Secret, data map[string][]byte, labels map[string]string) {
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, data)
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	secret.Labels[managedBy] = manifest.FieldManager
	maps.Copy(secret.Labels, labels)
}

func noCredentials(namespace, name string) error {
	return fmt.Errorf("%w: Secret %s/%s does not exist; enrol the cluster again with a token, or create it", ErrNoCredentials, namespace, name)
}
