package manifest

import (
	"errors"
	"fmt"

	"sigs.k8s.io/yaml"
)

// MarkerFile lies at the root of an enrolment's path and says whose path it is. It is hidden, so that it
// is nobody's manifest.
const MarkerFile = ".cluster-sync.yaml"

// MarkerLayout is the layout of the paths that this version writes.
const MarkerLayout = 1

// Marker is the content of MarkerFile.
type Marker struct {
	Layout int `json:"layout"`
	// Cluster is the name of the enrolment that wrote it, UID the identity of its cluster.
	Cluster string `json:"cluster"`
	UID     string `json:"uid"`
}

// Encode returns the file.
func (m Marker) Encode() []byte {
	return fmt.Appendf(nil, "# Written by Active Cluster Sync. It says which cluster is stored here; don't edit it.\n"+
		"layout: %d\ncluster: %s\nuid: %s\n", m.Layout, m.Cluster, m.UID)
}

// ParseMarker reads the file. An error says why it can't be relied on.
func ParseMarker(content []byte) (Marker, error) {
	var m Marker
	if err := yaml.Unmarshal(content, &m); err != nil {
		return m, errors.New("it is no YAML of the expected form")
	}
	switch {
	case m.UID == "":
		return m, errors.New("it names no cluster")
	case m.Layout != MarkerLayout:
		return m, fmt.Errorf("it says layout %d and this version writes layout %d", m.Layout, MarkerLayout)
	}
	return m, nil
}
