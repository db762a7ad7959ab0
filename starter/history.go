package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"go.temporal.io/api/serviceerror"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// shownRecords is how many syncs are shown unless the command line says otherwise.
const shownRecords = 20

func historyCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "history",
		Usage:     "show the last syncs of a cluster",
		UsageText: "starter history CLUSTER [-n N] [--objects] [-o table|json|yaml]",
		Description: `Shows the syncs that changed something, with revision, counts and duration, and those that could not do
their work, with the reason: the newest first, the last 50 or so. Repetitions of one problem are one line. What
a sync changed in a file is in Git's history.

Examples:
  starter history primary
  starter history standby -n 3 --objects
  starter history standby -o json | jq '.[] | select(.problem)'`,
		Flags: append([]cli.Flag{
			&cli.IntFlag{Name: "number", Aliases: []string{"n"}, Value: shownRecords, Usage: "`N` syncs at most"},
			&cli.BoolFlag{Name: "objects", Usage: "name the first ten objects of each sync; -o json always does"},
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
			number := c.Int("number")
			if number < 1 {
				return misuse("the value of --number must be above zero")
			}
			r, err := openRegistry(c.Context)
			if err != nil {
				return err
			}
			defer r.close()
			records, err := r.history(c.Context, cluster)
			if err != nil {
				return err
			}
			records = records[:min(len(records), number)]
			if output != table {
				return encode(t.out, output, records)
			}
			if len(records) == 0 {
				t.note("cluster %s has not been synced yet: see `starter status %[1]s`", cluster)
				return nil
			}
			t.historyTable(records, c.Bool("objects"))
			return nil
		},
	}
}

// history asks the worker for the last syncs.
func (r *registry) history(ctx context.Context, cluster string) ([]workflows.Record, error) {
	if _, err := r.enrolled(ctx, cluster); err != nil {
		return nil, err
	}
	status, err := r.answer(ctx, cluster) // it waits for a workflow that was started a moment ago
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	answer, err := r.client.QueryWorkflow(ctx, workflows.WorkflowID(cluster), "", workflows.HistoryQuery)
	var unknown *serviceerror.QueryFailed
	if errors.As(err, &unknown) {
		return status.Recent, nil // a worker of an earlier version remembers these
	}
	if err != nil {
		return nil, r.explainQuery(cluster, err)
	}
	records := []workflows.Record{}
	return records, answer.Get(&records)
}

// historyTable writes one line for each sync, and the objects below it if they are asked for.
func (t *terminal) historyTable(records []workflows.Record, objects bool) {
	rows := [][]string{{"TIME", "DIRECTION", "REVISION", "TOOK", "FAILED", "RESULT"}}
	for _, r := range records {
		row := []string{r.Until().Local().Format(time.DateTime), string(r.Direction), orDash(short(oneLine(r.Revision)))}
		if r.Problem == nil {
			row = append(row, took(r), strconv.Itoa(r.Failed), changes(r.Changes))
		} else {
			row = append(row, "-", "-", problem(r))
		}
		rows = append(rows, row)
	}
	var lines strings.Builder
	columns(&lines, rows)
	for i, line := range strings.Split(strings.TrimSuffix(lines.String(), "\n"), "\n") {
		t.say("%s", line)
		if i == 0 || !objects {
			continue
		}
		changed := records[i-1].Changes
		for _, object := range changed.Objects {
			t.say("  %s", oneLine(object))
		}
		if more := changed.Total() - len(changed.Objects); more > 0 {
			t.say("  and %d more", more)
		}
	}
}

// took is how long a sync took; a dash where an earlier version didn't note it.
func took(r workflows.Record) string {
	if r.Duration.Duration == 0 {
		return "-"
	}
	return r.Duration.Round(10 * time.Millisecond).String()
}

// problem is why a sync could not do its work, in a line.
func problem(r workflows.Record) string {
	text := "not done, " + oneLine(r.Problem.Reason)
	if r.Times > 1 {
		text += fmt.Sprintf(", %d times since %s", r.Times, r.Time.Local().Format(time.DateTime))
	}
	return text + ": " + oneLine(r.Problem.Message)
}
