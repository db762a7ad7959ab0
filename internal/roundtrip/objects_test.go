package roundtrip

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
)

// object is one that a person has written, and what the cluster answered to it.
type object struct {
	manifest.Resource
	id      manifest.ID
	path    string
	written map[string]any
	answer  map[string]any
}

// read returns the objects of a file. Variables stand for what only a run of the test knows.
func read(t *testing.T, file string, variables *strings.Replacer) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	documents, problems := manifest.Decode(file, []byte(variables.Replace(string(text))))
	require.Empty(t, problems)
	objects := make([]map[string]any, 0, len(documents))
	for _, d := range documents {
		objects = append(objects, d.Object)
	}
	return objects
}

// testdata are the files of a folder of testdata, in their order.
func testdata(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files, folder)
	return files
}

// thirdParty are the files that define the kinds of other projects. They are in modules of theirs, which
// crds/go.mod names.
func thirdParty(t *testing.T) []string {
	t.Helper()
	modules, err := stacktest.ThirdParty(t.Context())
	require.NoError(t, err)
	folders := map[string]string{
		"sigs.k8s.io/gateway-api":                            "config/crd/standard",
		"github.com/cert-manager/cert-manager":               "deploy/crds",
		"github.com/prometheus-operator/prometheus-operator": "example/prometheus-operator-crd",
	}
	var files []string
	for module, folder := range folders {
		found, err := filepath.Glob(filepath.Join(modules[module], folder, "*.yaml"))
		require.NoError(t, err)
		require.NotEmpty(t, found, module)
		files = append(files, found...)
	}
	return files
}

// create makes objects as a person does, one with kubectl create, the next with kubectl apply
// --server-side. What the cluster has by itself is changed to what is written.
func (s *side) create(t *testing.T, written []map[string]any) []object {
	t.Helper()
	var created []object
	for i, w := range written {
		o := object{Resource: s.resource(t, w), id: manifest.IDOf(w), written: w}
		o.path = manifest.Path(o.Resource, o.id.Namespace, o.id.Name)
		until(t, "create "+o.path, func() bool {
			answer, err := s.send(t, o, i%2 == 1)
			if apierrors.IsAlreadyExists(err) {
				answer, err = s.send(t, o, true)
			}
			// The rest passes: a quota, an account or a policy that was just made isn't known everywhere.
			if err == nil {
				o.answer = answer.Object
			}
			if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
				return !assert.NoError(t, err, o.path)
			}
			return err == nil
		})
		created = append(created, o)
	}
	require.False(t, t.Failed())
	return created
}

func (s *side) send(t *testing.T, o object, apply bool) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(o.written)}
	if apply {
		return s.of(o).Apply(t.Context(), o.id.Name, u, metav1.ApplyOptions{FieldManager: "kubectl", Force: true})
	}
	return s.of(o).Create(t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl-create"})
}

// table is what a run of the test works with, by canonical path.
type table map[string]object

func (objects table) add(more []object) {
	for _, o := range more {
		objects[o.path] = o
	}
}

// at returns what stands at a path of field names and, in lists, indexes; nil where there is nothing.
func at(value any, path ...any) any {
	for _, step := range path {
		switch v := value.(type) {
		case map[string]any:
			field, _ := step.(string)
			value = v[field]
		case []any:
			i, ok := step.(int)
			if !ok || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}
