package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc/codes"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// searchAttributes are those that an enrolment carries, all of them keywords.
func searchAttributes() []string {
	return []string{
		workflows.ClusterNameAttribute.GetName(), workflows.SyncStrategyAttribute.GetName(),
		workflows.SyncStateAttribute.GetName(), workflows.SyncRevisionAttribute.GetName(),
	}
}

// attributesKnown tells whether the namespace takes the search attributes. It tries, because listing them
// is not permitted everywhere.
func (r *registry) attributesKnown(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	conditions := make([]string, 0, len(searchAttributes()))
	for _, name := range searchAttributes() {
		conditions = append(conditions, name+` = "-"`)
	}
	_, err := r.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: r.namespace, Query: strings.Join(conditions, " AND "),
	})
	var invalid *serviceerror.InvalidArgument
	if errors.As(err, &invalid) {
		return false, nil
	}
	return err == nil, r.explain(err)
}

// registrationTime is how long a server may take until all of its parts have heard of new attributes.
const registrationTime = 30 * time.Second

// registerAttributes registers the missing search attributes and returns when they can be used.
func (r *registry) registerAttributes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, registrationTime)
	defer cancel()
	operator := r.client.OperatorService()
	listed, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: r.namespace})
	if err != nil {
		return r.explainRegistration(err, searchAttributes())
	}
	missing := map[string]enumspb.IndexedValueType{}
	var names []string
	for _, name := range searchAttributes() {
		if _, ok := listed.GetCustomAttributes()[name]; !ok {
			missing[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
			names = append(names, name)
		}
	}
	if len(missing) > 0 {
		_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
			Namespace: r.namespace, SearchAttributes: missing,
		})
		if err != nil && statusCode(err) != codes.AlreadyExists {
			return r.explainRegistration(err, names)
		}
	}
	for {
		if known, err := r.attributesKnown(ctx); known || err != nil {
			return err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return r.explainRegistration(ctx.Err(), searchAttributes())
		}
	}
}

func (r *registry) explainRegistration(err error, names []string) error {
	if errors.Is(err, context.Canceled) || statusCode(err) == codes.Unavailable {
		return r.explain(err)
	}
	return fmt.Errorf("namespace %q of Temporal lacks search attributes, and they can't be registered from here: run `%s` as an administrator",
		r.namespace, registrationCommand(r.namespace, names))
}

func registrationCommand(namespace string, names []string) string {
	words := []string{"temporal operator search-attribute create --namespace", quote(namespace)}
	for _, name := range names {
		words = append(words, "--name", name, "--type Keyword")
	}
	return strings.Join(words, " ")
}
