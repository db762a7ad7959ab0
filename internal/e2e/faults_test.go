package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func set(t *testing.T, on *cluster, namespace, name, value string) {
	t.Helper()
	change(t, on, configMaps, namespace, name, setKey(value))
}

// TestTwoClustersPushToOneBranch has two clusters push to a branch each to a path of its own, at the same time.
func TestTwoClustersPushToOneBranch(t *testing.T) {
	t.Parallel()
	repo := newRepo(t)
	enrolments := map[string]*cluster{"duo-a": clusters["primary"], "duo-b": clusters["standby"]}
	workers := map[string]*worker{}
	for name, on := range enrolments {
		newNamespace(t, on, "duo")
		create(t, on, configMaps, labelled("duo", "counter", ""))
		workers[name] = startWorker(t, name, on, t.TempDir())
		enroll(t, name, on, repo, workflows.Push, "--selector", "acs=duo", "--path", "clusters/"+name)
	}
	for name := range enrolments {
		reaches(t, name, inSync)
	}
	// The server takes its time with each push, so that both are there at once.
	hook := filepath.Join(stack.RepoDir(repo), "hooks", "pre-receive")
	require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\nsleep 1\n"), 0o700)) //nolint:gosec // Git runs it
	file := func(name string) string { return "main:clusters/" + name + "/namespaces/duo/configmaps/counter.yaml" }
	lost := func() int {
		return strings.Count(workers["duo-a"].log.String(), "the branch has moved") + strings.Count(workers["duo-b"].log.String(), "the branch has moved")
	}
	for round := 0; round < 3 || lost() == 0; round++ {
		require.Less(t, round, 30, "the two never came across each other")
		value := fmt.Sprint("round-", round)
		for _, on := range enrolments {
			set(t, on, "duo", "counter", value)
		}
		for name := range enrolments {
			eventually(t, func() bool { return strings.Contains(git(t, repo, "show", file(name)), value) },
				func() string { return tail(workers[name].log.String()) })
			reaches(t, name, inSync)
		}
	}
	t.Logf("%d pushes lost the race and were planned again", lost())
	require.NoError(t, os.Remove(hook))
	for commit := range strings.Lines(git(t, repo, "rev-list", "main")) {
		commit = strings.TrimSpace(commit)
		author := git(t, repo, "log", "-1", "--format=%(trailers:key=Cluster,valueonly)", commit)
		require.Contains(t, enrolments, author)
		for path := range strings.Lines(git(t, repo, "diff-tree", "--root", "--no-commit-id", "--name-only", "-r", commit)) {
			require.True(t, strings.HasPrefix(path, "clusters/"+author+"/"), "%s changed %s", author, path)
		}
	}

	// A path has one owner, whether the second comes by the command line or by a change of strategy.
	head := git(t, repo, "rev-parse", "main")
	out, errs, exit := tryEnroll(t, "duo-c", clusters["standby"], repo, workflows.Push, "--selector", "acs=duo", "--path", "clusters/duo-a")
	require.Equal(t, 1, exit, out)
	require.Contains(t, out+errs, `belongs to cluster "duo-a"`)
	startWorker(t, "duo-c", clusters["standby"], t.TempDir())
	enroll(t, "duo-c", clusters["standby"], repo, workflows.None, "--path", "clusters/duo-a")
	update(t, "duo-c", workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: workflows.Push})
	s := reaches(t, "duo-c", func(s workflows.Status) bool { return s.State == workflows.Blocked })
	require.Equal(t, workflows.PathOwned, s.Reason)
	require.Contains(t, s.Message, `belongs to cluster "duo-a"`)
	for name := range enrolments {
		syncNow(t, name)
	}
	require.Equal(t, head, git(t, repo, "rev-parse", "main"), "nothing was written")
}

// TestAFullDataDirectoryIsToldAndHeals needs the right to mount a file system, as in a container that runs as
// root.
func TestAFullDataDirectoryIsToldAndHeals(t *testing.T) {
	primary, repo, data := clusters["primary"], newRepo(t), t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", data).CombinedOutput(); err != nil {
		t.Skipf("can't mount a small file system: %s", out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", "-l", data).Run()) })
	newNamespace(t, primary, "full")
	create(t, primary, configMaps, configMap("full", "settings", "one"))
	w := startWorker(t, "full", primary, data)
	enroll(t, "full", primary, repo, workflows.Push)
	reaches(t, "full", inSync)
	head := git(t, repo, "rev-parse", "main")

	filler := filepath.Join(data, "filler")
	require.ErrorContains(t, os.WriteFile(filler, make([]byte, 8<<20), 0o600), "no space left")
	set(t, primary, "full", "settings", "two")
	s := reaches(t, "full", func(s workflows.Status) bool { return s.Reason == workflows.DiskFull })
	require.Contains(t, s.Message, "the data directory "+data)
	require.Contains(t, s.Message, "is full")
	require.NotEqual(t, workflows.InSync, s.State)
	require.Equal(t, head, git(t, repo, "rev-parse", "main"))

	require.NoError(t, os.Remove(filler))
	eventually(t, func() bool {
		return strings.Contains(git(t, repo, "show", "main:namespaces/full/configmaps/settings.yaml"), "two")
	}, func() string { return tail(w.log.String()) })
	reaches(t, "full", inSync)
	require.Equal(t, head, git(t, repo, "rev-parse", "main^"), "one change, one commit")
}
