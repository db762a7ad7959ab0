package main

import (
	"fmt"
	"strings"

	"github.com/active-cluster-sync/active-cluster-sync/internal/preview"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// maxDiffLines is how much of one object's diff is shown to a person; -o json has all of it.
const maxDiffLines = 400

// diffTable writes the differences for people: each with its reason and its diff, or with the number of lines,
// and the sum at the end.
func (t *terminal) diffTable(p preview.Preview, stat bool) {
	for _, c := range p.Changes {
		t.say("%s", t.changeHead(p.Strategy, c, stat))
		if !stat {
			t.diff(c.Diff)
		}
	}
	t.say("%s", t.diffSum(p))
	for _, side := range []workflows.AdoptPolicy{workflows.AdoptGit, workflows.AdoptCluster} {
		if adoption, ok := p.Adoption[side]; ok {
			t.say("  --adopt %s: %s", side, bothSides(adoption.Counts, adoption.Sides))
		}
	}
}

// changeHead is the line about a change. Where there are two sides, it says which one gets it.
func (t *terminal) changeHead(strategy workflows.Strategy, c preview.Change, stat bool) string {
	line := t.paint(t.outTTY, actionColour(c.Action), string(c.Action)) + " " + t.paint(t.outTTY, bold, oneLine(c.Object))
	if c.File != "" {
		line += " (" + oneLine(c.File) + ")"
	}
	if stat {
		if added, removed := lines(c.Diff); added+removed > 0 {
			line += fmt.Sprintf(" +%d -%d", added, removed)
		}
	}
	if strategy == workflows.PushPull && c.Direction != "" {
		line += " " + side(c.Direction)
	}
	return line + ": " + oneLine(c.Message)
}

func actionColour(a preview.Action) string {
	switch a {
	case preview.Create:
		return green
	case preview.Update:
		return yellow
	case preview.Delete, preview.Fail:
		return red
	}
	return bold
}

// lines counts those that a diff adds and removes.
func lines(diff string) (added, removed int) {
	for i, line := range strings.Split(diff, "\n") {
		switch {
		case i < 2: // the names
		case strings.HasPrefix(line, "+"):
			added++
		case strings.HasPrefix(line, "-"):
			removed++
		}
	}
	return added, removed
}

// diff writes a unified diff as git does.
func (t *terminal) diff(text string) {
	if text == "" {
		return
	}
	all := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range all[:min(len(all), maxDiffLines)] {
		colour := ""
		switch {
		case i < 2:
			colour = bold
		case strings.HasPrefix(line, "@@"):
			colour = cyan
		case strings.HasPrefix(line, "+"):
			colour = green
		case strings.HasPrefix(line, "-"):
			colour = red
		}
		t.say("%s", t.paint(t.outTTY, colour, printable(line)))
	}
	if more := len(all) - maxDiffLines; more > 0 {
		t.say("… and %d more lines: -o json has them all", more)
	}
	t.say("")
}

// diffSum is the last line: what would be done in all.
func (t *terminal) diffSum(p preview.Preview) string {
	against := "revision " + short(p.Revision)
	if p.Revision == "" {
		against = "a branch that does not exist yet"
	}
	head := fmt.Sprintf("%s, %s, against %s: ", p.Cluster, p.Strategy, against)
	if p.Refused != "" {
		return head + t.paint(t.outTTY, red, "nothing would be written") + ": " + oneLine(p.Refused)
	}
	if p.Empty() {
		return head + "nothing to do"
	}
	if p.Strategy == workflows.PushPull {
		return head + bothSides(p.Counts, p.Sides)
	}
	place := preview.ToCluster
	if p.Strategy == workflows.Push {
		place = preview.ToGit
	}
	return head + sum(p.Counts) + " " + side(place)
}

// side names the one that gets a change.
func side(d preview.Direction) string {
	if d == preview.ToGit {
		return "in Git"
	}
	return "in the cluster"
}

// bothSides is what would be done on each side, and with neither.
func bothSides(all preview.Counts, sides map[preview.Direction]preview.Counts) string {
	var parts []string
	for _, d := range []preview.Direction{preview.ToCluster, preview.ToGit} {
		if words := sum(sides[d]); words != "" {
			parts = append(parts, side(d)+" "+words)
		}
	}
	for _, part := range []struct {
		n     int
		words string
	}{{all.Conflicts, "changed on both sides"}, {all.Waiting, "that would wait until somebody makes both sides agree"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.words))
		}
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, "; ")
}

// sum is what would be done in all on one side; empty for nothing.
func sum(c preview.Counts) string {
	var parts []string
	for _, part := range []struct {
		n     int
		words string
	}{
		{c.Create, "to create"}, {c.Update, "to update"}, {c.Delete, "to delete"},
		{c.Withheld, "deletions that would wait for approval"}, {c.Failed, "that can't be done"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.words))
		}
	}
	return strings.Join(parts, ", ")
}
