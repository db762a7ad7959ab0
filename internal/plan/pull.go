// Package plan decides what a sync does. It knows only trees of hashes: what Git holds, what the cluster
// holds and what was known to agree. It calls nobody, so all of its decisions can be tested as tables.
package plan

import (
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// Pair is one object as both sides held it when they agreed. The hashes differ where the API server
// completes what Git says, for example with defaults.
type Pair struct{ Git, Live plumbing.Hash }

// Write is an object of the cluster that isn't what Git says. Live is zero where it is missing.
type Write struct {
	Path      string
	Git, Live plumbing.Hash
}

// Pull is what the decision about writes is made from. Trees are by canonical path.
type Pull struct {
	Git, Live tree.Tree
	// Agreed are the pairs that were found to be equivalent.
	Agreed map[string]Pair
	// Paths are the ones to look at; those that Git doesn't hold are passed over.
	Paths []string
}

// Writes lists the objects that have to be written, and those whose content is the same on both sides,
// which makes them agree without a write.
func (p Pull) Writes() (writes []Write, same map[string]Pair) {
	same = map[string]Pair{}
	for _, path := range p.Paths {
		git, ok := p.Git.Get(path)
		if !ok {
			continue
		}
		live, exists := p.Live.Get(path)
		switch {
		case exists && live == git:
			same[path] = Pair{git, live}
		case exists && p.Agreed[path] == Pair{git, live}:
		default:
			writes = append(writes, Write{path, git, live})
		}
	}
	return writes, same
}

// Touched lists the paths that differ between two states of the two sides: what has to be looked at when
// everything was in order before.
func Touched(gitBefore, git, liveBefore, live tree.Tree) []string {
	var paths []string
	for _, changes := range [][]tree.Change{tree.Diff(gitBefore, git), tree.Diff(liveBefore, live)} {
		for _, c := range changes {
			paths = append(paths, c.Path)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
