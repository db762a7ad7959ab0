package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func statusCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "show how the sync of a cluster is doing",
		UsageText: "starter status CLUSTER [--watch] [-o table|json|yaml]",
		Description: `Asks the cluster's worker. Without one it shows what Temporal has on record and exits with 1. When the
worker has answered, the exit status is 0 whatever the state is: scripts read .state from -o json.

Examples:
  starter status primary
  starter status primary --watch
  test "$(starter status standby -o json | jq -r .state)" = InSync`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "go on until Ctrl-C; in a pipe, print a line per change"},
		}, outputFlags()...),
		Action: func(c *cli.Context) error {
			cluster, err := clusterArgument(c)
			if err != nil {
				return err
			}
			output, err := formatOf(c)
			if err != nil {
				return err
			}
			r, err := openRegistry(c.Context)
			if err != nil {
				return err
			}
			defer r.close()
			if c.Bool("watch") {
				return watch(c.Context, t, r, cluster, output)
			}
			status, err := r.status(c.Context, cluster)
			var nobody *noWorkerError
			if err != nil && !errors.As(err, &nobody) {
				return err
			}
			return errors.Join(err, t.show(output, status))
		},
	}
}

// status asks the worker. With a noWorkerError comes what is on record.
func (r *registry) status(ctx context.Context, cluster string) (workflows.Status, error) {
	e, err := r.enrolled(ctx, cluster)
	if err != nil {
		return workflows.Status{}, err
	}
	status, err := r.answer(ctx, cluster)
	if err == nil {
		return status, nil
	}
	var nobody *noWorkerError
	if !errors.As(err, &nobody) {
		return workflows.Status{}, err
	}
	config, configErr := r.config(ctx, e)
	if configErr != nil {
		return workflows.Status{}, configErr
	}
	return recorded(e, config, nobody), err
}

// statusOf is the status of an enrolment from its worker, if that answers soon, or what is on record.
func (r *registry) statusOf(ctx context.Context, e enrolment, config workflows.Config) workflows.Status {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if status, err := r.answer(ctx, e.cluster); err == nil {
		return status
	}
	return recorded(e, config, &noWorkerError{cluster: e.cluster})
}

// noWorker is the reason in the status while nobody works for the cluster.
const noWorker = "NoWorker"

// recorded is a status made of what Temporal has on record.
func recorded(e enrolment, config workflows.Config, why error) workflows.Status {
	config.Strategy = e.strategy
	return workflows.Status{
		Cluster: e.cluster, Strategy: e.strategy, State: e.state, Reason: noWorker, Message: why.Error(),
		Repository: config.Repository, Branch: config.Branch, Path: config.Path,
		IgnoredNamespaces: slices.Clone(config.IgnoredNamespaces), Revision: e.revision,
		Failed: []workflows.Failure{}, Conflicts: []workflows.Conflict{}, Kept: []workflows.Failure{}, Recent: []workflows.Record{},
	}.With(config)
}
