package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func listCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "list",
		Usage:     "show all enrolled clusters, those that need a person first",
		UsageText: "starter list [-o table|json|yaml]",
		Description: `Works without workers too, with what Temporal has on record. Where a worker answers at once, its answer
is shown: lag, objects, failures and the whole status in -o json. The table begins with what needs somebody: Blocked,
then what has no worker (NoWorker), then Degraded. NoAnswerYet means that none answered within 2 seconds. In -o json
and yaml the list is sorted by name.

Examples:
  starter list
  starter list -o json | jq -r '.[] | select(.state == "Blocked") | .cluster'`,
		Flags:        outputFlags(),
		BashComplete: completing(func(*cli.Context) {}),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return misuse("list takes no argument: see starter list --help")
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
			found, err := r.list(c.Context)
			if err != nil {
				return err
			}
			entries := r.ask(c.Context, found)
			if output != table {
				return encode(t.out, output, entries)
			}
			if len(entries) == 0 {
				t.note("no cluster is enrolled in namespace %s: enrol one with `starter enroll CLUSTER --repo URL --pat-file FILE`", r.namespace)
				return nil
			}
			t.listTable(entries)
			return nil
		},
	}
}

// listEntry is one enrolment in the list.
type listEntry struct {
	Cluster  string              `json:"cluster"`
	Strategy workflows.Strategy  `json:"strategy"`
	State    workflows.SyncState `json:"state"`
	Revision string              `json:"revision"`
	// Status is the worker's answer; null when none came in time.
	Status *workflows.Status `json:"status"`
	// late: nobody knows whether there is a worker.
	late bool
}

const (
	// askTime is how long the list waits for workers in all, and askLimit how many it asks at a time.
	askTime  = 2 * time.Second
	askLimit = 32
)

// ask puts the query to the workers of all enrolments and takes what comes in time.
func (r *registry) ask(ctx context.Context, found []enrolment) []listEntry {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	entries := make([]listEntry, len(found))
	var group errgroup.Group
	group.SetLimit(askLimit)
	for i, e := range found {
		entries[i] = listEntry{Cluster: e.cluster, Strategy: e.strategy, State: e.state, Revision: e.revision}
		group.Go(func() error {
			status, err := r.query(ctx, e.cluster)
			if err == nil {
				entries[i] = listEntry{Cluster: status.Cluster, Strategy: status.Strategy, State: status.State, Revision: status.Revision, Status: &status}
			}
			entries[i].late = err != nil && ctx.Err() != nil
			return nil
		})
	}
	_ = group.Wait()
	slices.SortFunc(entries, func(a, b listEntry) int { return strings.Compare(a.Cluster, b.Cluster) })
	return entries
}

// listTable writes a line for each enrolment, the most urgent first.
func (t *terminal) listTable(entries []listEntry) {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b listEntry) int { return cmp.Compare(a.urgency(), b.urgency()) })
	var text strings.Builder
	columns(&text, listRows(entries))
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	for i, e := range entries {
		// Names and strategies are in lower case, so the state is the first that reads like this.
		lines[i+1] = strings.Replace(lines[i+1], string(e.State), t.paint(t.outTTY, e.colour(), string(e.State)), 1)
	}
	t.say("%s", strings.Join(lines, "\n"))
	waiting := 0
	for _, e := range entries {
		if e.urgency() < nothingUrgent {
			waiting++
		}
	}
	if waiting > 0 {
		t.note("%d of %d need somebody: `starter doctor %s` says what is wrong and what to do", waiting, len(entries), entries[0].Cluster)
	}
}

// nothingUrgent is the urgency of what is well, or as somebody wanted it.
const nothingUrgent = 3

// urgency is 0 for what a person has to see to first.
func (e listEntry) urgency() int {
	switch {
	case e.State == workflows.Blocked:
		return 0
	case e.Status == nil && !e.late && e.Strategy != workflows.None:
		return 1
	case e.State == workflows.Degraded:
		return 2
	}
	return nothingUrgent
}

func (e listEntry) colour() string {
	if e.Status == nil {
		return yellow
	}
	return stateColour(*e.Status)
}

func listRows(entries []listEntry) [][]string {
	rows := [][]string{{"CLUSTER", "STRATEGY", "STATE", "REVISION", "LAG", "OBJECTS", "FAILED", "REASON"}}
	for _, e := range entries {
		row := []string{oneLine(e.Cluster), string(e.Strategy), string(e.State), orDash(short(e.Revision))}
		switch s := e.Status; {
		case s != nil:
			row = append(row, lag(*s), strconv.Itoa(s.Objects), strconv.Itoa(s.FailedCount), oneLine(s.Reason))
		case e.late:
			row = append(row, "-", "-", "-", "NoAnswerYet")
		default:
			row = append(row, "-", "-", "-", noWorker)
		}
		rows = append(rows, row)
	}
	return rows
}
