package model_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/active-cluster-sync/active-cluster-sync/internal/model"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

var (
	stack *stacktest.Stack
	api   dynamic.Interface
)

func TestMain(m *testing.M) {
	stacktest.Main(m, stacktest.Options{Clusters: []string{"model"}, Git: true}, func(s *stacktest.Stack) error {
		stack = s
		config, err := stack.Config("model")
		if err != nil {
			return err
		}
		config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
		api, err = dynamic.NewForConfig(config)
		return err
	})
}

// reproduce is the variable that runs one run again, as a failure prints it: a policy and the steps.
const reproduce = "ACS_MODEL"

// runs is how many there are, in `make test` and in a longer search (ACS_MODEL_RUNS).
func runs() int {
	if n, err := strconv.Atoi(os.Getenv("ACS_MODEL_RUNS")); err == nil {
		return n
	}
	return 500
}

// found are runs that have failed once, and why.
var found = map[workflows.ConflictPolicy][]string{
	workflows.ConflictGit: {
		// Both made the same, one of them without defaults: that was no agreement, and the next edit a conflict.
		"both put b 0; cluster put b 0 3; both put d 1; settle; git put d 2; settle",
		// What Commit had stored, and a person deleted before Apply, was made again.
		"both put a 1; cluster put c 2; settle; git put a 1; cluster put b 0; race cluster delete b; settle",
		// The sync's own merge was taken for an edit against which the next one in the cluster lost.
		"both put a 0 1; settle; git put a 0; cluster put a 1; race cluster put a 1; settle",
		// Who took the last entry out of a map took the map out, which met an entry put in on the other side.
		"file people/one; both put b 1; settle; git put b 2; cluster drop b 1; settle",
	},
	workflows.ConflictCluster: {
		"file people/two; cluster put a 2; settle; cluster put a 0 3; git drop a 2; settle",
	},
	workflows.ConflictHold: {
		// A conflict went on waiting after another strategy had decided it.
		"both put a 1; git put a 2 0; settle; strategy push; settle; settle",
		// A conflict that Apply met first was told of by nobody.
		"git put b 1; race cluster put b 1; settle",
		// What a conflict held, and Git held no longer, pull deletes as everything that Git held.
		"file people/two; both put a 1 3; cluster put a 1; settle; git put a 2; settle; git delete a; strategy pull; race cluster put a 1; settle",
	},
}

var policies = []workflows.ConflictPolicy{workflows.ConflictGit, workflows.ConflictCluster, workflows.ConflictHold}

func TestRandomEditsOfBothSidesEndAsTheModelSays(t *testing.T) {
	if given := os.Getenv(reproduce); given != "" {
		policy, steps, _ := strings.Cut(given, ":")
		w := newWorld(t, workflows.ConflictPolicy(policy))
		require.NoError(t, w.Run(t.Context(), model.ParseSteps(steps)))
		return
	}
	first := 0
	if n, err := strconv.Atoi(os.Getenv("ACS_MODEL_FIRST")); err == nil {
		first = n
	}
	for i, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, policy)
			for _, steps := range found[policy] {
				require.NoError(t, w.Run(t.Context(), model.ParseSteps(steps)), steps)
			}
			for seed := first + i; seed < first+runs(); seed += len(policies) {
				steps := model.Generate(uint64(seed))
				if err := w.Run(t.Context(), steps); err != nil {
					fails(t, policy, seed, steps, err)
				}
			}
		})
	}
}

// fails looks for a shorter run that fails, too, and ends the test with it.
func fails(t *testing.T, policy workflows.ConflictPolicy, seed int, steps model.Steps, err error) {
	t.Helper()
	t.Logf("run %d fails: %v\n%s='%s: %s'", seed, err, reproduce, policy, steps)
	end := time.Now().Add(time.Minute)
	short := steps.Shrink(func() bool { return time.Now().Before(end) }, func(shorter model.Steps) bool {
		w := newWorld(t, policy)
		w.Patience = 3 * time.Second
		again := w.Run(t.Context(), shorter)
		if again != nil {
			err = again
		}
		return again != nil
	})
	t.Fatalf("run %d fails: %v\nIn short, again with\n%s='%s: %s' go test ./internal/model", seed, err, reproduce, policy, short)
}

var worlds atomic.Int64

// newWorld makes a namespace, a repository and a sync of both.
func newWorld(t *testing.T, policy workflows.ConflictPolicy) *model.World {
	t.Helper()
	name := fmt.Sprintf("%s-%d", policy, worlds.Add(1))
	namespace := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}
	_, err := api.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Create(t.Context(), namespace, metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, stack.AddRepo(t.Context(), name, "acs_model_"+name))
	branch := model.Branch{Dir: stack.RepoDir(name)}
	require.NoError(t, branch.Begin(t.Context(), name, name))
	return &model.World{
		Cluster: model.Cluster{API: api, Namespace: name, Label: name}, Branch: branch,
		Sync: startProcess(t, stack, configOf(name, policy), name), Policy: policy, Patience: 20 * time.Second,
	}
}
