package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

const (
	kills         = 50
	killedObjects = 2000
	killedName    = "killed-pull"
)

// TestAWorkerKilledFiftyTimesLeavesExactlyWhatGitSays kills the worker while it carries out revision after
// revision, each of which adds, changes and removes objects.
func TestAWorkerKilledFiftyTimesLeavesExactlyWhatGitSays(t *testing.T) {
	t.Parallel()
	standby, repo, data := clusters["standby"], newRepo(t), t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // any moments
	h := newHerd(random)
	for _, ns := range h.namespaces() {
		dropAfter(t, standby, ns)
	}
	lives := watchLives(t, standby)
	edit(t, repo, "nothing yet", func(dir string) { write(t, dir, "README.md", "soon\n") })

	w := startWorker(t, killedName, standby, data)
	enroll(t, killedName, standby, repo, workflows.Pull)
	during := 0 // kills of a worker that had written something, and not all
	for kill := range kills {
		before := lives.events()
		if kill%5 == 0 {
			// One that hits the writing of a revision, soon after it has begun.
			h.change()
			edit(t, repo, fmt.Sprint("revision ", kill/5), h.write(t))
			eventually(t, func() bool { return lives.events() > before }, func() string { return tail(w.log.String()) })
			<-time.After(between(random, 0, 150*time.Millisecond))
		} else {
			<-time.After(between(random, 100*time.Millisecond, 2*time.Second))
		}
		w.kill()
		if lives.events() > before && !maps.Equal(h.values, h.live(t, standby)) {
			during++
		}
		giveUp(t, killedName)
		w = startWorker(t, killedName, standby, data)
	}
	head := git(t, repo, "rev-parse", "main")
	reaches(t, killedName, func(s workflows.Status) bool { return inSync(s) && s.Revision == head })
	t.Logf("%d of %d kills hit a worker in the middle of its writes", during, kills)
	require.Positive(t, during)

	require.Equal(t, h.values, h.live(t, standby), "the cluster is what Git says")
	twice := lives.twice()
	require.Empty(t, twice, "no object was deleted and made again")
	require.Greater(t, lives.count(), killedObjects, "the lives of all were followed")
}

// between is a random time between two.
func between(random *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(random.Int64N(int64(to-from)))
}

// giveUp tells Temporal at once what it would find out by its time-outs: that nobody works on the activities of
// an enrolment any more, nor keeps its workflow in memory.
func giveUp(t *testing.T, name string) {
	t.Helper()
	id := workflows.WorkflowID(name)
	d, err := temporal.DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	for _, a := range d.GetPendingActivities() {
		if a.GetState() == enums.PENDING_ACTIVITY_STATE_STARTED {
			// It may have ended in the meantime, or never have reached the worker.
			_ = temporal.CompleteActivityByID(t.Context(), client.DefaultNamespace, id, "", a.GetActivityId(), nil, errors.New("its worker was killed"))
		}
	}
	_, err = temporal.WorkflowService().ResetStickyTaskQueue(t.Context(), &workflowservice.ResetStickyTaskQueueRequest{
		Namespace: client.DefaultNamespace, Execution: &common.WorkflowExecution{WorkflowId: id},
	})
	require.NoError(t, err)
	require.NoError(t, temporal.SignalWorkflow(t.Context(), id, "", workflows.SyncNowMessage, nil))
}

// herd is many ConfigMaps that change from revision to revision.
type herd struct {
	random *rand.Rand
	values map[string]string // by "namespace/name"
	next   int
}

func newHerd(random *rand.Rand) *herd {
	h := &herd{random: random, values: map[string]string{}}
	for range killedObjects {
		h.add()
	}
	return h
}

func (h *herd) namespaces() []string { return []string{"killed-0", "killed-1", "killed-2", "killed-3"} }

// add makes an object of a name that was never used.
func (h *herd) add() {
	h.values[fmt.Sprintf("%s/settings-%04d", h.namespaces()[h.next%4], h.next)] = "one"
	h.next++
}

// change adds, changes and removes some. All that is removed in the test stays below what waits for approval.
func (h *herd) change() {
	names := make([]string, 0, len(h.values))
	for name := range h.values {
		names = append(names, name)
	}
	slices.Sort(names)
	h.random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:18] {
		delete(h.values, name)
	}
	for _, name := range names[18:300] {
		h.values[name] = fmt.Sprint("value-", h.random.IntN(1000))
	}
	for range 40 {
		h.add()
	}
}

// write makes the files of a revision: a hundred objects each.
func (h *herd) write(t *testing.T) func(dir string) {
	files := map[string]*strings.Builder{}
	for _, ns := range h.namespaces() {
		files[ns+".yaml"] = new(strings.Builder)
		files[ns+".yaml"].WriteString(namespaceYAML(ns))
	}
	for key, value := range h.values {
		ns, name, _ := strings.Cut(key, "/")
		file := fmt.Sprintf("%s/%s.yaml", ns, name[:len(name)-2])
		if files[file] == nil {
			files[file] = new(strings.Builder)
		}
		files[file].WriteString("---\n" + strings.Replace(configMap(ns, name, value), "metadata: {", "metadata: {labels: {herd: killed}, ", 1))
	}
	return func(dir string) {
		for file, content := range files {
			write(t, dir, file, content.String())
		}
	}
}

func (h *herd) live(t *testing.T, on *cluster) map[string]string {
	t.Helper()
	list, err := on.objects.Resource(configMaps).List(t.Context(), metav1.ListOptions{LabelSelector: "herd=killed"})
	require.NoError(t, err)
	values := map[string]string{}
	for _, o := range list.Items {
		value, _, _ := unstructured.NestedString(o.Object, "data", "key")
		values[o.GetNamespace()+"/"+o.GetName()] = value
	}
	return values
}

// lives are the UIDs that each name of the herd had.
type lives struct {
	mu   sync.Mutex
	uids map[string][]string
	seen int // events
}

func watchLives(t *testing.T, on *cluster) *lives {
	l := &lives{uids: map[string][]string{}}
	note := func(obj any) {
		o, ok := obj.(*unstructured.Unstructured)
		if !ok {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.seen++
		key, uid := o.GetNamespace()+"/"+o.GetName(), string(o.GetUID())
		if !slices.Contains(l.uids[key], uid) {
			l.uids[key] = append(l.uids[key], uid)
		}
	}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(on.objects, 0, metav1.NamespaceAll,
		func(o *metav1.ListOptions) { o.LabelSelector = "herd=killed" })
	informer := factory.ForResource(configMaps).Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: note, UpdateFunc: func(_, now any) { note(now) }})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	factory.Start(ctx.Done())
	t.Cleanup(func() { stop(); factory.Shutdown() })
	require.True(t, cache.WaitForCacheSync(ctx.Done(), informer.HasSynced))
	return l
}

func (l *lives) events() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

func (l *lives) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.uids)
}

// twice are the names that more than one object had.
func (l *lives) twice() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, uids := range l.uids {
		if len(uids) > 1 {
			names = append(names, name)
		}
	}
	return names
}
