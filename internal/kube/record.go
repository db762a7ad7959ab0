package kube

import (
	"fmt"
	"reflect"

	"github.com/go-git/go-git/v5/plumbing"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// record is what the index takes from an object as soon as it arrives. Reflectors handle records instead
// of objects, so that a decoded object, which is some seven times the size of its JSON, is never kept.
type record struct {
	// The name, namespace, UID and resource version; what a reflector needs of an object.
	metav1.ObjectMeta
	hash    plumbing.Hash // zero when skipped
	content held          // none when skipped, or when the index has it already
	skipped string        // why the object is in no tree, "" when it is in
	bond    manifest.Bond // not known when skipped
	scaled  bool          // it was normalised as the target of an autoscaler
	targets []manifest.ID // what it scales
	fact    any           // crd or apiService
	json    []byte        // all of it, where the watch told of a change
	err     error         // it could not be encoded: nothing but its name is known
	// known: the index has this version of the object, from which hash and skipped are. Nothing else is set.
	known bool
}

func (r *record) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

func (r *record) DeepCopyObject() runtime.Object {
	c := *r
	return &c
}

// recordNew is record, without the work where the index has this version of the object already: because
// an own write was answered with it, or because the watch was lost and everything is listed again. The object
// is likely to be what was written, which is nil where it is nobody's answer.
func (x *Index) recordNew(r manifest.Resource, u *unstructured.Unstructured, written *Write) *record {
	meta := metaOf(u)
	if e, ok := x.has(r, meta); ok {
		return &record{ObjectMeta: meta, hash: e.hash, skipped: e.skipped, known: true}
	}
	return x.record(r, u, written)
}

func (x *Index) has(kind manifest.Resource, meta metav1.ObjectMeta) (entry, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.resources[kind.GroupResource()]
	if r == nil || r.indexed != kind.Version {
		return entry{}, false
	}
	e := r.entries[key{meta.Namespace, meta.Name}]
	if e == nil || e.uid != meta.UID || e.resourceVersion != meta.ResourceVersion {
		return entry{}, false
	}
	return *e, true
}

// record consumes an object of the API server.
func (x *Index) record(r manifest.Resource, u *unstructured.Unstructured, written *Write) *record {
	obj := u.Object
	// Items of a list don't say what they are.
	obj["apiVersion"], obj["kind"] = r.GVK().ToAPIVersionAndKind()
	rec := &record{ObjectMeta: metaOf(u), targets: manifest.ScaleTargets(obj), fact: factOf(r, obj)}
	if rec.skipped, _ = x.skip(r, obj); rec.skipped != "" {
		return rec
	}
	rec.scaled, rec.bond = x.isScaled(idOf(r, rec)), manifest.BondOf(r, obj)
	manifest.Normalise(r, obj, manifest.Surroundings{Scaled: rec.scaled})
	if written != nil && !written.Hash.IsZero() && reflect.DeepEqual(obj, written.Object) {
		rec.hash = written.Hash // and the content is where the object was written from
		return rec
	}
	x.options.Selection.DropIgnored(r, obj)
	yaml, err := manifest.Encode(obj)
	if err != nil {
		rec.err = fmt.Errorf("%s: %w", idOf(r, rec), err)
		return rec
	}
	rec.hash = x.hash(r, yaml)
	if !x.holds(r, keyOf(rec), rec.hash) {
		rec.content = x.hold(yaml)
	}
	return rec
}

func metaOf(u *unstructured.Unstructured) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: u.GetNamespace(), Name: u.GetName(), UID: u.GetUID(), ResourceVersion: u.GetResourceVersion(),
	}
}

// skip is manifest.Skip with a reason that is never empty for what is skipped.
func (x *Index) skip(r manifest.Resource, obj map[string]any) (string, bool) {
	reason, skipped := manifest.Skip(r, obj, x.options.Selection)
	if skipped && reason == "" {
		reason = "excluded"
	}
	return reason, skipped
}

// encode makes the file of an object. It consumes the object.
func (x *Index) encode(r manifest.Resource, obj map[string]any, s manifest.Surroundings) ([]byte, error) {
	manifest.Normalise(r, obj, s)
	x.options.Selection.DropIgnored(r, obj)
	return manifest.Encode(obj)
}

// hash stands for the content of an object in the tree.
func (x *Index) hash(r manifest.Resource, yaml []byte) plumbing.Hash {
	if x.options.SecretHash != nil && r.GroupResource() == secretResource {
		return x.options.SecretHash(yaml)
	}
	return manifest.Hash(yaml)
}

var secretResource = schema.GroupResource{Resource: "secrets"}

func idOf(r manifest.Resource, meta metav1.Object) manifest.ID {
	return manifest.ID{Group: r.Group, Kind: r.Kind, Namespace: meta.GetNamespace(), Name: meta.GetName()}
}

// key names an object within its resource.
type key struct{ namespace, name string }

func keyOf(meta metav1.Object) key { return key{meta.GetNamespace(), meta.GetName()} }

func (k key) path(r manifest.Resource) string { return manifest.Path(r, k.namespace, k.name) }
