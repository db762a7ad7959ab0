package kube

import (
	"context"
	"fmt"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

const (
	parallelReads = 8
	// worthList is how many objects of one place are read by listing it rather than one by one.
	worthList = 50
	pageSize  = 500
)

// Content returns the normalised YAML of what the changes lead to, by path. It comes from memory while
// that holds it (see Release), else from the API server. An object that is different by now is left out:
// whoever asked finds it changed in the next snapshot.
func (x *Index) Content(ctx context.Context, changes []tree.Change) (map[string][]byte, error) {
	found, missing, err := x.held(changes)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	take := func(kind manifest.Resource, w wanted, yaml []byte) {
		if x.hash(kind, yaml) == w.hash {
			mu.Lock()
			defer mu.Unlock()
			found[w.path] = yaml
		}
	}
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(parallelReads)
	for from, objects := range missing {
		kind := from.Resource
		if len(objects) > worthList {
			reads.Go(func() error { return x.listContent(ctx, from, objects, take) })
			continue
		}
		for k, w := range objects {
			reads.Go(func() error { return x.readContent(ctx, kind, k, w, take) })
		}
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	return found, nil
}

// Release drops the content of every object whose file is in the tree from memory: it is stored where the
// tree is. It costs what was changed since the last call.
func (x *Index) Release(t tree.Tree) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for path, e := range x.pending {
		if stored, ok := t.Get(path); ok && stored == e.hash {
			x.heldBytes -= len(e.content.data)
			e.content = held{}
			delete(x.pending, path)
		}
	}
}

// wanted is a file whose content is asked for.
type wanted struct {
	path string
	hash plumbing.Hash
}

// place is where objects can be listed: a resource in a namespace, or a resource of the cluster.
type place struct {
	manifest.Resource
	namespace string
}

// held returns what is in memory, and by place what is not. What the index doesn't know of is in neither.
func (x *Index) held(changes []tree.Change) (found map[string][]byte, missing map[place]map[key]wanted, err error) {
	found, missing = map[string][]byte{}, map[place]map[key]wanted{}
	kept := map[string]held{}
	x.mu.Lock()
	for _, c := range changes {
		r, e := x.find(c.Path)
		switch {
		case e == nil || c.To == plumbing.ZeroHash:
		case e.hash == c.To && e.content.data != nil:
			kept[c.Path] = e.content
		default:
			location, _ := manifest.ParsePath(c.Path)
			at := place{r.Resource, location.Namespace}
			if missing[at] == nil {
				missing[at] = map[key]wanted{}
			}
			missing[at][key{location.Namespace, location.Name}] = wanted{c.Path, c.To}
		}
	}
	x.mu.Unlock()
	for path, content := range kept {
		if found[path], err = content.content(); err != nil {
			return nil, nil, fmt.Errorf("content of %s: %w", path, err)
		}
	}
	return found, missing, nil
}

func (x *Index) readContent(ctx context.Context, kind manifest.Resource, k key, w wanted, take func(manifest.Resource, wanted, []byte)) error {
	live, err := x.cluster.of(kind, k.namespace).Get(ctx, k.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", w.path, explain(err))
	}
	return x.contentOf(kind, live, w, take)
}

func (x *Index) listContent(ctx context.Context, from place, objects map[key]wanted, take func(manifest.Resource, wanted, []byte)) error {
	kind := from.Resource
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := x.cluster.of(kind, from.namespace).List(ctx, options)
		if apierrors.IsResourceExpired(err) && options.Continue != "" {
			// The list took longer than its version is kept. What it has not come to is read one by one.
			return x.readEach(ctx, kind, objects, take)
		}
		if err != nil {
			return fmt.Errorf("list %s: %w", kind, explain(err))
		}
		for i := range page.Items {
			k := keyOf(&page.Items[i])
			if w, ok := objects[k]; ok {
				delete(objects, k)
				if err := x.contentOf(kind, &page.Items[i], w, take); err != nil {
					return err
				}
			}
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

func (x *Index) readEach(ctx context.Context, kind manifest.Resource, objects map[key]wanted, take func(manifest.Resource, wanted, []byte)) error {
	for k, w := range objects {
		if err := x.readContent(ctx, kind, k, w, take); err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) contentOf(kind manifest.Resource, live *unstructured.Unstructured, w wanted, take func(manifest.Resource, wanted, []byte)) error {
	live.SetGroupVersionKind(kind.GVK())
	id := manifest.ID{Group: kind.Group, Kind: kind.Kind, Namespace: live.GetNamespace(), Name: live.GetName()}
	yaml, err := x.encode(kind, live.Object, manifest.Surroundings{Scaled: x.isScaled(id)})
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	take(kind, w, yaml)
	return nil
}
