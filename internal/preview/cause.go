package preview

import (
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
)

// moves is what is known of one object on both sides, then, when they agreed last, and now.
type moves struct {
	// known: what Git held then can be had.
	known bool
	// then and git are what Git held and holds, live is what the cluster holds; zero for nothing.
	then, git, live plumbing.Hash
	// edited: the cluster is not as Git was then.
	edited bool
}

// cause is why a pull would write an object.
func (m moves) cause() (Reason, string) {
	missing := m.live.IsZero()
	switch {
	case missing && (!m.known || m.then == m.git):
		return MissingInCluster, "missing in the cluster"
	case missing && m.then.IsZero():
		return AddedInGit, "new in Git"
	case missing:
		return ChangedOnBoth, "changed in Git, and missing in the cluster"
	case !m.known:
		return Differs, "differs; what both sides agreed on last isn't known"
	case m.then == m.git:
		return EditedInCluster, "edited in the cluster"
	case m.then.IsZero():
		return AddedInGit, "new in Git, where the cluster has something else"
	case m.edited:
		return ChangedOnBoth, "changed in Git, and edited in the cluster"
	}
	return ChangedInGit, "changed in Git"
}

// pushCause is why a push would write or take away a file.
func (m moves) pushCause() (Reason, string) {
	gitMoved, liveMoved := m.then != m.git, m.edited
	switch {
	case !m.known && m.git.IsZero():
		return AddedInCluster, "not in Git"
	case !m.known && m.live.IsZero():
		return GoneFromCluster, "not in the cluster: a push owns every manifest below its path"
	case !m.known:
		return Differs, "differs; what both sides agreed on last isn't known"
	case m.then.IsZero() && m.git.IsZero():
		return AddedInCluster, "new in the cluster"
	case m.then.IsZero() && m.live.IsZero():
		return AddedInGit, "added in Git: a push owns every manifest below its path"
	case m.git.IsZero():
		return GoneFromGit, "deleted in Git, and still in the cluster"
	case m.live.IsZero():
		return GoneFromCluster, "gone from the cluster"
	case gitMoved && liveMoved:
		return ChangedOnBoth, "changed in the cluster, and edited in Git"
	case gitMoved:
		return ChangedInGit, "edited in Git"
	}
	return EditedInCluster, "changed in the cluster"
}

// exchangeCause is why push-pull would carry an object to one of the sides, where they aren't in conflict.
func exchangeCause(s plan.Sides) (Reason, string) {
	switch {
	case s.Base.IsZero() && s.Git.IsZero():
		return AddedInCluster, "new in the cluster"
	case s.Base.IsZero() && s.Live.IsZero():
		return AddedInGit, "new in Git"
	case s.Base.IsZero():
		return Differs, "it is on both sides, and they never agreed on it"
	case s.Git == s.Base && s.Live.IsZero():
		return GoneFromCluster, "gone from the cluster"
	case s.Git == s.Base:
		return EditedInCluster, "changed in the cluster"
	case s.LiveIsBase != plan.Yes && s.Live != s.Base:
		return ChangedOnBoth, "changed on both sides; what doesn't collide is kept of both"
	case s.Git.IsZero():
		return GoneFromGit, "deleted in Git"
	}
	return ChangedInGit, "changed in Git"
}
