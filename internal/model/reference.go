package model

import (
	"maps"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Fields are the fields of one object that the model looks at; nil is an object that isn't there.
type Fields map[string]string

// same: both are there with the same fields, or neither is.
func (f Fields) same(other Fields) bool { return (f == nil) == (other == nil) && maps.Equal(f, other) }

// sides are one object: what both sides agreed on last, and what each holds.
type sides struct {
	base, git, live Fields
	// seen: Git held it at the last sync, though both sides didn't agree on it.
	seen bool
}

// reference says in the words of docs/strategies.md what a sync makes of two sides. It is all that the product is
// compared with, so it is meant to be read and believed.
type reference struct {
	policy  workflows.ConflictPolicy
	objects map[object]sides
}

func (r reference) clone() reference { return reference{r.policy, maps.Clone(r.objects)} }

// outcome is what the sync has to tell of one object.
type outcome struct {
	conflict bool
	winner   workflows.ConflictPolicy // empty where it waits
}

// settle makes the sides what they shall be once a strategy has done its work.
func (r reference) settle(strategy workflows.Strategy) map[object]outcome {
	told := map[object]outcome{}
	for o, s := range r.objects {
		switch strategy {
		case workflows.Push:
			s = agree(s.live)
		case workflows.Pull:
			s = s.pulled()
		case workflows.PushPull:
			var what outcome
			if s, what = s.exchanged(r.policy); what.conflict {
				told[o] = what
			}
		default:
		}
		r.objects[o] = s
	}
	return told
}

func agree(on Fields) sides { return sides{base: on, git: on, live: on} }

// pulled: Git wins, and what it never held is left alone.
func (s sides) pulled() sides {
	if s.git == nil && s.base == nil && !s.seen {
		return s
	}
	return agree(s.git)
}

func (s sides) exchanged(policy workflows.ConflictPolicy) (sides, outcome) {
	switch {
	case s.git.same(s.live):
		return agree(s.git), outcome{}
	case s.git.same(s.base):
		return agree(s.live), outcome{}
	case s.live.same(s.base):
		return agree(s.git), outcome{}
	}
	merged, conflict := s.merged(policy)
	switch {
	case !conflict:
		return agree(merged), outcome{}
	case policy == workflows.ConflictHold:
		s.seen = s.git != nil
		return s, outcome{conflict: true}
	}
	return agree(merged), outcome{true, policy}
}

// merged puts two edits together. A deletion is an edit of the whole, and so is a creation.
func (s sides) merged(policy workflows.ConflictPolicy) (merged Fields, conflict bool) {
	winner := s.git
	if policy == workflows.ConflictCluster {
		winner = s.live
	}
	if s.base == nil || s.git == nil || s.live == nil {
		return winner, true
	}
	merged = Fields{}
	for field := range union(s.base, s.git, s.live) {
		from := winner
		switch base, git, live := at(s.base, field), at(s.git, field), at(s.live, field); {
		case git == base:
			from = s.live
		case live == base, git == live:
			from = s.git
		default:
			conflict = true
		}
		if value := at(from, field); value != "" {
			merged[field] = value
		}
	}
	return merged, conflict
}

// at is the value of a field, empty where there is none: no value is empty.
func at(f Fields, field string) string { return f[field] }

func union(all ...Fields) map[string]bool {
	names := map[string]bool{}
	for _, fields := range all {
		for field := range fields {
			names[field] = true
		}
	}
	return names
}
