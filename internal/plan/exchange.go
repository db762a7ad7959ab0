package plan

import "github.com/go-git/go-git/v5/plumbing"

// Sides are one object as push-pull finds it: what Git held when both sides agreed last, and what the two sides
// hold now. A zero hash is an object that isn't there. The live hash says nothing by being another one than
// Git's, for the API server completes what Git says: only the answers tell whether they are equivalent.
type Sides struct {
	Base, Git, Live plumbing.Hash
	// LiveIsBase and LiveIsGit: the cluster has what Git said then, or says now.
	LiveIsBase, LiveIsGit Answer
}

// Answer is what is known about the equivalence of two contents.
type Answer int

const (
	Unknown Answer = iota
	Yes
	No
)

// Policy decides between two edits that can't both be kept.
type Policy int

const (
	GitWins Policy = iota
	ClusterWins
	// Hold leaves both sides as they are until somebody has made them agree.
	Hold
)

// Action is what push-pull does with one object.
type Action int

const (
	// Rest: there is nothing to do.
	Rest Action = iota
	// AskBase and AskGit: whether the cluster has what Git said then, or says now, has to be found out first.
	AskBase
	AskGit
	// ToCluster writes what Git holds to the cluster, or deletes the object there.
	ToCluster
	// ToGit stores what the cluster holds, or takes the object out of Git.
	ToGit
	// Merge: both sides changed the object, each in its way; which fields can both be kept is for the content
	// to tell.
	Merge
	// Wait: both sides changed it, and it waits for somebody to make them agree.
	Wait
)

// Step is a decision about one object. A conflict is one that makes an edit lose.
type Step struct {
	Action   Action
	Conflict bool
}

// Decide compares the three sides of an object.
func (s Sides) Decide(policy Policy) Step {
	inGit, inCluster := !s.Git.IsZero(), !s.Live.IsZero()
	switch {
	case s.Git == s.Live:
		return Step{Action: Rest}
	case s.Git == s.Base && inGit && inCluster:
		return s.clusterMoved()
	case s.Git == s.Base:
		return Step{Action: ToGit} // it is new in the cluster, or gone from it
	}
	switch s.unmoved() {
	case Yes:
		return Step{Action: ToCluster}
	case Unknown:
		return Step{Action: AskBase}
	case No:
	}
	if inGit && inCluster {
		return s.bothMoved(policy)
	}
	return lose(policy) // the one side deleted what the other changed
}

// clusterMoved is about an object that Git still holds as it did.
func (s Sides) clusterMoved() Step {
	switch s.known() {
	case Yes:
		return Step{Action: Rest}
	case No:
		return Step{Action: ToGit}
	case Unknown:
	}
	return Step{Action: AskGit}
}

// known is the answer to the one question where base and Git are the same.
func (s Sides) known() Answer {
	if s.LiveIsGit == Unknown {
		return s.LiveIsBase
	}
	return s.LiveIsGit
}

// unmoved tells whether the cluster has the object as base says.
func (s Sides) unmoved() Answer {
	switch {
	case s.Base == s.Live:
		return Yes
	case s.Base.IsZero(), s.Live.IsZero():
		return No
	}
	return s.LiveIsBase
}

// bothMoved is about an object that both sides hold, and each has changed, or made.
func (s Sides) bothMoved(policy Policy) Step {
	switch {
	case s.LiveIsGit == Unknown:
		return Step{Action: AskGit}
	case s.LiveIsGit == Yes:
		return Step{Action: Rest}
	case s.Base.IsZero():
		return lose(policy) // made on both sides: there is nothing that would tell what is an edit
	}
	return Step{Action: Merge}
}

// lose decides between two edits as a whole.
func lose(policy Policy) Step {
	switch policy {
	case ClusterWins:
		return Step{Action: ToGit, Conflict: true}
	case Hold:
		return Step{Action: Wait, Conflict: true}
	case GitWins:
	}
	return Step{Action: ToCluster, Conflict: true}
}
