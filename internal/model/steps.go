package model

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Steps are a run, one step each, in words that can be given to a test again:
//
//	git put a 0 2       a person sets the fields 0 and 2 of object a in Git; cluster, and both with the same values
//	git drop a 1        takes a field out
//	git delete a        deletes the object
//	git copy a          makes it what the other side has
//	move a people/two   moves its document in Git into another file; own is the canonical one
//	file people/one     where people put new objects from now on
//	settle              the sync goes on until both sides are what the model says, and then changes nothing
//	quiet               three more looks change nothing
//	strategy pull       changes the strategy
//	restart empty       the worker starts anew, without its data; kept: with them
//	refuse 2            the Git server answers the next two pushes with 500
//	mute                the Git server takes the next push, and its answer is lost
//	crash Commit        the worker dies after it has carried out the next Commit, without telling; Apply
//	race cluster put …  the edit is made in the middle of the next sync: one in Git before Commit, one in the
//	                    cluster before Apply
type Steps []string

func (s Steps) String() string { return strings.Join(s, "; ") }

// ParseSteps reads what String wrote.
func ParseSteps(text string) Steps {
	var steps Steps
	for step := range strings.SplitSeq(text, ";") {
		if step = strings.TrimSpace(step); step != "" {
			steps = append(steps, step)
		}
	}
	return steps
}

// Generate makes up a run.
func Generate(seed uint64) Steps {
	r := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // it has to be the same each time
	g := generator{r, Steps{"file " + pick(r, placesOfPeople)}}
	for range 2 + r.IntN(3) {
		g.add("%s put %s %s", pick(r, []string{"git", "cluster", "both"}), g.slot(), g.fields())
	}
	g.add("settle")
	for range 3 + r.IntN(2) {
		for range 1 + r.IntN(5) {
			g.edit()
		}
		switch {
		case r.IntN(4) == 0:
			g.add("strategy %s", pick(r, []string{"none", "push", "pull", "push-pull"}))
			if r.IntN(2) == 0 {
				g.edit()
			}
		case r.IntN(3) == 0:
			g.add("%s", pick(r, []string{"refuse 1", "refuse 4", "mute", "crash Commit", "crash Apply"}))
		case r.IntN(6) == 0:
			g.add("restart %s", pick(r, []string{"empty", "kept"}))
		}
		if r.IntN(4) == 0 {
			side := pick(r, []string{"git", "cluster"})
			g.add("race %s %s", side, g.change())
		}
		g.add("settle")
	}
	return g.steps
}

var placesOfPeople = []string{"people/one", "people/two", "own"}

type generator struct {
	*rand.Rand
	steps Steps
}

func (g *generator) add(format string, args ...any) {
	g.steps = append(g.steps, fmt.Sprintf(format, args...))
}

func (g *generator) edit() {
	switch n := g.IntN(20); {
	case n == 0:
		g.add("move %s %s", g.slot(), pick(g.Rand, placesOfPeople))
	case n == 1:
		g.add("file %s", pick(g.Rand, placesOfPeople))
	case n == 2:
		g.add("both %s", g.change())
	case n < 11:
		g.add("git %s", g.change())
	default:
		g.add("cluster %s", g.change())
	}
}

// change is one edit of one object.
func (g *generator) change() string {
	switch n := g.IntN(12); {
	case n < 2:
		return "delete " + g.slot()
	case n == 2:
		return fmt.Sprintf("drop %s %d", g.slot(), g.IntN(4))
	case n == 3:
		return "copy " + g.slot()
	}
	return fmt.Sprintf("put %s %s", g.slot(), g.fields())
}

// slot is mostly one of two ConfigMaps, so that edits meet.
func (g *generator) slot() string { return string("aaaabbbcdds"[g.IntN(11)]) }

// fields are one or several.
func (g *generator) fields() string {
	fields := fmt.Sprint(g.IntN(3))
	for g.IntN(3) == 0 {
		fields += fmt.Sprintf(" %d", g.IntN(4))
	}
	return fields
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// Shrink looks for a shorter run that fails, too, as long as there is time.
func (s Steps) Shrink(inTime func() bool, fails func(Steps) bool) Steps {
	for i := len(s) - 1; i >= 0 && inTime(); i-- {
		if without := append(append(Steps{}, s[:i]...), s[i+1:]...); fails(without) {
			s = without
		}
	}
	return s
}
