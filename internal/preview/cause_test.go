package preview

import (
	"errors"
	"fmt"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

func hash(text string) plumbing.Hash {
	return plumbing.ComputeHash(plumbing.BlobObject, []byte(text))
}

func TestCauseIsTheSideThatMoved(t *testing.T) {
	a, b, none := hash("a"), hash("b"), plumbing.ZeroHash
	for name, c := range map[string]struct {
		moves
		pull, push Reason
	}{
		"edited in the cluster":       {moves{true, a, a, b, true}, EditedInCluster, EditedInCluster},
		"deleted in the cluster":      {moves{true, a, a, none, true}, MissingInCluster, GoneFromCluster},
		"changed in Git":              {moves{true, a, b, a, false}, ChangedInGit, ChangedInGit},
		"changed on both":             {moves{true, a, b, hash("c"), true}, ChangedOnBoth, ChangedOnBoth},
		"changed here, deleted there": {moves{true, a, b, none, true}, ChangedOnBoth, GoneFromCluster},
		"new in Git":                  {moves{true, none, a, none, false}, AddedInGit, AddedInGit},
		"never agreed, missing":       {moves{false, none, a, none, true}, MissingInCluster, GoneFromCluster},
		"never agreed":                {moves{false, none, a, b, true}, Differs, Differs},
	} {
		t.Run(name, func(t *testing.T) {
			reason, words := c.cause()
			require.Equal(t, c.pull, reason)
			require.NotEmpty(t, words)
			reason, words = c.pushCause()
			require.Equal(t, c.push, reason)
			require.NotEmpty(t, words)
		})
	}
	for name, c := range map[string]struct {
		moves
		push Reason
	}{
		"new in the cluster":  {moves{true, none, none, a, true}, AddedInCluster},
		"deleted in Git":      {moves{true, a, none, a, false}, GoneFromGit},
		"never agreed, added": {moves{false, none, none, a, true}, AddedInCluster},
	} {
		reason, words := c.pushCause()
		require.Equal(t, c.push, reason, name)
		require.NotEmpty(t, words)
	}
}

func TestPreviewCountsAndSortsWhatWouldBeDone(t *testing.T) {
	p := of(Sides{Revision: hash("r")}, []Change{
		{Object: "b", Action: Delete}, {Object: "a", File: "2", Action: Update}, {Object: "a", File: "1", Action: Create},
		{Object: "c", Action: Withhold}, {Object: "d", Action: Fail},
	})
	require.Equal(t, Counts{Create: 1, Update: 1, Delete: 1, Withheld: 1, Failed: 1}, p.Counts)
	require.Equal(t, []string{"1", "2"}, []string{p.Changes[0].File, p.Changes[1].File})
	require.False(t, p.Empty())
	require.Empty(t, p.Settled)
	nothing := of(Sides{}, nil)
	require.True(t, nothing.Empty())
	require.NotNil(t, nothing.Changes, "JSON has an empty list")
	nothing.Refused = "occupied"
	require.False(t, nothing.Empty())
}

// noKinds is a cluster that serves nothing.
type noKinds struct{}

func (noKinds) Resolve(schema.GroupKind) (manifest.Resource, bool) { return manifest.Resource{}, false }

func TestKindsThatGitBringsAreKnown(t *testing.T) {
	k := newKinds(noKinds{})
	k.define(map[string]any{"spec": map[string]any{
		"group": "example.com", "scope": "Namespaced", "names": map[string]any{"kind": "Lamp", "plural": "lamps"},
	}})
	k.define(map[string]any{"spec": map[string]any{"group": "example.com"}})
	resource, ok := k.Resolve(schema.GroupKind{Group: "example.com", Kind: "Lamp"})
	require.True(t, ok)
	require.Equal(t, "lamps.example.com", resource.String())
	require.True(t, resource.Namespaced)
	require.True(t, k.brought[resource])
	require.Len(t, k.brought, 1)
}

func TestRefusalOfTheUserIsNoRefusalOfTheSync(t *testing.T) {
	refused := errors.New("ValidatingAdmissionPolicy 'team-policy' with binding 'x' denied request: no")
	require.Empty(t, whyNotAsked(kube.Written{Action: kube.Failed, Err: refused}))
	require.NotEmpty(t, whyNotAsked(kube.Written{Action: kube.Failed, Err: fmt.Errorf("update: %w", kube.ErrForbidden)}))
	require.Empty(t, whyNotAsked(kube.Written{Action: kube.Unchanged}))
}
