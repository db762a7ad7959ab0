package main

import (
	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func pauseCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "pause",
		Usage:     "stop a sync for a while",
		UsageText: "starter pause CLUSTER",
		Description: `Nothing is read or written until resume; a sync that is under way is stopped. Everything is kept as it is.

Example:
  starter pause standby`,
		Flags:  outputFlags(),
		Action: plainChange(t, workflows.PauseMessage, saying("paused; `starter resume` goes on")),
	}
}
