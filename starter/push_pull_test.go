package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// uid is the identity of the cluster.
func (w *world) uid() string {
	w.Helper()
	system, err := w.kube.CoreV1().Namespaces().Get(w.Context(), "kube-system", metav1.GetOptions{})
	require.NoError(w, err)
	return string(system.UID)
}

// tip is where the branch is.
func (w *world) tip() string {
	w.Helper()
	out, err := exec.CommandContext(w.Context(), "git", "-C", w.stack.RepoDir(w.repo), "rev-parse", "main").CombinedOutput()
	require.NoError(w, err, string(out))
	return strings.TrimSpace(string(out))
}

// started is the configuration that the enrolment began with.
func (w *world) started() workflows.Config {
	w.Helper()
	r, e := w.enrolled()
	defer r.close()
	config, err := r.config(w.Context(), e)
	require.NoError(w, err)
	return config
}

func TestEnrollSaysHowPushPullBegins(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		flags []string
		says  string
	}{
		"no branch": {says: "main, the first sync creates it"},
		"empty":     {files: map[string]string{"README.md": "hello\n"}, says: "main is empty, the first sync stores the cluster there"},
		"content for Git": {files: map[string]string{"a.yaml": "a: 1\n"}, flags: []string{"--adopt", "git"},
			says: "main holds objects already: what only one side holds is carried to the other, and where both hold an object and differ, Git wins"},
		"content for the cluster": {files: map[string]string{"a.yaml": "a: 1\n"}, flags: []string{"--adopt", "cluster"},
			says: "main holds objects already: what only one side holds is carried to the other, and where both hold an object and differ, the cluster wins"},
		"mesh": {files: map[string]string{".cluster-sync.yaml": "layout: 1\nmembers: [{cluster: berlin, uid: 7d1c}]\n"}, flags: []string{"--adopt", "git"},
			says: `main holds objects already: what only one side holds is carried to the other, and where both hold an object and differ, Git wins; shared with "berlin"`},
		"own push": {files: map[string]string{".cluster-sync.yaml": "layout: 1\ncluster: CLUSTER\nuid: UID\n", "a.yaml": "a: 1\n"},
			says: "main holds what this cluster has stored before: what only one side holds is carried to the other, and where both hold an object and differ, it waits for a person"},
		"member": {files: map[string]string{".cluster-sync.yaml": "layout: 1\nmembers: [{cluster: berlin, uid: 7d1c}, {cluster: CLUSTER, uid: UID}]\n", "a.yaml": "a: 1\n"},
			says: `main holds what this cluster has stored before: what only one side holds is carried to the other, and where both hold an object and differ, it waits for a person; shared with "berlin"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for file, content := range test.files {
				test.files[file] = strings.NewReplacer("CLUSTER", w.cluster, "UID", w.uid()).Replace(content)
			}
			if test.files != nil {
				w.commit(test.files)
			}
			a := w.enroll(append([]string{"--strategy", "push-pull", "--on-conflict", "hold"}, test.flags...)...)
			require.Equal(t, done, a.code)
			require.Contains(t, a.err, "permitted for strategy push-pull\n")
			require.Contains(t, a.err, "✓ branch: "+test.says+"\n")
		})
	}
}

func TestPoliciesOfPushPullAreEnrolledAndShown(t *testing.T) {
	w := newWorld(t)
	w.commit(map[string]string{"a.yaml": "a: 1\n"})
	require.Equal(t, done, w.enroll("--strategy", "push-pull", "--on-conflict", "cluster", "--adopt", "git").code)
	started := w.started()
	require.Equal(t, workflows.PushPull, started.Strategy)
	require.Equal(t, workflows.ConflictCluster, started.OnConflict)
	require.Equal(t, workflows.AdoptGit, started.Adopt)

	a := w.run("status", w.cluster)
	require.Contains(t, a.out, "On conflict   cluster wins; adopted at first: git\n", "also without a worker")
	w.startWorker(&standin{})
	status := w.status()
	require.Equal(t, workflows.ConflictCluster, status.OnConflict)
	require.Equal(t, workflows.AdoptGit, status.Adopt)
	require.Contains(t, w.run("status", w.cluster).out, "On conflict   cluster wins; adopted at first: git\n")

	require.Equal(t, done, w.run("set-strategy", w.cluster, "none").code)
	a = w.run("status", w.cluster, "-o", "json")
	require.NotContains(t, a.out, "onConflict")
	require.NotContains(t, a.out, `"adopt"`)
}

// A first sync that waits for a person's word gets it without a new enrolment.
func TestARunningEnrolmentTakesAnAdoption(t *testing.T) {
	waiting := refusal(workflows.AdoptionRequired, "whose objects win?")
	for name, send := range map[string]func(w *world) answer{
		"set-strategy": func(w *world) answer { return w.run("set-strategy", w.cluster, "push-pull", "--adopt", "cluster") },
		"enroll":       func(w *world) answer { return w.enroll("--strategy", "push-pull", "--adopt", "cluster") },
	} {
		t.Run(name, func(t *testing.T) {
			s := &standin{export: waiting}
			w, _ := enrolled(t, workflows.PushPull, s)
			w.eventually("the wait", func() bool { return w.status().Reason == workflows.AdoptionRequired })
			s.set(func(s *standin) { s.export = nil })
			a := send(w)
			require.Equal(t, done, a.code)
			require.Contains(t, a.out, "the strategy is push-pull, adopting cluster\n")
			require.Equal(t, workflows.AdoptCluster, w.status().Adopt)
			w.eventually("the sync goes on", func() bool { return w.status().Reason != workflows.AdoptionRequired })

			again := w.enroll("--strategy", "push-pull", "--adopt", "cluster")
			require.Contains(t, again.out, "nothing had to be changed")
			kept := w.enroll()
			require.Contains(t, kept.out, "nothing had to be changed")
			require.Equal(t, workflows.AdoptCluster, w.status().Adopt)
		})
	}
}

func TestAnAdoptionIsKeptForTheWorker(t *testing.T) {
	w := newWorld(t)
	w.commit(map[string]string{"a.yaml": "a: 1\n"})
	require.Equal(t, done, w.enroll("--strategy", "pull").code)
	a := w.enroll("--strategy", "push-pull", "--adopt", "git")
	require.Equal(t, done, a.code)
	require.Contains(t, a.out, "the strategy is push-pull, adopting git, as soon as a worker runs")
	w.startWorker(&standin{})
	w.eventually("the signal is carried out", func() bool {
		var status workflows.Status
		return json.Unmarshal([]byte(starter(t.Context(), "", "status", w.cluster, "-o", "json").out), &status) == nil &&
			status.Strategy == workflows.PushPull && status.Adopt == workflows.AdoptGit
	})
}

// What pull has applied is known to both sides, so nobody needs to say whose objects win.
func TestPushPullAfterPullNeedsNoAdoption(t *testing.T) {
	w := newWorld(t)
	w.commit(map[string]string{"a.yaml": "a: 1\n"})
	s := &standin{}
	w.startWorker(s)
	s.set(func(s *standin) { s.revision = w.tip() })
	require.Equal(t, done, w.enroll("--strategy", "pull", "--secrets", "exclude").code)
	w.awaitState(workflows.InSync)

	// Under other rules it is not.
	refused := w.enroll("--strategy", "push-pull", "--ignore-namespace", "scratch")
	require.Equal(t, failed, refused.code)
	require.Contains(t, refused.sentence(t), "say with --adopt git or --adopt cluster")
	require.Equal(t, workflows.Pull, w.status().Strategy)

	a := w.enroll("--strategy", "push-pull")
	require.Equal(t, done, a.code)
	require.Contains(t, a.err, "✓ branch: main goes on from what both sides have agreed on")
	require.Equal(t, workflows.PushPull, w.status().Strategy)
}

func TestOneClusterIsNotEnrolledTwiceInOnePlace(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, done, w.enroll("--strategy", "none").code)
	w.commit(map[string]string{".cluster-sync.yaml": fmt.Sprintf("layout: 1\nmembers: [{cluster: %s, uid: %s}]\n", w.cluster, w.uid())})
	for _, strategy := range []string{"push", "push-pull"} {
		a := w.run("enroll", "alias", "--repo", w.url(), "--pat-file", w.tokenFile, "--strategy", strategy)
		require.Equal(t, failed, a.code)
		require.Contains(t, a.sentence(t), "is in use: this same cluster is enrolled as "+w.cluster+", so choose another --branch or --path")
	}
}
