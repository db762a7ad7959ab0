package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// kinds are what changes in the primary, and how many of each there are at the beginning. All together are so many
// that what is deleted while a part is down stays below a tenth, which would wait for approval.
var kinds = []struct {
	resource schema.GroupVersionResource
	count    int
	manifest string // of NAME in NS with VALUE, a number
}{
	{configMaps, 150, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME, namespace: NS, labels: {round: 'VALUE'}}\ndata: {key: value-VALUE}\n"},
	{secretKind, 60, "apiVersion: v1\nkind: Secret\nmetadata: {name: NAME, namespace: NS}\nstringData: {password: kestrel-VALUE}\n"},
	{services, 60, "apiVersion: v1\nkind: Service\nmetadata: {name: NAME, namespace: NS}\nspec: {selector: {app: NAME}, ports: [{port: 80, targetPort: VALUE}]}\n"},
	{deployments, 30, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: NAME, namespace: NS}\nspec: {replicas: 0, selector: {matchLabels: {app: NAME}}, " +
		"template: {metadata: {labels: {app: NAME}}, spec: {containers: [{name: c, image: 'registry.example.com/app:VALUE'}]}}}\n"},
}

// busy are the namespaces in which it changes.
var busy = []string{"chaos-a", "chaos-b"}

// load is somebody who works with the primary.
type load struct {
	random  *rand.Rand
	on      *cluster
	names   [][]string // of each kind, as "namespace/name"
	made    int
	changed int // requests that the API server has acknowledged
	refused int // requests that it hasn't: it was down
}

// newLoad makes the objects that are there at the beginning.
func newLoad(t *testing.T, random *rand.Rand, on *cluster) *load {
	t.Helper()
	l := &load{random: random, on: on, names: make([][]string, len(kinds))}
	for _, ns := range busy {
		obj := parse(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+"}")
		_, err := on.objects.Resource(namespaces).Create(t.Context(), obj, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	for kind := range kinds {
		for range kinds[kind].count {
			require.NoError(t, l.create(t.Context(), kind))
		}
	}
	return l
}

// run changes something twice a second until the context ends.
func (l *load) run(ctx context.Context) {
	for tick := time.NewTicker(500 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		kind := l.random.IntN(len(kinds))
		act := l.edit
		switch dice := l.random.IntN(100); {
		case dice < 15 && len(l.names[kind]) > kinds[kind].count/2:
			act = l.remove
		case dice < 35:
			act = l.create
		}
		// A request that has begun ends, so that nothing moves any more when this has returned.
		if act(context.WithoutCancel(ctx), kind) == nil {
			l.changed++
		} else {
			l.refused++
		}
	}
}

func (l *load) create(ctx context.Context, kind int) error {
	l.made++
	ns, name := busy[l.random.IntN(len(busy))], fmt.Sprintf("thing-%04d", l.made)
	l.names[kind] = append(l.names[kind], ns+"/"+name) // it may be there although nobody came back to tell
	_, err := l.api(kind, ns).Create(ctx, l.object(kind, ns, name), metav1.CreateOptions{FieldManager: "kubectl"})
	return err
}

func (l *load) edit(ctx context.Context, kind int) error {
	i, ns, name := l.any(kind)
	patch, err := l.object(kind, ns, name).MarshalJSON()
	if err != nil {
		return err
	}
	_, err = l.api(kind, ns).Patch(ctx, name, "application/merge-patch+json", patch, metav1.PatchOptions{FieldManager: "kubectl"})
	l.forget(kind, i, err)
	return err
}

func (l *load) remove(ctx context.Context, kind int) error {
	i, ns, name := l.any(kind)
	err := l.api(kind, ns).Delete(ctx, name, metav1.DeleteOptions{})
	if err == nil {
		l.names[kind] = append(l.names[kind][:i], l.names[kind][i+1:]...)
		return nil
	}
	l.forget(kind, i, err)
	return err
}

// any is one of the objects of a kind.
func (l *load) any(kind int) (i int, namespace, name string) {
	i = l.random.IntN(len(l.names[kind]))
	namespace, name, _ = strings.Cut(l.names[kind][i], "/")
	return i, namespace, name
}

// forget drops an object that a request said isn't there.
func (l *load) forget(kind, i int, err error) {
	if apierrors.IsNotFound(err) {
		l.names[kind] = append(l.names[kind][:i], l.names[kind][i+1:]...)
	}
}

func (l *load) api(kind int, namespace string) dynamic.ResourceInterface {
	return l.on.objects.Resource(kinds[kind].resource).Namespace(namespace)
}

// object is one with a value that it hasn't had before, in all likelihood.
func (l *load) object(kind int, namespace, name string) *unstructured.Unstructured {
	manifest := strings.NewReplacer("NAME", name, "NS", namespace, "VALUE", strconv.Itoa(1000+l.random.IntN(50_000))).Replace(kinds[kind].manifest)
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &obj.Object); err != nil {
		panic(err)
	}
	return obj
}

func parse(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(manifest), &obj.Object))
	return obj
}
