package manifest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMarkerIsReadBack(t *testing.T) {
	want := Marker{Layout: MarkerLayout, Cluster: "primary", UID: "6f8a-11"}
	got, err := ParseMarker(want.Encode())
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestDoubtfulMarkersAreRefused(t *testing.T) {
	for says, content := range map[string]string{
		"no YAML":  "a: [",
		"no clus":  "layout: 1\n",
		"layout 2": "layout: 2\ncluster: a\nuid: b\n",
	} {
		_, err := ParseMarker([]byte(content))
		require.ErrorContains(t, err, says)
	}
}
