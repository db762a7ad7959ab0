package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// ErrNotServed: the cluster has no such kind of object.
var ErrNotServed = errors.New("the cluster does not serve this kind; install its CustomResourceDefinition, or the API server behind it")

// ImmutableError: fields differ that cannot be changed once the object exists.
type ImmutableError struct {
	Object  manifest.ID
	Fields  []string // "spec.selector"
	Message string   // what the API server says
	// Recreatable: the sync may delete and create an object of this kind, if it is asked to.
	Recreatable bool
}

func (e *ImmutableError) Error() string {
	verb := "is"
	if len(e.Fields) > 1 {
		verb = "are"
	}
	advice := "or delete the object yourself to have it created anew, which the sync doesn't do for this kind, since something may be lost with it"
	if e.Recreatable {
		advice = fmt.Sprintf("or delete the object to have it created anew, or let the sync do both: set --recreate-immutable for all such objects, or the annotation %s: \"true\" in Git for this one", manifest.RecreateAnnotation)
	}
	return fmt.Sprintf("%s: %s %s immutable: take the change back in Git, %s: %s", e.Object, strings.Join(e.Fields, ", "), verb, advice, e.Message)
}

// describe says which object a write failed for, why, and what to do.
func (t target) describe(err error) error {
	id := t.id
	var status apierrors.APIStatus
	errors.As(err, &status)
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return fmt.Errorf("%s: its namespace is being deleted; the object can be written once that is gone and made anew: %w", id, err)
	case apierrors.IsNotFound(err) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces" && id.Namespace != "":
		return fmt.Errorf("%s: its namespace does not exist; add it to Git, or create it: %w", id, err)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s: %w: %w", id, ErrNotServed, err)
	case advice(err) != "":
		return fmt.Errorf("%s: %s: %w", id, advice(err), err)
	case apierrors.IsInvalid(err):
		return t.invalid(status.Status())
	case apierrors.IsForbidden(err) && !unauthorised(err):
		return fmt.Errorf("%s: refused by an admission check of the cluster: %w", id, err)
	}
	return fmt.Errorf("%s: %w", id, explain(err))
}

// unauthorised tells missing permissions from the refusals of admission, which have the same code.
func unauthorised(err error) bool { return strings.Contains(err.Error(), `" cannot `) }

// invalid sorts out what validation says about an object.
func (t target) invalid(status metav1.Status) error {
	message := status.Message
	causes := causesOf(status)
	if t.id.Group == "" && t.id.Kind == "Secret" {
		message = secretMessage(causes)
	}
	if fields := fixedFields(causes); len(fields) > 0 {
		return &ImmutableError{Object: t.id, Fields: fields, Message: saidOf(causes), Recreatable: manifest.Recreatable(t.kind)}
	}
	return fmt.Errorf("%s: the API server finds it invalid: %s", t.id, message)
}

func causesOf(status metav1.Status) []metav1.StatusCause {
	if status.Details == nil {
		return nil
	}
	return status.Details.Causes
}

// immutableFields are the fields for which the API server refuses an update because they can't be changed.
func immutableFields(err error) []string {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) {
		return nil
	}
	return fixedFields(causesOf(status.Status()))
}

// saidOf is what the API server says about fields that can't be changed, without their values, which may fill
// pages.
func saidOf(causes []metav1.StatusCause) string {
	var said []string
	for _, cause := range causes {
		if !fixed(cause) {
			continue
		}
		words := cause.Message
		if cause.Type == metav1.CauseTypeFieldValueInvalid {
			words = words[strings.LastIndex(words, ": ")+1:]
		} else {
			words, _, _ = strings.Cut(words, "\n")
			_, words, _ = strings.Cut(": "+words, ": ")
		}
		said = append(said, strings.TrimSpace(words))
	}
	slices.Sort(said)
	return strings.Join(slices.Compact(said), "; ")
}

func fixedFields(causes []metav1.StatusCause) []string {
	var fields []string
	for _, cause := range causes {
		if fixed(cause) {
			fields = append(fields, cause.Field)
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// fixed: the field may not be changed. There is no code for that, only the words that validations use.
func fixed(cause metav1.StatusCause) bool {
	message := strings.ToLower(cause.Message)
	for _, words := range []string{"immutable", "may not change", "may not be changed", "cannot change"} {
		if strings.Contains(message, words) {
			return true
		}
	}
	return cause.Type == metav1.CauseTypeForbidden && strings.Contains(message, "updates to ")
}

// secretMessage leaves out the values, which the API server quotes.
func secretMessage(causes []metav1.StatusCause) string {
	var said []string
	for _, cause := range causes {
		said = append(said, fmt.Sprintf("%s: %s", cause.Field, cause.Type))
	}
	return strings.Join(said, ", ")
}
