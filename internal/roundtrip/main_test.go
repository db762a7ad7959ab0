// Package roundtrip shows on real API servers that nothing is lost and nothing is made up on the way from a
// cluster through Git into another one.
package roundtrip

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
)

// patience is how long a cluster may take for what it does in a second when nothing else is going on.
const patience = 4 * time.Minute

// side is one of the two clusters.
type side struct {
	api        dynamic.Interface
	discovery  discovery.DiscoveryInterface
	kubeconfig string
	index      *kube.Index
}

// startClusters starts two clusters that hold nothing, for this one test.
func startClusters(t *testing.T) (a, b *side) {
	stack, err := stacktest.Start(t.Context(), stacktest.Options{Clusters: []string{"a", "b"}})
	require.NoError(t, err)
	t.Cleanup(stack.Stop)
	connect := func(cluster string) *side {
		config, err := stack.Config(cluster)
		require.NoError(t, err)
		config.QPS = -1
		config.WarningHandler = rest.NoWarnings{}
		s := &side{kubeconfig: stack.Kubeconfig(cluster)}
		s.api, err = dynamic.NewForConfig(config)
		require.NoError(t, err)
		s.discovery, err = discovery.NewDiscoveryClientForConfig(config)
		require.NoError(t, err)
		s.index = s.startIndex(t)
		return s
	}
	return connect("a"), connect("b")
}

// startIndex runs an index of the cluster until the test ends.
func (s *side) startIndex(t *testing.T) *kube.Index {
	cluster, err := kube.Connect(s.kubeconfig, "")
	require.NoError(t, err)
	log := io.Discard
	if testing.Verbose() {
		log = t.Output()
	}
	index := cluster.NewIndex(kube.IndexOptions{
		Logger:    slog.New(slog.NewTextHandler(log, nil)),
		Selection: manifest.Selection{Secrets: manifest.SecretsTakePart},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = index.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return index
}

// until waits for a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); {
		require.True(t, time.Now().Before(end), "waited in vain: %s", what)
		<-time.After(50 * time.Millisecond)
	}
}

// resource is how the cluster serves a kind.
func (s *side) resource(t *testing.T, obj map[string]any) manifest.Resource {
	t.Helper()
	id := manifest.IDOf(obj)
	kind := schema.GroupKind{Group: id.Group, Kind: id.Kind}
	var r manifest.Resource
	until(t, kind.String()+" is served", func() (ok bool) {
		r, ok = s.index.Resolve(kind)
		return ok
	})
	return r
}

func (s *side) of(o object) dynamic.ResourceInterface {
	if !o.Namespaced {
		return s.api.Resource(o.GVR())
	}
	return s.api.Resource(o.GVR()).Namespace(o.id.Namespace)
}

// get reads an object that is there.
func (s *side) get(t *testing.T, o object) map[string]any {
	t.Helper()
	u, err := s.of(o).Get(t.Context(), o.id.Name, metav1.GetOptions{})
	require.NoError(t, err, o.path)
	return u.Object
}

// edit changes an object, or what a subresource of it says, as the given client does.
func (s *side) edit(t *testing.T, manager string, o object, change func(obj map[string]any), subresource ...string) {
	t.Helper()
	until(t, "edit "+o.path, func() bool {
		obj := s.get(t, o)
		change(obj)
		_, err := s.of(o).Update(t.Context(), &unstructured.Unstructured{Object: obj}, metav1.UpdateOptions{FieldManager: manager}, subresource...)
		if !apierrors.IsConflict(err) {
			require.NoError(t, err, o.path)
		}
		return err == nil
	})
}
