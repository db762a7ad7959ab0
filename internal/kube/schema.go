package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/openapi"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/merge"
)

const (
	// schemasFresh is how long what the API server said of its schemas is good. It publishes the schema of a
	// changed CustomResourceDefinition some time after the change by itself, so asking at each merge would
	// know no better, and a thousand merges of one tick ask once.
	schemasFresh = 5 * time.Second
	// schemasKept is how long a schema is held that no merge has asked for. The one of v1, the largest built-in, takes
	// half a megabyte.
	schemasKept = 10 * time.Minute
)

// schemas are the API server's schemas of the group-versions that merges asked for lately.
type schemas struct {
	mu     sync.Mutex // held while asking, so that merges at the same time ask once
	asked  time.Time
	served map[string]openapi.GroupVersionWithContext // by path, for instance "apis/apps/v1"
	read   map[string]*groupSchema                    // the same
}

// groupSchema are the types of a group-version.
type groupSchema struct {
	url   string // says which version of the schema it is
	types managedfields.TypeConverter
	used  time.Time
}

// MergeType says what of a resource's objects can be merged apart. It is the zero Type where the API server
// has no schema for them, or none that says so. It asks the API server only now and then.
func (x *Index) MergeType(ctx context.Context, r manifest.Resource) (merge.Type, error) {
	s := &x.schemas
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(ctx, x.cluster.discovery.OpenAPIV3WithContext(ctx)); err != nil {
		return merge.Type{}, fmt.Errorf("ask %s for its schemas: %w", x.cluster.host, explain(err))
	}
	types, err := s.of(ctx, r.GVK().GroupVersion())
	if err != nil {
		return merge.Type{}, fmt.Errorf("read the schema of %s from %s: %w", r, x.cluster.host, explain(err))
	}
	return mergeType(types, r.GVK()), nil
}

// refresh asks for the list of schemas unless it is fresh, and drops those that have changed or are not in use.
func (s *schemas) refresh(ctx context.Context, client openapi.ClientWithContext) error {
	if time.Since(s.asked) < schemasFresh {
		return nil
	}
	served, err := client.PathsWithContext(ctx)
	if err != nil && !withoutSchema(err) {
		return err
	}
	s.served, s.asked = served, time.Now()
	for path, g := range s.read {
		if now := served[path]; now == nil || now.ServerRelativeURL() != g.url || time.Since(g.used) > schemasKept {
			delete(s.read, path)
		}
	}
	return nil
}

// of are the types of a group-version, as they were when the list of schemas was asked for; nil without any.
func (s *schemas) of(ctx context.Context, gv schema.GroupVersion) (managedfields.TypeConverter, error) {
	path := "apis/" + gv.String()
	if gv.Group == "" {
		path = "api/" + gv.Version
	}
	if s.served[path] == nil {
		return nil, nil
	}
	if s.read[path] == nil {
		types, err := readTypes(ctx, s.served[path])
		if err != nil {
			return nil, err
		}
		if s.read == nil {
			s.read = map[string]*groupSchema{}
		}
		s.read[path] = &groupSchema{url: s.served[path].ServerRelativeURL(), types: types}
	}
	s.read[path].used = time.Now()
	return s.read[path].types, nil
}

// readTypes reads the schemas of a group-version and leaves all but their structure out. It is nil where that
// is not what server-side apply could work with either.
func readTypes(ctx context.Context, gv openapi.GroupVersionWithContext) (managedfields.TypeConverter, error) {
	data, err := gv.SchemaWithContext(ctx, runtime.ContentTypeJSON)
	if withoutSchema(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var document struct {
		Components struct {
			Schemas map[string]*spec.Schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	types, err := managedfields.NewTypeConverter(document.Components.Schemas, false)
	if err != nil {
		return nil, nil //nolint:nilerr // without types, lists are atomic
	}
	return types, nil
}

// withoutSchema: the API server, or the one behind it, doesn't serve schemas.
func withoutSchema(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsNotAcceptable(err)
}

// mergeType is the type of a kind. The converter hands its schema out only with an object.
func mergeType(types managedfields.TypeConverter, kind schema.GroupVersionKind) merge.Type {
	if types == nil {
		return merge.Type{}
	}
	blank := &unstructured.Unstructured{}
	blank.SetGroupVersionKind(kind)
	typed, err := types.ObjectToTyped(blank)
	if err != nil {
		return merge.Type{}
	}
	return merge.TypeOf(typed.Schema(), typed.TypeRef())
}
