package tree_test

import (
	"bytes"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// model is a tree as a plain map of paths.
type model map[string]plumbing.Hash

// put does what putting a file into a file system does: directories and files replace each other.
func (m model) put(path string, h plumbing.Hash) {
	m.remove(path)
	parts := strings.Split(path, "/")
	for i := 1; i < len(parts); i++ {
		delete(m, strings.Join(parts[:i], "/"))
	}
	m[path] = h
}

func (m model) remove(path string) {
	maps.DeleteFunc(m, func(p string, _ plumbing.Hash) bool {
		return p == path || strings.HasPrefix(p, path+"/")
	})
}

func paths() *rapid.Generator[string] {
	name := rapid.SampledFrom([]string{"a", "b", "a.b", "a-b", "ab", "c"})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(name, 1, 4).Draw(t, "path"), "/")
	})
}

func hashes() *rapid.Generator[plumbing.Hash] {
	return rapid.Map(rapid.IntRange(1, 5), func(i int) plumbing.Hash {
		return plumbing.ComputeHash(plumbing.BlobObject, fmt.Append(nil, i))
	})
}

func TestEditedTreesEqualTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := model{}
		editor := tree.NewEditor(tree.Tree{})
		type kept struct {
			tree tree.Tree
			want model
		}
		var handedOut []kept
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			path := paths().Draw(t, "path")
			switch rapid.SampledFrom([]string{"put", "put", "remove", "hand out", "graft"}).Draw(t, "step") {
			case "put":
				h := hashes().Draw(t, "hash")
				editor.Put(path, h)
				want.put(path, h)
			case "remove":
				editor.Remove(path)
				want.remove(path)
			case "hand out":
				handedOut = append(handedOut, kept{editor.Tree(), maps.Clone(want)})
			case "graft":
				if len(handedOut) > 0 {
					from := handedOut[0]
					editor.PutTree(path, from.tree)
					want.remove(path)
					for p, h := range from.want {
						want.put(path+"/"+p, h)
					}
				}
			}
		}
		handedOut = append(handedOut, kept{editor.Tree(), want})
		for _, k := range handedOut {
			require.Equal(t, map[string]plumbing.Hash(k.want), maps.Collect(k.tree.All()))
			require.Equal(t, len(k.want), k.tree.Len())
			fresh := tree.Tree{}.Edit(func(e *tree.Editor) {
				for p, h := range k.want {
					e.Put(p, h)
				}
			})
			require.Equal(t, fresh.Hash(), k.tree.Hash(), "the hash depends on the content alone")
		}
	})
}

func TestDiffTurnsOneTreeIntoTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) tree.Tree {
			files := rapid.MapOfN(paths(), hashes(), 0, 20).Draw(t, name)
			return tree.Tree{}.Edit(func(e *tree.Editor) {
				for _, p := range slices.Sorted(maps.Keys(files)) {
					e.Put(p, files[p])
				}
			})
		}
		from, to := draw("from"), draw("to")
		changes := tree.Diff(from, to)
		got := maps.Collect(from.All())
		for _, c := range changes {
			require.NotEqual(t, c.From, c.To)
			require.Equal(t, c.From, got[c.Path])
			if got[c.Path] = c.To; c.To.IsZero() {
				delete(got, c.Path)
			}
		}
		require.Equal(t, maps.Collect(to.All()), got)
		require.Empty(t, tree.Diff(from, from))
	})
}

func TestSubIsTheDirectory(t *testing.T) {
	h := plumbing.ComputeHash(plumbing.BlobObject, []byte("x"))
	whole := tree.Tree{}.Edit(func(e *tree.Editor) { e.Put("a/b/c", h); e.Put("d", h) })
	require.Equal(t, map[string]plumbing.Hash{"b/c": h}, maps.Collect(whole.Sub("a").All()))
	require.Equal(t, tree.Empty, whole.Sub("nowhere").Hash())
	require.Equal(t, whole.Hash(), whole.Sub("").Hash())
	require.Zero(t, tree.Tree{}.Len())
}

// TestHashIsGits compares with the git command, names whose order differs between files and directories
// among them.
func TestHashIsGits(t *testing.T) {
	dir := t.TempDir()
	git := func(stdin string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
		cmd.Stdin = bytes.NewBufferString(stdin)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return strings.TrimSpace(string(out))
	}
	git("", "init", "--quiet")
	blob := git("content", "hash-object", "-w", "--stdin")
	var mine tree.Tree
	for _, path := range []string{"a.yaml", "a/x", "a-b/x", "a0", "ab/c/d", "z"} {
		git("", "update-index", "--add", "--cacheinfo", "100644,"+blob+","+path)
		mine = mine.Edit(func(e *tree.Editor) { e.Put(path, plumbing.NewHash(blob)) })
	}
	require.Equal(t, git("", "write-tree"), mine.Hash().String())
	require.Equal(t, git("", "hash-object", "-t", "tree", "-w", "/dev/null"), tree.Tree{}.Hash().String())
}

// BenchmarkChangeAndHash is the tree part of a tick: one object of many changed.
func BenchmarkChangeAndHash(b *testing.B) {
	for _, objects := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(objects), func(b *testing.B) {
			editor := tree.NewEditor(tree.Tree{})
			for i := range objects {
				editor.Put(path(i), plumbing.ComputeHash(plumbing.BlobObject, fmt.Append(nil, i)))
			}
			editor.Tree().Hash()
			for i := 0; b.Loop(); i++ {
				editor.Put(path(i%objects), plumbing.ComputeHash(plumbing.BlobObject, fmt.Append(nil, -i)))
				editor.Tree().Hash()
			}
		})
	}
}

// path spreads objects over namespaces of 100 objects of four kinds.
func path(i int) string {
	kind := []string{"deployments.apps", "services", "configmaps", "serviceaccounts"}[i%4]
	return fmt.Sprintf("namespaces/ns-%d/%s/object-%d.yaml", i/100, kind, i)
}
