package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// enrolled is a world with an enrolment, and with a worker for it when there is a standin.
func enrolled(t *testing.T, strategy workflows.Strategy, s *standin) (*world, func()) {
	t.Helper()
	w := newWorld(t)
	if strategy == workflows.Pull {
		w.commit(map[string]string{"a.yaml": "a: 1\n"})
	}
	stop := func() {}
	if s != nil {
		stop = w.startWorker(s)
	}
	require.Equal(t, done, w.enroll("--strategy", string(strategy), "--secrets", "exclude").code)
	return w, stop
}

// status is what `status -o json` says.
func (w *world) status() workflows.Status {
	w.Helper()
	a := starter(w.Context(), "", "status", w.cluster, "-o", "json")
	require.Equal(w, done, a.code, a.err)
	var status workflows.Status
	require.NoError(w, json.Unmarshal([]byte(a.out), &status))
	return status
}

func (w *world) awaitState(state workflows.SyncState) {
	w.Helper()
	w.eventually("state "+string(state), func() bool {
		var status workflows.Status
		a := starter(w.Context(), "", "status", w.cluster, "-o", "json")
		return a.code == done && json.Unmarshal([]byte(a.out), &status) == nil && status.State == state
	})
}

func TestStatusOfAClusterThatIsNotEnrolled(t *testing.T) {
	w := newWorld(t)
	for _, command := range [][]string{{"status"}, {"status", "--watch"}, {"pause"}, {"sync"}, {"sync", "--wait"}, {"approve"}, {"diff"}, {"history"}, {"set-ignored-namespaces", "--add", "a"}} {
		a := w.run(append(command, w.cluster)...)
		require.Equal(t, failed, a.code)
		require.Equal(t, "cluster "+w.cluster+" is not enrolled: enrol it with `starter enroll "+w.cluster+" --repo URL --pat-file FILE`", a.sentence(t))
		require.Empty(t, a.out)
	}
}

func TestWithoutAWorkerNothingHangs(t *testing.T) {
	w, _ := enrolled(t, workflows.Push, nil)
	nobody := "no worker polls task queue cluster-sync-" + w.cluster + ": start one with `worker --cluster " + w.cluster + " --kubeconfig FILE`"
	began := time.Now()
	for _, command := range [][]string{
		{"set-strategy", w.cluster, "none"}, {"set-ignored-namespaces", w.cluster, "a"}, {"set-ignored-namespaces", w.cluster, "--add", "a"},
		{"sync", w.cluster, "--wait"}, {"pause", w.cluster}, {"resume", w.cluster}, {"approve", w.cluster}, {"status", w.cluster},
	} {
		a := w.run(command...)
		require.Equal(t, failed, a.code)
		require.Equal(t, nobody, a.sentence(t))
	}
	a := w.run("status", w.cluster)
	require.Contains(t, a.out, w.cluster+"  Syncing, as last recorded: no worker answers\n")
	require.Contains(t, a.out, w.url())
	a = w.run("status", w.cluster, "-o", "yaml")
	require.Equal(t, failed, a.code)
	require.Contains(t, a.out, "reason: NoWorker\n")

	a = w.run("sync", w.cluster)
	require.Equal(t, done, a.code)
	require.Contains(t, a.err, nobody+"; it syncs as soon as one runs")

	a = w.run("list")
	require.Equal(t, done, a.code)
	require.Contains(t, a.out, w.cluster+"  push      Syncing")
	require.Less(t, time.Since(began), time.Minute)
}

// A worker that is gone is remembered by Temporal for a while; the query tells.
func TestStatusSaysWhenTheWorkerIsGone(t *testing.T) {
	w, stop := enrolled(t, workflows.Push, &standin{})
	w.awaitState(workflows.InSync)
	stop()
	a := w.run("status", w.cluster)
	require.Equal(t, failed, a.code)
	require.Contains(t, a.sentence(t), "no worker ")
	require.Contains(t, a.sentence(t), "task queue cluster-sync-"+w.cluster)
	require.Contains(t, a.out, "InSync, as last recorded: no worker answers")
	require.Contains(t, a.out, "Revision      012345678901\n")
	a = w.run("pause", w.cluster)
	require.Equal(t, failed, a.code)
	require.Contains(t, a.sentence(t), "no worker ")
}

func TestStatusAndListShowTheWorkersAnswer(t *testing.T) {
	w, _ := enrolled(t, workflows.Push, &standin{})
	w.awaitState(workflows.InSync)
	a := w.run("status", w.cluster)
	require.Equal(t, done, a.code)
	require.True(t, strings.HasPrefix(a.out, w.cluster+"  InSync (Settled)\ncluster and Git agree; 3 Secrets are not synced (secrets policy: exclude)\n"), a.out)
	require.Contains(t, a.out, "push  012345678901  12 added, 0 updated, 0 deleted")

	var entries []listEntry
	w.eventually("the list has it", func() bool {
		return json.Unmarshal([]byte(starter(t.Context(), "", "list", "-o", "json").out), &entries) == nil && len(entries) == 1 && entries[0].Status != nil
	})
	require.Equal(t, w.cluster, entries[0].Cluster)
	require.Equal(t, workflows.InSync, entries[0].State)
	require.Equal(t, 12, entries[0].Status.Objects)
	require.Contains(t, w.run("list").out, w.cluster+"  push      InSync  012345678901  0s   12       0       Settled\n")
	require.Contains(t, w.run("status", completionFlag).out, w.cluster+"\n")
}

func TestEmptyListSaysHowToEnroll(t *testing.T) {
	w := newWorld(t)
	w.eventually("earlier tests are over", func() bool { return starter(t.Context(), "", "list", "-o", "json").out == "[]\n" })
	a := w.run("list")
	require.Equal(t, done, a.code)
	require.Empty(t, a.out)
	require.Contains(t, a.err, "no cluster is enrolled in namespace default: enrol one with `starter enroll")
}

func TestStatusShowsAWrongTokenInOneSentence(t *testing.T) {
	message := "the Git server refuses the credentials: check the token"
	w, _ := enrolled(t, workflows.Push, &standin{export: refusal(workflows.AuthFailed, message)})
	w.awaitState(workflows.Blocked)
	a := w.run("status", w.cluster)
	require.Equal(t, done, a.code)
	require.True(t, strings.HasPrefix(a.out, w.cluster+"  Blocked (AuthFailed)\n"+message+"\n"), a.out)
	a = w.run("sync", w.cluster, "--wait")
	require.Equal(t, failed, a.code)
	require.Equal(t, "cluster "+w.cluster+" is Blocked (AuthFailed): "+message, a.sentence(t))
}

func TestChangesAnswerWithTheStatusTheyLedTo(t *testing.T) {
	w, _ := enrolled(t, workflows.Push, &standin{})
	w.awaitState(workflows.InSync)

	a := w.run("pause", w.cluster)
	require.Equal(t, done, a.code)
	require.Equal(t, w.cluster+": paused; `starter resume` goes on\nPaused (PausedByUser): nothing runs until resume\n", a.out)
	for _, command := range [][]string{{"sync", w.cluster, "--wait"}, {"sync", w.cluster}} {
		a = w.run(command...)
		require.Equal(t, failed, a.code)
		require.Contains(t, a.sentence(t), "is paused: ")
	}
	require.Equal(t, done, w.run("resume", w.cluster).code)
	require.Equal(t, done, w.run("sync", w.cluster).code)
	w.awaitState(workflows.InSync)

	a = w.run("sync", w.cluster, "--wait")
	require.Equal(t, done, a.code)
	require.Contains(t, a.out, w.cluster+": the sync has ended, revision 012345678901\nInSync (Settled): ")
	require.Equal(t, done, w.run("sync", w.cluster).code)

	a = w.run("set-ignored-namespaces", w.cluster, "b", "a", "-o", "json")
	require.Equal(t, done, a.code)
	require.Equal(t, []string{"a", "b"}, w.status().IgnoredNamespaces)
	var status workflows.Status
	require.NoError(t, json.Unmarshal([]byte(a.out), &status))
	require.Equal(t, []string{"a", "b"}, status.IgnoredNamespaces)
	a = w.run("set-ignored-namespaces", w.cluster, "--add", "c", "--remove", "a", "--add", "b")
	require.Contains(t, a.out, "ignored namespaces are b, c\n")

	a = w.run("set-strategy", w.cluster, "none")
	require.Equal(t, w.cluster+": the strategy is none\nStopped (StrategyNone): nothing runs: choose a direction with set-strategy\n", a.out)
	a = w.run("sync", w.cluster, "--wait")
	require.Equal(t, failed, a.code)
	require.Equal(t, "the strategy is none: set another one first", a.sentence(t))
	a = w.run("approve", w.cluster)
	require.Equal(t, failed, a.code)
	require.Equal(t, "no deletions are waiting for approval", a.sentence(t))
}

func TestApproveCarriesOutWhatWaits(t *testing.T) {
	s := &standin{withheld: 30}
	w, _ := enrolled(t, workflows.Pull, s)
	w.awaitState(workflows.Blocked)
	a := w.run("status", w.cluster)
	require.Contains(t, a.out, "Deletions waiting for approval: 30\n  `starter approve "+w.cluster+"` carries them out")
	require.Equal(t, done, w.run("approve", w.cluster).code)
	w.awaitState(workflows.InSync)
	s.set(func(s *standin) { require.True(t, s.approved) })
}

func TestSyncWaitShowsThatItIsStillWaiting(t *testing.T) {
	s := &standin{}
	w, _ := enrolled(t, workflows.Push, s)
	w.awaitState(workflows.InSync)
	hold := make(chan struct{})
	s.set(func(s *standin) { s.hold = hold })
	var out, progress stacktest.Output
	answers := make(chan int)
	go func() {
		answers <- run(t.Context(), []string{"starter", "sync", w.cluster, "--wait"}, strings.NewReader(""), &out, &progress)
	}()
	w.eventually("a line of progress", func() bool {
		return strings.Contains(progress.String(), "waiting for the sync of "+w.cluster+" (") && strings.Contains(progress.String(), "s): Export")
	})
	close(hold)
	require.Equal(t, done, <-answers)
	require.Contains(t, out.String(), "the sync has ended")
}

func TestSyncWaitGivesUpAfterItsTimeout(t *testing.T) {
	s := &standin{}
	w, _ := enrolled(t, workflows.Push, s)
	w.awaitState(workflows.InSync)
	hold := make(chan struct{})
	defer close(hold)
	s.set(func(s *standin) { s.hold = hold })
	a := w.run("sync", w.cluster, "--wait", "--timeout", "1s")
	require.Equal(t, failed, a.code)
	require.Contains(t, a.sentence(t), "has answered within 1s")
}

func TestUnenrollEndsTheSyncAndRemovesTheCredentials(t *testing.T) {
	w, _ := enrolled(t, workflows.Push, &standin{})
	w.awaitState(workflows.InSync)
	a := w.run("unenroll", w.cluster, "--yes", "--context", kubernetesName)
	require.Equal(t, done, a.code)
	require.Contains(t, a.out, "The sync of cluster "+w.cluster+" has ended. What is in Git and in the cluster is left as it is.\n")
	require.Contains(t, a.out, "The Git credentials were removed from the cluster")
	w.nothingDone()
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED, w.ending())

	again := w.run("unenroll", w.cluster, "--yes", "--context", kubernetesName)
	require.Equal(t, done, again.code)
	require.Contains(t, again.out, "is not enrolled, so there is no sync to end")
	require.Equal(t, done, w.enroll("--strategy", "push").code, "a new enrolment of the same cluster")
}

func (w *world) ending() enumspb.WorkflowExecutionStatus {
	w.Helper()
	described, err := w.temporal.DescribeWorkflowExecution(w.Context(), workflows.WorkflowID(w.cluster), "")
	require.NoError(w, err)
	return described.GetWorkflowExecutionInfo().GetStatus()
}

func TestUnenrollTellsOfALockThatStays(t *testing.T) {
	for name, c := range map[string]struct {
		standin *standin
		tells   bool
	}{
		"taken away":    {&standin{}, false},
		"not permitted": {&standin{stuck: true}, true},
		"no worker":     {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := enrolled(t, workflows.Pull, c.standin)
			if c.standin != nil {
				w.eventually("the lock is up", func() bool { return w.status().Lock.State == workflows.LockingOn })
			}
			a := w.run("unenroll", "--yes", w.cluster)
			require.Equal(t, done, a.code)
			by := "kubectl delete validatingadmissionpolicybinding,validatingadmissionpolicy active-cluster-sync-lock-" + w.cluster
			if c.tells {
				require.Contains(t, a.out, by)
			} else {
				require.NotContains(t, a.out, by)
			}
		})
	}
}

func TestUnenrollWithoutAWorkerTerminates(t *testing.T) {
	w, _ := enrolled(t, workflows.Push, nil)
	a := w.run("unenroll", "--yes", w.cluster)
	require.Equal(t, done, a.code)
	require.Contains(t, a.out, "it was terminated, because no worker answers")
	require.Contains(t, a.out, "repeat this with --context")
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, w.ending())
	require.NotNil(t, w.secret())
}

func TestUnenrollLeavesTheCredentialsOfAnotherClusterAlone(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, done, w.enroll().code)
	a := w.run("unenroll", "--yes", w.cluster+"-typo", "--context", kubernetesName)
	require.Equal(t, done, a.code)
	require.Contains(t, a.out, "Temporal does not remember cluster "+w.cluster+"-typo, so the Git credentials of the cluster that you named were left alone.")
	require.NotNil(t, w.secret())
	require.True(t, w.running())
}

// An enrolment is bound to its cluster (I7): here the same API server is made to look like another one
// by an enrolment that carries another UID.
func TestAnotherClusterIsRefused(t *testing.T) {
	w := newWorld(t)
	r, err := openRegistry(t.Context())
	require.NoError(t, err)
	defer r.close()
	e := &enrolling{t: newTerminal(nil, nil, nil), registry: r, config: workflows.Config{
		Cluster: w.cluster, ClusterUID: "another", Repository: w.url(), Branch: "main", Path: ".", Strategy: workflows.None,
		Interval: metav1.Duration{Duration: workflows.DefaultInterval}, Secrets: workflows.SecretsExclude,
	}}
	require.NoError(t, e.start(t.Context()))
	a := w.enroll()
	require.Equal(t, failed, a.code)
	require.Contains(t, a.sentence(t), "is another cluster: give the right --context, or run `starter unenroll "+w.cluster+"` first")
	require.Nil(t, w.secret())
	a = w.run("unenroll", "--yes", w.cluster, "--context", kubernetesName)
	require.Equal(t, failed, a.code)
	require.Contains(t, a.sentence(t), "is not the one that is enrolled as "+w.cluster+", so nothing was changed")
	require.True(t, w.running())
}

// Two enrolments at the same moment: one is started, the other is told.
func TestOnlyOneOfTwoEnrolmentsIsStarted(t *testing.T) {
	w := newWorld(t)
	r, err := openRegistry(t.Context())
	require.NoError(t, err)
	defer r.close()
	system, err := w.kube.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	require.NoError(t, err)
	start := func(branch string) error {
		return (&enrolling{t: newTerminal(nil, nil, nil), registry: r, config: workflows.Config{
			Cluster: w.cluster, ClusterUID: string(system.UID), Repository: w.url(), Branch: branch, Path: ".", Strategy: workflows.None,
		}}).start(t.Context())
	}
	results := make(chan error)
	for i := range 4 {
		go func() { results <- start(fmt.Sprintf("branch-%d", i)) }()
	}
	started := 0
	for range 4 {
		if err := <-results; err == nil {
			started++
		} else {
			require.ErrorContains(t, err, "was enrolled with another repository or cluster at the same moment")
		}
	}
	require.Equal(t, 1, started)
}
