package main

import (
	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func approveCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "approve",
		Usage:     "carry out deletions that are waiting",
		UsageText: "starter approve CLUSTER",
		Description: `When Git asks for unusually many deletions at once, they wait, and the state is Blocked (MassDeletion).
starter status tells how many there are. This carries them out. To keep the objects, restore them in Git.

Example:
  starter approve standby`,
		Flags: outputFlags(),
		Action: plainChange(t, workflows.ApproveMessage,
			saying("the waiting deletions are approved and are carried out now; `starter status` shows how it goes")),
	}
}
