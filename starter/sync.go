package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func syncCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "sync",
		Usage:     "sync now instead of at the next interval",
		UsageText: "starter sync CLUSTER [--wait]",
		Description: `Without --wait the request is left for the worker. With --wait it returns when a sync that began after the
request has ended, and exits with 1 if the state is then Degraded or Blocked.

Examples:
  starter sync primary
  kubectl apply -f app.yaml && starter sync primary --wait`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "wait", Usage: "wait until the sync has ended"},
			&cli.DurationFlag{Name: "timeout", Usage: "the longest `TIME` to wait", Value: 10 * time.Minute},
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
			if c.Duration("timeout") <= 0 {
				return misuse("the value of --timeout must be above zero")
			}
			r, err := openRegistry(c.Context)
			if err != nil {
				return err
			}
			defer r.close()
			if c.Bool("wait") {
				return syncAndWait(c.Context, t, r, cluster, output, c.Duration("timeout"))
			}
			return syncSoon(c.Context, t, r, cluster, output)
		},
	}
}

// syncSoon leaves a signal. Nobody answers a signal, so what the workflow would ignore is refused here.
func syncSoon(ctx context.Context, t *terminal, r *registry, cluster string, output format) error {
	status, err := r.status(ctx, cluster)
	var nobody *noWorkerError
	if err != nil && !errors.As(err, &nobody) {
		return err
	}
	switch {
	case status.Strategy == workflows.None:
		return fmt.Errorf("the strategy of cluster %s is none: choose one with `starter set-strategy %[1]s push|pull|push-pull` first", cluster)
	case status.State == workflows.Paused:
		return fmt.Errorf("the sync of cluster %s is paused: run `starter resume %[1]s` first", cluster)
	}
	if err := r.signal(ctx, cluster, workflows.SyncNowMessage, nil); err != nil {
		return err
	}
	if nobody != nil {
		t.note("%s; it syncs as soon as one runs", nobody)
	}
	if output != table {
		return t.show(output, status)
	}
	t.say("%s: a sync is requested; `starter status %[1]s` shows how it goes", cluster)
	return nil
}

// syncAndWait sends an update, which answers when the sync has ended.
func syncAndWait(ctx context.Context, t *terminal, r *registry, cluster string, output format, timeout time.Duration) error {
	if _, err := r.enrolled(ctx, cluster); err != nil {
		return err
	}
	waiting, stop := context.WithCancel(ctx)
	shown := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(shown)
		t.progress(waiting, func() string {
			line := fmt.Sprintf("waiting for the sync of %s (%s)", cluster, time.Since(began).Round(time.Second))
			if e, err := r.find(waiting, cluster); err == nil && len(e.activities) > 0 {
				line += ": " + oneLine(strings.Join(e.activities, ", "))
			}
			return line
		})
	}()
	status, err := r.update(ctx, cluster, timeout, workflows.SyncNowMessage)
	stop()
	<-shown
	if err != nil {
		return err
	}
	ended := change{cluster: cluster, output: output, done: func(s workflows.Status) string {
		return "the sync has ended, revision " + orDash(short(s.Revision))
	}}
	bad := status.State == workflows.Degraded || status.State == workflows.Blocked
	if !bad || output != table {
		err = ended.show(t, status)
	}
	if bad {
		return fmt.Errorf("cluster %s is %s (%s): %s", cluster, status.State, status.Reason, status.Message)
	}
	return err
}
