package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// What a caller decides by. The errors that wrap them say what to do about it.
var (
	// ErrUnreachable: nothing answers, or what answers is a proxy or an API server that cannot serve
	// now. The same call may succeed later.
	ErrUnreachable = errors.New("the Kubernetes API server does not answer")
	// ErrForbidden: the credentials are good but lack a permission.
	ErrForbidden = errors.New("permission denied by the Kubernetes API server")
	// ErrUnauthorized: the credentials are not accepted.
	ErrUnauthorized = errors.New("the Kubernetes API server does not accept the credentials")
	// ErrNoCredentials: the Secret that holds the Git credentials does not exist.
	ErrNoCredentials = errors.New("no credentials")
)

// explain gives an error of client-go the kind that callers decide by, and a person what to do next. It
// leaves errors of no such kind as they are.
func explain(err error) error {
	switch kind := kindOf(err); {
	case kind == nil:
		return err
	case errors.Is(kind, ErrUnreachable):
		return fmt.Errorf("%w; is it up, and reachable from here?: %w", kind, err)
	case errors.Is(kind, ErrForbidden):
		return fmt.Errorf("%w; grant it with a ClusterRole: %w", kind, err)
	default:
		return fmt.Errorf("%w; has the token or certificate of the kubeconfig expired?: %w", kind, err)
	}
}

// kindOf is the sentinel that an error belongs to, or nil. An error that was explained keeps its kind.
func kindOf(err error) error {
	for _, kind := range []error{ErrUnreachable, ErrForbidden, ErrUnauthorized} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return nil
	case apierrors.IsUnauthorized(err):
		return ErrUnauthorized
	case apierrors.IsForbidden(err):
		return ErrForbidden
	case unanswered(err), overloaded(err):
		return ErrUnreachable
	}
	return nil
}

// unanswered: the request got no answer from an API server at all.
func unanswered(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.As(err, new(apierrors.APIStatus)) {
		return false
	}
	return utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		utilnet.IsTimeout(err) || utilnet.IsHTTP2ConnectionLost(err) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, new(*net.OpError)) || errors.As(err, new(*url.Error))
}

// overloaded: the API server answered that it cannot serve the request now, or failed at it.
func overloaded(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
}
