package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Prune is what the decision about deletions in the cluster is made from.
type Prune struct {
	// Candidates are the objects of the cluster that Git doesn't declare and that may be deleted by rights: a
	// carried-out revision held them, or the policy is to delete what Git never held as well.
	Candidates []Candidate
	// Declared is how many objects Git asks for now, Tracked how many it and the carried-out revisions hold.
	Declared, Tracked int
	// Unrelated says that the new revision doesn't continue the carried-out ones, so that "gone" may only mean
	// that somebody put another history in its place.
	Unrelated bool
	// Waiting says that deletions of an earlier look wait for approval.
	Waiting bool
	// Mirrored says that strays were approved before, so that later ones are everyday work.
	Mirrored bool
	// Approved is the digest of the set that a person approved.
	Approved string
}

// Candidate is an object of the cluster that Git doesn't declare.
type Candidate struct {
	Path string
	// UID tells the object from a later one of its name, which nobody approved.
	UID string
	// Stray: no carried-out revision held it.
	Stray bool
	// Recent: Git still declared it at the last look, so it is none of those that have waited since.
	Recent bool
}

// WithoutAliases drops the objects that Git declares under another name: some API servers serve one object in
// several groups, as OpenShift does a Namespace as a Project. It is the same by its UID.
func WithoutAliases(candidates []Candidate, declared iter.Seq[string], uid func(path string) string) []Candidate {
	if len(candidates) == 0 {
		return nil
	}
	inGit := map[string]bool{}
	for path := range declared {
		inGit[uid(path)] = true
	}
	return slices.DeleteFunc(candidates, func(c Candidate) bool { return c.UID != "" && inGit[c.UID] })
}

// Deletions is a decision: Objects are to be deleted, or, where Withheld says why, wait for approval.
type Deletions struct {
	Objects  []Candidate
	Withheld string
	// Strays says that they wait because there are strays among them, and none was ever approved.
	Strays bool
}

// A larger share of the tracked objects than this waits for a person, from this number on.
const (
	massDeletionObjects = 10
	massDeletionPercent = 10
)

// precious are the resources whose deletion takes other things with it: everything in a namespace, all
// instances of a kind, the data of a volume.
var precious = []string{
	"namespaces", "customresourcedefinitions.apiextensions.k8s.io", "persistentvolumes", "persistentvolumeclaims",
}

// Decide withholds the whole set when it looks like an accident. What is to be deleted while a set waits joins
// it: approving the set as it was means nothing then, so nothing is deleted that nobody has seen.
func (p Prune) Decide() Deletions {
	d := Deletions{Objects: slices.Clone(p.Candidates)}
	slices.SortFunc(d.Objects, func(a, b Candidate) int { return strings.Compare(a.Path, b.Path) })
	if len(d.Objects) == 0 || d.Digest() == p.Approved {
		return d
	}
	d.Strays = !p.Mirrored && slices.ContainsFunc(d.Objects, func(c Candidate) bool { return c.Stray })
	d.Withheld = p.suspicion(d)
	return d
}

// suspicion says why a set of deletions may be an accident; empty when it looks like everyday work.
func (p Prune) suspicion(d Deletions) string {
	if d.Strays {
		return "Git never held some of them, and prune is mirror; once they are approved, later ones are deleted without asking"
	}
	for _, c := range d.Objects {
		location, _ := manifest.ParsePath(c.Path)
		if slices.Contains(precious, location.ResourceName()) {
			return fmt.Sprintf("%s is among them, which takes more than itself along", manifest.ObjectName(c.Path))
		}
	}
	switch n := len(d.Objects); {
	case p.Unrelated:
		return "the branch was replaced by a history that doesn't continue the one applied before"
	case p.Declared == 0:
		return "Git holds no objects any more"
	case n > massDeletionObjects && n*100 > p.Tracked*massDeletionPercent:
		return fmt.Sprintf("it is %d of %d objects", n, p.Tracked)
	case p.Waiting && slices.ContainsFunc(d.Objects, func(c Candidate) bool { return !c.Recent }):
		// Fewer of them, or more objects beside them, don't make an everyday matter of what was none.
		return "they are what is left of a larger set that waits"
	}
	return ""
}

// Digest names exactly this set of objects; empty for the empty one.
func (d Deletions) Digest() string {
	if len(d.Objects) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, c := range d.Objects {
		fmt.Fprintf(sum, "%s %s\n", c.Path, c.UID)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// Paths are those of the objects.
func (d Deletions) Paths() []string {
	paths := make([]string, 0, len(d.Objects))
	for _, c := range d.Objects {
		paths = append(paths, c.Path)
	}
	return paths
}
