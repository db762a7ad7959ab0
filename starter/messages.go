package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc/codes"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

const (
	queryTimeout  = 10 * time.Second
	updateTimeout = 30 * time.Second
	// A worker's poll lasts a minute at most, and Temporal remembers when it began. It also remembers
	// workers for minutes after they are gone.
	pollerIsFresh = 75 * time.Second
)

// noWorkerError: Temporal knows the enrolment, but nobody works for it.
type noWorkerError struct {
	cluster string
	silent  bool // a worker was seen lately, and doesn't answer
}

func (e *noWorkerError) Error() string {
	queue := workflows.WorkflowID(e.cluster)
	if e.silent {
		return fmt.Sprintf("no worker answers on task queue %s: look at the worker's log, or start one with `%s`", queue, workerCommand(e.cluster, target{kubeconfig: "FILE"}))
	}
	return fmt.Sprintf("no worker polls task queue %s: start one with `%s`", queue, workerCommand(e.cluster, target{kubeconfig: "FILE"}))
}

// workerCommand is how a worker for a cluster is started.
func workerCommand(cluster string, at target) string {
	command := "worker --cluster " + cluster
	if at.context != "" {
		command += "=" + quote(at.context)
	}
	if at.kubeconfig != "" {
		command += " --kubeconfig " + quote(at.kubeconfig)
	}
	return command
}

// quote makes a word safe to be copied into a shell.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// polled tells whether a worker was there for the cluster within the last minute or so.
func (r *registry) polled(ctx context.Context, cluster string) (bool, error) {
	pollers, err := r.pollers(ctx, cluster, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	return slices.ContainsFunc(pollers, fresh), err
}

// pollers are the workers that have asked for the cluster's tasks of a kind within the last minutes.
func (r *registry) pollers(ctx context.Context, cluster string, kind enumspb.TaskQueueType) ([]*taskqueuepb.PollerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	queue, err := r.client.DescribeTaskQueue(ctx, workflows.WorkflowID(cluster), kind)
	return queue.GetPollers(), r.explain(err)
}

// fresh: the worker may still be there.
func fresh(poller *taskqueuepb.PollerInfo) bool {
	return time.Since(poller.GetLastAccessTime().AsTime()) < pollerIsFresh
}

// answer is the status from a cluster's worker, or a noWorkerError: at once when none polls, and after a
// few seconds when one has done so lately and is gone.
func (r *registry) answer(ctx context.Context, cluster string) (workflows.Status, error) {
	polled, err := r.polled(ctx, cluster)
	if err != nil {
		return workflows.Status{}, err
	}
	if !polled {
		return workflows.Status{}, &noWorkerError{cluster: cluster}
	}
	return r.query(ctx, cluster)
}

// query puts the query. It waits no longer than ctx, and 10 seconds at most.
func (r *registry) query(ctx context.Context, cluster string) (workflows.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var status workflows.Status
	for {
		answer, err := r.client.QueryWorkflow(ctx, workflows.WorkflowID(cluster), "", workflows.StatusQuery)
		if err == nil {
			return status, answer.Get(&status)
		}
		var young *serviceerror.WorkflowNotReady
		if !errors.As(err, &young) {
			return status, r.explainQuery(cluster, err)
		}
		// The workflow was started a moment ago, and its first task isn't done yet.
		if !pause(ctx) {
			return status, &noWorkerError{cluster: cluster, silent: true}
		}
	}
}

func (r *registry) explainQuery(cluster string, err error) error {
	var (
		missing *serviceerror.NotFound
		handler *serviceerror.QueryFailed
	)
	switch {
	case errors.As(err, &missing):
		return notEnrolled(cluster)
	case errors.As(err, &handler):
		return fmt.Errorf("the worker of cluster %s can't answer: %s", cluster, handler.Message)
	}
	switch statusCode(err) {
	case codes.DeadlineExceeded, codes.FailedPrecondition:
		return &noWorkerError{cluster: cluster, silent: true}
	}
	return r.explain(err)
}

// update sends a message, waits until it is carried out, and returns the status that it led to. It asks
// for a sign of life first: without a worker nothing is sent, so nothing is left open.
func (r *registry) update(ctx context.Context, cluster string, timeout time.Duration, message string, args ...any) (workflows.Status, error) {
	var status workflows.Status
	if _, err := r.answer(ctx, cluster); err != nil {
		return status, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	handle, err := r.send(ctx, client.UpdateWorkflowOptions{
		WorkflowID:   workflows.WorkflowID(cluster),
		UpdateName:   message,
		Args:         args,
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &status)
	}
	return status, r.explainUpdate(cluster, timeout, err)
}

// send sends a message again where Temporal has thrown it away: it arrived in the very step in which the
// workflow went on to a fresh history, and that step had to be taken again. Nothing of it was carried out then.
func (r *registry) send(ctx context.Context, message client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	for {
		handle, err := r.client.UpdateWorkflow(ctx, message)
		var thrown *serviceerror.WorkflowNotReady
		if !errors.As(err, &thrown) || !pause(ctx) {
			return handle, err
		}
	}
}

// pause waits a moment; false when the time is up.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(100 * time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *registry) explainUpdate(cluster string, timeout time.Duration, err error) error {
	var (
		missing  *serviceerror.NotFound
		rejected *temporal.ApplicationError
		late     *client.WorkflowUpdateServiceTimeoutOrCanceledError
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &rejected):
		return errors.New(rejected.Message())
	case errors.As(err, &missing):
		return notEnrolled(cluster)
	case errors.As(err, &late), statusCode(err) == codes.DeadlineExceeded:
		return fmt.Errorf("no worker of cluster %s has answered within %s, so it may or may not have been done: see `starter status %[1]s`", cluster, timeout)
	}
	return r.explain(err)
}

// signal leaves a message that a worker carries out as soon as there is one.
func (r *registry) signal(ctx context.Context, cluster, message string, arg any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := r.client.SignalWorkflow(ctx, workflows.WorkflowID(cluster), "", message, arg)
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return notEnrolled(cluster)
	}
	return r.explain(err)
}
