package desired

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGoneTellsWhichObjectsWereProtected(t *testing.T) {
	var git revisions
	d := New(&git, Rules{})
	before := git.commit(map[string]string{
		"a.yaml": settings("a", "one", "x") + "---\n" + settings("a", "two", "x"),
		"b.yaml": settings("a", "moved", "x"),
		"c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {active-cluster-sync.io/prune: disabled}}\n",
		"d.yaml": "apiVersion: example.com/v1\nkind: Lamp\nmetadata: {name: porch, namespace: a}\n",
	})
	require.NoError(t, d.Follow(git.commit(map[string]string{"a.yaml": settings("a", "moved", "y") + "---\n" + settings("a", "one", "x")}), served))
	gone, unread, err := d.Gone(before, served)
	require.NoError(t, err)
	require.Empty(t, unread)
	found := map[string]bool{}
	for _, g := range gone {
		found[g.Path] = g.Protected
	}
	require.Equal(t, map[string]bool{"namespaces/a/configmaps/two.yaml": false, "namespaces/default/configmaps/kept.yaml": true}, found)
	require.Equal(t, Origin{File: "a.yaml", Line: 6, Index: 1}, gone[0].Origin)

	require.NoError(t, d.Follow(git.commit(map[string]string{"a.yaml": settings("a", "one", "x"), "new.yaml": "a: [\n"}), served))
	gone, unread, err = d.Gone(before, served)
	require.NoError(t, err)
	require.Empty(t, gone)
	require.Equal(t, "new.yaml", unread, "what seems to be gone may stand in there")
}

func TestObscureFilesMayDeclareAnything(t *testing.T) {
	for name, c := range map[string]struct{ content, obscure string }{
		"all is clear":       {settings("a", "one", "x"), ""},
		"broken":             {settings("a", "one", "x") + "---\na: [\n", "x.yaml"},
		"of an unknown kind": {"apiVersion: example.com/v1\nkind: Lamp\nmetadata: {name: porch, namespace: a}\n", "x.yaml"},
		"of another tool":    {"resources: [a.yaml]\n", "x.yaml"},
		"without a name":     {"apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n", "x.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			var git revisions
			d := New(&git, Rules{})
			require.NoError(t, d.Follow(git.commit(map[string]string{"x.yaml": c.content, "y.yaml": settings("b", "two", "x")}), served))
			require.Equal(t, c.obscure, d.Obscure())
			require.Contains(t, slices.Collect(d.Declared()), "namespaces/b/configmaps/two.yaml")
		})
	}
}
