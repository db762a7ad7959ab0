package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// change is a command that sends one update and shows what came of it.
type change struct {
	cluster string
	output  format
	message string
	args    []any
	// done says what was done, for people.
	done func(workflows.Status) string
}

func (m change) carryOut(ctx context.Context, t *terminal) error {
	r, err := openRegistry(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	return m.send(ctx, t, r)
}

func (m change) send(ctx context.Context, t *terminal, r *registry) error {
	if _, err := r.enrolled(ctx, m.cluster); err != nil {
		return err
	}
	status, err := r.update(ctx, m.cluster, updateTimeout, m.message, m.args...)
	if err != nil {
		return err
	}
	return m.show(t, status)
}

func (m change) show(t *terminal, status workflows.Status) error {
	if m.output != table {
		return t.show(m.output, status)
	}
	t.say("%s: %s", m.cluster, m.done(status))
	t.say("%s (%s): %s", status.State, oneLine(status.Reason), oneLine(status.Message))
	return nil
}

// plainChange is a command with nothing but the name of a cluster.
func plainChange(t *terminal, message string, done func(workflows.Status) string) cli.ActionFunc {
	return func(c *cli.Context) error {
		cluster, err := clusterArgument(c)
		if err != nil {
			return err
		}
		output, err := formatOf(c)
		if err != nil {
			return err
		}
		return change{cluster: cluster, output: output, message: message, done: done}.carryOut(c.Context, t)
	}
}

// saying is a text that doesn't depend on the status.
func saying(text string) func(workflows.Status) string {
	return func(workflows.Status) string { return text }
}
