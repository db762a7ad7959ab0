package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// Prune is what the decision about deletions in the cluster is made from.
type Prune struct {
	// Gone are the canonical paths that a carried-out revision held and the new one doesn't. Only they can
	// be deleted: an object that Git never held is nobody's to delete.
	Gone []string
	// Git and Live are the two sides now.
	Git, Live tree.Tree
	// Tracked is how many objects the carried-out revisions held.
	Tracked int
	// Unrelated says that the new revision doesn't descend from the carried-out ones, so that "gone" may
	// only mean that somebody put another history in its place.
	Unrelated bool
	// Approved is the digest of the set that a person approved.
	Approved string
}

// Deletions is a decision: Paths are to be deleted, or, where Withheld says why, wait for approval.
type Deletions struct {
	Paths    []string
	Withheld string
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

// Decide drops what isn't there to delete and withholds the whole set when it looks like an accident.
func (p Prune) Decide() Deletions {
	var d Deletions
	for _, path := range p.Gone {
		_, inGit := p.Git.Get(path)
		if _, live := p.Live.Get(path); live && !inGit {
			d.Paths = append(d.Paths, path)
		}
	}
	slices.Sort(d.Paths)
	d.Paths = slices.Compact(d.Paths)
	if len(d.Paths) == 0 || d.Digest() == p.Approved {
		return d
	}
	d.Withheld = p.suspicion(d.Paths)
	return d
}

// suspicion says why a set of deletions may be an accident; empty when it looks like everyday work.
func (p Prune) suspicion(paths []string) string {
	for _, path := range paths {
		location, _ := manifest.ParsePath(path)
		if slices.Contains(precious, location.ResourceName()) {
			return fmt.Sprintf("it holds %s, which takes more than itself along", path)
		}
	}
	switch {
	case p.Unrelated:
		return "the branch was replaced by a history that doesn't continue the one applied before"
	case p.Git.Len() == 0:
		return "Git holds no objects any more"
	case len(paths) > massDeletionObjects && len(paths)*100 > p.Tracked*massDeletionPercent:
		return fmt.Sprintf("it is %d of %d objects", len(paths), p.Tracked)
	}
	return ""
}

// Digest names exactly this set; empty for the empty one.
func (d Deletions) Digest() string {
	if len(d.Paths) == 0 {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join(d.Paths, "\n")))
	return hex.EncodeToString(sum[:8])
}
