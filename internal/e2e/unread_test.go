package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// What stands in the place of a file and can't be read doesn't say that its objects are gone. Nothing is deleted
// while it stands there, and what is removed for good goes once it doesn't.
func TestWhatCannotBeReadDeletesNothing(t *testing.T) {
	const namespace = "unread"
	standby, repo := clusters["standby"], newRepo(t)
	dropAfter(t, standby, namespace)
	asJSON := func(name string) string {
		text, err := object(t, configMap(namespace, name, "x")).MarshalJSON()
		require.NoError(t, err)
		return string(text)
	}
	edit(t, repo, "an app", func(dir string) {
		write(t, dir, "namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+namespace+"}\n")
		write(t, dir, "keeps.yaml", configMap(namespace, "keeps", "x"))
		write(t, dir, "linked.yaml", configMap(namespace, "linked", "x"))
		write(t, dir, "pointer.yaml", configMap(namespace, "pointer", "x"))
		write(t, dir, "dir/moved.yaml", configMap(namespace, "moved", "x"))
		write(t, dir, "vendored/inner.yaml", configMap(namespace, "vendored", "x"))
		write(t, dir, "replaced.json", asJSON("replaced"))
		write(t, dir, "leaves.yaml", configMap(namespace, "leaves", "x"))
	})
	startWorker(t, "careful", standby, t.TempDir())
	enroll(t, "careful", standby, repo, workflows.Pull)
	reaches(t, "careful", inSync)
	names := func() (found []string) {
		list, err := standby.objects.Resource(configMaps).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		for _, o := range list.Items {
			if o.GetName() != "kube-root-ca.crt" {
				found = append(found, o.GetName())
			}
		}
		return found
	}
	all := []string{"keeps", "leaves", "linked", "moved", "pointer", "replaced", "vendored"}
	require.ElementsMatch(t, all, names())

	for _, c := range []struct {
		name, file, message string
		replace             func(dir string)
	}{
		{"a link", "linked.yaml", "symbolic link", func(dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "linked.yaml")))
			require.NoError(t, os.Symlink("keeps.yaml", filepath.Join(dir, "linked.yaml")))
		}},
		{"a link in the place of a directory", "dir", "symbolic link", func(dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "dir")))
			require.NoError(t, os.Symlink("../elsewhere", filepath.Join(dir, "dir")))
		}},
		{"a submodule in the place of a directory", "vendored", "submodule", func(dir string) {
			out, err := exec.CommandContext(t.Context(), "git", "-C", dir, "rm", "-r", "--quiet", "vendored").CombinedOutput()
			require.NoError(t, err, "%s", out)
			flaw{path: "vendored"}.put(t, dir)
		}},
		{"a Git LFS pointer", "pointer.yaml", "Git LFS pointer", func(dir string) {
			write(t, dir, "pointer.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
		}},
		{"the JSON of something else", "replaced.json", "holds something else", func(dir string) {
			write(t, dir, "replaced.json", `{"message": "Not Found"}`)
		}},
	} {
		before := git(t, repo, "rev-parse", "main")
		revision := edit(t, repo, c.name, func(dir string) {
			c.replace(dir)
			require.NoError(t, os.Remove(filepath.Join(dir, "leaves.yaml")))
		})
		s := reaches(t, "careful", func(s workflows.Status) bool { return s.Revision == revision })
		require.Len(t, s.Failed, 1, "%s\n%s", c.name, describe(s, nil))
		require.Equal(t, c.file, s.Failed[0].File, c.name)
		require.Contains(t, s.Failed[0].Message, c.message, c.name)
		syncNow(t, "careful")
		require.ElementsMatch(t, all, names(), c.name)

		git(t, repo, "update-ref", "refs/heads/main", before)
		reaches(t, "careful", func(s workflows.Status) bool { return inSync(s) && s.Revision == before })
	}

	removed := edit(t, repo, "remove them", func(dir string) {
		require.NoError(t, os.Remove(filepath.Join(dir, "leaves.yaml")))
		require.NoError(t, os.Remove(filepath.Join(dir, "replaced.json")))
	})
	reaches(t, "careful", func(s workflows.Status) bool { return inSync(s) && s.Revision == removed })
	require.ElementsMatch(t, []string{"keeps", "linked", "moved", "pointer", "vendored"}, names())
}
