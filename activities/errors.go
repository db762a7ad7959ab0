package activities

import (
	"context"
	"errors"
	"syscall"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// kinds translates errors of the packages below into the error types of the workflow's contract. A
// lasting error isn't worth another attempt within the tick.
var kinds = []struct {
	is      error
	reason  string
	lasting bool
	benign  bool
}{
	{is: repo.ErrAuth, reason: workflows.AuthFailed, lasting: true},
	{is: repo.ErrNotFound, reason: workflows.RepositoryNotFound, lasting: true},
	{is: repo.ErrMoved, reason: workflows.RemoteMoved, lasting: true, benign: true},
	{is: repo.ErrRejected, reason: workflows.PushRejected, lasting: true},
	{is: repo.ErrUnreachable, reason: workflows.RemoteUnreachable},
	{is: kube.ErrNoCredentials, reason: workflows.CredentialsMissing, lasting: true},
	{is: kube.ErrUnauthorized, reason: workflows.AuthFailed, lasting: true},
	{is: kube.ErrForbidden, reason: workflows.AuthFailed, lasting: true},
	{is: kube.ErrUnreachable, reason: workflows.ClusterUnreachable},
	{is: syscall.ENOSPC, reason: workflows.DiskFull, lasting: true},
	{is: syscall.EDQUOT, reason: workflows.DiskFull, lasting: true},
	{is: syscall.EROFS, reason: workflows.DiskFull, lasting: true},
}

// explain makes an error one that the workflow can decide by. The text is kept, the chain is not: it is
// all in the text, and what crosses into a workflow's history stays small.
func explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		return err
	}
	var limited *repo.RateLimitedError
	if errors.As(err, &limited) {
		return temporal.NewApplicationErrorWithOptions(err.Error(), workflows.RateLimited, temporal.ApplicationErrorOptions{
			NonRetryable: true, NextRetryDelay: max(limited.RetryAfter, time.Second), Category: temporal.ApplicationErrorCategoryBenign,
		})
	}
	for _, kind := range kinds {
		if errors.Is(err, kind.is) {
			options := temporal.ApplicationErrorOptions{NonRetryable: kind.lasting}
			if kind.benign {
				options.Category = temporal.ApplicationErrorCategoryBenign
			}
			return temporal.NewApplicationErrorWithOptions(err.Error(), kind.reason, options)
		}
	}
	return temporal.NewApplicationError(err.Error(), workflows.ActivityFailed)
}

// lasting is an error that only a person can mend.
func lasting(reason, message string) error {
	return temporal.NewNonRetryableApplicationError(message, reason, nil)
}
