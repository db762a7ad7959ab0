package repo

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// way leads to a set of paths: by which names it goes on from a directory.
type way struct {
	below map[string]*way
}

func wayTo(paths iter.Seq[string]) *way {
	root := &way{}
	for path := range paths {
		at := root
		for name := range strings.SplitSeq(path, "/") {
			if at.below == nil {
				at.below = map[string]*way{}
			}
			if at.below[name] == nil {
				at.below[name] = &way{}
			}
			at = at.below[name]
		}
	}
	return root
}

// sorted yields where the way goes on, in the order of the names.
func (w *way) sorted() iter.Seq2[string, *way] {
	return func(yield func(string, *way) bool) {
		for _, name := range slices.Sorted(maps.Keys(w.below)) {
			if !yield(name, w.below[name]) {
				return
			}
		}
	}
}
