package terms_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
)

var stack *stacktest.Stack

func TestMain(m *testing.M) {
	stacktest.Main(m, stacktest.Options{Git: true}, func(s *stacktest.Stack) error {
		stack = s
		return nil
	})
}

// origins counts them.
var origins atomic.Int32

// origin is a repository on the real Git server, with a clone in which a person works.
type origin struct {
	*testing.T
	name, work string
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	o := &origin{T: t, name: fmt.Sprint("repo-", origins.Add(1)), work: t.TempDir()}
	require.NoError(t, stack.AddRepo(t.Context(), o.name, "token"))
	o.git("init", "--quiet", "--initial-branch=main")
	return o
}

func (o *origin) git(args ...string) string {
	o.Helper()
	out, err := exec.CommandContext(o.Context(), "git", append([]string{"-C", o.work, "-c", "user.name=A", "-c", "user.email=a@example.com"}, args...)...).CombinedOutput()
	require.NoError(o, err, string(out))
	return strings.TrimSpace(string(out))
}

// commit makes these the only files of the branch, in one more commit.
func (o *origin) commit(files map[string]string) plumbing.Hash {
	o.Helper()
	for name, content := range files {
		file := filepath.Join(o.work, name)
		require.NoError(o, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(o, os.WriteFile(file, []byte(content), 0o644))
	}
	o.git("add", "--all")
	o.git("commit", "--quiet", "--allow-empty", "--message", "by hand")
	o.git("push", "--quiet", "--force", stack.RepoDir(o.name), "HEAD:main")
	return plumbing.NewHash(o.git("rev-parse", "HEAD"))
}

// unrelated makes the next commit the first of another history.
func (o *origin) unrelated() { o.git("checkout", "--quiet", "--orphan", "another") }

// fetched is the repository with a revision in its store, zero for none.
func (o *origin) fetched(path string, tip plumbing.Hash) *repo.Repository {
	o.Helper()
	r, err := repo.Open(repo.Options{URL: stack.RepoURL(o.name), Path: path, Credentials: func(context.Context) (repo.Credentials, error) {
		return repo.Credentials{Username: "git", Password: "token"}, nil
	}})
	require.NoError(o, err)
	o.Cleanup(func() { require.NoError(o, r.Close()) })
	if !tip.IsZero() {
		require.NoError(o, r.Fetch(o.Context(), tip))
	}
	return r
}
