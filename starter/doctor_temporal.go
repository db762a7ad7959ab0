package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func (d *doctor) checkTemporal(ctx context.Context) finding {
	r, err := openRegistry(ctx)
	if err != nil {
		return faulty(err)
	}
	d.registry = r
	d.later(r.close)
	if err := r.checkNamespace(ctx); err != nil {
		return faulty(err)
	}
	return right(fmt.Sprintf("%s, namespace %s", r.address, r.namespace))
}

func (d *doctor) checkAttributes(ctx context.Context) finding {
	known, err := d.registry.attributesKnown(ctx)
	switch {
	case err != nil:
		return faulty(err)
	case !known:
		return wrong(fmt.Sprintf("namespace %q of Temporal lacks some of them, so no sync can show its state or go on", d.registry.namespace),
			"register them: `"+registrationCommand(d.registry.namespace, searchAttributes())+"`; `starter enroll` does it, too, where it may")
	}
	return right("registered")
}

// checkEnrolment reads the enrolment, also one that has ended: then the other links can still be looked at.
func (d *doctor) checkEnrolment(ctx context.Context) finding {
	e, err := d.registry.find(ctx, d.cluster)
	if err != nil {
		return faulty(err)
	}
	if e.runID == "" {
		return wrong(fmt.Sprintf("cluster %s is not enrolled in namespace %q", d.cluster, d.registry.namespace),
			fmt.Sprintf("enrol it with `starter enroll %s --repo URL --pat-file FILE`; if it was, give the right TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE", d.cluster),
			"`starter list` shows the names of all that are")
	}
	if d.config, err = d.registry.config(ctx, e); err != nil {
		return faulty(err)
	}
	if e.strategy != "" {
		d.config.Strategy = e.strategy
	}
	d.enrolment = e
	return right(fmt.Sprintf("strategy %s, %s, branch %s, path %s", d.config.Strategy, d.config.Repository, d.config.Branch, d.config.Path))
}

// checkWorkflow makes sure that the workflow runs and isn't stuck in a step.
func (d *doctor) checkWorkflow(ctx context.Context) finding {
	e := d.enrolment
	if !e.running {
		return wrong("it isn't running, so nothing is synced: "+e.ended, "enrol the cluster again: `"+enrolCommand(d.config)+"`")
	}
	if e.attempt > 1 {
		cause, err := d.registry.stepFailure(ctx, e)
		if err != nil {
			return faulty(err)
		}
		if cause != "" {
			return wrong(fmt.Sprintf("it is stuck: its step fails again and again (attempt %d): %s", e.attempt, cut(cause)),
				"the worker's log has more; run the version of the worker that ran before",
				"if none can go on, enrol the cluster anew, which leaves Git and the cluster as they are: `starter unenroll "+d.cluster+"`, then `"+enrolCommand(d.config)+"`")
		}
	}
	return right("running")
}

// stepFailure is why the workflow's current step failed the last time; empty when it didn't.
func (r *registry) stepFailure(ctx context.Context, e enrolment) (string, error) {
	events, err := r.client.WorkflowService().GetWorkflowExecutionHistoryReverse(ctx, &workflowservice.GetWorkflowExecutionHistoryReverseRequest{
		Namespace: r.namespace, Execution: &commonpb.WorkflowExecution{WorkflowId: workflows.WorkflowID(e.cluster), RunId: e.runID}, MaximumPageSize: 20,
	})
	if err != nil {
		return "", r.explain(err)
	}
	for _, event := range events.GetHistory().GetEvents() {
		switch event.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED:
			return event.GetWorkflowTaskFailedEventAttributes().GetFailure().GetMessage(), nil
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
			return "", nil
		default: // what happened meanwhile
		}
	}
	return "", nil
}

// maxCause bounds what is shown of somebody else's error.
const maxCause = 300

func cut(text string) string {
	if text = oneLine(text); len(text) > maxCause {
		text = strings.ToValidUTF8(text[:maxCause], "") + "…"
	}
	return text
}

// checkWorker makes sure that somebody takes both kinds of tasks of the cluster.
func (d *doctor) checkWorker(ctx context.Context) finding {
	queue := workflows.WorkflowID(d.cluster)
	start := "start one with `" + workerCommand(d.cluster, target{kubeconfig: "FILE"}) + "`, or look at the log of the one that should run; it needs the same Temporal server and namespace"
	var found []*taskqueuepb.PollerInfo
	for _, tasks := range []struct {
		kind enumspb.TaskQueueType
		of   string
	}{{enumspb.TASK_QUEUE_TYPE_WORKFLOW, "the workflow"}, {enumspb.TASK_QUEUE_TYPE_ACTIVITY, "activities"}} {
		pollers, err := d.registry.pollers(ctx, d.cluster, tasks.kind)
		if err != nil {
			return faulty(err)
		}
		if len(pollers) == 0 {
			return wrong(fmt.Sprintf("none polls task queue %s for tasks of %s", queue, tasks.of), start)
		}
		if !slices.ContainsFunc(pollers, fresh) {
			return wrong(fmt.Sprintf("none polls task queue %s any more for tasks of %s: the last one did %s ago", queue, tasks.of, seen(pollers)), start)
		}
		found = append(found, slices.DeleteFunc(pollers, func(p *taskqueuepb.PollerInfo) bool { return !fresh(p) })...)
	}
	var names []string
	for _, poller := range found {
		names = append(names, strings.TrimSuffix(poller.GetIdentity(), "@"))
	}
	slices.Sort(names)
	return right(fmt.Sprintf("polls task queue %s, the last time %s ago (%s)", queue, seen(found), listed(slices.Compact(names))))
}

// seen is how long ago the last of the pollers was there.
func seen(pollers []*taskqueuepb.PollerInfo) time.Duration {
	last := slices.MaxFunc(pollers, func(a, b *taskqueuepb.PollerInfo) int {
		return a.GetLastAccessTime().AsTime().Compare(b.GetLastAccessTime().AsTime())
	})
	return max(time.Since(last.GetLastAccessTime().AsTime()), 0).Truncate(time.Second)
}

// checkSync asks the worker how the sync is doing. Its answer is known whatever it says.
func (d *doctor) checkSync(ctx context.Context) finding {
	status, err := d.registry.query(ctx, d.cluster)
	var nobody *noWorkerError
	switch {
	case errors.As(err, &nobody):
		return wrong("a worker has polled lately, and doesn't answer now",
			"start it again if it has ended (`"+workerCommand(d.cluster, target{kubeconfig: "FILE"})+"`); if it hangs, look at its log and restart it")
	case err != nil:
		return faulty(err)
	}
	d.status = status
	f := syncFinding(status)
	f.known = true
	if failing := d.enrolment.retrying; f.Result == isRight && status.State == workflows.Syncing && failing != "" {
		f = doubtful(f.Message+"; "+cut(failing), "`starter status "+d.cluster+" --watch` shows how it goes on")
	}
	return f
}

// syncFinding judges a status.
func syncFinding(s workflows.Status) finding {
	message := fmt.Sprintf("%s (%s): %s", s.State, s.Reason, s.Message)
	switch s.State {
	case workflows.Blocked:
		return wrong(message, nextSteps(s)...)
	case workflows.Degraded:
		if s.Reason == workflows.RateLimited || s.Reason == workflows.RemoteMoved {
			return doubtful(message) // passes by itself
		}
		return wrong(message, nextSteps(s)...)
	case workflows.Paused:
		return doubtful(message, "go on with `starter resume "+s.Cluster+"`")
	case workflows.Stopped:
		return doubtful(message, "choose a direction with `starter set-strategy "+s.Cluster+" push|pull|push-pull`")
	case workflows.InSync, workflows.Syncing:
	}
	if s.State == workflows.InSync {
		message = fmt.Sprintf("InSync, revision %s, %d objects: %s", orDash(short(s.Revision)), s.Objects, s.Message)
	}
	return right(message)
}

// nextSteps name what the message of a status doesn't: the objects, and the command to look further with.
func nextSteps(s workflows.Status) []string {
	const shown = 3
	var steps []string
	for _, failure := range s.Failed[:min(len(s.Failed), shown)] {
		steps = append(steps, failure.Object+": "+cut(failure.Message))
	}
	switch {
	case s.PendingDeletions > 0:
		steps = append(steps, fmt.Sprintf("`starter status %s` lists them; `starter approve %[1]s` deletes them", s.Cluster))
	case s.Reason == workflows.ConflictsHeld:
		steps = append(steps, fmt.Sprintf("`starter status %s` lists them; `starter set-strategy %[1]s push-pull --on-conflict git` (or cluster) decides all", s.Cluster))
	case len(s.Failed) > shown || s.FailedCount > shown:
		steps = append(steps, fmt.Sprintf("`starter status %s` lists all %d", s.Cluster, s.FailedCount))
	}
	if len(steps) == 0 {
		remedy := cmp.Or(workflows.RemedyFor(s.Reason, s.Cluster), "mend that")
		steps = append(steps, fmt.Sprintf("%s; then `starter sync %s --wait`, though it is tried again by itself, too", remedy, s.Cluster))
	}
	return steps
}
