package main

import (
	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func resumeCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "resume",
		Usage:     "go on with a sync after pause",
		UsageText: "starter resume CLUSTER",
		Description: `Both sides are compared at once.

Example:
  starter resume standby`,
		Flags:  outputFlags(),
		Action: plainChange(t, workflows.ResumeMessage, saying("resumed")),
	}
}
