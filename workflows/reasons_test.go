package workflows

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/reasons.md anew")

const reasonsPage = "../docs/reasons.md"

// The page is made of the table that the Web UI says what to do from: go test ./workflows -run Reasons -update
func TestReasonsPageIsThatOfTheTable(t *testing.T) {
	var page strings.Builder
	page.WriteString("# States and reasons\n\n" +
		"What `starter status`, the column `SyncState` and the page of a cluster in the Temporal Web UI say, and what to do\n" +
		"about it. `Blocked` needs a person; what is `Degraded` is tried again by itself. Put the name of yours for CLUSTER.\n\n" +
		"| state | reason | what it means | what to do |\n|---|---|---|---|\n")
	for _, r := range Reasons {
		remedy := r.Remedy
		if remedy == "" {
			remedy = "nothing"
		}
		fmt.Fprintf(&page, "| %s | `%s` | %s | %s |\n", r.State, r.Name, r.Meaning, remedy)
	}
	if *update {
		require.NoError(t, os.WriteFile(reasonsPage, []byte(page.String()), 0o644))
	}
	written, err := os.ReadFile(reasonsPage)
	require.NoError(t, err)
	require.Equal(t, string(written), page.String(), "run `go test ./workflows -run Reasons -update`")
}

func TestEveryReasonThatNeedsAPersonSaysWhatToDo(t *testing.T) {
	table := map[string]Reason{}
	for _, r := range Reasons {
		require.NotContains(t, table, r.Name)
		require.NotContains(t, r.Meaning+r.Remedy, "|")
		table[r.Name] = r
		if r.State == Blocked {
			require.NotEmpty(t, r.Remedy, r.Name)
		}
	}
	for _, name := range needPerson {
		require.Equal(t, Blocked, table[name].State, name)
	}
	for name, s := range map[string]State{
		StrategyNone:        {Config: Config{Strategy: None}},
		PausedByUser:        {Config: Config{Strategy: Pull}, Paused: true},
		MirrorDeletion:      {Config: Config{Strategy: Pull}, Pending: Pending{Strays: true}},
		MassDeletion:        {Config: Config{Strategy: Pull}, Pending: Pending{Count: 1}},
		ConflictsHeld:       {Config: Config{Strategy: PushPull}, Waiting: 1},
		ObjectsFailed:       {Config: Config{Strategy: Pull}, FailedCount: 1},
		ResourcesUnreadable: {Config: Config{Strategy: Pull}, UnreadCount: 1},
		FirstSync:           {Config: Config{Strategy: Pull}},
		RulesChanged:        {Config: Config{Strategy: Pull}, Settled: Settled{Revision: "1", Scope: "push"}},
		SidesAgree:          {Config: Config{Strategy: Pull}, Settled: Settled{Revision: "1", Scope: Config{Strategy: Pull}.Scope()}},
		ClusterUnreachable:  {Config: Config{Strategy: Pull}, Problem: &Problem{Reason: ClusterUnreachable}},
	} {
		state, reason, _ := s.health()
		require.Equal(t, name, reason)
		require.Equal(t, table[name].State, state, name)
	}
}

func TestRemedyNamesTheCluster(t *testing.T) {
	require.Contains(t, RemedyFor(MassDeletion, "standby"), "`starter approve standby`")
	require.Empty(t, RemedyFor(SidesAgree, "standby"))
	require.Empty(t, RemedyFor("SomethingNew", "standby"))
}
