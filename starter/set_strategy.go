package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func setStrategyCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "set-strategy",
		Usage:     "change the direction of a sync",
		UsageText: "starter set-strategy CLUSTER none|push|pull",
		Description: `none keeps the enrolment and does nothing. push stores the cluster in Git and overwrites edits of manifests
there; the first push needs an empty place. pull makes the cluster equal to Git and overwrites what differs.
A sync that is under way is stopped first.

Examples:
  starter set-strategy primary push
  starter set-strategy standby none`,
		Flags:        outputFlags(),
		BashComplete: completing(completeStrategy),
		Action: func(c *cli.Context) error {
			cluster, err := clusterName(c)
			if err != nil {
				return err
			}
			if c.NArg() != 2 {
				return misuse("set-strategy takes a cluster and a strategy: starter set-strategy %s none|push|pull", cluster)
			}
			strategy, err := workflows.ParseStrategy(c.Args().Get(1))
			if err != nil {
				return asMisuse(err)
			}
			output, err := formatOf(c)
			if err != nil {
				return err
			}
			return change{
				cluster: cluster, output: output,
				message: workflows.SetStrategyMessage, args: []any{workflows.SetStrategy{Strategy: strategy}},
				done: func(s workflows.Status) string { return fmt.Sprintf("the strategy is %s", s.Strategy) },
			}.carryOut(c.Context, t)
		},
	}
}
