package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// MarkerFile lies at the root of an enrolment's path and says whose path it is. It is hidden, so that it
// is nobody's manifest.
const MarkerFile = ".cluster-sync.yaml"

// MarkerLayout is the layout of the paths that this version writes.
const MarkerLayout = 1

// Marker is the content of MarkerFile: either the cluster that pushes there, or the Members that share the place
// by push-pull.
type Marker struct {
	Layout int `json:"layout"`
	// Cluster is the name of the enrolment that wrote it, UID the identity of its cluster.
	Cluster string `json:"cluster,omitempty"`
	UID     string `json:"uid,omitempty"`
	// Members are sorted by cluster.
	Members []Member `json:"members,omitempty"`
}

// Member is a cluster that shares a place with others.
type Member struct {
	Cluster string `json:"cluster"`
	UID     string `json:"uid"`
}

// Has tells whether the cluster with a UID pushes there, or is among those that share the place.
func (m Marker) Has(uid string) bool {
	_, ok := m.Name(uid)
	return ok
}

// Name is what the cluster with a UID was called when it wrote the marker; false where it isn't in there.
func (m Marker) Name(uid string) (string, bool) {
	for _, member := range append(slices.Clone(m.Members), Member{m.Cluster, m.UID}) {
		if member.UID == uid {
			return member.Cluster, true
		}
	}
	return "", false
}

// Others are the members but for the cluster with a UID.
func (m Marker) Others(uid string) []Member {
	return slices.DeleteFunc(slices.Clone(m.Members), func(member Member) bool { return member.UID == uid })
}

// With is the marker of a place that this member shares, under the name that it has now, with the members that
// are there.
func (m Marker) With(member Member) Marker {
	members := append(m.Others(member.UID), member)
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.UID, b.UID))
	})
	return Marker{Layout: MarkerLayout, Members: members}
}

// Encode returns the file.
func (m Marker) Encode() []byte {
	if len(m.Members) == 0 {
		return fmt.Appendf(nil, "# Written by Active Cluster Sync. It says which cluster is stored here; don't edit it.\n"+
			"layout: %d\ncluster: %s\nuid: %s\n", m.Layout, m.Cluster, m.UID)
	}
	file := fmt.Appendf(nil, "# Written by Active Cluster Sync. It says which clusters share this place. Take a cluster out when it\n"+
		"# doesn't sync here any more; don't edit anything else.\nlayout: %d\nmembers:\n", m.Layout)
	for _, member := range m.Members {
		file = fmt.Appendf(file, "  - cluster: %q\n    uid: %q\n", member.Cluster, member.UID) // "0123" is no number
	}
	return file
}

// ParseMarker reads the file. An error says why it can't be relied on.
func ParseMarker(content []byte) (Marker, error) {
	var m Marker
	if err := yaml.Unmarshal(content, &m); err != nil {
		return m, errors.New("it is no YAML of the expected form")
	}
	nameless := slices.ContainsFunc(m.Members, func(member Member) bool { return member.UID == "" })
	switch {
	case nameless || m.UID == "" && len(m.Members) == 0:
		return m, errors.New("it names no cluster")
	case m.UID != "" && len(m.Members) > 0:
		return m, errors.New("it names both a cluster that pushes and members that share the place")
	case m.Layout != MarkerLayout:
		return m, fmt.Errorf("it says layout %d and this version writes layout %d", m.Layout, MarkerLayout)
	}
	return m, nil
}
