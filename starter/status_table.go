package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// maxFailureRows is how many failures the table shows; -o json has more of them.
const maxFailureRows = 20

// statusTable is a status for people: the verdict first, then the facts, then what needs attention.
func (t *terminal) statusTable(s workflows.Status) string {
	var page strings.Builder
	verdict := fmt.Sprintf("%s (%s)\n%s", t.paint(t.outTTY, stateColour(s), string(s.State)), oneLine(s.Reason), oneLine(s.Message))
	if s.Reason == noWorker {
		verdict = fmt.Sprintf("%s, as last recorded: no worker answers", s.State)
	}
	fmt.Fprintf(&page, "%s  %s\n\n", oneLine(s.Cluster), verdict)
	facts := [][]string{
		{"Strategy", string(s.Strategy)},
		{"Repository", s.Repository},
		{"Branch, path", s.Branch + ", " + s.Path},
		{"Revision", orDash(short(s.Revision))},
	}
	// Without a worker these are not known, and zeros would be taken for facts.
	if s.Reason != noWorker {
		facts = append(facts,
			[]string{"Last in sync", when(s.LastSyncTime)},
			[]string{"Lag", lag(s)},
			[]string{"Objects", strconv.Itoa(s.Objects)},
			[]string{"Ignored", orDash(strings.Join(s.IgnoredNamespaces, ", "))})
	}
	if s.OnConflict != "" {
		facts = append(facts, []string{"On conflict", conflictWords(s)})
	}
	if s.BranchEvent != nil {
		facts = append(facts, []string{"Branch event", s.BranchEvent.String() + ", " + when(&s.BranchEvent.Time)})
	}
	if lock := s.Lock.String(); lock != "" {
		facts = append(facts, []string{"Lock", lock})
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Excluded)) {
		facts = append(facts, []string{"Left out", fmt.Sprintf("%d %s", s.Excluded[reason], reason)})
	}
	for i := range facts {
		facts[i][1] = oneLine(facts[i][1])
	}
	columns(&page, facts)
	if s.PendingDeletions > 0 {
		fmt.Fprintf(&page, "\n%s\n  `starter approve %s` carries them out; to keep the objects, restore them in Git\n",
			t.paint(t.outTTY, bold, fmt.Sprintf("Deletions waiting for approval: %d", s.PendingDeletions)), oneLine(s.Cluster))
		for _, object := range s.Pending.Objects[:min(len(s.Pending.Objects), shownDeletions)] {
			fmt.Fprintf(&page, "  %s\n", oneLine(object))
		}
		if more := s.PendingDeletions - min(len(s.Pending.Objects), shownDeletions); more > 0 {
			fmt.Fprintf(&page, "  and %d more\n", more)
		}
	}
	t.failures(&page, "Failures", s.FailedCount, s.Failed)
	var conflicts []workflows.Failure
	for _, c := range s.Conflicts {
		conflicts = append(conflicts, workflows.Failure{Object: c.Object, File: c.File, Message: c.String()})
	}
	t.failures(&page, "Conflicts", len(conflicts), conflicts)
	t.failures(&page, "Left in the cluster though not in Git", s.KeptCount, s.Kept)
	t.recent(&page, s.Recent)
	return page.String()
}

// conflictWords says how push-pull decides.
func conflictWords(s workflows.Status) string {
	words := string(s.OnConflict) + " wins"
	if s.OnConflict == workflows.ConflictHold {
		words = "held until a person makes both sides agree"
	}
	if s.Adopt != "" {
		words += "; adopted at first: " + string(s.Adopt)
	}
	return words
}

// shownDeletions is how many of the waiting deletions are named.
const shownDeletions = 20

func stateColour(s workflows.Status) string {
	switch s.State {
	case workflows.Blocked:
		return red
	case workflows.InSync:
		return green
	default:
		return yellow
	}
}

func (t *terminal) failures(page *strings.Builder, heading string, count int, list []workflows.Failure) {
	if count == 0 {
		return
	}
	fmt.Fprintf(page, "\n%s\n", t.paint(t.outTTY, bold, fmt.Sprintf("%s: %d", heading, count)))
	shown := list[:min(len(list), maxFailureRows)]
	for _, failure := range shown {
		line := "  " + oneLine(failure.Object)
		if failure.File != "" {
			line += " (" + oneLine(failure.File) + ")"
		}
		fmt.Fprintf(page, "%s: %s\n", line, oneLine(failure.Message))
	}
	if more := count - len(shown); more > 0 {
		fmt.Fprintf(page, "  and %d more\n", more)
	}
}

func (t *terminal) recent(page *strings.Builder, list []workflows.Record) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(page, "\n%s\n", t.paint(t.outTTY, bold, "Last syncs that changed something"))
	var rows [][]string
	for _, r := range list {
		rows = append(rows, []string{
			"  " + r.Time.Local().Format(time.DateTime), string(r.Direction), short(oneLine(r.Revision)), changes(r.Changes),
		})
	}
	columns(page, rows)
}

func changes(c workflows.Changes) string {
	return fmt.Sprintf("%d added, %d updated, %d deleted", c.Added, c.Updated, c.Deleted)
}

func when(at *time.Time) string {
	if at == nil {
		return "never"
	}
	return fmt.Sprintf("%s (%s ago)", at.Local().Format(time.DateTime), max(time.Since(*at), 0).Truncate(time.Second))
}

func lag(s workflows.Status) string {
	return (time.Duration(s.LagSeconds) * time.Second).String()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
