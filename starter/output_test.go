package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func sampleStatus() workflows.Status {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	return workflows.Status{
		Cluster: "standby", Strategy: workflows.Pull, State: workflows.Blocked, Reason: workflows.MassDeletion,
		Message: "30 deletions wait", Repository: "https://git.example/a.git?x=<y>", Branch: "main", Path: ".",
		IgnoredNamespaces: []string{"kube-system"}, Revision: "0123456789abcdef0123456789abcdef01234567",
		LastSyncTime: &at, LagSeconds: 75, Objects: 120, FailedCount: 22, PendingDeletions: 30,
		Failed: []workflows.Failure{
			{Object: "Deployment.apps shop/cart", File: "shop/cart.yaml", Message: "field is immutable\nsecond line"},
			{Object: "evil\x1b[2Jname", Message: "\x1b]0;title\a forged"},
		},
		Conflicts: []workflows.Conflict{}, Excluded: map[string]int{"secrets-excluded": 3}, Ticks: 7,
		Recent: []workflows.Record{{Time: at, Direction: workflows.Pull, Revision: "0123456789abcdef", Changes: workflows.Changes{Added: 1, Updated: 2, Deleted: 3}}},
		Lock:   workflows.LockStatus{State: workflows.LockingUnavailable, Message: "permission\nmissing"},
	}
}

func TestStatusTableBeginsWithTheVerdict(t *testing.T) {
	text := new(terminal).statusTable(sampleStatus())
	require.True(t, strings.HasPrefix(text, "standby  Blocked (MassDeletion)\n30 deletions wait\n\n"), text)
	for _, line := range []string{
		"Strategy      pull\n", "Branch, path  main, .\n", "Revision      0123456789ab\n", "Lag           1m15s\n", "Objects       120\n",
		"Left out      3 secrets-excluded\n", "Lock          Unavailable: permission missing\n",
		"Deletions waiting for approval: 30\n  `starter approve standby` carries them out",
		"Failures: 22\n  Deployment.apps shop/cart (shop/cart.yaml): field is immutable second line\n",
		"  and 20 more\n",
		"pull  0123456789ab  1 added, 2 updated, 3 deleted\n",
	} {
		require.Contains(t, text, line)
	}
}

func TestNothingFromOutsideControlsTheTerminal(t *testing.T) {
	text := new(terminal).statusTable(sampleStatus())
	require.NotContains(t, text, "\x1b")
	require.NotContains(t, text, "\a")
	require.Contains(t, text, "  evil[2Jname: ]0;title forged\n")
	require.Equal(t, "a b c", oneLine(" a\n\tb\r\u2028c\u202e "))
}

func TestColoursAreForPeopleOnly(t *testing.T) {
	coloured := &terminal{outTTY: true}
	require.Contains(t, coloured.statusTable(sampleStatus()), "\x1b["+red+"mBlocked\x1b[0m")
	coloured.plain = true
	require.NotContains(t, coloured.statusTable(sampleStatus()), "\x1b")
	t.Setenv("NO_COLOR", "1")
	require.True(t, newTerminal(nil, nil, nil).plain)
}

func TestStatusAsJSONAndYAMLIsTheWholeContract(t *testing.T) {
	var out bytes.Buffer
	tt := &terminal{out: &out}
	require.NoError(t, tt.show(jsonForm, sampleStatus()))
	require.Contains(t, out.String(), "?x=<y>")
	var object map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &object))
	for _, key := range []string{
		"cluster", "strategy", "state", "reason", "message", "repository", "branch", "path", "ignoredNamespaces", "revision",
		"lastSyncTime", "lagSeconds", "objects", "failed", "failedCount", "conflicts", "pendingDeletions",
	} {
		require.Contains(t, object, key)
	}
	var fromJSON, fromYAML workflows.Status
	require.NoError(t, json.Unmarshal(out.Bytes(), &fromJSON))
	require.Equal(t, sampleStatus(), fromJSON)
	out.Reset()
	require.NoError(t, tt.show(yamlForm, sampleStatus()))
	require.NoError(t, yaml.Unmarshal(out.Bytes(), &fromYAML))
	require.Equal(t, sampleStatus(), fromYAML)
}

func TestWatchTellsChangesAndNotClocks(t *testing.T) {
	a, b := sampleStatus(), sampleStatus()
	later := b.LastSyncTime.Add(time.Minute)
	b.LastSyncTime, b.LagSeconds, b.Ticks = &later, 99, 100
	require.Equal(t, changeKey(a), changeKey(b))
	b.Revision = "other"
	require.NotEqual(t, changeKey(a), changeKey(b))

	var out bytes.Buffer
	require.NoError(t, (&terminal{out: &out}).changeLine(table, a))
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), "pull  Blocked (MassDeletion)  revision 0123456789ab")
	out.Reset()
	require.NoError(t, (&terminal{out: &out}).changeLine(jsonForm, a))
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
}

func TestListBeginsWithWhatNeedsAPerson(t *testing.T) {
	blocked, fine := sampleStatus(), sampleStatus()
	fine.State, fine.Reason, fine.LagSeconds, fine.FailedCount = workflows.InSync, "Settled", 0, 0
	degraded := fine
	degraded.State, degraded.Reason = workflows.Degraded, workflows.ObjectsFailed
	entries := []listEntry{
		{Cluster: "alpha", Strategy: workflows.Pull, State: workflows.InSync, Revision: "abc", Status: &fine},
		{Cluster: "beta", Strategy: workflows.Pull, State: workflows.Degraded, Status: &degraded},
		{Cluster: "edge", Strategy: workflows.Push, State: workflows.InSync, Revision: "abc"},
		{Cluster: "late", Strategy: workflows.Push, State: workflows.InSync, Revision: "abc", late: true},
		{Cluster: "nothing", Strategy: workflows.None, State: workflows.Stopped},
		{Cluster: "standby", Strategy: workflows.Pull, State: workflows.Blocked, Status: &blocked},
	}
	var out, errs bytes.Buffer
	(&terminal{out: &out, err: &errs}).listTable(entries)
	require.Equal(t, ""+
		"CLUSTER  STRATEGY  STATE     REVISION  LAG    OBJECTS  FAILED  REASON\n"+
		"standby  pull      Blocked   -         1m15s  120      22      MassDeletion\n"+
		"edge     push      InSync    abc       -      -        -       NoWorker\n"+
		"beta     pull      Degraded  -         0s     120      0       ObjectsFailed\n"+
		"alpha    pull      InSync    abc       0s     120      0       Settled\n"+
		"late     push      InSync    abc       -      -        -       NoAnswerYet\n"+
		"nothing  none      Stopped   -         -      -        -       NoWorker\n", out.String())
	require.Equal(t, "3 of 6 need somebody: `starter doctor standby` says what is wrong and what to do\n", errs.String())

	out.Reset()
	errs.Reset()
	(&terminal{out: &out, err: &errs, outTTY: true}).listTable(entries[:1])
	require.Contains(t, out.String(), "alpha    pull      \x1b[32mInSync\x1b[0m  abc")
	require.Empty(t, errs.String())
}

func TestWatchLeavesOutWhatTheScreenHasNoRoomFor(t *testing.T) {
	const page = "a\n\n\x1b[31mcc\x1b[0mccc\nd\n"
	require.Equal(t, page, fit(page, 5, 6))
	require.Equal(t, "a\n\n\x1b[31mcc\x1b[0mccc\n…\n", fit(page, 5, 5))
	require.Equal(t, "a\n\n…\n", fit(page, 4, 5), "the third line takes two")
	require.Equal(t, "…\n", fit(page, 0, 0))
}

func TestWorkerCommandCanBeCopied(t *testing.T) {
	require.Equal(t, "worker --cluster a", workerCommand("a", target{}))
	require.Equal(t, "worker --cluster a=b --kubeconfig /etc/k", workerCommand("a", target{"/etc/k", "b"}))
	require.Equal(t, "worker --cluster a='admin; rm' --kubeconfig '/a b/it'\\''s'", workerCommand("a", target{"/a b/it's", "admin; rm"}))
}
