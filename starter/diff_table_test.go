package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/internal/preview"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func samplePreview() preview.Preview {
	return preview.Preview{
		Cluster: "standby", Strategy: workflows.Pull, Revision: strings.Repeat("ab", 20),
		Changes: []preview.Change{
			{
				Object: "configmaps shop/a", Action: preview.Update, Reason: preview.EditedInCluster, Message: "edited in the cluster", File: "a.yaml:3",
				Diff: "--- live/a\n+++ synced/a\n@@ -1,2 +1,2 @@\n data:\n-  key: \x1b[2Jevil\n+  key:\tone\n",
			},
			{Object: "evil\x1b[2Jname", Action: preview.Fail, Reason: preview.Mistake, Message: "two\nlines"},
		},
		Counts: preview.Counts{Update: 1, Failed: 1},
	}
}

func TestDiffTableIsTheReasonTheDiffAndTheSum(t *testing.T) {
	var out bytes.Buffer
	(&terminal{out: &out}).diffTable(samplePreview(), false)
	require.Equal(t, ""+
		"update configmaps shop/a (a.yaml:3): edited in the cluster\n"+
		"--- live/a\n+++ synced/a\n@@ -1,2 +1,2 @@\n data:\n-  key: \uFFFD[2Jevil\n+  key:\tone\n\n"+
		"fail evil[2Jname: two lines\n"+
		"standby, pull, against revision abababababab: 1 to update, 1 that can't be done in the cluster\n", out.String())

	out.Reset()
	(&terminal{out: &out}).diffTable(samplePreview(), true)
	require.Equal(t, ""+
		"update configmaps shop/a (a.yaml:3) +1 -1: edited in the cluster\n"+
		"fail evil[2Jname: two lines\n"+
		"standby, pull, against revision abababababab: 1 to update, 1 that can't be done in the cluster\n", out.String())
}

func TestDiffTableOfBothWaysSaysWhichSideGetsWhat(t *testing.T) {
	counts := map[preview.Direction]preview.Counts{preview.ToCluster: {Update: 1, Withheld: 2}, preview.ToGit: {Create: 1}}
	p := preview.Preview{
		Cluster: "edge", Strategy: workflows.PushPull, Revision: strings.Repeat("ab", 20),
		Changes: []preview.Change{
			{Object: "configmaps shop/a", Action: preview.Update, Direction: preview.ToCluster, Message: "changed in Git", File: "a.yaml:3"},
			{Object: "configmaps shop/b", Action: preview.Create, Direction: preview.ToGit, Message: "new in the cluster", File: "b.yaml"},
			{Object: "configmaps shop/c", Action: preview.Wait, Message: "it was changed on both sides", File: "c.yaml:1", Conflict: &preview.Conflict{}},
		},
		Counts: preview.Counts{Create: 1, Update: 1, Withheld: 2, Waiting: 1, Conflicts: 1}, Sides: counts,
	}
	var out bytes.Buffer
	(&terminal{out: &out}).diffTable(p, true)
	require.Equal(t, ""+
		"update configmaps shop/a (a.yaml:3) in the cluster: changed in Git\n"+
		"create configmaps shop/b (b.yaml) in Git: new in the cluster\n"+
		"wait configmaps shop/c (c.yaml:1): it was changed on both sides\n"+
		"edge, push-pull, against revision abababababab: in the cluster 1 to update, 2 deletions that would wait for approval; in Git 1 to create; "+
		"1 changed on both sides; 1 that would wait until somebody makes both sides agree\n", out.String())

	out.Reset()
	p = preview.Preview{Cluster: "edge", Strategy: workflows.PushPull, Refused: "an adoption is needed", Adoption: map[workflows.AdoptPolicy]preview.Adoption{
		workflows.AdoptCluster: {Counts: preview.Counts{Create: 1}, Sides: counts}, workflows.AdoptGit: {},
	}}
	(&terminal{out: &out}).diffTable(p, true)
	require.Equal(t, ""+
		"edge, push-pull, against a branch that does not exist yet: nothing would be written: an adoption is needed\n"+
		"  --adopt git: nothing to do\n"+
		"  --adopt cluster: in the cluster 1 to update, 2 deletions that would wait for approval; in Git 1 to create\n", out.String())
}

func TestDiffIsColouredForPeopleOnly(t *testing.T) {
	var out bytes.Buffer
	coloured := &terminal{out: &out, outTTY: true}
	coloured.diffTable(samplePreview(), false)
	require.Contains(t, out.String(), "\x1b["+green+"m+  key:\tone\x1b[0m\n")
	require.Contains(t, out.String(), "\x1b["+red+"m-  key: \uFFFD[2Jevil\x1b[0m\n")
	require.Contains(t, out.String(), "\x1b["+cyan+"m@@ -1,2 +1,2 @@\x1b[0m\n")
	require.Contains(t, out.String(), "\n data:\n")
	out.Reset()
	coloured.plain = true
	coloured.diffTable(samplePreview(), false)
	require.NotContains(t, out.String(), "\x1b")
}

func TestLongDiffIsCutForPeople(t *testing.T) {
	var out bytes.Buffer
	p := samplePreview()
	p.Changes[0].Diff = "--- a\n+++ b\n" + strings.Repeat("+x\n", 1000)
	(&terminal{out: &out}).diffTable(p, false)
	require.Contains(t, out.String(), "… and 602 more lines: -o json has them all\n")
	require.Less(t, strings.Count(out.String(), "\n"), 420)
}

func TestSumSaysWhatWouldBeDone(t *testing.T) {
	for want, p := range map[string]preview.Preview{
		"a, pull, against revision abababababab: nothing to do": {Cluster: "a", Strategy: workflows.Pull, Revision: strings.Repeat("ab", 20)},
		"a, push, against a branch that does not exist yet: 3 to create in Git": {
			Cluster: "a", Strategy: workflows.Push, Counts: preview.Counts{Create: 3},
		},
		"a, push, against revision cd: nothing would be written: it is occupied": {
			Cluster: "a", Strategy: workflows.Push, Revision: "cd", Refused: "it is\noccupied",
		},
	} {
		require.Equal(t, want, new(terminal).diffSum(p))
	}
}

func TestHistoryTableHasALineForEachSync(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.Local)
	last := at.Add(time.Minute)
	var out bytes.Buffer
	(&terminal{out: &out}).historyTable([]workflows.Record{
		{Time: at, Direction: workflows.Push, Problem: &workflows.Problem{Reason: workflows.AuthFailed, Message: "the token\x1b is\nold"}, Times: 12, Last: &last},
		{
			Time: at, Direction: workflows.Pull, Revision: strings.Repeat("ab", 20), Duration: metav1.Duration{Duration: 1234 * time.Millisecond}, Failed: 2,
			Changes: workflows.Changes{Added: 1, Updated: 11, Objects: []string{"configmaps shop/a"}},
		},
		{Time: at, Direction: workflows.Pull, Revision: "cd", Changes: workflows.Changes{Deleted: 1}},
	}, true)
	require.Equal(t, ""+
		"TIME                 DIRECTION  REVISION      TOOK   FAILED  RESULT\n"+
		"2026-07-01 12:01:00  push       -             -      -       not done, AuthFailed, 12 times since 2026-07-01 12:00:00: the token is old\n"+
		"2026-07-01 12:00:00  pull       abababababab  1.23s  2       1 added, 11 updated, 0 deleted\n"+
		"  configmaps shop/a\n"+
		"  and 11 more\n"+
		"2026-07-01 12:00:00  pull       cd            -      0       0 added, 0 updated, 1 deleted\n"+
		"  and 1 more\n", out.String())
}

func TestHistoryIsTheWorkersAnswer(t *testing.T) {
	s := &standin{}
	w, stop := enrolled(t, workflows.Push, s)
	w.awaitState(workflows.InSync)
	a := w.run("history", w.cluster)
	require.Equal(t, done, a.code)
	require.Contains(t, a.out, "push       012345678901")
	require.Contains(t, a.out, "12 added, 0 updated, 0 deleted\n")
	s.set(func(s *standin) { s.export = refusal(workflows.AuthFailed, "the token is old") })
	require.Equal(t, failed, w.run("sync", w.cluster, "--wait").code)
	a = w.run("history", w.cluster, "-n", "1")
	require.Contains(t, a.out, "not done, AuthFailed: the token is old\n")
	require.Equal(t, 2, strings.Count(a.out, "\n"), fmt.Sprint(a.out))
	stop()
	a = w.run("history", w.cluster)
	require.Equal(t, failed, a.code)
	require.Contains(t, a.sentence(t), "no worker ")
}
