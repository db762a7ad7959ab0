package manifest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Branches of earlier versions hold exactly this.
func TestMarkerOfAPushStaysTheSameByteForByte(t *testing.T) {
	want := Marker{Layout: MarkerLayout, Cluster: "primary", UID: "6f8a-11"}
	require.Equal(t, "# Written by Active Cluster Sync. It says which cluster is stored here; don't edit it.\n"+
		"layout: 1\ncluster: primary\nuid: 6f8a-11\n", string(want.Encode()))
	got, err := ParseMarker(want.Encode())
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestMarkerOfASharedPlaceIsReadBack(t *testing.T) {
	// Names and UIDs that are no text to YAML, unless they are quoted.
	want := Marker{}.With(Member{"oslo", "6f8a-11"}).With(Member{"0123", "1e5"}).With(Member{"null", "0x1f"})
	require.Equal(t, []Member{{"0123", "1e5"}, {"null", "0x1f"}, {"oslo", "6f8a-11"}}, want.Members)
	require.Contains(t, string(want.Encode()), "layout: 1\nmembers:\n  - cluster: \"0123\"\n    uid: \"1e5\"\n  - cluster: \"null\"\n")
	got, err := ParseMarker(want.Encode())
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestMembersOfASharedPlace(t *testing.T) {
	berlin, oslo := Member{"berlin", "uid-b"}, Member{"oslo", "uid-o"}
	pushed := Marker{Layout: MarkerLayout, Cluster: "oslo", UID: "uid-o"}
	shared := Marker{Layout: MarkerLayout, Members: []Member{berlin, oslo}}
	for name, c := range map[string]struct {
		before Marker
		add    Member
		want   []Member
	}{
		"the first":                      {Marker{}, oslo, []Member{oslo}},
		"sorted in":                      {Marker{Members: []Member{oslo}}, berlin, []Member{berlin, oslo}},
		"there already":                  {shared, oslo, []Member{berlin, oslo}},
		"under a new name":               {shared, Member{"athens", "uid-o"}, []Member{{"athens", "uid-o"}, berlin}},
		"another one of the same name":   {shared, Member{"oslo", "uid-2"}, []Member{berlin, {"oslo", "uid-2"}, oslo}},
		"after a push of its own":        {pushed, oslo, []Member{oslo}},
		"after a push, under a new name": {pushed, Member{"athens", "uid-o"}, []Member{{"athens", "uid-o"}}},
		"in an order that a person made": {Marker{Members: []Member{oslo, berlin}}, oslo, []Member{berlin, oslo}},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.before.With(c.add)
			require.Equal(t, Marker{Layout: MarkerLayout, Members: c.want}, got)
			require.True(t, got.Has(c.add.UID))
			require.Equal(t, got, got.With(c.add))
		})
	}
	require.Equal(t, []Member{berlin, oslo}, shared.Members, "With leaves its receiver alone")

	require.True(t, pushed.Has("uid-o"))
	require.False(t, pushed.Has("uid-b"))
	require.False(t, shared.Has("uid-x"))
	name, ok := shared.Name("uid-b")
	require.True(t, ok)
	require.Equal(t, "berlin", name)
	require.Equal(t, []Member{berlin}, shared.Others("uid-o"))
	require.Empty(t, pushed.Others("uid-b"))
}

func TestDoubtfulMarkersAreRefused(t *testing.T) {
	for says, contents := range map[string][]string{
		"no YAML":          {"a: [", "layout: 1\nmembers: oslo\n"},
		"names no cluster": {"layout: 1\n", "layout: 1\nmembers: []\n", "layout: 1\nmembers: [{cluster: oslo}]\n"},
		"names both":       {"layout: 1\ncluster: a\nuid: b\nmembers: [{cluster: c, uid: d}]\n"},
		"layout 2":         {"layout: 2\ncluster: a\nuid: b\n", "layout: 2\nmembers: [{cluster: a, uid: b}]\n"},
	} {
		for _, content := range contents {
			_, err := ParseMarker([]byte(content))
			require.ErrorContains(t, err, says, content)
		}
	}
}
