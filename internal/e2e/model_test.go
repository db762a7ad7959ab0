package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/model"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// modelled is a sync of real processes that the model drives. It is paused but for the ticks that are asked for.
type modelled struct {
	t        *testing.T
	name     string
	on       *cluster
	strategy workflows.Strategy
	last     workflows.Status
	decided  []workflows.Conflict // as they were told of last

	mu     sync.Mutex
	worker *worker
	data   string
	refuse int    // pushes
	mute   bool   // the next push is taken, and its answer lost
	crash  bool   // the worker is killed while it waits for the answer of the next push
	race   func() // to be done when a push arrives
}

// TestRandomEditsEndAsTheModelSays is TestRandomEditsOfBothSidesEndAsTheModelSays of internal/model with all that
// lies between: Temporal, and workers that are killed.
func TestRandomEditsEndAsTheModelSays(t *testing.T) {
	t.Parallel()
	const reproduce, runs = "ACS_MODEL", 20
	if given := os.Getenv(reproduce); given != "" {
		policy, steps, _ := strings.Cut(given, ":")
		require.NoError(t, newModelled(t, workflows.ConflictPolicy(policy)).Run(t.Context(), model.ParseSteps(steps)))
		return
	}
	policies := []workflows.ConflictPolicy{workflows.ConflictGit, workflows.ConflictCluster, workflows.ConflictHold}
	for i, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			w := newModelled(t, policy)
			for seed := i; seed < runs; seed += len(policies) {
				steps := model.Generate(uint64(10_000 + seed))
				require.NoError(t, w.Run(t.Context(), steps), "again with %s='%s: %s'", reproduce, policy, steps)
			}
		})
	}
}

func newModelled(t *testing.T, policy workflows.ConflictPolicy) *model.World {
	t.Helper()
	name := "model-" + string(policy)
	m := &modelled{t: t, name: name, on: clusters["standby"], strategy: workflows.PushPull, data: t.TempDir()}
	dropAfter(t, m.on, name)
	create(t, m.on, namespaces, namespaceYAML(name))
	repo := newRepo(t)
	branch := model.Branch{Dir: stack.RepoDir(repo)}
	require.NoError(t, branch.Begin(t.Context(), name, name))
	gate := stacktest.NewGate(t, stack.Env["GIT_URL"], http.DefaultTransport, func(proxy *httputil.ReverseProxy) {
		proxy.ModifyResponse = m.answered
	})
	gate.Refuse(m.asked)
	m.worker = startWorker(t, name, m.on, m.data)
	enroll(t, name, m.on, repo, workflows.PushPull, "--repo", gate.URL()+"/"+repo+".git", "--selector", "acs="+name,
		"--secrets", "exclude", "--adopt", "git", "--on-conflict", string(policy), "--lock", "off")
	return &model.World{
		Cluster: model.Cluster{API: m.on.objects, Namespace: name, Label: name}, Branch: branch,
		Sync: m, Policy: policy, Patience: 90 * time.Second,
	}
}

func isPush(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/git-receive-pack") }

// asked sees the requests to the Git server before they get there.
func (m *modelled) asked(r *http.Request) int {
	if !isPush(r) {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if race := m.race; race != nil {
		m.race = nil
		race()
	}
	if m.refuse > 0 {
		m.refuse--
		return http.StatusInternalServerError
	}
	return 0
}

// answered sees the answers of the Git server before they get back.
func (m *modelled) answered(r *http.Response) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !isPush(r.Request):
	case m.mute:
		m.mute = false
		return errors.New("the answer is lost")
	case m.crash:
		m.crash = false
		m.restart(true)
		return errors.New("nobody waits for the answer")
	}
	return nil
}

// restart kills the worker and starts another one, with its data or without any.
func (m *modelled) restart(empty bool) {
	m.worker.kill()
	if empty {
		m.data = m.t.TempDir()
	}
	m.worker = startWorker(m.t, m.name, m.on, m.data)
}

func (m *modelled) Restart(_ context.Context, empty bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.restart(empty)
	return nil
}

func (m *modelled) Tick(context.Context) error {
	if m.strategy == workflows.None {
		return nil
	}
	for _, message := range []string{workflows.ResumeMessage, workflows.SyncNowMessage, workflows.PauseMessage} {
		now, err := tryUpdate(m.t, m.name, message)
		if err != nil {
			return fmt.Errorf("%s: %w", message, err)
		}
		if message == workflows.SyncNowMessage {
			m.last = now
		}
	}
	return nil
}

func (m *modelled) Follow(_ context.Context, strategy workflows.Strategy) error {
	m.strategy = strategy
	_, err := tryUpdate(m.t, m.name, workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: strategy})
	return err
}

func (m *modelled) Fault(name, argument string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch name {
	case "refuse":
		_, err := fmt.Sscan(argument, &m.refuse)
		return err
	case "mute":
		m.mute = true
	case "crash":
		m.crash = true
	}
	return nil
}

// Race makes an edit in Git when a push arrives. One in the cluster is made at once: the worker isn't held up
// between two activities.
func (m *modelled) Race(before string, do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.race = do; before == workflows.ApplyActivity {
		m.race = nil
		do()
	}
}

// Status is the one at the end of the last tick: now the workflow is paused.
func (m *modelled) Status(context.Context) (workflows.Status, error) { return m.last, nil }

func (m *modelled) Conflicts() []workflows.Conflict {
	now, err := status(m.t, m.name)
	require.NoError(m.t, err)
	var decided []workflows.Conflict
	for _, c := range now.Conflicts {
		if c.Winner != "" {
			decided = append(decided, c)
		}
	}
	fresh := decided
	for i, c := range decided { // the last one first
		if len(m.decided) > 0 && reflect.DeepEqual(c, m.decided[0]) {
			fresh = decided[:i]
			break
		}
	}
	m.decided = decided
	return fresh
}

func (m *modelled) Work() int { return 0 }
