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
		UsageText: "starter set-strategy CLUSTER none|push|pull|push-pull [--adopt git|cluster] [--on-conflict git|cluster|hold]",
		Description: `none keeps the enrolment and does nothing. push stores the cluster in Git and overwrites edits of manifests
there; the first push needs an empty place. pull makes the cluster equal to Git and overwrites what differs.
push-pull carries changes both ways. A sync that is under way is stopped first.

Where the cluster and the branch both hold objects and have never agreed, push-pull waits (AdoptionRequired) until
--adopt says whose objects win where both hold one and differ. What only one side holds is carried to the other,
and nothing is deleted. --on-conflict says whose edit wins from now on where both sides change the same field;
conflicts that are held are decided by it, too.

Examples:
  starter set-strategy primary push
  starter set-strategy standby none
  starter set-strategy edge push-pull --adopt git
  starter set-strategy edge push-pull --on-conflict hold`,
		Flags:        append([]cli.Flag{adoptFlag(), onConflictFlag()}, outputFlags()...),
		BashComplete: completing(completeStrategy),
		Action: func(c *cli.Context) error {
			cluster, err := clusterName(c)
			if err != nil {
				return err
			}
			if c.NArg() != 2 {
				return misuse("set-strategy takes a cluster and a strategy: starter set-strategy %s none|push|pull|push-pull", cluster)
			}
			wanted := workflows.SetStrategy{
				Strategy: workflows.Strategy(c.Args().Get(1)), Adopt: workflows.AdoptPolicy(c.String("adopt")),
				OnConflict: workflows.ConflictPolicy(c.String("on-conflict")),
			}
			if err := wanted.Validate(); err != nil {
				return asMisuse(err)
			}
			output, err := formatOf(c)
			if err != nil {
				return err
			}
			return change{
				cluster: cluster, output: output,
				message: workflows.SetStrategyMessage, args: []any{wanted},
				done: saying("the strategy is " + strategyWords(wanted)),
			}.carryOut(c.Context, t)
		},
	}
}

func adoptFlag() cli.Flag {
	return &cli.StringFlag{Name: "adopt", Usage: "`SIDE` that wins, git or cluster, where push-pull finds objects on both sides and they have never agreed"}
}

func onConflictFlag() cli.Flag {
	return &cli.StringFlag{Name: "on-conflict", Usage: "whose edit wins from now on where both sides change the same field, a `POLICY`: git, cluster or hold (neither, until a person makes them agree)"}
}

// strategyWords names a strategy, with what was said about it.
func strategyWords(s workflows.SetStrategy) string {
	words := string(s.Strategy)
	if s.Adopt != "" {
		words += fmt.Sprintf(", adopting %s", s.Adopt)
	}
	if s.OnConflict != "" {
		words += fmt.Sprintf(", conflicts: %s", s.OnConflict)
	}
	return words
}
