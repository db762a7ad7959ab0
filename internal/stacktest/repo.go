package stacktest

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// NewRepo makes an empty repository of its own for a test.
func (s *Stack) NewRepo(t testing.TB, token string) string {
	t.Helper()
	name := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	require.NoError(t, s.AddRepo(t.Context(), name, token))
	return name
}

// Git runs the git command in a repository of the server.
func (s *Stack) Git(t testing.TB, repo string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", s.RepoDir(repo)}, args...)...).CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, out)
	return strings.TrimSpace(string(out))
}
