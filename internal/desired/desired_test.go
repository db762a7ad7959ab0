package desired

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// revisions stands in for a repository: each revision is a map of files. The real one is tested in
// internal/repo and internal/e2e.
type revisions struct {
	files map[plumbing.Hash]map[string]string
	blobs map[plumbing.Hash]string
}

func (r *revisions) commit(files map[string]string) plumbing.Hash {
	if r.files == nil {
		r.files, r.blobs = map[plumbing.Hash]map[string]string{}, map[plumbing.Hash]string{}
	}
	revision := manifest.Hash(fmt.Appendf(nil, "revision %d", len(r.files)))
	r.files[revision] = maps.Clone(files)
	for _, content := range files {
		r.blobs[manifest.Hash([]byte(content))] = content
	}
	return revision
}

func (r *revisions) tree(revision plumbing.Hash) tree.Tree {
	return tree.Tree{}.Edit(func(e *tree.Editor) {
		for path, content := range r.files[revision] {
			e.Put(path, manifest.Hash([]byte(content)))
		}
	})
}

func (r *revisions) Changes(from, to plumbing.Hash) (changes []repo.Change, err error) {
	for _, c := range tree.Diff(r.tree(from), r.tree(to)) {
		changes = append(changes, repo.Change{Change: c, Obstacle: r.obstacle(c.To)})
	}
	return changes, nil
}

// obstacle is for a file that isn't one: its content says why.
func (r *revisions) obstacle(blob plumbing.Hash) string {
	why, _ := strings.CutPrefix(r.blobs[blob], "obstacle: ")
	if why == r.blobs[blob] {
		return ""
	}
	return why
}

func (r *revisions) Read(blob plumbing.Hash) ([]byte, error) {
	content, ok := r.blobs[blob]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(content), nil
}

// catalog is the kinds that a cluster serves.
type catalog map[string]manifest.Resource

func (k catalog) Resolve(kind schema.GroupKind) (manifest.Resource, bool) {
	r, ok := k[kind.String()]
	return r, ok
}

var served = catalog{
	"ConfigMap":       {Version: "v1", Name: "configmaps", Kind: "ConfigMap", Namespaced: true},
	"Secret":          {Version: "v1", Name: "secrets", Kind: "Secret", Namespaced: true},
	"Namespace":       {Version: "v1", Name: "namespaces", Kind: "Namespace"},
	"Deployment.apps": {Group: "apps", Version: "v1", Name: "deployments", Kind: "Deployment", Namespaced: true},
	"HorizontalPodAutoscaler.autoscaling": {Group: "autoscaling", Version: "v2", Name: "horizontalpodautoscalers",
		Kind: "HorizontalPodAutoscaler", Namespaced: true},
}

func settings(namespace, name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {key: %q}\n", name, namespace, value)
}

const (
	scalable   = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart}\nspec: {replicas: 3}\n"
	autoscaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: cart}\n" +
		"spec: {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: cart}}\n"
	cart = "namespaces/default/deployments.apps/cart.yaml"
)

func paths(d *State) (paths []string) {
	for path := range d.Tree().All() {
		paths = append(paths, path)
	}
	return paths
}

func TestObjectsAreFoundInAnyLayout(t *testing.T) {
	var git revisions
	d := New(&git, Rules{})
	require.NoError(t, d.Follow(git.commit(map[string]string{
		"all.yaml":      settings("a", "one", "x") + "---\n" + settings("a", "two", "x"),
		"deep/er/b.yml": settings("b", "one", "x") + "---\n" + scalable,
		"c.yaml":        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: a}\n",
	}), served))
	require.Equal(t, []string{
		"namespaces/a/configmaps/one.yaml", "namespaces/a/configmaps/two.yaml", "namespaces/b/configmaps/one.yaml", cart,
	}, paths(d))
	require.Empty(t, d.Mistakes())
	_, object, err := d.Object("namespaces/a/configmaps/two.yaml", served)
	require.NoError(t, err)
	require.Equal(t, manifest.ID{Kind: "ConfigMap", Namespace: "a", Name: "two"}, manifest.IDOf(object))
}

func TestAnObjectDeclaredTwiceIsAppliedByNobody(t *testing.T) {
	var git revisions
	d := New(&git, Rules{})
	files := map[string]string{"a.yaml": settings("a", "one", "x"), "b.yaml": "# again\n" + settings("a", "one", "y")}
	require.NoError(t, d.Follow(git.commit(files), served))
	require.Empty(t, paths(d))
	mistakes := d.Mistakes()
	require.Len(t, mistakes, 1)
	require.Equal(t, "a.yaml", mistakes[0].File)
	require.Equal(t, 1, mistakes[0].Line)
	require.Contains(t, mistakes[0].Message, "declared again in b.yaml:")
	ignoring := New(&git, Rules{Scope: manifest.Scope{IgnoredNamespaces: []string{"a"}}})
	require.NoError(t, ignoring.Follow(git.commit(files), served))
	require.Empty(t, ignoring.Mistakes())

	delete(files, "a.yaml")
	require.NoError(t, d.Follow(git.commit(files), served))
	require.Len(t, paths(d), 1)
	require.Empty(t, d.Mistakes())
}

func TestWhatIsNotReadIsAMistakeOfItsPath(t *testing.T) {
	var git revisions
	d := New(&git, Rules{})
	files := map[string]string{"a.yaml": settings("a", "one", "x"), "dir/b.yaml": settings("a", "two", "x")}
	require.NoError(t, d.Follow(git.commit(files), served))
	require.True(t, d.Reads("a.yaml"))

	files = map[string]string{"a.yaml": "obstacle: it is a link", "dir": "obstacle: it is a submodule"}
	require.NoError(t, d.Follow(git.commit(files), served))
	require.Empty(t, paths(d))
	require.Equal(t, []manifest.Problem{{File: "a.yaml", Message: "it is a link"}, {File: "dir", Message: "it is a submodule"}}, d.Mistakes())
	require.False(t, d.Reads("a.yaml"))
	require.False(t, d.Reads("dir"))
	fresh := New(&git, Rules{})
	require.NoError(t, fresh.Follow(d.revision, served))
	require.Equal(t, d.Mistakes(), fresh.Mistakes())

	require.NoError(t, d.Follow(git.commit(map[string]string{"a.yaml": settings("a", "one", "x")}), served))
	require.Empty(t, d.Mistakes())
	require.Len(t, paths(d), 1)
}

func TestJSONOfOtherToolsIsPassedOver(t *testing.T) {
	var git revisions
	d := New(&git, Rules{})
	require.NoError(t, d.Follow(git.commit(map[string]string{
		"package.json": `{"name": "web"}`,
		"app.json":     `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "a"}}`,
		"broken.json":  `{"apiVersion": "v1", `,
	}), served))
	require.Equal(t, []string{"namespaces/a/configmaps/one.yaml"}, paths(d))
	require.Len(t, d.Mistakes(), 1)
	require.Equal(t, "broken.json", d.Mistakes()[0].File)
	require.True(t, d.Reads("package.json"))
	require.True(t, d.PassesOver("package.json"))
	require.False(t, d.PassesOver("app.json"))
	require.False(t, d.PassesOver("none.json"))
}

func TestAnUnknownKindWaitsForItsDefinition(t *testing.T) {
	var git revisions
	d := New(&git, Rules{})
	require.NoError(t, d.Follow(git.commit(map[string]string{
		"lamp.yaml": "apiVersion: example.com/v1\nkind: Lamp\nmetadata: {name: porch, namespace: a}\n",
	}), served))
	require.Empty(t, paths(d))
	require.Contains(t, d.Mistakes()[0].Message, "does not know the kind Lamp.example.com")
	more := maps.Clone(served)
	more["Lamp.example.com"] = manifest.Resource{Group: "example.com", Version: "v1", Name: "lamps", Kind: "Lamp", Namespaced: true}
	d.Resolve(more)
	require.Equal(t, []string{"namespaces/a/lamps.example.com/porch.yaml"}, paths(d))
	require.Empty(t, d.Mistakes())
}

func TestReplicasAreTheAutoscalersWhenThereIsOne(t *testing.T) {
	var git revisions
	d := New(&git, Rules{})
	replicas := func() any {
		_, object, err := d.Object(cart, served)
		require.NoError(t, err)
		return object["spec"].(map[string]any)["replicas"]
	}
	require.NoError(t, d.Follow(git.commit(map[string]string{"cart.yaml": scalable}), served))
	alone, _ := d.tree.Get(cart)
	require.EqualValues(t, 3, replicas())

	require.NoError(t, d.Follow(git.commit(map[string]string{"cart.yaml": scalable, "hpa.yaml": autoscaler}), served))
	scaled, _ := d.tree.Get(cart)
	require.NotEqual(t, alone, scaled, "the file of the Deployment did not change, its meaning did")
	require.Nil(t, replicas())

	require.NoError(t, d.Follow(git.commit(map[string]string{"cart.yaml": scalable}), served))
	again, _ := d.tree.Get(cart)
	require.Equal(t, alone, again)
	require.EqualValues(t, 3, replicas())
}

// TestFollowingEqualsReadingAfresh: what is known after any number of revisions is what the last one says.
func TestFollowingEqualsReadingAfresh(t *testing.T) {
	file := rapid.SampledFrom([]string{"a.yaml", "b.yaml", "dir/c.yaml", "dir/d.yaml", "dir/e.json"})
	content := rapid.SampledFrom([]string{
		settings("a", "one", "x"), settings("a", "one", "y"), settings("a", "two", "x") + "---\n" + settings("b", "one", "x"),
		scalable, autoscaler, scalable + "---\n" + autoscaler, "a: [\n",
		"apiVersion: example.com/v1\nkind: Lamp\nmetadata: {name: porch, namespace: a}\n", "# nothing\n",
		"obstacle: it is a link", `{"name": "web"}`,
	})
	rapid.Check(t, func(t *rapid.T) {
		var git revisions
		followed := New(&git, Rules{})
		for range rapid.IntRange(1, 6).Draw(t, "revisions") {
			files := rapid.MapOfN(file, content, 0, 4).Draw(t, "files")
			revision := git.commit(files)
			require.NoError(t, followed.Follow(revision, served))
			fresh := New(&git, Rules{})
			require.NoError(t, fresh.Follow(revision, served))
			require.Equal(t, fresh.Tree().Hash(), followed.Tree().Hash(), "%v", slices.Sorted(maps.Keys(files)))
			require.ElementsMatch(t, messages(fresh), messages(followed))
			require.Equal(t, fresh.scaled, followed.scaled)
			fresh.Rest() // so that it reads the files again
			for path, hash := range fresh.Tree().All() {
				resource, object, err := followed.Object(path, served)
				require.NoError(t, err)
				_, again, err := fresh.Object(path, served)
				require.NoError(t, err)
				require.Equal(t, again, object)
				yaml, err := manifest.Encode(object)
				require.NoError(t, err)
				require.Equal(t, hash, fresh.hash(resource, yaml))
			}
		}
	})
}

// messages are the mistakes without the order of two places that declare the same object.
func messages(d *State) []string {
	var objects []string
	for _, m := range d.Mistakes() {
		objects = append(objects, m.Object)
	}
	return objects
}

// An ignored field makes no difference, and is there for an object that has to be created.
func TestIgnoredFieldsArePartOfTheObjectButNotOfTheTree(t *testing.T) {
	field, err := manifest.ParseIgnoredField("configmaps:/data/key")
	require.NoError(t, err)
	r := &revisions{}
	d := New(r, Rules{Selection: manifest.Selection{IgnoreFields: []manifest.IgnoredField{field}}})
	const path = "namespaces/a/configmaps/x.yaml"
	var hashes []plumbing.Hash
	for _, value := range []string{"one", "two"} {
		require.NoError(t, d.Follow(r.commit(map[string]string{"x.yaml": settings("a", "x", value)}), served))
		hash, ok := d.Tree().Get(path)
		require.True(t, ok)
		hashes = append(hashes, hash)
		_, object, err := d.Object(path, served)
		require.NoError(t, err)
		require.Equal(t, map[string]any{"key": value}, object["data"])
	}
	require.Equal(t, hashes[0], hashes[1])
}
