package chaos

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

const (
	pushName = "chaos-primary"
	pullName = "chaos-standby"
)

// TestChaosLeavesPrimaryGitAndStandbyAlike kills workers, Temporal, the Git server and the control planes at random
// moments while the primary changes twice a second. It lasts three minutes, or ACS_CHAOS; ACS_CHAOS_SEED repeats the
// moments and the changes of an earlier one.
func TestChaosLeavesPrimaryGitAndStandbyAlike(t *testing.T) {
	lasting, seed := 3*time.Minute, uint64(time.Now().UnixNano())
	if text := os.Getenv("ACS_CHAOS"); text != "" {
		var err error
		lasting, err = time.ParseDuration(text)
		require.NoError(t, err, "ACS_CHAOS is a duration, such as 30m")
	}
	if text := os.Getenv("ACS_CHAOS_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("%s of chaos with seed %d", lasting, seed)

	repo, key := newRepo(t), filepath.Join(t.TempDir(), "age.agekey")
	changes := newLoad(t, rand.New(rand.NewPCG(seed, 0)), primary) //nolint:gosec // any changes
	pushing := []*worker{startWorker(t, pushName, primary), startWorker(t, pushName, primary)}
	enroll(t, pushName, primary, repo, workflows.Push, "--age-key-out", key)
	reaches(t, pushName, inSync)
	pulling := startWorker(t, pullName, standby)
	enroll(t, pullName, standby, repo, workflows.Pull, "--age-key-file", key)
	reaches(t, pullName, inSync)
	began := git(t, repo, "rev-parse", "main")

	dying := func(name string, w *worker) *part {
		return &part{name: name, lives: 40 * time.Second, away: 8 * time.Second, kill: w.kill, again: func(context.Context) error { return w.start() }}
	}
	parts := []*part{
		dying("a worker of the primary", pushing[0]), dying("the other worker of the primary", pushing[1]),
		dying("the worker of the standby", pulling),
		partOf("Temporal", server, 80*time.Second, 10*time.Second),
		partOf("the Git server", host, 60*time.Second, 10*time.Second),
		partOf("the primary", primary.Stack, 80*time.Second, 5*time.Second),
		partOf("the standby", standby.Stack, 80*time.Second, 10*time.Second),
	}
	seen := watchStates(t, pushName, pullName)
	ctx, stop := context.WithTimeout(t.Context(), lasting)
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { changes.run(ctx) })
	running.Go(func() { killAll(ctx, t, seed, parts) })
	running.Wait()
	for _, p := range parts {
		require.Positive(t, p.kills, "%s was killed", p.name)
	}
	t.Logf("%d changes, %d requests that a dead API server refused", changes.changed, changes.refused)
	require.False(t, t.Failed())

	requireAlike(t, repo, key)
	requireOutageShown(t, pushName, pullName)
	seen.stop()
	requireNoCommitDoubled(t, repo, pushName, began)
	for _, name := range []string{pushName, pullName} {
		runs := requireSoundHistory(t, name)
		seen.requireShown(t, name, runs)
		if name == pushName {
			requireEveryCommitTold(t, repo, runs)
		}
		before, err := status(t.Context(), name)
		require.NoError(t, err)
		reaches(t, name, func(s workflows.Status) bool { return inSync(s) && s.Ticks >= before.Ticks+3 })
	}
}
