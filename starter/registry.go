package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc/codes"

	"github.com/active-cluster-sync/active-cluster-sync/internal/codec"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// registry is the Temporal namespace that holds the enrolments.
type registry struct {
	client    client.Client
	payloads  converter.DataConverter
	address   string
	namespace string
}

const (
	dialTimeout    = 5 * time.Second
	requestTimeout = 10 * time.Second
)

// openRegistry connects to Temporal as the environment and the configuration file say.
func openRegistry(ctx context.Context) (*registry, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{})
	if err != nil {
		return nil, fmt.Errorf("the settings of the Temporal connection can't be used: %w; check the TEMPORAL_… variables and the configuration file", err)
	}
	keyFile, _ := ctx.Value(codecKey{}).(string)
	if err := codec.Configure(&options, keyFile); err != nil {
		return nil, err
	}
	options.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	if options.HostPort == "" {
		options.HostPort = client.DefaultHostPort
	}
	if options.Namespace == "" {
		options.Namespace = client.DefaultNamespace
	}
	options.ConnectionOptions.GetSystemInfoTimeout = dialTimeout
	r := &registry{payloads: options.DataConverter, address: options.HostPort, namespace: options.Namespace}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if r.client, err = client.DialContext(ctx, options); err != nil {
		return nil, r.explain(err)
	}
	return r, nil
}

func (r *registry) close() { r.client.Close() }

// explain turns an error of Temporal into a sentence.
func (r *registry) explain(err error) error {
	var noNamespace *serviceerror.NamespaceNotFound
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &noNamespace):
		return fmt.Errorf("the Temporal server at %s has no namespace %q: create it with `temporal operator namespace create --namespace %[2]s`, or set TEMPORAL_NAMESPACE", r.address, r.namespace)
	}
	switch statusCode(err) {
	case codes.PermissionDenied, codes.Unauthenticated:
		return fmt.Errorf("the Temporal server at %s does not allow this in namespace %q: check TEMPORAL_API_KEY or the client certificate (TEMPORAL_TLS_…)", r.address, r.namespace)
	case codes.Unavailable, codes.DeadlineExceeded:
		return &temporalDownError{r.address}
	}
	return fmt.Errorf("the Temporal server at %s refuses: %w", r.address, err)
}

// temporalDownError: Temporal doesn't answer, which may be over in a moment.
type temporalDownError struct{ address string }

func (e *temporalDownError) Error() string {
	return fmt.Sprintf("the Temporal server at %s does not answer: start it, or set TEMPORAL_ADDRESS (and TEMPORAL_TLS_… where it needs TLS) to where it runs", e.address)
}

// statusCode is the gRPC code of an error, however it is wrapped.
func statusCode(err error) codes.Code {
	if errors.Is(err, context.DeadlineExceeded) {
		return codes.DeadlineExceeded
	}
	var service serviceerror.ServiceError
	if errors.As(err, &service) {
		return service.Status().Code()
	}
	return codes.Unknown
}

// checkNamespace tells whether the namespace exists.
func (r *registry) checkNamespace(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := r.client.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: r.namespace})
	return r.explain(err)
}

// enrolment is what Temporal itself knows about a cluster: all that can be said without a worker.
type enrolment struct {
	cluster string
	// runID is the run of the workflow; empty for a cluster that was never enrolled.
	runID   string
	running bool
	// As last recorded in the search attributes.
	strategy workflows.Strategy
	state    workflows.SyncState
	revision string
	// activities are what is going on, in words.
	activities []string
	// retrying is one of them that has failed and is tried again.
	retrying string
	// ended says how and when a workflow ended that isn't running.
	ended string
	// attempt is which try of the workflow's current step this is, from 1; 0 between two steps.
	attempt int32
}

// find looks a cluster up. It is no error when the cluster isn't enrolled.
func (r *registry) find(ctx context.Context, cluster string) (enrolment, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := r.client.DescribeWorkflowExecution(ctx, workflows.WorkflowID(cluster), "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return enrolment{cluster: cluster}, nil
	}
	if err != nil {
		return enrolment{}, r.explain(err)
	}
	e := enrolmentOf(response.GetWorkflowExecutionInfo())
	e.cluster = cluster
	e.attempt = response.GetPendingWorkflowTask().GetAttempt()
	for _, activity := range response.GetPendingActivities() {
		words := activity.GetActivityType().GetName()
		if failure := activity.GetLastFailure(); failure != nil {
			converter.DecodeCommonFailureAttributes(r.payloads, failure)
			words += fmt.Sprintf(", attempt %d after: %s", activity.GetAttempt(), failure.GetMessage())
			e.retrying = words
		}
		e.activities = append(e.activities, words)
	}
	return e, nil
}

// enrolled is find for commands that need a running enrolment.
func (r *registry) enrolled(ctx context.Context, cluster string) (enrolment, error) {
	e, err := r.find(ctx, cluster)
	if err == nil && !e.running {
		err = notEnrolled(cluster)
	}
	return e, err
}

func notEnrolled(cluster string) error {
	return fmt.Errorf("cluster %s is not enrolled: enrol it with `starter enroll %[1]s --repo URL --pat-file FILE`", cluster)
}

func enrolmentOf(execution *workflowpb.WorkflowExecutionInfo) enrolment {
	attribute := func(key temporal.SearchAttributeKeyKeyword) (value string) {
		payload := execution.GetSearchAttributes().GetIndexedFields()[key.GetName()]
		if payload == nil || converter.GetDefaultDataConverter().FromPayload(payload, &value) != nil {
			return ""
		}
		return value
	}
	ended := ""
	if execution.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		ended = strings.ToLower(execution.GetStatus().String()) + " at " + execution.GetCloseTime().AsTime().Local().Format(time.DateTime)
	}
	return enrolment{
		ended:    ended,
		cluster:  attribute(workflows.ClusterNameAttribute),
		runID:    execution.GetExecution().GetRunId(),
		running:  execution.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
		strategy: workflows.Strategy(attribute(workflows.SyncStrategyAttribute)),
		state:    workflows.SyncState(attribute(workflows.SyncStateAttribute)),
		revision: attribute(workflows.SyncRevisionAttribute),
	}
}

// list finds all running enrolments.
func (r *registry) list(ctx context.Context) ([]enrolment, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*requestTimeout)
	defer cancel()
	var found []enrolment
	for page := []byte(nil); ; {
		response, err := r.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace:     r.namespace,
			Query:         fmt.Sprintf("WorkflowType = %q AND ExecutionStatus = \"Running\"", workflows.WorkflowType),
			NextPageToken: page,
		})
		if err != nil {
			return nil, r.explain(err)
		}
		for _, execution := range response.GetExecutions() {
			found = append(found, enrolmentOf(execution))
		}
		if page = response.GetNextPageToken(); len(page) == 0 {
			return found, nil
		}
	}
}

// config reads what an enrolment was started with from the first event of its run. Repository, branch,
// path and cluster never change; strategy, adoption and ignored namespaces may have since.
func (r *registry) config(ctx context.Context, e enrolment) (workflows.Config, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	history := r.client.GetWorkflowHistory(ctx, workflows.WorkflowID(e.cluster), e.runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !history.HasNext() {
		return workflows.Config{}, fmt.Errorf("the enrolment of cluster %s has no history in Temporal", e.cluster)
	}
	first, err := history.Next()
	if err != nil {
		return workflows.Config{}, r.explain(err)
	}
	var state workflows.State
	input := first.GetWorkflowExecutionStartedEventAttributes().GetInput()
	if err := r.payloads.FromPayloads(input, &state); err != nil {
		return workflows.Config{}, fmt.Errorf("the enrolment of cluster %s can't be read: %w", e.cluster, err)
	}
	return state.Config, nil
}
