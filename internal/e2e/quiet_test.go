package e2e

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// gitRequests counts the requests that the Git server has answered for a repository.
func gitRequests(t *testing.T, repo string) int {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(stack.Dir, "logs", "git.log"))
	require.NoError(t, err)
	return bytes.Count(log, []byte("/"+repo+".git/"))
}

func TestIdleTicksAskForNothing(t *testing.T) {
	for _, strategy := range []workflows.Strategy{workflows.Push, workflows.Pull} {
		t.Run(string(strategy), func(t *testing.T) {
			primary, gate := gated(t, clusters["primary"])
			repo := newRepo(t)
			if strategy == workflows.Pull {
				edit(t, repo, "an app", func(dir string) {
					write(t, dir, "app.yaml", strings.ReplaceAll(deployment, "NS", "default"))
				})
				t.Cleanup(func() {
					_ = primary.objects.Resource(deployments).Namespace("default").Delete(context.Background(), "cart", metav1.DeleteOptions{})
				})
			}
			name := "idle-" + string(strategy)
			startWorker(t, name, primary, t.TempDir())
			enroll(t, name, primary, repo, strategy)
			reaches(t, name, inSync)
			syncNow(t, name)
			head := git(t, repo, "rev-parse", "main")
			var asks atomic.Int32
			gate.Refuse(func(r *http.Request) int {
				if r.URL.Query().Get("watch") == "" {
					asks.Add(1)
				}
				return 0
			})
			gitBefore, ticks := gitRequests(t, repo), reaches(t, name, inSync).Ticks
			const idle = 20
			reaches(t, name, func(s workflows.Status) bool { return s.Ticks >= ticks+idle })
			asked := gitRequests(t, repo) - gitBefore
			passed := int(reaches(t, name, inSync).Ticks - ticks)
			require.Zero(t, asks.Load(), "requests of the worker to the API server in %d ticks", passed)
			require.LessOrEqual(t, asked, passed+1, "Git requests in %d ticks", passed)
			require.Equal(t, head, git(t, repo, "rev-parse", "main"))
		})
	}
}

func TestTheTokenIsNowhere(t *testing.T) {
	primary, repo := clusters["primary"], newRepo(t)
	data := t.TempDir()
	w := startWorker(t, "secretive", primary, data)
	enroll(t, "secretive", primary, repo, workflows.Push)
	reaches(t, "secretive", inSync)
	ps, err := exec.CommandContext(t.Context(), "ps", "-eww", "-o", "args").CombinedOutput()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(stack.TokenFile(repo), []byte("acs_another_0123456789"), 0o600))
	reaches(t, "secretive", func(s workflows.Status) bool { return s.Reason == workflows.AuthFailed })

	require.NotContains(t, string(ps), token, "process arguments")
	nowhere(t, traces{workers: []*worker{w}, enrolments: []string{"secretive"}, repo: repo, dirs: []string{data}}, token)
}
