package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func approveCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "approve",
		Usage:     "carry out deletions that are waiting",
		UsageText: "starter approve CLUSTER",
		Description: `When Git asks for unusually many deletions at once, or for one that takes other things with it, they
wait, and the state is Blocked (MassDeletion). So do the first deletions of objects that Git never held, where
the enrolment says --prune mirror (MirrorDeletion). starter status lists them. This carries out exactly those; when
others wait by the time it arrives, nothing is done. To keep the objects, restore them in Git.

Example:
  starter approve standby`,
		Flags: outputFlags(),
		Action: func(c *cli.Context) error {
			cluster, err := clusterArgument(c)
			if err != nil {
				return err
			}
			output, err := formatOf(c)
			if err != nil {
				return err
			}
			return approve(c.Context, t, cluster, output)
		},
	}
}

// approve sends the digest of the deletions that wait now, so that no other set is approved by it.
func approve(ctx context.Context, t *terminal, cluster string, output format) error {
	r, err := openRegistry(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	if _, err := r.enrolled(ctx, cluster); err != nil {
		return err
	}
	status, err := r.answer(ctx, cluster)
	if err != nil {
		return err
	}
	return change{
		cluster: cluster, output: output,
		message: workflows.ApproveMessage, args: []any{workflows.Approve{Digest: status.Pending.Digest}},
		done: saying(fmt.Sprintf("%d deletions are approved and are carried out now; `starter status` shows how it goes", status.PendingDeletions)),
	}.send(ctx, t, r)
}
