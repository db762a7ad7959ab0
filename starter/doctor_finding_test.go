package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func TestChecksNeedOnlyEarlierOnes(t *testing.T) {
	var earlier []string
	for _, c := range (&doctor{}).checks() {
		for _, name := range slices.Concat(c.needs, c.after) {
			require.Contains(t, earlier, name, c.name)
		}
		require.NotContains(t, earlier, c.name)
		earlier = append(earlier, c.name)
	}
}

func TestFindingIsALineWithTheRemedyBeneath(t *testing.T) {
	f := finding{Name: "lock", Result: isWrong, Message: "it is\nmissing\x1b[2J", Remedy: []string{"do this", "or that"}}
	var out bytes.Buffer
	(&terminal{out: &out}).finding(f)
	require.Equal(t, "FAIL lock: it is missing[2J\n      → do this\n      → or that\n", out.String())
	out.Reset()
	(&terminal{out: &out, outTTY: true}).finding(f)
	require.Equal(t, "\x1b[31m✗\x1b[0m lock: it is missing[2J\n  → do this\n  → or that\n", out.String())
	out.Reset()
	(&terminal{out: &out, outTTY: true, plain: true}).finding(finding{Name: "place", Result: isSkipped, Message: "skipped because of branch"})
	require.Equal(t, "- place: skipped because of branch\n", out.String())
}

func TestErrorIsCutIntoFaultAndRemedy(t *testing.T) {
	f := faulty(errors.New("the server at http://a:80 is down: start it: now"))
	require.Equal(t, "the server at http://a:80 is down", f.Message)
	require.Equal(t, []string{"start it: now"}, f.Remedy)
	require.Empty(t, faulty(errors.New("all is lost")).Remedy)
}

func TestACheckThatNeverEndsIsGivenUp(t *testing.T) {
	d := &doctor{}
	defer d.close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	forever := make(chan struct{})
	defer close(forever)
	f := d.carryOut(ctx, check{name: "stuck", limit: time.Millisecond, look: func(context.Context) finding {
		<-forever
		return right("")
	}})
	require.Equal(t, isWrong, f.Result)
	require.Equal(t, "there was no answer within 1ms", f.Message)
}

func TestClocksAreJudgedByTheWorst(t *testing.T) {
	for name, test := range map[string]struct {
		clocks []clock
		want   verdict
		says   string
	}{
		"agree":       {[]clock{{"Temporal", time.Second, nil}, {"the Git server", -9 * time.Second, nil}}, isRight, "the one here and Temporal, the Git server agree"},
		"one unknown": {[]clock{{"Temporal", 0, nil}, {"the Git server", 0, errors.New("silent")}}, isRight, "the one here and Temporal agree; not known: the Git server"},
		"slight":      {[]clock{{"Temporal", -30 * time.Second, nil}, {"the Git server", 0, nil}}, isDoubtful, "Temporal is 30s behind the clock here"},
		"bad": {[]clock{{"Temporal", 30 * time.Second, nil}, {"the Git server", -2 * time.Hour, nil}}, isWrong,
			"Temporal is 30s ahead of the clock here, the Git server is 2h0m0s behind the clock here"},
		"none": {nil, isSkipped, "skipped because nobody tells the time"},
	} {
		t.Run(name, func(t *testing.T) {
			f := judge(test.clocks)
			require.Equal(t, test.want, f.Result)
			require.Equal(t, test.says, f.Message)
		})
	}
}

func TestEachStateOfASyncIsJudged(t *testing.T) {
	for name, test := range map[string]struct {
		status workflows.Status
		want   verdict
		remedy string
	}{
		"in sync": {workflows.Status{State: workflows.InSync}, isRight, ""},
		"first":   {workflows.Status{State: workflows.Syncing}, isRight, ""},
		"stopped": {workflows.Status{State: workflows.Stopped}, isDoubtful, "starter set-strategy a push|pull|push-pull"},
		"limited": {workflows.Status{State: workflows.Degraded, Reason: workflows.RateLimited}, isDoubtful, ""},
		"failures": {workflows.Status{State: workflows.Degraded, Reason: workflows.ObjectsFailed, FailedCount: 9,
			Failed: []workflows.Failure{{Object: "configmaps a/b", Message: "invalid"}}}, isWrong, "configmaps a/b: invalid"},
		"deletions": {workflows.Status{State: workflows.Blocked, Reason: workflows.MassDeletion, PendingDeletions: 30}, isWrong, "starter approve a"},
		"conflicts": {workflows.Status{State: workflows.Blocked, Reason: workflows.ConflictsHeld}, isWrong, "starter set-strategy a push-pull --on-conflict git"},
		"other":     {workflows.Status{State: workflows.Blocked, Reason: workflows.AuthFailed}, isWrong, "starter enroll a --repo URL --pat-file FILE"},
		"unnamed":   {workflows.Status{State: workflows.Degraded, Reason: "FromTheFuture"}, isWrong, "starter sync a --wait"},
	} {
		t.Run(name, func(t *testing.T) {
			test.status.Cluster = "a"
			f := syncFinding(test.status)
			require.Equal(t, test.want, f.Result)
			if test.remedy == "" {
				require.Empty(t, f.Remedy)
			} else {
				require.Contains(t, f.Remedy[0], test.remedy)
			}
		})
	}
}

func TestEnrolCommandMakesTheSameEnrolment(t *testing.T) {
	require.Equal(t, "starter enroll a --repo https://git.example/a.git --lock off", enrolCommand(workflows.Config{
		Cluster: "a", Repository: "https://git.example/a.git", Branch: "main", Path: ".", Strategy: workflows.None,
		Interval: metav1.Duration{Duration: workflows.DefaultInterval}, IgnoredNamespaces: workflows.DefaultIgnoredNamespaces(),
	}), "an enrolment of an earlier version has no lock")
	require.Equal(t, "starter enroll a --repo https://git.example/a.git --branch release --path clusters/a --strategy pull --ignore-namespace scratch --interval 1m0s"+
		" --secrets exclude --include-resource jobs.batch --ignore-name 'tmp-*' --selector team=shop --prune off --recreate-immutable --on-conflict hold", enrolCommand(workflows.Config{
		Cluster: "a", Repository: "https://git.example/a.git", Branch: "release", Path: "clusters/a", Strategy: workflows.Pull,
		IgnoredNamespaces: append(workflows.DefaultIgnoredNamespaces(), "scratch"), Interval: metav1.Duration{Duration: time.Minute},
		Secrets: workflows.SecretsExclude, IncludeResources: []string{"jobs.batch"}, IgnoreNames: []string{"tmp-*"}, Selector: "team=shop",
		Prune: workflows.PruneOff, RecreateImmutable: true, Lock: workflows.LockOn, BreakGlassGroup: workflows.DefaultBreakGlassGroup, OnConflict: workflows.ConflictHold,
	}))
}
