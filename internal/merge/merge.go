// Package merge brings together what two sides made of one Kubernetes object: field by field, and list items
// by what tells them apart, as server-side apply does (KEP-555). It reads no cluster and no repository.
//
// Objects are the plain maps that JSON and YAML decode to: map[string]any, []any, string, bool, int64,
// float64 and nil. An int64 and a float64 of the same value are equal.
package merge

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Side is the side that wins where both changed the same field.
type Side int

// The two sides of a merge.
const (
	Git Side = iota
	Cluster
)

// ThreeWay merges what Git and what the cluster made of base. All three are complete objects, in one version
// of the API and with the server's defaults filled in. base may be nil: then both sides created the object.
//
// Fields that both changed, each to something else, are taken from prefer, and the rest of both sides'
// changes is kept. The fields are listed in conflicts as JSON pointers (RFC 6901), sorted; an item of a list
// with keys has its index in git there, or where git lacks it in cluster. A field that one side removed and
// the other changed is such a field, as a whole. So are fields that only make sense together, like a type and
// what goes with it, where the sides' changes together would be what no API server takes.
//
// The items of a list are in git's order, and those that only the cluster has follow the item that they
// follow there. Where only the cluster changed the order, it is the other way round. Where both did, the list
// is in conflicts.
//
// No argument is changed, and nothing is shared with the result. An error is an argument that is no plain
// object.
func ThreeWay(t Type, base, git, cluster map[string]any, prefer Side) (merged map[string]any, conflicts []string, err error) {
	m := merging{prefer: prefer, conflicts: map[string]bool{}}
	merged, err = object(m.value(t, orNone(base), git, cluster))
	if err != nil {
		return nil, nil, fmt.Errorf("merge: %w", err)
	}
	return merged, slices.Sorted(maps.Keys(m.conflicts)), nil
}

func orNone(base map[string]any) any {
	if base == nil {
		return none
	}
	return base
}

// merging is one merge under way.
type merging struct {
	prefer    Side
	at        []string // where it is, as a JSON pointer
	conflicts map[string]bool
}

// value merges what stands at one place; none where nothing does.
func (m *merging) value(t Type, base, git, cluster any) any {
	switch {
	case same(git, cluster), same(base, cluster):
		return git
	case same(base, git):
		return cluster
	}
	if b, g, c, ok := maps3(base, git, cluster); ok && t.separable() {
		return m.fields(t, b, g, c)
	}
	if b, g, c, ok := maps3(base, t.orEmpty(git), t.orEmpty(cluster)); ok && t.entries() {
		// Whoever took the last entry out took the map out with it.
		return orNothing(m.fields(t, b, g, c), none)
	}
	if b, g, c, ok := t.items3(base, git, cluster); ok {
		return m.items(t, b, g, c)
	}
	return m.preferred(git, cluster)
}

// maps3: both sides are maps. What base has instead of one is as good as nothing.
func maps3(base, git, cluster any) (b, g, c map[string]any, ok bool) {
	b, _ = base.(map[string]any)
	g, isMap := git.(map[string]any)
	c, ok = cluster.(map[string]any)
	return b, g, c, ok && isMap
}

func (m *merging) fields(t Type, base, git, cluster map[string]any) map[string]any {
	merged := make(map[string]any, max(len(git), len(cluster)))
	together := bound(t, base, git, cluster)
	merge := func(name string) {
		m.enter(name)
		defer m.leave()
		var v any
		if inGit, inCluster := at(git, name), at(cluster, name); together[name] && !same(inGit, inCluster) {
			v = m.preferred(inGit, inCluster)
		} else {
			v = m.value(t.field(name), at(base, name), inGit, inCluster)
		}
		if v != none {
			merged[name] = v
		}
	}
	for name := range names(git, cluster) {
		merge(name)
	}
	return merged
}

// items merges lists whose items are told apart.
func (m *merging) items(t Type, base, git, cluster items) []any {
	merged := make(map[string]any, max(len(git.keys), len(cluster.keys)))
	merge := func(key string, index int) {
		m.enter(strconv.Itoa(index))
		defer m.leave()
		if v := m.value(t.item(), base.get(key), git.get(key), cluster.get(key)); v != none {
			merged[key] = v
		}
	}
	for i, key := range git.keys {
		merge(key, i)
	}
	for i, key := range cluster.keys {
		if !git.has(key) {
			merge(key, i)
		}
	}
	lead, rest := m.order(base, git, cluster)
	return arrange(lead, rest, merged)
}

// order says which side's order the items are in.
func (m *merging) order(base, git, cluster items) (lead, rest items) {
	shared := func(key string) bool { return base.has(key) && git.has(key) && cluster.has(key) }
	was, inGit, inCluster := base.only(shared), git.only(shared), cluster.only(shared)
	switch {
	case slices.Equal(was, inCluster), slices.Equal(inGit, inCluster):
		return git, cluster
	case slices.Equal(was, inGit):
		return cluster, git
	}
	if m.conflict(); m.prefer == Cluster {
		return cluster, git
	}
	return git, cluster
}

// preferred is what stands here on the side that wins.
func (m *merging) preferred(git, cluster any) any {
	if m.conflict(); m.prefer == Cluster {
		return cluster
	}
	return git
}

// conflict notes that both sides changed what stands here.
func (m *merging) conflict() { m.conflicts[pointer(m.at)] = true }

func (m *merging) enter(step string) { m.at = append(m.at, step) }
func (m *merging) leave()            { m.at = m.at[:len(m.at)-1] }

var escape = strings.NewReplacer("~", "~0", "/", "~1")

// pointer is a place as RFC 6901 writes it.
func pointer(steps []string) string {
	var b strings.Builder
	for _, step := range steps {
		b.WriteByte('/')
		b.WriteString(escape.Replace(step))
	}
	return b.String()
}
