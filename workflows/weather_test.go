package workflows_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// weather stands in for the activities where anything may happen at any time: either side changes, doesn't answer,
// refuses objects, or holds deletions back.
type weather struct {
	mu       sync.Mutex
	random   *rand.Rand
	next     int
	tree     string
	revision string
	withheld workflows.Pending
	attempts int
	bytes    int    // of inputs and results
	first    func() // is called before the first attempt of a run does anything
}

func newWeather(random *rand.Rand) *weather {
	return &weather{random: random, tree: "tree-0", revision: "revision-0"}
}

func (w *weather) activities() map[string]any {
	return map[string]any{
		workflows.ExportActivity: w.export, workflows.FetchActivity: w.fetch,
		workflows.CommitActivity: w.commit, workflows.ApplyActivity: w.apply, workflows.LockActivity: w.lock,
	}
}

// begin notes an input, and answers with an error once in a while.
func (w *weather) begin(input any) error {
	w.mu.Lock()
	if w.first != nil {
		w.first()
		w.first = nil
	}
	w.attempts++
	w.weigh(input)
	if w.chance(2) {
		return temporal.NewApplicationError("no answer", []string{workflows.ClusterUnreachable, workflows.RemoteUnreachable}[w.random.IntN(2)])
	}
	return nil
}

// began sets what to call when the next run's first attempt begins.
func (w *weather) began(first func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.first, w.attempts, w.bytes = first, 0, 0
}

// soFar are the attempts and bytes of the run.
func (w *weather) soFar() (attempts, bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.attempts, w.bytes
}

func (w *weather) weigh(payload any) {
	text, _ := json.Marshal(payload)
	w.bytes += len(text)
}

func (w *weather) chance(percent int) bool { return w.random.IntN(100) < percent }

func (w *weather) name(what string) string {
	w.next++
	return fmt.Sprintf("%s-%036d", what, w.next)
}

func (w *weather) export(_ context.Context, in workflows.ExportInput) (result workflows.ExportResult, err error) {
	defer w.mu.Unlock()
	if err := w.begin(in); err != nil {
		return result, err
	}
	if w.chance(20) {
		w.tree = w.name("tree")
	}
	result = workflows.ExportResult{Tree: w.tree, Objects: w.random.IntN(1000), Locked: w.chance(95)}
	if w.chance(2) {
		result.StaleSince, result.StaleMessage = new(time.Time), "the API server doesn't answer"
	}
	w.weigh(result)
	return result, nil
}

func (w *weather) fetch(_ context.Context, in workflows.FetchInput) (result workflows.FetchResult, err error) {
	defer w.mu.Unlock()
	if err := w.begin(in); err != nil {
		return result, err
	}
	if w.chance(20) {
		w.revision, result.Branch = w.name("revision"), workflows.BranchMoved
	}
	result.Revision = w.revision
	w.weigh(result)
	return result, nil
}

func (w *weather) commit(_ context.Context, in workflows.CommitInput) (result workflows.CommitResult, err error) {
	defer w.mu.Unlock()
	if err := w.begin(in); err != nil {
		return result, err
	}
	w.revision = w.name("revision")
	result = workflows.CommitResult{Revision: w.revision, Tree: w.tree, Changes: w.changes(), Outstanding: w.chance(10)}
	result.Failed, result.FailedCount = w.failures()
	w.weigh(result)
	return result, nil
}

func (w *weather) apply(_ context.Context, in workflows.ApplyInput) (result workflows.ApplyResult, err error) {
	defer w.mu.Unlock()
	if err := w.begin(in); err != nil {
		return result, err
	}
	w.tree = w.name("tree")
	result = workflows.ApplyResult{Tree: w.tree, Changes: w.changes(), Tracked: workflows.Track(in.Tracked, in.Revision)}
	result.Failed, result.FailedCount = w.failures()
	switch {
	case w.withheld.Digest != "" && in.Approved == w.withheld.Digest:
		w.withheld = workflows.Pending{}
	case w.withheld.Digest == "" && w.chance(20):
		w.withheld = workflows.Pending{Digest: w.name("digest"), Count: 12, Objects: []string{"configmaps shop/cart"}, Reason: "many"}
	}
	result.Withheld = w.withheld
	w.weigh(result)
	return result, nil
}

func (w *weather) lock(_ context.Context, in workflows.LockInput) (result workflows.LockResult, err error) {
	defer w.mu.Unlock()
	if err := w.begin(in); err != nil {
		return result, err
	}
	result = workflows.LockResult{InPlace: in.On, Present: in.On}
	w.weigh(result)
	return result, nil
}

func (w *weather) changes() workflows.Changes {
	return workflows.Changes{Added: w.random.IntN(5), Updated: 1, Objects: []string{"services shop/cart", "configmaps shop/" + w.name("settings")}}
}

func (w *weather) failures() (list []workflows.Failure, count int) {
	if w.chance(80) {
		return nil, 0
	}
	count = w.random.IntN(2 * workflows.MaxListed)
	for i := range min(count, workflows.MaxListed) {
		list = append(list, workflows.Failure{Object: fmt.Sprint("configmaps shop/", i), File: "shop.yaml:1", Message: "refused, and why"})
	}
	return list, count
}
