package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// TestPushPullLosesNothingWhereGitIsBroken goes through what may happen to a repository.
func TestPushPullLosesNothingWhereGitIsBroken(t *testing.T) {
	t.Parallel()
	const ns = "broken-both"
	repo := newRepo(t)
	edit(t, repo, "The shop", func(dir string) {
		write(t, dir, "shop/all.yaml", strings.ReplaceAll(handWritten, "NS", ns))
		write(t, dir, "shop/more.yaml", labelled(ns, "first", "")+"---\n"+labelled(ns, "second", ""))
	})
	gate := stacktest.NewGate(t, stack.Env["GIT_URL"], http.DefaultTransport, nil)
	s := join(t, clusters["standby"], "broken-both", ns, repo, "--repo", gate.URL()+"/"+repo+".git")
	s.settled()
	blocked := func(reason string) workflows.Status {
		t.Helper()
		return reaches(t, s.name, func(now workflows.Status) bool { return now.State == workflows.Blocked && now.Reason == reason })
	}

	// The branch is gone: nothing is concluded from it, and nobody makes another one.
	tip := git(t, repo, "rev-parse", "main")
	git(t, repo, "update-ref", "-d", "refs/heads/main")
	set(t, s.on, ns, "first", "while-away")
	require.Contains(t, blocked(workflows.BranchNotFound).Message, "restore it at revision "+tip[:12])
	ticks := syncNow(t, s.name)
	require.Equal(t, workflows.BranchNotFound, ticks.Reason)
	require.Empty(t, git(t, repo, "branch", "--list"))
	require.Equal(t, "while-away", keyIn(t, s.on, ns, "first"))
	git(t, repo, "update-ref", "refs/heads/main", tip)
	s.settled()
	require.Contains(t, s.file("shop/more.yaml"), "while-away")

	// Who may only read still gets what Git says.
	readOnly := map[string]func() (mend func()){
		workflows.PushRejected: func() func() {
			hook := filepath.Join(stack.RepoDir(repo), "hooks", "pre-receive")
			require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\nread old new ref\ntest \"$(git log -1 --format=%an $new)\" = P || { echo protected >&2; exit 1; }\n"), 0o700)) //nolint:gosec // Git runs it
			return func() { require.NoError(t, os.Remove(hook)) }
		},
		workflows.AuthFailed: func() func() {
			gate.Refuse(func(r *http.Request) int {
				if strings.Contains(r.URL.Path+r.URL.RawQuery, "git-receive-pack") {
					return http.StatusForbidden
				}
				return 0
			})
			return func() { gate.Refuse(nil) }
		},
	}
	for reason, breaks := range readOnly {
		mend := breaks()
		set(t, s.on, ns, "first", "by-cluster-"+strings.ToLower(reason))
		tip := s.editFile("app: cart}\nspec:", "app: cart, said: "+strings.ToLower(reason)+"}\nspec:")
		blocked(reason)
		eventually(t, func() bool {
			return get(t, s.on, deployments, ns, "cart").GetLabels()["said"] == strings.ToLower(reason)
		}, func() string { return tail(s.worker.log.String()) })
		now := syncNow(t, s.name)
		require.Equal(t, workflows.Blocked, now.State, describe(now, nil))
		require.Equal(t, reason, now.Reason)
		require.Equal(t, "by-cluster-"+strings.ToLower(reason), keyIn(t, s.on, ns, "first"), "the cluster's edit stays")
		require.Equal(t, tip, git(t, repo, "rev-parse", "main"))
		mend()
		s.settled()
		require.Contains(t, s.file("shop/more.yaml"), "by-cluster-"+strings.ToLower(reason))
		s.editFile(", said: "+strings.ToLower(reason)+"}", "}")
		s.settled()
	}

	// A link is where a file has to go: that object waits, and says why.
	edit(t, repo, "A link", func(dir string) { require.NoError(t, os.Symlink("shop", filepath.Join(dir, "namespaces"))) })
	create(t, s.on, configMaps, labelled(ns, "in-the-way", ""))
	set(t, s.on, ns, "first", "beside-a-link")
	waits := workflows.Failure{}
	now := reaches(t, s.name, func(now workflows.Status) bool {
		for _, f := range now.Failed { // the link is one of them
			if f.Object == "configmaps "+ns+"/in-the-way" {
				waits = f
			}
		}
		return waits.Object != ""
	})
	require.Equal(t, workflows.Degraded, now.State)
	require.Contains(t, waits.Message, "can't be written")
	eventually(t, func() bool { return strings.Contains(s.file("shop/more.yaml"), "beside-a-link") }, func() string { return tail(s.worker.log.String()) })
	edit(t, repo, "No link", func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "namespaces"))) })
	s.settled()
	require.Contains(t, files(t, repo), "namespaces/"+ns+"/configmaps/in-the-way.yaml")

	// Another history is in its place, and the one that both sides agreed on can't be had any more; the worker has
	// lost its memory, too. Nothing is known to be deleted then.
	s.worker.kill()
	set(t, s.on, ns, "first", "an-edit-meanwhile")
	text := s.file("shop/all.yaml")
	edited := edit(t, repo, "Rewritten", func(dir string) {
		write(t, dir, "shop/all.yaml", strings.Replace(text, "colour: blue", "colour: green", 1)+"\n")
		write(t, dir, "shop/more.yaml", strings.ReplaceAll(labelled(ns, "first", ""), "one", "by-rewrite"))
	})
	orphan := git(t, repo, "-c", "user.name=P", "-c", "user.email=p@example.com", "commit-tree", "-m", "a new beginning", edited+"^{tree}")
	git(t, repo, "update-ref", "refs/heads/main", orphan)
	git(t, repo, "reflog", "expire", "--expire=now", "--all")
	git(t, repo, "gc", "--quiet", "--prune=now")
	s.worker = startWorker(t, s.name, s.on, t.TempDir())
	now = reaches(t, s.name, func(now workflows.Status) bool {
		return now.Revision == git(t, repo, "rev-parse", "main") && s.setting("colour") == "green"
	})
	require.Equal(t, workflows.BranchReplaced, now.BranchEvent.Change)
	require.NotNil(t, get(t, s.on, configMaps, ns, "second"), "what Git lacks isn't deleted")
	require.Contains(t, files(t, repo), "namespaces/"+ns+"/configmaps/second.yaml", "but stored")
	require.Equal(t, "by-rewrite", keyIn(t, s.on, ns, "first"), "Git wins")
	require.Contains(t, git(t, repo, "log", "-p", "main"), "an-edit-meanwhile", "and the edit is in the history")
	t.Log(describe(now, nil))
}
