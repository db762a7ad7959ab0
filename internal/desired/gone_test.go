package desired

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

func TestGoneIsWhatNoFileDeclaresAnyMore(t *testing.T) {
	object := func(name string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: shop}\n"
	}
	before := map[string]string{
		"a.yaml":    object("gone") + "---\n" + object("moved") + "---\n" + object("stays"),
		"job.yaml":  "apiVersion: batch/v1\nkind: Job\nmetadata: {name: never-applied}\n",
		"else.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ignored, namespace: kube-system}\n",
	}
	for name, c := range map[string]struct {
		now    map[string]string
		gone   []string
		unread string
	}{
		"taken out of a file": {
			now:  map[string]string{"a.yaml": object("stays"), "b.yaml": object("moved")},
			gone: []string{"namespaces/shop/configmaps/gone.yaml"},
		},
		"still there in another form": {now: map[string]string{"a.yaml": object("gone") + "data: {}\n", "b.yaml": object("moved") + "---\n" + object("stays")}},
		"a changed file can't be read": {
			now: map[string]string{"a.yaml": object("stays"), "b.yaml": "a: [\n"}, unread: "b.yaml",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := new(revisions)
			from := r.commit(before)
			d := New(r, Rules{Scope: manifest.Scope{IgnoredNamespaces: []string{"kube-system"}}})
			require.NoError(t, d.Follow(r.commit(c.now), served))
			gone, unread, err := d.Gone(from, served)
			require.NoError(t, err)
			require.Equal(t, c.unread, unread)
			var paths []string
			for _, g := range gone {
				paths = append(paths, g.Path)
				require.Equal(t, "configmaps", g.Resource.String())
				require.Equal(t, Origin{File: "a.yaml", Line: 1}, g.Origin)
			}
			require.Equal(t, c.gone, paths)
		})
	}
}
